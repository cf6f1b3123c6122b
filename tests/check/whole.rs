//! The verdict as a whole: its status, its exit code, and what is written of it.

use refig::exit::Exit;
use refig::judge::{Circumstances, Status, Subject, Verdict, judge_values};
use refig::manifest::{Claim, Expectation};
use refig::origin::Origin;
use refig::publish::junit;
use refig::publish::page::{self, Material};

use super::subjects::{claim, expect, one, quick, run, table};

#[test]
fn failing_outweighs_missing_outweighs_passing() {
    let pass = expect("plain-20", 60.0, 2.0);
    let fail = expect("plain-20", 50.0, 2.0);
    let missing = expect("plain-56", 80.0, 2.0);
    let better = expect("plain-20", 70.0, 2.0);
    let papers = [expect("plain-20", 9.0, 1.0)];
    let subjects = [run("plain-20", 0, 60.0, 50.0)];
    let status = |of: &[&Expectation]| {
        let own: Vec<Expectation> = of.iter().map(|&e| e.clone()).collect();
        let verdict = judge_values(&quick(&[0]), &own, &papers, &[], &subjects);
        (verdict.status, verdict.exit())
    };
    for (of, expected) in [
        (
            vec![&pass, &missing, &fail, &better],
            (Status::Fail, Exit::CheckFailed),
        ),
        (
            vec![&pass, &missing, &better],
            (Status::Missing, Exit::Missing),
        ),
        (vec![&pass, &better], (Status::Better, Exit::Success)),
        (vec![&pass], (Status::Pass, Exit::Success)),
        (vec![], (Status::NotComparable, Exit::Missing)),
    ] {
        assert_eq!(status(&of), expected);
    }
}

#[test]
fn better_is_a_warning_and_fails_where_it_is_asked_to() {
    let verdict = one(&[run("plain-20", 0, 40.0, 50.0)], &[0]);
    assert_eq!(verdict.status, Status::Better);
    assert_eq!(verdict.exit_when(false), Exit::Success);
    assert_eq!(verdict.exit_when(true), Exit::CheckFailed);
    let verdict = one(&[run("plain-20", 0, 60.0, 50.0)], &[0]);
    assert_eq!(verdict.exit_when(true), Exit::Success);
}

#[test]
fn a_run_that_is_not_of_its_recipe_is_compared_with_nothing() {
    let fault = "learning rate 0.1 at iteration 361, the recipe's is 0.01";
    let subjects = [("plain-20", 60.0), ("plain-56", 70.0)].map(|(network, error)| Subject {
        faults: vec![fault.into()],
        ..run(network, 0, error, 50.0)
    });
    let verdict = judge_values(
        &quick(&[0]),
        &[expect("plain-20", 60.0, 2.0)],
        &[],
        &[claim("plain-56", "plain-20", 5.0)],
        &subjects,
    );
    assert_eq!(verdict.status, Status::Missing);
    assert_eq!(verdict.exit(), Exit::Missing);
    assert!(verdict.expectations[0].note.contains(fault));
    assert!(verdict.claims[0].comparisons[0].note.contains(fault));
    assert_eq!(verdict.runs[0].faults, [fault]);
}

#[test]
fn every_output_of_synthetic_runs_says_so_and_no_other_does() {
    let outputs = |verdict: &Verdict| {
        let page = page::page(verdict, &Material::default()).expect("a page");
        [
            table(verdict),
            page::markdown(&page),
            page::html(&page, None),
            verdict.json().expect("JSON"),
            junit(verdict, false).expect("XML"),
        ]
    };
    let real = run("plain-20", 0, 60.0, 50.0);
    for text in outputs(&one(std::slice::from_ref(&real), &[0])) {
        assert!(!text.contains("SYNTHETIC"), "{text}");
        assert!(text.contains("CIFAR-10"), "{text}");
    }
    let synthetic = Subject {
        origin: Origin::Synthetic,
        ..real
    };
    for text in outputs(&one(&[synthetic], &[0])) {
        assert!(text.contains("SYNTHETIC"), "{text}");
    }
}

#[test]
fn errors_are_called_judged_where_something_is_claimed_of_them() {
    let runs = [
        run("plain-20", 0, 60.0, 50.0),
        run("plain-56", 0, 80.0, 70.0),
    ];
    let papers = [expect("plain-20", 9.65, 0.5)];
    let text = |claims: &[Claim]| {
        let verdict = judge_values(&quick(&[0]), &[], &papers, claims, &runs);
        let page = page::page(&verdict, &Material::default()).expect("a page");
        page::markdown(&page)
    };
    let judged = "which are judged";
    // Not comparable with the paper, and nothing else is expected.
    assert!(!text(&[]).contains(judged), "{}", text(&[]));
    assert!(text(&[claim("plain-56", "plain-20", 5.0)]).contains(judged));
}

#[test]
fn the_report_opens_with_the_answer_and_holds_what_is_needed_to_check_it() {
    let verdict = judge_values(
        &quick(&[0]),
        &[expect("plain-20", 60.0, 2.0)],
        &[expect("plain-20", 9.65, 0.5)],
        &[claim("plain-56", "plain-20", 5.0)],
        &[
            run("plain-20", 0, 60.0, 50.0),
            run("plain-56", 0, 80.0, 70.0),
        ],
    );
    let page = page::page(&verdict, &Material::default()).expect("a page");
    // The page in a browser says the same as the one for a pull request.
    let html = page::html(&page, None);
    let page = page::markdown(&page);
    let start: Vec<&str> = page.lines().take(3).collect();
    assert_eq!(start[0], "# Training on CIFAR-10");
    assert_eq!(
        start[2],
        "**fig6: 1 of 1 expected error and 1 of 1 claim hold at profile quick (one seed); final errors are not comparable with the paper's.**"
    );
    for part in [
        "| plain-20: test error | pass | 60.00 (1) | 60.00 within 2.00 (profile) | by hand |",
        "not-comparable: not the paper's recipe: batch 64 (paper: 128)",
        "| **plain-56 above plain-20 (profile)** | pass |  |  |",
        "| test error: plain-56 at least 5 points above plain-20 | pass | +20.00 | +20.00 |",
        "| plain-56 above plain-20 | pass | +20.00 | ≥ +5 (profile) | claim |",
        // Mean, deviation, seeds, range, the paper's, no difference from what is not comparable.
        "| plain-20 | test error | **60.00** | – | 1 | – | 9.65 | not comparable |",
        "| plain-20 | training error | **50.00** | – | 1 | – | – | – |",
        "Not compared with the paper: plain-20: not the paper's recipe: batch 64 (paper: 128).",
        // Best, clean pass, moving average.
        "| plain-20 | 59.50 (1) at 400 | 49.00 (1) | 61.00 (1) | 1 of 1 |",
        "`quick/plain-56-s0-0123abcd` | `0123abcd0123abcd` | `74c629c` |",
        "| test error: plain-56 at least 5 points above plain-20 | one seed: no interval for the gap; the margin is +5.00 |",
        "- batch 64 (paper: 128)",
        "cargo run -- reproduce fig6 --profile quick",
    ] {
        assert!(page.contains(part), "lacks {part}:\n{page}");
    }
    for part in [
        "fig6: 1 of 1 expected error and 1 of 1 claim hold at profile quick",
        "pass</span></td><td class=\"n\">60.00 (1)</td><td class=\"n\">60.00 within 2.00 (profile)</td>",
        "not the paper's recipe: batch 64 (paper: 128)",
        "<code>quick/plain-56-s0-0123abcd</code>",
        "cargo run -- check fig6 --profile quick\ncargo run -- reproduce fig6 --profile quick",
    ] {
        assert!(html.contains(part), "lacks {part}:\n{html}");
    }
}

#[test]
fn nothing_in_a_verdict_becomes_markup_or_ends_a_cell() {
    let mut circumstances = quick(&[0]);
    circumstances.title = "<b>bold</b> title".into();
    circumstances.differences = vec!["batch <i>64</i>".into()];
    let expectation = Expectation {
        source: "by <script>hand</script> | and \"more\"".into(),
        ..expect("plain-20", 60.0, 2.0)
    };
    let runs = [run("plain-20", 0, 60.0, 50.0)];
    let verdict = judge_values(&circumstances, &[expectation], &[], &[], &runs);
    let page = page::page(&verdict, &Material::default()).expect("a page");
    let html = page::html(&page, None);
    for markup in ["<b>bold", "<script>hand", "<i>64"] {
        assert!(!html.contains(markup), "{markup} in\n{html}");
    }
    assert!(html.contains("by &lt;script&gt;hand&lt;/script&gt; | and &quot;more&quot;"));
    assert!(html.contains("<title>&lt;b&gt;bold&lt;/b&gt; title</title>"));
    let markdown = page::markdown(&page);
    assert!(
        markdown.contains("by &lt;script&gt;hand&lt;/script&gt; \\| and"),
        "{markdown}"
    );
}

#[test]
fn a_training_error_names_its_mini_batches() {
    let shown = |training_window| {
        let circumstances = Circumstances {
            training_window,
            ..quick(&[0])
        };
        let runs = [run("plain-20", 0, 60.0, 50.0)];
        let verdict = judge_values(&circumstances, &[], &[], &[], &runs);
        page::markdown(&page::page(&verdict, &Material::default()).unwrap())
    };
    assert!(shown(20).contains("the last 20 augmented mini-batches, as in the paper's curves."));
    assert!(shown(50).contains("the last 50 augmented mini-batches. "));
}

#[test]
fn the_json_has_a_format_the_status_and_the_counts() {
    let verdict = one(&[run("plain-20", 0, 70.0, 50.0)], &[0]);
    let json: serde_json::Value =
        serde_json::from_str(&verdict.json().expect("JSON")).expect("parsed");
    assert_eq!(json["format"], 2);
    assert_eq!(json["status"], "fail");
    assert_eq!(json["synthetic"], false);
    assert_eq!(json["errors"]["fail"], 1);
    assert_eq!(json["errors"]["pass"], 0);
    assert_eq!(json["claim_counts"]["fail"], 0);
    assert_eq!(json["expectations"][0]["measured"]["mean"], 70.0);
    assert_eq!(json["runs"][0]["best_iteration"], 400);
}

#[test]
fn networks_near_chance_are_named_wherever_the_verdict_is_read() {
    let subjects = [
        run("plain-20", 0, 60.0, 50.0),
        run("plain-56", 0, 87.6, 88.0),
    ];
    let verdict = judge_values(&quick(&[0]), &[], &[], &[], &subjects);
    assert_eq!(verdict.hardly_learned, ["plain-56"]);
    let words = "barely learned (chance is 90 %): plain-56 (87.6 %)";
    let page = page::page(&verdict, &Material::default()).expect("a page");
    for text in [
        table(&verdict),
        page::markdown(&page),
        page::html(&page, None),
    ] {
        assert!(text.contains(words), "{text}");
    }
    let begun = [
        run("plain-20", 0, 60.0, 50.0),
        run("plain-56", 0, 80.9, 88.0),
    ];
    let verdict = judge_values(&quick(&[0]), &[], &[], &[], &begun);
    assert_eq!(verdict.near_chance(), None);
}
