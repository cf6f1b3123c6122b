//! What a check says of runs: every status with values worked out by hand, the headline, the exit codes and the files.

use refig::console::plain;
use refig::exit::Exit;
use refig::judge::{Circumstances, Status, Subject, Verdict, judge_values};
use refig::manifest::{Claim, Comparison, Expectation, Metric};
use refig::origin::DataKind;
use refig::origin::Origin;
use refig::publish::page::{self, Material};
use refig::publish::{self, junit};
use refig::record::Ending;

/// The terminal's table in one line.
fn table(verdict: &Verdict) -> String {
    let text = plain(&publish::table(verdict));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn run(network: &str, seed: u64, test: f64, train: f64) -> Subject {
    Subject {
        network: network.into(),
        seed,
        origin: Origin::Cifar10,
        data_digest: String::new(),
        treated: String::new(),
        ending: Ending::Finished,
        iteration: 600,
        test_error: Some(test),
        moving_test_error: Some(test + 1.0),
        training_error: Some(train),
        clean_training_error: Some(train - 1.0),
        response: None,
        others: Default::default(),
        best: Some((400, test - 0.5)),
        folder: format!("quick/{network}-s{seed}-0123abcd"),
        identity: "0123abcd".repeat(8),
        commit: "74c629c".into(),
        machine: "cpu, avx512, 2 threads".into(),
        faults: Vec::new(),
        recipe: "fedc".repeat(16),
    }
}

fn quick(seeds: &[u64]) -> Circumstances {
    Circumstances {
        experiment: "fig6".into(),
        title: "Training on CIFAR-10".into(),
        profile: "quick".into(),
        networks: vec!["plain-20".into(), "plain-56".into()],
        seeds: seeds.to_vec(),
        differences: vec!["batch 64 (paper: 128)".into()],
        chance: 90.0,
        command: "cargo run -- reproduce fig6 --profile quick".into(),
        ..Default::default()
    }
}

fn paper(seeds: &[u64]) -> Circumstances {
    Circumstances {
        profile: "paper".into(),
        papers_profile: true,
        differences: Vec::new(),
        ..quick(seeds)
    }
}

fn expect(network: &str, value: f64, tolerance: f64) -> Expectation {
    Expectation {
        network: network.into(),
        metric: Metric::TestError,
        value,
        tolerance: Some(tolerance),
        source: "by hand".into(),
        deviation: None,
        runs: None,
        data: DataKind::Cifar10,
        line: None,
    }
}

/// `higher` ends at least `margin` points above `lower` in test error.
fn claim(higher: &str, lower: &str, margin: f64) -> Claim {
    Claim {
        says: format!("{higher} above {lower}"),
        data: DataKind::Any,
        comparisons: vec![Comparison {
            metric: Metric::TestError,
            higher: higher.into(),
            lower: lower.into(),
            margin,
        }],
        line: None,
    }
}

/// The verdict on one expectation of plain-20 at 60 ± 2.
fn one(subjects: &[Subject], seeds: &[u64]) -> Verdict {
    let expectation = expect("plain-20", 60.0, 2.0);
    judge_values(&quick(seeds), &[expectation], &[], &[], subjects)
}

#[test]
fn an_error_within_the_tolerance_passes_and_the_edges_belong_to_it() {
    for (error, status, exit) in [
        (60.0, Status::Pass, Exit::Success),
        (62.0, Status::Pass, Exit::Success),
        (62.01, Status::Fail, Exit::CheckFailed),
        (58.0, Status::Pass, Exit::Success),
        (57.99, Status::Better, Exit::Success),
    ] {
        let verdict = one(&[run("plain-20", 0, error, 50.0)], &[0]);
        assert_eq!(verdict.expectations[0].status, status, "{error}");
        assert_eq!(verdict.status, status, "{error}");
        assert_eq!(verdict.exit(), exit, "{error}");
    }
    // 6.61 + 0.1 is 6.710000000000001 in binary: decimal edges must not fall to that.
    let expectation = expect("plain-20", 6.61, 0.1);
    let at_the_edge = [run("plain-20", 0, 6.71, 1.0)];
    let verdict = judge_values(&quick(&[0]), &[expectation], &[], &[], &at_the_edge);
    assert_eq!(verdict.status, Status::Pass);
}

#[test]
fn the_mean_of_three_seeds_is_judged_at_the_last_iteration_not_the_best() {
    // Mean 62.0, deviation sqrt((9 + 0 + 9) / 2) = 3: one seed alone is at 65.
    let subjects =
        [(0, 59.0), (1, 62.0), (2, 65.0)].map(|(seed, e)| run("plain-20", seed, e, 50.0));
    let verdict = one(&subjects, &[0, 1, 2]);
    let measured = verdict.expectations[0].measured.expect("three values");
    assert_eq!(
        (measured.mean, measured.deviation, measured.seeds),
        (62.0, Some(3.0), 3)
    );
    assert_eq!(measured.text(), "62.00 ± 3.00 (3)");
    assert_eq!(verdict.status, Status::Pass);

    // The best of these runs are within the tolerance; their ends are not.
    let mut late = run("plain-20", 0, 70.0, 50.0);
    late.best = Some((100, 60.0));
    assert_eq!(one(&[late], &[0]).status, Status::Fail);
}

#[test]
fn one_seed_has_no_deviation() {
    let verdict = one(&[run("plain-20", 0, 60.5, 50.0)], &[0]);
    let measured = verdict.expectations[0].measured.expect("a value");
    assert_eq!(measured.deviation, None);
    assert_eq!(measured.text(), "60.50 (1)");
}

#[test]
fn what_has_not_been_run_to_its_end_is_missing_and_never_a_pass() {
    let mut partial = run("plain-20", 1, 60.0, 50.0);
    partial.ending = Ending::Partial;
    partial.iteration = 300;
    let mut unmeasured = run("plain-20", 1, 60.0, 50.0);
    unmeasured.test_error = None;
    let done = run("plain-20", 0, 60.0, 50.0);
    for (subjects, reason) in [
        (vec![], "plain-20 seed 0 has not been run"),
        (vec![done.clone()], "plain-20 seed 1 has not been run"),
        (
            vec![done.clone(), partial],
            "plain-20 seed 1 is unfinished, at iteration 300",
        ),
        (
            vec![done, unmeasured],
            "plain-20 seed 1 recorded no test error",
        ),
    ] {
        let verdict = one(&subjects, &[0, 1]);
        assert_eq!(verdict.expectations[0].status, Status::Missing, "{reason}");
        assert!(
            verdict.expectations[0].note.contains(reason),
            "{}",
            verdict.expectations[0].note
        );
        assert_eq!(verdict.exit(), Exit::Missing);
    }
    // Nothing asked for is nothing that holds.
    let verdict = judge_values(
        &quick(&[0]),
        &[],
        &[],
        &[],
        &[run("plain-20", 0, 60.0, 50.0)],
    );
    assert_eq!(verdict.exit(), Exit::Missing);
}

#[test]
fn a_diverged_run_and_a_nan_fail_what_names_them_and_nothing_else() {
    let mut diverged = run("plain-56", 0, f64::NAN, f64::NAN);
    diverged.ending = Ending::Diverged;
    diverged.iteration = 17;
    let mut nan = diverged.clone();
    nan.ending = Ending::Finished;
    for (broken, reason) in [(diverged, "diverged at iteration 17"), (nan, "NaN")] {
        let verdict = judge_values(
            &quick(&[0]),
            &[expect("plain-20", 60.0, 2.0), expect("plain-56", 80.0, 5.0)],
            &[],
            &[
                claim("plain-56", "plain-20", 5.0),
                // Failed for certain, although resnet-56 has not been run.
                claim("plain-56", "resnet-56", 0.0),
                claim("plain-20", "resnet-20", 0.0),
            ],
            &[run("plain-20", 0, 60.0, 50.0), broken],
        );
        let statuses: Vec<Status> = verdict.expectations.iter().map(|row| row.status).collect();
        assert_eq!(statuses, [Status::Pass, Status::Fail]);
        assert!(verdict.expectations[1].note.contains(reason), "{reason}");
        let statuses: Vec<Status> = verdict.claims.iter().map(|row| row.status).collect();
        assert_eq!(statuses, [Status::Fail, Status::Fail, Status::Missing]);
        assert_eq!(verdict.exit(), Exit::CheckFailed);
        // What has no number has none in the file either.
        let json: serde_json::Value =
            serde_json::from_str(&verdict.json().expect("JSON")).expect("parsed");
        assert!(json["runs"][1]["test_error"].is_null());
        assert!(json["expectations"][1]["measured"].is_null());
    }
}

#[test]
fn the_papers_values_are_for_its_recipe_on_its_data() {
    let expectation = [expect("plain-20", 9.65, 0.5)];
    let claims = [claim("plain-56", "plain-20", 0.0)];
    let good = [run("plain-20", 0, 9.7, 1.4), run("plain-56", 0, 13.0, 6.0)];
    let verdict = judge_values(&paper(&[0]), &[], &expectation, &claims, &good);
    assert_eq!(verdict.status, Status::Pass);
    let shown =
        |verdict: &Verdict| page::markdown(&page::page(verdict, &Material::default()).unwrap());
    assert!(shown(&verdict).contains("| 9.65 | +0.05 |"));

    let overridden = Circumstances {
        overrides: vec!["recipe.batch=64".into()],
        ..paper(&[0])
    };
    let of = |origin| good.clone().map(|subject| Subject { origin, ..subject });
    let scaled = Circumstances {
        differences: quick(&[0]).differences,
        ..paper(&[0])
    };
    for (circumstances, subjects, reason) in [
        (scaled, good.clone(), "batch 64 (paper: 128)"),
        (overridden, good.clone(), "recipe.batch=64"),
        (paper(&[0]), of(Origin::Synthetic), "SYNTHETIC"),
        (paper(&[0]), of(Origin::Other), "images other than CIFAR-10"),
    ] {
        let verdict = judge_values(&circumstances, &[], &expectation, &claims, &subjects);
        for (status, note) in [
            (
                verdict.expectations[0].status,
                &verdict.expectations[0].note,
            ),
            (
                verdict.claims[0].status,
                &verdict.claims[0].comparisons[0].note,
            ),
        ] {
            assert_eq!(status, Status::NotComparable);
            assert!(note.contains(reason), "{note} lacks {reason}");
        }
        // The numbers are shown all the same, but not their difference.
        assert!(
            shown(&verdict).contains("| 9.65 | not comparable |"),
            "{}",
            shown(&verdict)
        );
        assert_eq!(verdict.expectations[0].measured.map(|m| m.mean), Some(9.7));
        assert_eq!(verdict.status, Status::NotComparable);
        assert_eq!(verdict.exit(), Exit::Missing);
    }
}

#[test]
fn a_profiles_own_values_decide_beside_the_papers_and_only_on_their_data() {
    let papers = [expect("plain-20", 9.65, 0.5)];
    let own = [
        expect("plain-20", 60.0, 2.0),
        Expectation {
            data: DataKind::Synthetic,
            ..expect("plain-20", 30.0, 2.0)
        },
    ];
    let cifar = run("plain-20", 0, 60.0, 50.0);
    let synthetic = Subject {
        origin: Origin::Synthetic,
        ..run("plain-20", 0, 30.0, 20.0)
    };
    use Status::{NotComparable, Pass};
    for (subject, expected) in [
        (cifar.clone(), [Pass, NotComparable, NotComparable]),
        (synthetic.clone(), [NotComparable, Pass, NotComparable]),
    ] {
        let verdict = judge_values(&quick(&[0]), &own, &papers, &[], &[subject]);
        let statuses: Vec<Status> = verdict.expectations.iter().map(|row| row.status).collect();
        assert_eq!(statuses, expected);
        assert_eq!(verdict.exit(), Exit::Success);
    }

    // Runs of two sorts of data are not averaged.
    let other_seed = Subject {
        seed: 1,
        ..synthetic
    };
    let any = Expectation {
        data: DataKind::Any,
        ..expect("plain-20", 45.0, 20.0)
    };
    let verdict = judge_values(
        &quick(&[0, 1]),
        &[any],
        &[],
        &[],
        &[cifar.clone(), other_seed],
    );
    assert_eq!(verdict.expectations[0].status, NotComparable);

    // A recorded value is of its own recipe; an ordering may be asked of any.
    let overridden = Circumstances {
        overrides: vec!["recipe.batch=32".into()],
        ..quick(&[0])
    };
    let verdict = judge_values(
        &overridden,
        &own[..1],
        &[],
        &[claim("plain-56", "plain-20", 5.0)],
        &[cifar, run("plain-56", 0, 80.0, 75.0)],
    );
    assert_eq!(verdict.expectations[0].status, NotComparable);
    assert_eq!(verdict.claims[0].status, Pass);
}

#[test]
fn a_claim_is_judged_on_the_mean_with_its_margin_and_shows_each_seed() {
    // Gaps: +4, +5, +7.5; mean 5.5.
    let subjects: Vec<Subject> = [(0, 64.0), (1, 65.0), (2, 67.5)]
        .into_iter()
        .flat_map(|(seed, deep)| {
            [
                run("plain-56", seed, deep, 60.0),
                run("plain-20", seed, 60.0, 55.0),
            ]
        })
        .collect();
    let judged = |margin| {
        let claims = [claim("plain-56", "plain-20", margin)];
        judge_values(&quick(&[0, 1, 2]), &[], &[], &claims, &subjects)
    };
    // Welch's interval of the gap is 1.02 to 9.98.
    for (margin, status, exit) in [
        (1.0, Status::Pass, Exit::Success),
        (5.0, Status::PassWithinNoise, Exit::Success),
        (5.5, Status::PassWithinNoise, Exit::Success),
        (5.6, Status::FailWithinNoise, Exit::CheckFailed),
        (10.0, Status::Fail, Exit::CheckFailed),
    ] {
        let verdict = judged(margin);
        assert_eq!(verdict.claims[0].status, status, "{margin}");
        assert_eq!(verdict.exit(), exit, "{margin}");
    }
    let verdict = judged(5.0);
    let row = &verdict.claims[0].comparisons[0];
    assert_eq!(row.gap, Some(5.5));
    let gaps: Vec<(u64, f64, bool)> = row
        .gaps
        .iter()
        .map(|g| (g.seed, g.points, g.holds))
        .collect();
    assert_eq!(gaps, [(0, 4.0, false), (1, 5.0, true), (2, 7.5, true)]);
    assert!(table(&verdict).contains("+4.00 (does not hold), +5.00, +7.50"));

    // "plain-20 at most 5.5 points above plain-56" is a margin below 0; here it is 5.5 below.
    for (margin, status) in [
        (-5.5, Status::PassByMargin),
        (-5.4, Status::FailWithinNoise),
    ] {
        let at_most = [claim("plain-20", "plain-56", margin)];
        let verdict = judge_values(&quick(&[0, 1, 2]), &[], &[], &at_most, &subjects);
        assert_eq!(verdict.claims[0].status, status, "{margin}");
    }
    // 65.1 - 60.1 is 4.999999999999993 in binary.
    let decimal = [
        run("plain-56", 0, 65.1, 50.0),
        run("plain-20", 0, 60.1, 50.0),
    ];
    let claims = [claim("plain-56", "plain-20", 5.0)];
    let verdict = judge_values(&quick(&[0]), &[], &[], &claims, &decimal);
    assert_eq!(verdict.status, Status::Pass);
}

#[test]
fn a_claim_holds_where_all_its_comparisons_do() {
    let mut ordering = claim("plain-56", "plain-20", 5.0);
    ordering.comparisons.push(Comparison {
        metric: Metric::TrainingError,
        ..ordering.comparisons[0].clone()
    });
    let shallow = run("plain-20", 0, 60.0, 55.0);
    for (train, status) in [(60.0, Status::Pass), (59.0, Status::Fail)] {
        let subjects = [shallow.clone(), run("plain-56", 0, 80.0, train)];
        let verdict = judge_values(&quick(&[0]), &[], &[], &[ordering.clone()], &subjects);
        assert_eq!(verdict.claims[0].status, status);
        assert_eq!(verdict.claims[0].comparisons[0].status, Status::Pass);
        assert_eq!(verdict.claims[0].comparisons[1].status, status);
    }
    let verdict = judge_values(&quick(&[0]), &[], &[], &[ordering], &[shallow]);
    assert_eq!(verdict.claims[0].status, Status::Missing);
}

#[test]
fn each_metric_looks_at_its_own_error() {
    let subjects = [
        run("plain-56", 0, 60.0, 80.0),
        run("plain-20", 0, 65.0, 50.0),
    ];
    for (metric, gap) in [(Metric::TestError, -5.0), (Metric::TrainingError, 30.0)] {
        let mut ordering = claim("plain-56", "plain-20", 5.0);
        ordering.comparisons[0].metric = metric;
        let verdict = judge_values(&quick(&[0]), &[], &[], &[ordering], &subjects);
        assert_eq!(
            verdict.claims[0].comparisons[0].gap,
            Some(gap),
            "{metric:?}"
        );
    }
}

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
        "cargo run -- reproduce fig6 --profile quick\ncargo run -- check fig6 --profile quick",
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
fn a_tolerance_that_is_not_given_follows_the_seeds_and_never_passes_its_limit() {
    let free = Expectation {
        tolerance: None,
        ..expect("plain-20", 60.0, 1.0)
    };
    let spread = |by: f64| {
        [(0, 60.0 - by), (1, 60.0), (2, 60.0 + by)].map(|(seed, e)| run("plain-20", seed, e, 50.0))
    };
    for (circumstances, by, tolerance) in [
        (quick(&[0, 1, 2]), 0.1, 2.0),
        (quick(&[0, 1, 2]), 1.5, 4.5),
        (quick(&[0, 1, 2]), 4.0, 5.0),
        (paper(&[0, 1, 2]), 0.1, 0.5),
        (paper(&[0, 1, 2]), 0.25, 0.75),
        (paper(&[0, 1, 2]), 4.0, 1.0),
    ] {
        let (own, papers) = match circumstances.papers_profile {
            true => (vec![], vec![free.clone()]),
            false => (vec![free.clone()], vec![]),
        };
        let verdict = judge_values(&circumstances, &own, &papers, &[], &spread(by));
        let row = &verdict.expectations[0];
        assert!(
            (row.tolerance - tolerance).abs() < 1e-9,
            "{by}: {}",
            row.tolerance
        );
        assert!(!row.tolerance_given);
    }
}

#[test]
fn three_runs_are_tested_and_the_tolerance_still_decides() {
    let papers = Expectation {
        deviation: Some(0.16),
        runs: Some(5),
        ..expect("plain-20", 6.61, 0.5)
    };
    let ours = [(0, 7.0), (1, 7.01), (2, 7.02)].map(|(seed, e)| run("plain-20", seed, e, 1.0));
    let verdict = judge_values(
        &paper(&[0, 1, 2]),
        &[],
        std::slice::from_ref(&papers),
        &[],
        &ours,
    );
    let row = &verdict.expectations[0];
    let test = row.test.as_ref().expect("three runs");
    // A difference of 0.40 with an error of 0.16 / sqrt(5): far outside chance, inside the tolerance.
    assert!(test.p < 0.01 && test.interval.low > 0.0, "{}", test.words);
    assert_eq!(row.status, Status::Pass);
    assert!(table(&verdict).contains("Welch's test against 6.61 ± 0.16 over 5 runs"));
    let verdict = judge_values(&paper(&[0, 1]), &[], &[papers], &[], &ours[..2]);
    assert_eq!(verdict.expectations[0].test, None);
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
    assert_eq!(verdict.status, Status::NotComparable);
    assert_eq!(verdict.exit(), Exit::Missing);
    assert!(verdict.expectations[0].note.contains(fault));
    assert!(verdict.claims[0].comparisons[0].note.contains(fault));
    assert_eq!(verdict.runs[0].faults, [fault]);
}

#[test]
fn a_gap_says_on_what_it_rests() {
    let seeds: Vec<u64> = (0..8).collect();
    let subjects: Vec<Subject> = seeds
        .iter()
        .flat_map(|&seed| {
            let by = 0.1 * seed as f64;
            [
                run("plain-56", seed, 66.0 + by, 60.0),
                run("plain-20", seed, 60.0 - by, 50.0),
            ]
        })
        .collect();
    let of = |seeds: &[u64]| {
        let claims = [claim("plain-56", "plain-20", 5.0)];
        let verdict = judge_values(&quick(seeds), &[], &[], &claims, &subjects);
        verdict.claims[0].comparisons[0].clone()
    };
    let eight = of(&seeds);
    let (welch, bootstrap) = (eight.welch.expect("8"), eight.bootstrap.expect("8"));
    assert!(welch.low > 6.0 && welch.contains(eight.gap.expect("both")));
    assert!(bootstrap.low > 6.0 && bootstrap.high < 7.5);
    let three = of(&seeds[..3]);
    assert!(three.welch.is_some() && three.bootstrap.is_none());
    let single = of(&seeds[..1]);
    assert_eq!(single.welch, None);
    assert!(
        single.evidence.starts_with("one seed"),
        "{}",
        single.evidence
    );
}

#[test]
fn a_claim_that_the_seeds_speak_against_says_that_it_holds_only_by_its_margin() {
    // The shallow network ends 2 points below, on every seed: the claim allows 3.
    let subjects: Vec<Subject> = [0, 1, 2]
        .into_iter()
        .flat_map(|seed| {
            let by = 0.1 * seed as f64;
            [
                run("plain-20", seed, 60.0 + by, 50.0),
                run("plain-56", seed, 62.0 + by, 50.0),
            ]
        })
        .collect();
    let claims = [claim("plain-20", "plain-56", -3.0)];
    let verdict = judge_values(&quick(&[0, 1, 2]), &[], &[], &claims, &subjects);
    assert_eq!(verdict.claims[0].status, Status::PassByMargin);
    assert_eq!(verdict.exit(), Exit::Success);
    assert!(
        verdict.headline.contains("1 of 1 claim holds")
            && verdict.headline.contains("(1 only by its margin)"),
        "{}",
        verdict.headline
    );
    // One seed has no interval to tell.
    let verdict = judge_values(&quick(&[0]), &[], &[], &claims, &subjects);
    assert_eq!(verdict.claims[0].status, Status::Pass);
    assert!(
        verdict.headline.ends_with("(one seed)"),
        "{}",
        verdict.headline
    );
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

#[test]
fn a_figure_that_claims_nothing_is_no_failure_where_all_of_it_is_there() {
    let whole: Vec<Subject> = ["plain-20", "plain-56"]
        .iter()
        .flat_map(|network| [0, 1].map(|seed| run(network, seed, 60.0, 50.0)))
        .collect();
    let judged = |circumstances: &Circumstances, subjects: &[Subject]| {
        let verdict = judge_values(circumstances, &[], &[], &[], subjects);
        (verdict.status, verdict.exit_when(true), verdict.headline)
    };
    let seeds = quick(&[0, 1]);
    let (status, exit, headline) = judged(&seeds, &whole);
    assert_eq!((status, exit), (Status::NothingClaimed, Exit::Success));
    assert!(headline.contains("nothing is claimed"), "{headline}");

    let changed = |change: &dyn Fn(&mut Subject)| {
        let mut subjects = whole.clone();
        change(&mut subjects[3]);
        subjects
    };
    use Status::{Fail, Missing, NotComparable};
    for (subjects, status, exit, reason) in [
        (
            whole[..3].to_vec(),
            Missing,
            Exit::Missing,
            "plain-56 seed 1 has not been run",
        ),
        (
            changed(&|run| run.ending = Ending::Partial),
            Missing,
            Exit::Missing,
            "plain-56 seed 1 is unfinished, at iteration",
        ),
        (
            changed(&|run| run.test_error = None),
            Missing,
            Exit::Missing,
            "plain-56 seed 1 recorded no test error",
        ),
        (
            changed(&|run| run.ending = Ending::Diverged),
            Fail,
            Exit::CheckFailed,
            "plain-56 seed 1 diverged",
        ),
        (
            changed(&|run| run.faults.push("learning rate 1".into())),
            NotComparable,
            Exit::Missing,
            "deviates from its recipe: learning rate 1",
        ),
        (
            Vec::new(),
            Missing,
            Exit::Missing,
            "plain-20 seed 0 has not been run; plain-20 seed 1 has not been run; likewise one more network",
        ),
    ] {
        let found = judged(&seeds, &subjects);
        assert_eq!((found.0, found.1), (status, exit), "{}", found.2);
        assert!(found.2.contains(reason), "{}", found.2);
    }

    // A figure of responses is whole when these are measured.
    let seeds = Circumstances {
        responses: true,
        ..seeds
    };
    let mut measured = whole.clone();
    assert_eq!(judged(&seeds, &measured).0, Missing);
    for run in &mut measured {
        run.response = Some(1.0);
    }
    assert_eq!(judged(&seeds, &measured).0, Status::NothingClaimed);
    // Nor is it a pass to have no seed.
    assert_eq!(judged(&quick(&[]), &whole).0, Missing);
}
