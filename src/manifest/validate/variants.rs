//! Variants: their names, their base networks and the networks that they start from.

use anyhow::Result;

use super::super::experiment::NetworkEntry;
use super::super::source::Source;
use crate::nearest::remedy;
use crate::network::{Family, Network};
use crate::plain_name::is_plain_name;
use crate::recipe::Shortcut;

/// Letters of the longest name: the folder of a run is named for its seed and identity, too.
const MOST_LETTERS: usize = 60;

pub(super) fn check(own: &Source, runs: &Source) -> Result<()> {
    for (name, variant) in &own.file.variants {
        let allowed =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if !is_plain_name(name)
            || name.len() > MOST_LETTERS
            || !name.chars().all(allowed)
            || runs.network(name, Shortcut::A).is_ok()
        {
            return Err(own.error(
                &["variants", name],
                &format!(
                    "invalid variant name \"{name}\"; use at most {MOST_LETTERS} lower-case letters, digits and dashes, and not a network's name"
                ),
            ));
        }
        let known = || runs.file.networks.iter().map(String::as_str);
        if !runs.file.networks.contains(&variant.of) {
            return Err(own.error(
                &["variants", name, "of"],
                &format!(
                    "variant of \"{}\", which is not in `networks`; {}",
                    variant.of,
                    remedy(&variant.of, known())
                ),
            ));
        }
        if let Some(from) = &variant.recipe.init.from
            && !runs.file.networks.contains(from)
        {
            return Err(own.error(
                &["variants", name, "recipe", "init", "from"],
                &format!(
                    "init.from = \"{from}\" is not in `networks`; {}",
                    remedy(from, known())
                ),
            ));
        }
    }
    Ok(())
}

/// Rejects a start that cannot be extended to `network` by adding blocks: both must be plain and of the same widths.
pub(in crate::manifest) fn check_start(
    own: &Source,
    name: &str,
    network: &Network,
    start: Option<&NetworkEntry>,
) -> Result<()> {
    let Some(from) = start else { return Ok(()) };
    let grows = network.blocks.len() == from.network.blocks.len()
        && network
            .blocks
            .iter()
            .zip(&from.network.blocks)
            .all(|(now, before)| now >= before);
    let plain = |network: &Network| network.family == Family::Plain;
    if plain(network) && plain(&from.network) && grows && network.blocks != from.network.blocks {
        return Ok(());
    }
    Err(own.error(
        &["variants", name, "recipe", "init", "from"],
        &format!(
            "init.from = \"{}\" cannot be extended to {}; it takes a shallower network, and both must be plain",
            from.name, network.name
        ),
    ))
}
