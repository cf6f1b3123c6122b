//! JUnit's XML: a test case for every expectation and claim.

use std::fmt::Write as _;

use super::cases::{Case, Severity, cases};
use crate::judge::{Status, Verdict};

/// `junit.xml`. What fails is a failure, what is missing an error, what is not comparable is skipped; where nothing could be
/// compared at all the skipped ones are errors, for that is no pass.
pub fn junit(verdict: &Verdict, strict: bool) -> String {
    let cases = cases(verdict, strict);
    let fails = |case: &&Case| {
        case.severity == Severity::Error && (case.status.fails() || case.status == Status::Better)
    };
    let failures = cases.iter().filter(fails).count();
    let errors = cases
        .iter()
        .filter(|case| case.severity == Severity::Error)
        .count()
        - failures;
    let skipped = cases
        .iter()
        .filter(|case| case.severity == Severity::Aside)
        .count();
    let suite = escape(&format!("{}/{}", verdict.experiment, verdict.profile));
    let counts = format!(
        "name=\"{suite}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"",
        cases.len()
    );
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite {counts} skipped=\"{skipped}\">\n    \
         <properties>\n      <property name=\"headline\" value=\"{}\"/>\n      \
         <property name=\"data\" value=\"{}\"/>\n    </properties>\n",
        escape(&verdict.headline),
        escape(&verdict.data)
    );
    for case in &cases {
        let line = case
            .line
            .map_or(String::new(), |line| format!(" line=\"{line}\""));
        let _ = write!(
            text,
            "    <testcase classname=\"{suite}.{}\" name=\"{}\" file=\"{}\"{line}",
            case.kind,
            escape(&case.name),
            escape(&verdict.manifest)
        );
        let message = escape(&case.text);
        let status = case.status.name();
        let _ = match case.severity {
            Severity::Holds => writeln!(text, "/>"),
            Severity::Aside => writeln!(
                text,
                "><skipped message=\"{status}: {message}\"/></testcase>"
            ),
            Severity::Warning => {
                writeln!(
                    text,
                    "><system-out>{status}: {message}</system-out></testcase>"
                )
            }
            Severity::Error => {
                let kind = if fails(&case) { "failure" } else { "error" };
                writeln!(
                    text,
                    "><{kind} type=\"{status}\" message=\"{message}\"/></testcase>"
                )
            }
        };
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn escape(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '&' => "&amp;".into(),
            '<' => "&lt;".into(),
            '>' => "&gt;".into(),
            '"' => "&quot;".into(),
            '\n' => "&#10;".into(),
            other => other.to_string(),
        })
        .collect()
}
