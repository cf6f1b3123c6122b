//! What variants are refused for: their names, what they are of, what they start from.

use anyhow::Result;

use super::experiment::NetworkEntry;
use super::source::Source;
use crate::network::{Family, Network, Shortcut};

/// Names of variants and what they are of.
pub(super) fn variants(own: &Source, runs: &Source) -> Result<()> {
    for (name, variant) in &own.file.variants {
        let place = ["variants", name.as_str()];
        let plain =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if !name.chars().all(plain) || Network::parse_cifar(name, Shortcut::A, 10).is_ok() {
            return Err(own.error(
                &place,
                &format!(
                    "a variant called \"{name}\"; take small letters, digits and dashes, and not a network's name: it names the run's folder"
                ),
            ));
        }
        if !runs.file.networks.contains(&variant.of) {
            return Err(own.error(
                &["variants", name, "of"],
                &format!(
                    "a variant of \"{}\", which is not among `networks`; there are {}",
                    variant.of,
                    runs.file.networks.join(", ")
                ),
            ));
        }
        if let Some(from) = &variant.recipe.init.from
            && !runs.file.networks.contains(from)
        {
            return Err(own.error(
                &["variants", name, "recipe", "init", "from"],
                &format!(
                    "init.from = \"{from}\", which is not among `networks`; there are {}",
                    runs.file.networks.join(", ")
                ),
            ));
        }
    }
    Ok(())
}

/// Whether `network` can be made of the one that it starts from by adding blocks: plain networks of the same widths.
pub(super) fn start(
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
            "init.from = \"{}\" for {}; a solution is constructed from a plain network for a deeper plain network",
            from.name, network.name
        ),
    ))
}
