//! `run.toml`: a run's plan and provenance.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::format::{self, FORMAT, START_OVER};
use super::layout::RUN;
use super::provenance::Provenance;
use crate::console::one_line;
use crate::origin::{Origin, Size, treated};
use crate::plan::RunPlan;
use crate::record::parquet;

/// Facts about a run for figures and verdicts that do not determine its numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// Where the images came from.
    pub data: Origin,
    /// Digests of the training and the test records, independent of their order in the files; `plan.data_digest` covers
    /// both.
    pub train_digest: String,
    pub test_digest: String,
    /// Whether these are the digests of CIFAR-10's own records or, for ImageNet, whether known images have their known
    /// labels.
    pub official: bool,
    /// The experiment that trained it; empty for runs of earlier versions.
    pub experiment: String,
    /// Changes to the recipe on the command line, as given.
    pub overrides: Vec<String>,
    /// The engine's threads; results do not depend on them.
    pub threads: usize,
    /// Classes and images of the whole set, where no digest tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Images that cannot be decoded and were left out, of pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<usize>,
    /// The shorter side that larger pictures were shrunk to before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrunk: Option<u32>,
}

impl Notes {
    /// What was done to the images before anything saw them, to follow their name; empty if nothing was.
    pub fn treated(&self) -> String {
        treated(self.shrunk, self.unreadable.unwrap_or(0))
    }
}

/// The contents of `run.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    pub format: u32,
    pub notes: Notes,
    /// The resolved recipe, the network, digests and identities.
    pub plan: RunPlan,
    pub start: Provenance,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<Provenance>,
}

impl RunFile {
    /// Reads `run.toml` in a run's folder; none if there is no such file. Its texts come out in one line each, without control
    /// characters, whatever is in the file.
    ///
    /// # Errors
    /// [`Exit::Storage`](crate::exit::Exit::Storage) if it cannot be read, was written by a newer version, or its
    /// identity does not match the run it describes.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let Some(mut file) = format::read_toml::<Self>(&folder.join(RUN), START_OVER)? else {
            return Ok(None);
        };
        // The digest in the plan says where the images came from, whatever is noted; of ImageNet, the numbers.
        let notes = &mut file.notes;
        notes.data = Origin::of(&file.plan.data_digest, notes.data);
        if notes.data == Origin::Imagenet {
            notes.data = notes.size.map_or(Origin::ImagenetPart, |size| {
                Origin::of_imagenet(size, notes.official)
            });
        }
        notes.official = notes.data.whole().is_some();
        file.clean();
        Ok(Some(file))
    }

    /// The kind of processor of a start; an earlier version recorded only whether it was a GPU.
    fn processor(&self, start: &Provenance) -> String {
        if !start.processor.is_empty() {
            start.processor.clone()
        } else if start.gpu.is_empty() == self.start.gpu.is_empty() {
            self.plan.processor.to_string()
        } else if start.gpu.is_empty() {
            "cpu".into()
        } else {
            "cuda".into()
        }
    }

    /// The kinds of processor that made it, in order: `cuda`, or `cuda, then cpu (avx512)`.
    pub fn processors(&self) -> String {
        let starts = std::iter::once(&self.start).chain(&self.restarts);
        let mut kinds: Vec<String> = starts.map(|start| self.processor(start)).collect();
        kinds.dedup();
        kinds.join(", then ")
    }

    /// Where it was resumed on other hardware, whose numbers differ in rounding, and after how many iterations. Such a run is not
    /// bit-identical to an uninterrupted one.
    pub fn moves(&self) -> Vec<String> {
        let hardware = |start: &Provenance| (self.processor(start), start.gpu.clone());
        let first = hardware(&self.start);
        let moved = self
            .restarts
            .iter()
            .filter(|start| hardware(start) != first);
        let named = |start: &Provenance| match start.gpu.is_empty() {
            true => format!("{} on {}", self.processor(start), start.cpu),
            false => start.gpu.clone(),
        };
        moved
            .map(|start| format!("{} after {} iterations", named(start), start.iteration))
            .collect()
    }

    /// Cleans all texts that no identity covers.
    fn clean(&mut self) {
        let notes = &mut self.notes;
        let digests = [&mut notes.train_digest, &mut notes.test_digest];
        let texts = digests.into_iter().chain([&mut notes.experiment]);
        for text in texts.chain(&mut notes.overrides) {
            *text = one_line(text);
        }
        self.start.clean();
        for start in &mut self.restarts {
            start.clean();
        }
    }

    /// Serialises the file.
    ///
    /// # Errors
    /// If a value does not fit in TOML (a seed above 2^63 - 1).
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        format::to_toml(self).with_context(|| format!("{RUN} cannot hold this run"))
    }

    /// Metadata for the records, the same before and after a restart.
    pub fn provenance(&self) -> parquet::Provenance {
        let plan = &self.plan;
        BTreeMap::from(
            [
                ("format", FORMAT.to_string()),
                ("identity", plan.identity().into()),
                ("measured", plan.measured().into()),
                ("network", plan.network.name.clone()),
                ("seed", plan.seed.to_string()),
                ("profile", plan.profile.clone()),
                ("data", self.notes.data.key().into()),
                ("data_digest", plan.data_digest.clone()),
                ("overrides", self.notes.overrides.join(" ")),
                ("device", plan.processor.device().into()),
                ("instructions", plan.processor.instructions().into()),
                ("numerics_version", plan.numerics_version.to_string()),
                ("commit", self.start.commit.clone()),
                ("dirty", self.start.dirty.to_string()),
                ("version", self.start.version.clone()),
                ("rustc", self.start.rustc.clone()),
            ]
            .map(|(key, value)| (key.to_string(), value)),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::Experiment;
    use crate::processor::{Instructions, Processor};

    /// A run on this processor, with its starts as an earlier version recorded them: by GPU and iteration.
    fn file(processor: Processor, starts: &[(&str, u64)]) -> RunFile {
        let fig6 = Experiment::load(Path::new("experiments/fig6.toml"), "smoke", &[]).unwrap();
        let mut starts = starts.iter().map(|&(gpu, iteration)| Provenance {
            gpu: gpu.into(),
            cpu: "a CPU".into(),
            iteration,
            ..Provenance::default()
        });
        RunFile {
            format: FORMAT,
            notes: Notes::default(),
            plan: RunPlan::new(&fig6.networks[0], 1, "smoke", "", processor).unwrap(),
            start: starts.next().unwrap(),
            restarts: starts.collect(),
        }
    }

    #[test]
    fn restarts_on_other_hardware_are_listed() {
        let starts = [("A100", 0), ("A100", 7), ("H200", 900), ("A100", 950)];
        let gpus = file(Processor::Cuda, &starts);
        assert_eq!(gpus.moves(), ["H200 after 900 iterations"]);
        assert_eq!(gpus.processors(), "cuda");
        let moved = file(Processor::Cuda, &[("A100", 0), ("", 900)]);
        assert_eq!(moved.moves(), ["cpu on a CPU after 900 iterations"]);
        assert_eq!(moved.processors(), "cuda, then cpu");
        let here = Processor::Cpu(Instructions::Avx2);
        let stayed = file(here, &[("", 0), ("", 3)]);
        assert!(stayed.moves().is_empty());
        assert_eq!(stayed.processors(), "cpu (avx2)");
    }
}
