//! JUnit XML: a test case for each expectation and claim.

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::cases::{Case, Severity, cases};
use super::foreign::xml;
use crate::judge::{Status, Verdict};

/// `junit.xml`: `fail` is a failure, `missing` an error, `not-comparable` skipped. If nothing at all was comparable,
/// those are errors too.
///
/// # Errors
/// If it cannot be serialised, which is a bug.
pub fn junit(verdict: &Verdict, strict: bool) -> Result<String> {
    let name = xml(&format!("{}/{}", verdict.experiment, verdict.profile));
    let mut suite = TestSuite::new(&name);
    for (property, value) in [("headline", &verdict.headline), ("data", &verdict.data)] {
        suite.add_property((property.to_owned(), xml(value)));
    }
    for case in cases(verdict, strict) {
        suite.add_test_case(test_case(&case, &name, &verdict.manifest));
    }
    let mut report = Report::new(&name);
    report.add_test_suite(suite);
    report.to_string().context("cannot write JUnit XML")
}

fn test_case(case: &Case, suite: &str, manifest: &str) -> TestCase {
    let name = case.status.name();
    let text = xml(&case.text);
    let mut status = match case.severity {
        Severity::Holds | Severity::Warning => TestCaseStatus::success(),
        Severity::Aside => TestCaseStatus::skipped(),
        Severity::Error if case.status.fails() || case.status == Status::Better => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
        Severity::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    match case.severity {
        Severity::Holds | Severity::Warning => {}
        Severity::Aside => {
            status.set_message(format!("{name}: {text}"));
        }
        Severity::Error => {
            status.set_type(name).set_message(text.as_str());
        }
    }
    let mut test = TestCase::new(xml(&case.name), status);
    test.set_classname(format!("{suite}.{}", case.kind));
    if case.severity == Severity::Warning {
        test.set_system_out(format!("{name}: {text}"));
    }
    test.extra.insert("file".into(), xml(manifest).into());
    if let Some(line) = case.line {
        test.extra.insert("line".into(), line.to_string().into());
    }
    test
}
