//! Claims: chains of networks that are trained, and margins for profiles that exist.

use anyhow::Result;

use super::super::file::{ClaimFile, Kind, Metric};
use super::super::margin::Margin;
use super::super::source::Source;
use crate::nearest::{nearest, remedy};
use crate::network::complexity;

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
        let mut pairs = claim.falls.iter().flat_map(|chain| chain.windows(2));
        if let Some(pair) = pairs.find(|pair| pair[0] == pair[1]) {
            return Err(own.error(
                &["claims", &at, "falls"],
                &format!(
                    "falls = {:?} compares {} with itself; list different networks",
                    claim.falls, pair[0]
                ),
            ));
        }
        if claim.metrics.is_empty() {
            return Err(own.error(
                &["claims", &at, "metrics"],
                "metrics = [] compares nothing; use \"training-error\" or \"test-error\"",
            ));
        }
        if claim.metrics.contains(&Metric::Response) && own.file.kind != Kind::Responses {
            return Err(own.error(
                &["claims", &at, "metrics"],
                "the metric \"response\" needs kind = \"responses\"; use \"training-error\" or \"test-error\"",
            ));
        }
        if is_computed(claim) && claim.metrics.len() > 1 {
            return Err(own.error(
                &["claims", &at, "metrics"],
                "\"multiply-adds\" needs no runs, other metrics do; make them two claims",
            ));
        }
        match &claim.margin {
            Margin::Everywhere(points) => everywhere(own, runs, &at, claim, *points)?,
            Margin::Each(margins) => {
                for (profile, points) in margins {
                    at_profile(own, runs, &at, claim, profile, *points)?;
                }
            }
        }
    }
    Ok(())
}

/// The margin of a claim at a profile, if the claim is made there.
pub(in crate::manifest) fn margin(
    own: &Source,
    runs: &Source,
    claim: &ClaimFile,
    profile: &str,
) -> Option<f64> {
    match &claim.margin {
        Margin::Each(points) => points.get(profile).copied(),
        Margin::Everywhere(points) => {
            let mut names = claim.falls.iter().flatten();
            let all = names.all(|name| is_there(own, runs, claim, profile, name));
            all.then_some(*points)
        }
    }
}

/// Checks a claim with one margin for all profiles: one of them must train its networks.
fn everywhere(own: &Source, runs: &Source, at: &str, claim: &ClaimFile, points: f64) -> Result<()> {
    if !points.is_finite() {
        return Err(own.error(
            &["claims", at, "margin"],
            &format!("margin = {points}; give the margin in points"),
        ));
    }
    let profiles = || runs.file.profiles.keys();
    let trained = |name: &str| profiles().any(|profile| is_there(own, runs, claim, profile, name));
    for (chain, names) in claim.falls.iter().enumerate() {
        for (index, name) in names.iter().enumerate() {
            if !trained(name) {
                let known = runs.file.networks.iter().chain(own.file.variants.keys());
                let known = known.map(String::as_str).filter(|name| trained(name));
                return Err(own.error(
                    &[
                        "claims",
                        at,
                        "falls",
                        &chain.to_string(),
                        &index.to_string(),
                    ],
                    &format!(
                        "claim \"{}\" names \"{name}\", {}",
                        claim.says,
                        match is_computed(claim) {
                            true => UNKNOWN.into(),
                            false => format!("which is not trained; {}", remedy(name, known)),
                        }
                    ),
                ));
            }
        }
    }
    if !profiles().any(|profile| margin(own, runs, claim, profile).is_some()) {
        return Err(own.error(
            &["claims", at],
            &format!(
                "no profile trains all networks of the claim \"{}\"; train them or split the claim",
                claim.says
            ),
        ));
    }
    Ok(())
}

/// Checks a claim made at a profile, which must train its networks.
fn at_profile(
    own: &Source,
    runs: &Source,
    at: &str,
    claim: &ClaimFile,
    profile: &str,
    points: f64,
) -> Result<()> {
    let place = ["claims", at, "margin", profile];
    if !runs.file.profiles.contains_key(profile) {
        let known = runs.file.profiles.keys().map(String::as_str);
        return Err(own.error(
            &place,
            &format!(
                "margin for unknown profile \"{profile}\"; {}",
                remedy(profile, known)
            ),
        ));
    }
    if !points.is_finite() {
        return Err(own.error(
            &place,
            &format!("{profile} = {points}; give the margin in points"),
        ));
    }
    for (chain, names) in claim.falls.iter().enumerate() {
        for (index, name) in names.iter().enumerate() {
            if is_computed(claim) && complexity(name).is_none() {
                return Err(own.error(
                    &[
                        "claims",
                        at,
                        "falls",
                        &chain.to_string(),
                        &index.to_string(),
                    ],
                    &format!("claim \"{}\" names \"{name}\", {UNKNOWN}", claim.says),
                ));
            }
            if !is_there(own, runs, claim, profile, name) {
                let known = runs.file.networks.iter().chain(own.file.variants.keys());
                let meant = match nearest(name, known.map(String::as_str)) {
                    Some(meant) if meant != name => format!("did you mean \"{meant}\"? else "),
                    _ => String::new(),
                };
                return Err(own.error(
                    &["claims", at, "falls", &chain.to_string(), &index.to_string()],
                    &format!(
                        "claim \"{}\" names \"{name}\", which is not trained at profile {profile}; {meant}train it or remove {profile} from `margin`",
                        claim.says
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// What is wrong with a name in a claim of multiply-adds.
const UNKNOWN: &str =
    "whose multiply-adds are not known; use a network of Table 1, alexnet, vgg-16 or vgg-19";

/// Whether a claim is about numbers that need no runs.
fn is_computed(claim: &ClaimFile) -> bool {
    claim.metrics.contains(&Metric::MultiplyAdds)
}

/// Whether there is something to compare: a network that the profile trains or, for multiply-adds, any known one.
fn is_there(own: &Source, runs: &Source, claim: &ClaimFile, profile: &str, name: &str) -> bool {
    match is_computed(claim) {
        true => complexity(name).is_some(),
        false => is_trained(own, runs, profile, name),
    }
}

/// Whether a profile trains the network or variant.
fn is_trained(own: &Source, runs: &Source, profile: &str, name: &str) -> bool {
    let Some(scale) = runs.file.profiles.get(profile) else {
        return false;
    };
    let networks = scale.networks.as_ref().unwrap_or(&runs.file.networks);
    let listed = |name: &str| networks.iter().any(|other| other == name);
    listed(name)
        || own.file.variants.get(name).is_some_and(|variant| {
            let from = variant.recipe.init.from.as_deref();
            listed(&variant.of) && from.is_none_or(listed)
        })
}
