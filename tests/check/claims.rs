//! Claims: gaps between networks, on what they rest, and figures that claim nothing.

use refig::exit::Exit;
use refig::judge::{Circumstances, Status, Subject, judge_values};
use refig::manifest::{Comparison, Metric};
use refig::record::Ending;

use super::subjects::{claim, departing, quick, run, table};

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
fn a_claim_does_not_hold_where_a_part_of_it_is_not_comparable() {
    let mut twins = claim("plain-56", "plain-20", 0.0);
    twins.comparisons.push(Comparison {
        lower: "resnet-56".into(),
        ..twins.comparisons[0].clone()
    });
    let [shallow, plain, twin] = [("plain-20", 60.0), ("plain-56", 70.0), ("resnet-56", 50.0)]
        .map(|(network, error)| run(network, 0, error, 50.0));
    let circumstances = departing("resnet-56");
    let judged =
        |subjects: &[Subject]| judge_values(&circumstances, &[], &[], &[twins.clone()], subjects);
    let verdict = judged(&[shallow.clone(), plain.clone(), twin.clone()]);
    let row = &verdict.claims[0];
    let of_each: Vec<Status> = row.comparisons.iter().map(|row| row.status).collect();
    assert_eq!(of_each, [Status::Pass, Status::NotComparable]);
    assert_eq!(
        row.comparisons[1].note,
        "not the paper's recipe: resnet-56: learning_rate 0.05 (paper: 0.1)"
    );
    assert_eq!(row.status, Status::NotComparable);
    assert_eq!(verdict.exit(), Exit::Missing);
    // A failure is one whatever else can be compared.
    let worse = run("plain-20", 0, 80.0, 50.0);
    assert_eq!(judged(&[worse, plain, twin]).status, Status::Fail);
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
    use Status::{Fail, Missing};
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
            Missing,
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
