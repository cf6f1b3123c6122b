//! Expectations of one profile: a trained network, a possible error, and no duplicates.

use anyhow::Result;

use super::super::experiment::Experiment;
use super::super::file::Metric;
use super::super::source::Source;
use crate::origin::DataKind;

pub(super) fn check(experiment: &Experiment, own: &Source) -> Result<()> {
    let profile = experiment.profile.as_str();
    let mut seen: Vec<(&str, Metric, DataKind)> = Vec::new();
    for expectation in &experiment.expectations {
        let refuse = |message: String| own.error_at(expectation.line, &message);
        let network = expectation.network.as_str();
        if experiment.network(network).is_none() {
            return Err(refuse(format!(
                "expectation for \"{network}\", which is not trained at profile {profile}; train it or remove the expectation"
            )));
        }
        if expectation.metric == Metric::MultiplyAdds {
            return Err(refuse(format!(
                "expectation for the multiply-adds of {network}, which are not measured; make it a claim"
            )));
        }
        let percent = |value: f64| (0.0..=100.0).contains(&value);
        if !percent(expectation.value) {
            return Err(refuse(format!(
                "value = {} for {network}; use an error from 0 to 100 %",
                expectation.value
            )));
        }
        if let Some(points) = expectation.tolerance
            && !(points.is_finite() && points > 0.0)
        {
            return Err(refuse(format!(
                "tolerance = {points} for {network}; use points above 0"
            )));
        }
        if let Some(points) = expectation.deviation {
            if !percent(points) {
                return Err(refuse(format!(
                    "deviation = {points} for {network}; use points from 0 to 100"
                )));
            }
            if expectation.runs.is_none_or(|runs| runs < 2) {
                return Err(refuse(format!(
                    "deviation = {points} for {network} needs `runs`, at least 2"
                )));
            }
        }
        let key = (network, expectation.metric, expectation.data);
        if seen.contains(&key) {
            return Err(refuse(format!(
                "duplicate expectation for the {} of {network}; keep one",
                expectation.metric.text()
            )));
        }
        seen.push(key);
    }
    Ok(())
}
