//! A shipped manifest with a change, and what it is refused with.

use std::path::Path;

use refig::exit::Exit;
use refig::manifest::Experiment;

/// Loads a shipped manifest with `find` replaced. Returns the line of the change and the error message.
pub fn refused_in(name: &str, find: &str, replace: &str) -> (usize, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("reference")).unwrap();
    for file in [
        "fig6.toml",
        "fig1.toml",
        "fig4.toml",
        "reference/fig6.csv",
        "reference/fig1.csv",
        "reference/fig4.csv",
    ] {
        std::fs::copy(
            Path::new("experiments").join(file),
            folder.path().join(file),
        )
        .unwrap();
    }
    let path = folder.path().join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text
        .find(find)
        .unwrap_or_else(|| panic!("{find} is not in {name}"));
    std::fs::write(&path, text.replacen(find, replace, 1)).unwrap();
    let error = Experiment::load(&path, "quick", &[]).expect_err("must be rejected");
    assert_eq!(Exit::of(&error), Exit::Usage, "{error:#}");
    let text_before = &text[..at];
    (text_before.matches('\n').count() + 1, format!("{error:#}"))
}

/// Asserts the line and parts of the message for a change to fig6.toml.
pub fn refused(find: &str, replace: &str, parts: &[&str]) {
    let (line, error) = refused_in("fig6.toml", find, replace);
    let place = format!("fig6.toml:{}:", line);
    assert!(error.contains(&place), "{place} is not in: {error}");
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert!(!error.contains('\n'), "more than a line: {error}");
}

/// What `--set` with this argument is answered with, at `quick`.
pub fn set_refused(argument: &str) -> String {
    let path = Path::new("experiments/fig6.toml");
    let error = Experiment::load(path, "quick", &[argument.into()]).expect_err(argument);
    assert_eq!(Exit::of(&error), Exit::Usage, "{argument}: {error:#}");
    format!("{error:#}")
}
