//! Whether runs are comparable with a value, and the runs' own values.

use super::circumstances::{Circumstances, Yardstick};
use super::status::Status;
use super::subject::Subject;
use crate::manifest::Metric;
use crate::origin::{DataKind, Origin};
use crate::record::Ending;

/// Bound on rounding errors of values parsed from decimal text and of their sums, points.
pub(super) const ROUNDING: f64 = 1e-9;

/// Values in the order of the seeds, or why there are none.
pub(super) type Gathered = Result<Vec<f64>, (Status, String)>;

/// A network's run for each requested seed, in order.
pub(super) fn of_network<'a>(
    network: &'a str,
    circumstances: &'a Circumstances,
    subjects: &'a [Subject],
) -> impl Iterator<Item = (u64, Option<&'a Subject>)> {
    circumstances.seeds.iter().map(move |&seed| {
        let found = subjects
            .iter()
            .find(|subject| subject.network == network && subject.seed == seed);
        (seed, found)
    })
}

/// Whether runs of `networks` may be compared with a value of `against` on `data`; else the status and the reason.
pub(super) fn comparable(
    circumstances: &Circumstances,
    against: Yardstick,
    data: DataKind,
    networks: &[&str],
    subjects: &[Subject],
) -> Result<(), (Status, String)> {
    let refuse = |reason: String| Err((Status::NotComparable, reason));
    if against == Yardstick::Paper {
        let others = circumstances.other_overrides();
        if !others.is_empty() {
            return refuse(format!("changed with --set {}", others.join(" --set ")));
        }
        let departures = |network: &str| circumstances.departures.get(network);
        for network in networks {
            let Some([first, more @ ..]) = departures(network).map(Vec::as_slice) else {
                continue;
            };
            let alike = (networks.iter()).all(|other| departures(other) == departures(network));
            let whose = if alike { "" } else { &format!("{network}: ") };
            return refuse(match more.len() {
                0 => format!("not the paper's recipe: {whose}{first}"),
                n => format!("not the paper's recipe: {whose}{first} and {n} more"),
            });
        }
    }
    let wanted = match against {
        Yardstick::Paper => Some(circumstances.data.origin()),
        Yardstick::Profile => data.only(),
    };
    let mut origins: Vec<Origin> = Vec::new();
    for network in networks {
        for (_, subject) in of_network(network, circumstances, subjects) {
            if let Some(subject) = subject
                && !origins.contains(&subject.origin)
            {
                origins.push(subject.origin);
            }
        }
    }
    if let (Some(wanted), Some(other)) = (
        wanted,
        origins.iter().find(|&&origin| Some(origin) != wanted),
    ) {
        return refuse(format!(
            "trained on {}, the value is for {}",
            other.name(),
            wanted.name()
        ));
    }
    // No value is for unknown images.
    if origins.contains(&Origin::Other) {
        return refuse(format!("trained on {}", Origin::Other.name()));
    }
    if origins.len() > 1 {
        return refuse("the runs are on different data".into());
    }
    // Such a run is no evidence of its recipe, and what needs it stays open.
    for network in networks {
        for (seed, subject) in of_network(network, circumstances, subjects) {
            if let Some(fault) = subject.and_then(|subject| subject.faults.first()) {
                let reason = format!("{network} seed {seed} deviates from its recipe: {fault}");
                return Err((Status::Missing, reason));
            }
        }
    }
    Ok(())
}

pub(super) fn gather(
    circumstances: &Circumstances,
    network: &str,
    metric: Metric,
    subjects: &[Subject],
) -> Gathered {
    let mut values = Vec::new();
    let mut missing = Vec::new();
    for (seed, subject) in of_network(network, circumstances, subjects) {
        let Some(subject) = subject else {
            missing.push(format!("{network} seed {seed} has not been run"));
            continue;
        };
        match (subject.ending, subject.error(metric)) {
            (Ending::Diverged, _) => {
                let at = subject.iteration;
                return Err((
                    Status::Fail,
                    format!("{network} seed {seed} diverged at iteration {at}"),
                ));
            }
            (Ending::Partial, _) => missing.push(format!(
                "{network} seed {seed} is unfinished, at iteration {}",
                subject.iteration
            )),
            (Ending::Finished, Some(value)) if value.is_finite() => values.push(value),
            (Ending::Finished, Some(value)) => {
                return Err((
                    Status::Fail,
                    format!(
                        "{network} seed {seed} ended with a {} of {value}",
                        circumstances.metric(metric, &[network])
                    ),
                ));
            }
            (Ending::Finished, None) => missing.push(format!(
                "{network} seed {seed} recorded no {}",
                circumstances.metric(metric, &[network])
            )),
        }
    }
    if !missing.is_empty() {
        return Err((Status::Missing, missing.join("; ")));
    }
    if values.is_empty() {
        return Err((
            Status::Missing,
            format!("no seed of {network} was requested"),
        ));
    }
    Ok(values)
}
