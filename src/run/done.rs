//! `done.json`: how a run ended, with the digests of what it left.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::format::{self, START_OVER};
use super::layout::{DONE, EVALUATIONS, ITERATIONS};
use crate::exit::Exit;
use crate::plan::RunPlan;
use crate::record::Ending;

/// The contents of `done.json`, which is written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub format: u32,
    /// `finished` or `diverged`.
    pub outcome: Ending,
    /// The last recorded iteration.
    pub iteration: u64,
    /// UTC, RFC 3339.
    pub time: String,
    /// sha256 (hex) of the records and the weights by file name; empty for runs of earlier versions.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

impl Done {
    /// Reads `done.json` in the folder of the run `plan`; none if there is no such file.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be read, was written by a newer version, or contradicts the plan.
    pub fn load(folder: &Path, plan: &RunPlan) -> Result<Option<Self>> {
        let path = folder.join(DONE);
        let Some(done) = format::read_json::<Self>(&path, START_OVER)? else {
            return Ok(None);
        };
        let last = plan.recipe.iterations;
        let possible = match done.outcome {
            Ending::Finished => done.iteration == last,
            Ending::Diverged => (1..=last).contains(&done.iteration),
            Ending::Partial => false,
        };
        ensure!(
            possible,
            Exit::Storage.error(format!(
                "{}: impossible outcome \"{}\" at iteration {} of {last}; {START_OVER}",
                path.display(),
                done.outcome,
                done.iteration
            ))
        );
        let listed = [ITERATIONS, EVALUATIONS]
            .iter()
            .all(|name| done.files.contains_key(*name));
        ensure!(
            listed || !format::is_digested(done.format),
            format::unreadable(&path, &"it lacks the digests of the records", START_OVER)
        );
        Ok(Some(done))
    }
}
