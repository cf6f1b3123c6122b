//! Claims: chains of networks that are trained, and margins for profiles that exist.

use anyhow::Result;

use super::super::file::{Kind, Metric};
use super::super::source::Source;

pub(super) fn check(own: &Source, runs: &Source) -> Result<()> {
    for (at, claim) in own.file.claims.iter().enumerate() {
        let at = at.to_string();
        if claim.falls.iter().any(|chain| chain.len() < 2) || claim.falls.is_empty() {
            return Err(own.error(
                &["claims", &at, "falls"],
                &format!(
                    "falls = {:?} compares nothing; list at least two networks in each chain",
                    claim.falls
                ),
            ));
        }
        if claim.metrics.contains(&Metric::Response) && own.file.kind != Kind::Responses {
            return Err(own.error(
                &["claims", &at, "metrics"],
                "the metric \"response\" needs kind = \"responses\"; use \"training-error\" or \"test-error\"",
            ));
        }
        for (profile, margin) in &claim.margin {
            let Some(scale) = runs.file.profiles.get(profile) else {
                let known: Vec<&str> = runs.file.profiles.keys().map(String::as_str).collect();
                return Err(own.error(
                    &["claims", &at, "margin", profile],
                    &format!(
                        "margin for unknown profile \"{profile}\"; use one of {}",
                        known.join(", ")
                    ),
                ));
            };
            if !margin.is_finite() {
                return Err(own.error(
                    &["claims", &at, "margin", profile],
                    &format!("{profile} = {margin}; give the margin in points"),
                ));
            }
            let networks = scale.networks.as_ref().unwrap_or(&runs.file.networks);
            let trained = |name: &String| {
                let variant = own.file.variants.get(name);
                networks.contains(name)
                    || variant.is_some_and(|variant| {
                        let from = variant.recipe.init.from.as_ref();
                        networks.contains(&variant.of)
                            && from.is_none_or(|from| networks.contains(from))
                    })
            };
            for (chain, names) in claim.falls.iter().enumerate() {
                for (index, name) in names.iter().enumerate() {
                    if !trained(name) {
                        return Err(own.error(
                            &["claims", &at, "falls", &chain.to_string(), &index.to_string()],
                            &format!(
                                "claim \"{}\" names \"{name}\", which is not trained at profile {profile}; train it or remove {profile} from `margin`",
                                claim.says
                            ),
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}
