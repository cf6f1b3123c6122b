//! Where and with what a run was made. Nothing here is part of its identity.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// The machine and the program, at one start of a run. What cannot be found out is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// UTC, RFC 3339.
    pub time: String,
    /// After so many iterations made before.
    pub iteration: u64,
    /// Of this program's repository; empty outside of one.
    pub commit: String,
    /// Whether the repository differed from the commit, `results/` and `reports/` aside.
    pub dirty: bool,
    /// This program's version.
    pub version: String,
    /// The compiler that built it.
    pub rustc: String,
    pub cpu: String,
    /// Name and driver; only for runs on one.
    pub gpu: String,
    /// System and architecture.
    pub system: String,
    pub host: String,
    /// The engine's threads; results do not depend on them.
    pub threads: usize,
}

impl Provenance {
    /// That of this process.
    pub fn now(iteration: u64, device: &str, threads: usize) -> Self {
        let (commit, dirty) = commit();
        Self {
            time: time(),
            iteration,
            commit,
            dirty,
            version: env!("CARGO_PKG_VERSION").into(),
            rustc: env!("REFIG_RUSTC").into(),
            cpu: cpu(),
            gpu: if device == "cpu" {
                String::new()
            } else {
                gpu()
            },
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            host: host(),
            threads,
        }
    }
}

/// UTC to the second, RFC 3339.
pub(super) fn time() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The commit of the repository that this program was built from, if it is still there, and whether it was changed since.
fn commit() -> (String, bool) {
    static FOUND: OnceLock<(String, bool)> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let root = env!("CARGO_MANIFEST_DIR");
            // A copy of the sources inside another repository is not that repository's commit.
            if !Path::new(root).join(".git").exists() {
                return (String::new(), false);
            }
            let commit = output("git", &["-C", root, "rev-parse", "HEAD"]);
            let changes = output(
                "git",
                &[
                    "-C",
                    root,
                    "status",
                    "--porcelain",
                    "--",
                    ".",
                    ":!results",
                    ":!reports",
                ],
            );
            (commit, !changes.is_empty())
        })
        .clone()
}

/// As the processor calls itself.
fn cpu() -> String {
    let linux = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    linux
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'))
        .map(|(_, name)| name.trim().to_string())
        .unwrap_or_else(|| output("sysctl", &["-n", "machdep.cpu.brand_string"]))
}

fn gpu() -> String {
    output(
        "nvidia-smi",
        &["--query-gpu=name,driver_version", "--format=csv,noheader"],
    )
}

/// The machine's name.
pub(super) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_string())
        .unwrap_or_else(|_| output("hostname", &[]))
}

/// What a program prints, without the ends; empty if it fails or is not there.
fn output(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string())
        .unwrap_or_default()
}
