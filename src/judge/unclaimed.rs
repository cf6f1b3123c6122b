//! Where a figure expects and claims nothing at a profile: whether all that it shows is there.

use super::circumstances::{Circumstances, Yardstick};
use super::comparable::{comparable, gather};
use super::status::Status;
use super::subject::Subject;
use crate::manifest::Metric;
use crate::origin::DataKind;

/// [`Status::NothingClaimed`] where every network has finished with every seed and was recorded as its recipe says; else what
/// is wrong, with the first reason in words.
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
        return (Status::Missing, "there is no network".into());
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
        1 => text.push_str("; one more network likewise"),
        more => text.push_str(&format!("; {more} more networks likewise")),
    }
    (status, text)
}
