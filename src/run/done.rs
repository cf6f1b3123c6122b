//! `done.json`: how a run ended.

use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::format;
use super::layout::DONE;
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
}

impl Done {
    /// Reads `done.json` in the folder of the run `plan`; none if there is no such file.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be read, was written by a newer version, or contradicts the plan.
    pub fn load(folder: &Path, plan: &RunPlan) -> Result<Option<Self>> {
        let path = folder.join(DONE);
        let remedy = "start the run over with --fresh";
        let Some(done) = format::read_json::<Self>(&path, remedy)? else {
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
                "{}: impossible outcome \"{}\" at iteration {} of {last}; {remedy}",
                path.display(),
                done.outcome,
                done.iteration
            ))
        );
        Ok(Some(done))
    }
}
