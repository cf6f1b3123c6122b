//! Judges claims: orderings that the paper asserts.

use super::circumstances::{Circumstances, Yardstick};
use super::comparable::{ROUNDING, comparable, gather};
use super::rows::{ClaimRow, ComparisonRow, Gap};
use super::significance::{Evidence, between};
use super::statistics::Measured;
use super::status::Status;
use super::subject::Subject;
use crate::manifest::{Claim, Comparison, Metric};
use crate::network::complexity;

pub(super) fn judge_claim(
    circumstances: &Circumstances,
    claim: &Claim,
    subjects: &[Subject],
) -> ClaimRow {
    let against = if circumstances.papers_profile {
        Yardstick::Paper
    } else {
        Yardstick::Profile
    };
    let comparisons: Vec<ComparisonRow> = claim
        .comparisons
        .iter()
        .map(|comparison| {
            if comparison.metric == Metric::MultiplyAdds {
                return compute(comparison);
            }
            let names = [comparison.higher.as_str(), comparison.lower.as_str()];
            let allowed = comparable(circumstances, against, claim.data, &names, subjects);
            judge_comparison(circumstances, comparison, allowed, subjects)
        })
        .collect();
    ClaimRow {
        claim: circumstances.reworded(claim),
        against,
        status: Status::of_claim(comparisons.iter().map(|row| row.status)),
        comparisons,
        line: claim.line,
    }
}

/// Compares multiply-adds, in thousand millions, which need no runs.
fn compute(comparison: &Comparison) -> ComparisonRow {
    let [higher, lower] = [&comparison.higher, &comparison.lower]
        .map(|name| complexity(name).map(|count| count as f64 / 1e9));
    let gap = higher.zip(lower).map(|(higher, lower)| higher - lower);
    let (status, evidence, note) = match higher.zip(lower) {
        Some((higher, lower)) => (
            match comparison.holds(higher, lower) {
                true => Status::Pass,
                false => Status::Fail,
            },
            format!("{higher:.1} and {lower:.1} x 10^9, computed from the layers"),
            String::new(),
        ),
        None => {
            let why = "not a network whose multiply-adds are known";
            (Status::Missing, String::new(), why.to_owned())
        }
    };
    ComparisonRow {
        text: comparison.text(),
        metric: comparison.metric,
        higher: comparison.higher.clone(),
        lower: comparison.lower.clone(),
        margin: comparison.margin,
        gap,
        gaps: Vec::new(),
        welch: None,
        bootstrap: None,
        evidence,
        status,
        note,
    }
}

fn judge_comparison(
    circumstances: &Circumstances,
    comparison: &Comparison,
    allowed: Result<(), (Status, String)>,
    subjects: &[Subject],
) -> ComparisonRow {
    let [higher, lower] = [&comparison.higher, &comparison.lower]
        .map(|network| gather(circumstances, network, comparison.metric, subjects));
    let holds = |gap: f64| gap >= comparison.margin - ROUNDING;
    let mut gaps = Vec::new();
    let mut mean_gap = None;
    let mut evidence = Evidence::default();
    if let (Ok(higher), Ok(lower)) = (&higher, &lower) {
        for ((&seed, a), b) in circumstances.seeds.iter().zip(higher).zip(lower) {
            gaps.push(Gap {
                seed,
                points: a - b,
                holds: holds(a - b),
            });
        }
        mean_gap = Some(Measured::of(higher).mean - Measured::of(lower).mean);
        evidence = between(higher, lower, comparison.margin);
    }
    // Whether the seeds' scatter leaves the gap's side of the margin in doubt.
    let margin = comparison.margin;
    let within_noise = evidence.welch.is_some_and(|gap| gap.contains(margin));
    let opposed = margin < 0.0 && evidence.welch.is_some_and(|gap| gap.high < 0.0);
    let (status, note) = match (allowed, higher, lower) {
        (Err(refused), _, _) => refused,
        // A failure is certain even if the other network lacks runs.
        (_, Err((Status::Fail, why)), _) | (_, _, Err((Status::Fail, why))) => (Status::Fail, why),
        (_, Err(a), Err(b)) => (Status::Missing, format!("{}; {}", a.1, b.1)),
        (_, Err(why), _) | (_, _, Err(why)) => why,
        (Ok(()), Ok(_), Ok(_)) => {
            let status = match mean_gap.is_some_and(holds) {
                true if opposed => Status::PassByMargin,
                true if within_noise => Status::PassWithinNoise,
                true => Status::Pass,
                false if within_noise => Status::FailWithinNoise,
                false => Status::Fail,
            };
            (status, String::new())
        }
    };
    ComparisonRow {
        text: comparison.worded(circumstances.metric(
            comparison.metric,
            &[comparison.higher.as_str(), comparison.lower.as_str()],
        )),
        metric: comparison.metric,
        higher: comparison.higher.clone(),
        lower: comparison.lower.clone(),
        margin: comparison.margin,
        gap: mean_gap,
        gaps,
        welch: evidence.welch,
        bootstrap: evidence.bootstrap,
        evidence: evidence.words,
        status,
        note,
    }
}
