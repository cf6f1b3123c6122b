//! `views.json`: how far the final test of a run with several views has come. It may outlast the time that a job is given, and
//! the next one goes on from here.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::format::{self, FORMAT};
use crate::plan::RunPlan;
use crate::record::Views;

/// What to do about a damaged file.
const REMEDY: &str = "the test with several views begins again";

/// Sums over the first test images, in their order, by several views of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewTally {
    pub views: Views,
    /// How many images.
    pub images: u64,
    /// The bits of the sum of their losses: a decimal number might not keep all.
    pub loss_bits: u64,
    pub wrong: u64,
    pub wrong_top5: u64,
}

/// The contents of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    format: u32,
    /// The run's identity, and the hash of how it is evaluated.
    identity: String,
    measured: String,
    tallies: Vec<ViewTally>,
}

/// The file's bytes.
///
/// # Errors
/// If it cannot be JSON, which it always can.
pub(super) fn to_bytes(plan: &RunPlan, tallies: &[ViewTally]) -> Result<Vec<u8>> {
    format::to_json(&Kept {
        format: FORMAT,
        identity: plan.identity().into(),
        measured: plan.measured().into(),
        tallies: tallies.to_vec(),
    })
}

/// The tallies of the run `plan`; none if there is no file.
///
/// # Errors
/// [`Exit::Storage`](crate::exit::Exit::Storage) if it cannot be read, was written by a newer version, or is of another run or
/// evaluation.
pub(super) fn load(path: &Path, plan: &RunPlan) -> Result<Vec<ViewTally>> {
    let Some(kept) = format::read_json::<Kept>(path, REMEDY)? else {
        return Ok(Vec::new());
    };
    ensure!(
        (&*kept.identity, &*kept.measured) == (plan.identity(), plan.measured()),
        format::unreadable(path, &"it is of another run", REMEDY)
    );
    let mut seen = BTreeSet::new();
    let possible = kept.tallies.iter().all(|tally| {
        seen.insert(tally.views) && tally.wrong_top5 <= tally.wrong && tally.wrong <= tally.images
    });
    ensure!(
        possible,
        format::unreadable(path, &"it holds impossible values", REMEDY)
    );
    Ok(kept.tallies)
}
