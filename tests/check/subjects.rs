//! Runs, claims and expectations that are made up, and the verdict on them.

use refig::console::plain;
use refig::judge::{Circumstances, Subject, Verdict, judge_values};
use refig::manifest::{Claim, Comparison, Expectation, Metric};
use refig::origin::{DataKind, Origin};
use refig::publish;
use refig::record::Ending;

/// The terminal's table in one line.
pub fn table(verdict: &Verdict) -> String {
    let text = plain(&publish::table(verdict));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn run(network: &str, seed: u64, test: f64, train: f64) -> Subject {
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

pub fn quick(seeds: &[u64]) -> Circumstances {
    let departure = "batch 64 (paper: 128)".to_owned();
    let networks = ["plain-20", "plain-56"].map(String::from);
    Circumstances {
        experiment: "fig6".into(),
        title: "Training on CIFAR-10".into(),
        profile: "quick".into(),
        networks: networks.to_vec(),
        seeds: seeds.to_vec(),
        differences: vec![departure.clone()],
        departures: networks.map(|name| (name, vec![departure.clone()])).into(),
        chance: 90.0,
        command: "cargo run -- reproduce fig6 --profile quick".into(),
        training_window: 20,
        ..Default::default()
    }
}

pub fn paper(seeds: &[u64]) -> Circumstances {
    Circumstances {
        profile: "paper".into(),
        papers_profile: true,
        differences: Vec::new(),
        departures: Default::default(),
        ..quick(seeds)
    }
}

/// At the paper's profile, with one network that departs from its recipe.
pub fn departing(network: &str) -> Circumstances {
    let departure = "learning_rate 0.05 (paper: 0.1)";
    Circumstances {
        differences: vec![format!("{network}: {departure}")],
        departures: [(network.into(), vec![departure.into()])].into(),
        ..paper(&[0])
    }
}

pub fn expect(network: &str, value: f64, tolerance: f64) -> Expectation {
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
pub fn claim(higher: &str, lower: &str, margin: f64) -> Claim {
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
pub fn one(subjects: &[Subject], seeds: &[u64]) -> Verdict {
    let expectation = expect("plain-20", 60.0, 2.0);
    judge_values(&quick(seeds), &[expectation], &[], &[], subjects)
}
