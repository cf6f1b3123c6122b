//! What batch norm over groups of images costs, as `batch_norm.group` in a recipe: the mini-batch spread over several GPUs.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::median;
use super::step::StepBench;

/// Steps with groups beside steps over whole mini-batches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupReport {
    /// Images in a group.
    pub images: usize,
    /// Pairs of steps, one of each kind.
    pub pairs: usize,
    /// Time of a step with groups over that of one without: the median of the pairs.
    pub step_ratio: f64,
}

/// Times `pairs` pairs of steps twice, since where its memory lies makes one of two equal engines faster by up to 3 %: with the
/// engine of `group` images made first, and second. The ratio is the geometric mean of both medians. `new` makes an engine that
/// normalises over as many images, 0 for whole mini-batches.
///
/// # Errors
/// Those of the engine.
pub fn beside(
    new: impl Fn(usize) -> Result<StepBench>,
    group: usize,
    pairs: usize,
) -> Result<GroupReport> {
    let with_first = {
        let mut with = new(group)?;
        ratio(&mut with, &mut new(0)?, pairs)?
    };
    let without_first = {
        let mut without = new(0)?;
        ratio(&mut new(group)?, &mut without, pairs)?
    };
    Ok(GroupReport {
        images: group,
        pairs: 2 * pairs,
        step_ratio: (with_first * without_first).sqrt(),
    })
}

/// The median of the pairs' ratios, of which either engine takes its step first in turn.
fn ratio(with: &mut StepBench, without: &mut StepBench, pairs: usize) -> Result<f64> {
    let mut ratios = Vec::new();
    for pair in 0..pairs {
        let (one, other) = if pair % 2 == 0 {
            let one = with.seconds()?;
            (one, without.seconds()?)
        } else {
            let other = without.seconds()?;
            (with.seconds()?, other)
        };
        ratios.push(one / other);
    }
    Ok(median(&ratios))
}
