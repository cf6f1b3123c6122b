//! The colour of each network: the manifest's, else the next of a cycle.

use std::collections::BTreeMap;

use super::source::Source;

/// Eight colours that remain distinct with colour-blindness: M. Okabe and K. Ito, "Color Universal Design", 2002
/// (<https://jfly.uni-koeln.de/color/>). The most legible on white come first.
const CYCLE: [&str; 8] = [
    "#0072b2", // blue
    "#d55e00", // vermilion
    "#009e73", // bluish green
    "#cc79a7", // reddish purple
    "#e69f00", // orange
    "#56b4e9", // sky blue
    "#000000", // black
    "#f0e442", // yellow
];

/// The colours of the networks that are drawn, in the manifest's order and the same at every profile. A colour of the cycle
/// that the manifest gives to one network is not taken for another.
pub(super) fn colours(own: &Source, runs: &Source) -> BTreeMap<String, String> {
    let listed = [&runs.file.networks, &runs.file.optional_networks];
    let [trained, optional] = listed.map(|names| {
        let drawn = names.iter().filter(|name| own.draws(name));
        drawn.map(|name| (name, name)).collect::<Vec<_>>()
    });
    let variants = own.file.variants.iter();
    let variants = variants.map(|(name, variant)| (name, &variant.of));
    let networks: Vec<(&String, Option<&String>)> = trained
        .into_iter()
        .chain(variants)
        .chain(optional)
        .map(|(name, base)| (name, given(own, runs, name, base)))
        .collect();
    let is_given = |colour: &&str| {
        let mut given = networks.iter().filter_map(|(_, given)| *given);
        given.any(|given| given.eq_ignore_ascii_case(colour))
    };
    let free: Vec<&str> = CYCLE.into_iter().filter(|c| !is_given(c)).collect();
    let cycle = if free.is_empty() {
        &CYCLE[..]
    } else {
        &free[..]
    };
    let mut next = cycle.iter().cycle();
    let mut colours = BTreeMap::new();
    for (name, given) in &networks {
        let colour = match given {
            Some(colour) => colour.as_str(),
            None => next.next().copied().unwrap_or(CYCLE[0]),
        };
        colours.insert((*name).clone(), colour.to_owned());
    }
    colours
}

/// By name, else by the depth of `base`, which defines the layers; from this manifest, else from the one that describes the
/// runs.
fn given<'a>(own: &'a Source, runs: &'a Source, name: &str, base: &str) -> Option<&'a String> {
    let depth = base.rsplit('-').next().unwrap_or(base);
    [own, runs].into_iter().find_map(|source| {
        let colours = &source.file.style.colours;
        colours.get(name).or_else(|| colours.get(depth))
    })
}
