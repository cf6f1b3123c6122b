//! Errors against what was expected of them: the tolerance, the seeds, and whose values decide.

use refig::exit::Exit;
use refig::judge::{Circumstances, Status, Subject, Verdict, judge_values};
use refig::manifest::{Expectation, Metric};
use refig::origin::{DataKind, Origin};
use refig::publish::page::{self, Material};
use refig::record::Ending;

use super::subjects::{claim, departing, expect, one, paper, quick, run, table};

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
        overrides: vec!["expectations=[]".into()],
        ..paper(&[0])
    };
    let of = |origin| good.clone().map(|subject| Subject { origin, ..subject });
    let scaled = Circumstances {
        differences: quick(&[0]).differences,
        departures: quick(&[0]).departures,
        ..paper(&[0])
    };
    for (circumstances, subjects, reason) in [
        (scaled, good.clone(), "batch 64 (paper: 128)"),
        (overridden, good.clone(), "--set expectations=[]"),
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
fn a_departing_network_leaves_the_others_comparable() {
    let expectations = [("plain-20", 9.7), ("plain-56", 13.0)];
    let subjects = expectations.map(|(network, error)| run(network, 0, error, 1.0));
    let expectations = expectations.map(|(network, error)| expect(network, error, 0.5));
    let of = |circumstances: &Circumstances, subjects: &[Subject]| {
        let verdict = judge_values(circumstances, &[], &expectations, &[], subjects);
        let statuses: Vec<Status> = verdict.expectations.iter().map(|row| row.status).collect();
        (statuses, verdict)
    };
    let (statuses, verdict) = of(&departing("plain-56"), &subjects);
    assert_eq!(statuses, [Status::Pass, Status::NotComparable]);
    assert!(
        !verdict.headline.contains("reproduced"),
        "{}",
        verdict.headline
    );
    // A change with --set that leaves the recipe the paper's is no departure.
    let often = Circumstances {
        overrides: vec!["recipe.evaluation.interval=500".into(), "seeds=[0]".into()],
        ..paper(&[0])
    };
    let (statuses, verdict) = of(&often, &subjects);
    assert_eq!(statuses, [Status::Pass; 2]);
    assert!(
        verdict.headline.contains("fig6 reproduced"),
        "{}",
        verdict.headline
    );
}

#[test]
fn a_run_that_deviates_from_its_recipe_leaves_the_figure_open() {
    let expectations = ["plain-20", "plain-56"].map(|network| expect(network, 10.0, 0.5));
    let mut subjects = ["plain-20", "plain-56"].map(|network| run(network, 0, 10.0, 1.0));
    subjects[1]
        .faults
        .push("batch-norm statistics of 5000 images instead of 50000".into());
    let verdict = judge_values(&paper(&[0]), &[], &expectations, &[], &subjects);
    assert_eq!(
        (verdict.status, verdict.exit()),
        (Status::Missing, Exit::Missing)
    );
    let headline = &verdict.headline;
    assert!(
        headline.contains("is not complete: of 2 final errors of the paper 1 holds"),
        "{headline}"
    );
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
