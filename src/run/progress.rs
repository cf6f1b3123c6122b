//! `progress.json`: the progress of a partial run, which saves reading its checkpoint.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::checkpoint;
use super::disk::Disk;
use super::format::{self, FORMAT};
use super::layout::PROGRESS;
use super::parts::Place;
use crate::plan::RunPlan;

/// Written after each checkpoint, with the checkpoint's iteration and place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub format: u32,
    /// The run's identity.
    pub identity: String,
    /// Updates made.
    pub iteration: u64,
    #[serde(flatten)]
    pub place: Place,
}

impl Progress {
    pub fn new(identity: &str, iteration: u64, place: Place) -> Self {
        Self {
            format: FORMAT,
            identity: identity.into(),
            iteration,
            place,
        }
    }

    /// The progress of the run in `folder`. If the file is missing (runs of earlier versions) or damaged, the
    /// checkpoint is read; none before the first checkpoint.
    pub fn load(folder: &Path, plan: &RunPlan) -> Option<Self> {
        let identity = plan.identity();
        let last = plan.recipe.iterations;
        let written = format::read_json::<Self>(&folder.join(PROGRESS), "").ok();
        written
            .flatten()
            .filter(|progress| progress.identity == identity)
            .filter(|progress| progress.iteration <= last && progress.place.iterations <= last)
            .or_else(|| {
                let found = checkpoint::newest(folder, identity).ok().flatten()?;
                Some(Self::new(identity, found.checkpoint.iteration, found.place))
            })
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// [`Exit::Storage`](crate::exit::Exit::Storage) if it cannot be written.
    pub fn save(&self, disk: &Disk, folder: &Path) -> Result<()> {
        disk.replace(&folder.join(PROGRESS), &self.to_bytes()?)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// If it cannot be JSON, which it always can.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        format::to_json(self)
    }
}
