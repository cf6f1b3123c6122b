//! GitHub Actions: an annotation at the manifest's line for each error and warning, and the step summary.

use std::fmt::Write as _;

use super::cases::{Severity, cases};
use super::page::{Page, markdown};
use crate::judge::Verdict;

/// One workflow command per line, errors first: GitHub shows only ten of each level.
pub fn annotations(verdict: &Verdict, strict: bool) -> String {
    let mut cases = cases(verdict, strict);
    cases.sort_by_key(|case| std::cmp::Reverse(case.severity as u8));
    let mut text = String::new();
    for case in cases {
        let level = match case.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Aside | Severity::Holds => continue,
        };
        let line = case
            .line
            .map_or(String::new(), |line| format!(",line={line}"));
        let _ = writeln!(
            text,
            "::{level} file={}{line},title={}::{}",
            property(&verdict.manifest),
            property(&format!("{}: {}", case.status.name(), case.name)),
            data(&case.text)
        );
    }
    text
}

/// The report for `$GITHUB_STEP_SUMMARY`, without images, which a summary cannot load.
pub fn summary(page: &Page) -> String {
    let page = markdown(page);
    let lines = page.lines().filter(|line| !line.starts_with("!["));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
