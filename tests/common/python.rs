//! A Python, for what other programs make of files.

use std::process::Command;

/// A Python that can import these modules: the one that PYTHON names, else those on the PATH.
pub fn with(modules: &str) -> Option<String> {
    let import = format!("import {modules}");
    let named = std::env::var("PYTHON").ok();
    let usual = ["python3", "python"].map(String::from);
    named.into_iter().chain(usual).find(|python| {
        Command::new(python)
            .args(["-c", &import])
            .output()
            .is_ok_and(|output| output.status.success())
    })
}
