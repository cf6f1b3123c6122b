//! Judges a figure without expectations or claims: whether it is complete.

use super::circumstances::{Circumstances, Yardstick};
use super::comparable::{comparable, gather};
use super::status::Status;
use super::subject::Subject;
use crate::manifest::Metric;
use crate::origin::DataKind;

/// [`Status::NothingClaimed`] if every network finished with every seed according to its recipe; else the problem's
/// status and the first reason in words.
pub(super) fn status(circumstances: &Circumstances, subjects: &[Subject]) -> (Status, String) {
    let metric = if circumstances.responses {
        Metric::Response
    } else {
        Metric::TestError
    };
    let wrong: Vec<(Status, String)> = circumstances
        .networks
        .iter()
        .filter_map(|network| {
            let name = network.as_str();
            comparable(
                circumstances,
                Yardstick::Profile,
                DataKind::Any,
                &[name],
                subjects,
            )
            .and_then(|()| gather(circumstances, name, metric, subjects))
            .err()
        })
        .collect();
    if circumstances.networks.is_empty() {
        return (Status::Missing, "the figure has no networks".into());
    }
    if wrong.is_empty() {
        return (Status::NothingClaimed, String::new());
    }
    let status = Status::of_all(wrong.iter().map(|(status, _)| *status));
    let mut reasons = wrong.iter().filter(|(other, _)| *other == status);
    let mut text = reasons
        .next()
        .map_or_else(String::new, |(_, reason)| reason.clone());
    match reasons.count() {
        0 => {}
        1 => text.push_str("; likewise one more network"),
        more => text.push_str(&format!("; likewise {more} more networks")),
    }
    (status, text)
}
