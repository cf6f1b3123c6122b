//! What only manifests of one kind may hold.

use anyhow::Result;

use super::super::file::{Kind, Metric, ResponseImages};
use super::super::source::Source;
use super::{name, panels};

/// Checks a manifest of any kind but bars. `runs` says what it trains on.
pub(super) fn check(own: &Source, runs: &Source) -> Result<()> {
    let responses = own.file.kind == Kind::Responses;
    match &own.file.responses {
        None if responses => {
            return Err(own.error(
                &["kind"],
                "kind = \"responses\" needs a [responses] table with images, count, statistics and pooling",
            ));
        }
        Some(_) if !responses => {
            return Err(own.error(
                &["responses"],
                "[responses] needs kind = \"responses\"; set it or remove the table",
            ));
        }
        Some(how) => {
            let (count, set) = (how.count, runs.file.data.size());
            let most = match how.images {
                ResponseImages::Training => set.training_images,
                ResponseImages::Test => set.test_images,
            };
            if !(1..=most).contains(&count) {
                return Err(own.error(
                    &["responses", "count"],
                    &format!("count = {count}; use 1 to {most}"),
                ));
            }
        }
        None => {}
    }
    for (index, panel) in own.file.panels.iter().enumerate() {
        let at = index.to_string();
        let table = own.file.kind.lists_errors();
        let fits = |metric: &Metric| metric.is_curve() || (table && metric.is_error());
        if let Some(metric) = panel.shows.iter().find(|metric| !fits(metric)) {
            let what = if table {
                "an error"
            } else {
                "a curve over iterations"
            };
            return Err(own.error(
                &["panels", &at, "shows"],
                &format!(
                    "{} is not {what}; use \"training-error\" or \"test-error\"",
                    metric.text()
                ),
            ));
        }
        if panel.axis.is_some() {
            return Err(own.error(
                &["panels", &at, "axis"],
                "`axis` needs kind = \"bars\"; remove it",
            ));
        }
        let table = own.table["panels"].get(index);
        if !responses && table.is_some_and(|table| table.get("order").is_some()) {
            return Err(own.error(
                &["panels", &at, "order"],
                "`order` needs kind = \"responses\"; remove it",
            ));
        }
    }
    Ok(())
}

/// Checks a manifest of bars: panels with reference data, and nothing to train.
pub(in crate::manifest) fn bars(own: &Source) -> Result<()> {
    name::check(own)?;
    for key in [
        "data",
        "stem",
        "stride_in",
        "runs_from",
        "networks",
        "optional_networks",
        "seeds",
        "recipe",
        "exceptions",
        "variants",
        "profiles",
        "expectations",
        "claims",
        "responses",
        "style",
    ] {
        if own.table.contains_key(key) {
            return Err(own.error(
                &[key],
                &format!("`{key}` cannot be combined with kind = \"bars\"; remove it"),
            ));
        }
    }
    for (at, panel) in own.file.panels.iter().enumerate() {
        let at = at.to_string();
        let Some(reference) = &panel.reference else {
            return Err(own.error(
                &["panels", &at],
                &format!(
                    "panel \"{}\" has no values; name a file in `reference`",
                    panel.title
                ),
            ));
        };
        panels::check_reference(own, &at, reference)?;
        if !panel.networks.is_empty() {
            return Err(own.error(
                &["panels", &at, "networks"],
                "`networks` cannot be combined with kind = \"bars\"; remove it",
            ));
        }
    }
    Ok(())
}
