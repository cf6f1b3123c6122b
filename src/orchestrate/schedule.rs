//! What is left of an experiment's runs, and its estimated cost.

use std::fmt;
use std::path::Path;

use anyhow::Result;

use super::jobs::memory;
use super::{Loading, Probe};
use crate::data::Prospect;
use crate::engine::{self, Device};
use crate::plan::RunPlan;
use crate::run::{self, RunView};

/// The runs to train, in order.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub runs: Vec<Scheduled>,
    /// Estimated time for the mean image of pictures, which is computed once, before the runs.
    pub mean_image_seconds: f64,
    /// Whether the runs are made on a GPU.
    pub on_gpu: bool,
    /// Bytes of activations that a step may keep, as [`engine::Options::keep`].
    keep: Option<u64>,
}

/// A run, what is left of it and how long that takes.
#[derive(Clone, Debug)]
pub struct Scheduled {
    pub run: RunPlan,
    pub left: Left,
    /// Estimated time left.
    pub seconds: f64,
}

impl Scheduled {
    /// Iterations left.
    pub fn iterations(&self) -> u64 {
        let all = self.run.recipe.iterations;
        match self.left {
            Left::All => all,
            Left::After(iteration) => all.saturating_sub(iteration),
            Left::Nothing => 0,
        }
    }
}

/// What is left of a run. Shown as `new`, `resumes at 300`, `done`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    All,
    /// Everything after this iteration.
    After(u64),
    Nothing,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` respects the column width.
        match self {
            Left::All => f.pad("new"),
            Left::After(iteration) => f.pad(&format!("resumes at {iteration}")),
            Left::Nothing => f.pad("done"),
        }
    }
}

impl Schedule {
    /// Inspects the runs' folders in `results_dir`, unless `fresh` restarts everything, and times this machine for
    /// about two seconds if anything is left. The test images of `data` are those of an evaluation. With `apart`, each run is
    /// made by a worker, which finds by itself what is damaged and does not keep the others from being made.
    ///
    /// # Errors
    /// Errors of files, data and engine.
    pub fn new(
        runs: Vec<RunPlan>,
        results_dir: &Path,
        (fresh, apart): (bool, bool),
        compute: &engine::Options,
        data: &Prospect,
    ) -> Result<Self> {
        let left = runs
            .iter()
            .map(|run| match fresh {
                true => Ok(Left::All),
                false if apart => Ok(left(run, results_dir).unwrap_or(Left::All)),
                false => left(run, results_dir),
            })
            .collect::<Result<Vec<Left>>>()?;
        let each = runs.iter().zip(&left);
        let unfinished: Vec<&RunPlan> = each
            .filter(|(_, left)| **left != Left::Nothing)
            .map(|(run, _)| run)
            .collect();
        let probe = Probe::measure(&unfinished, compute)?;
        let loading = Loading::measure(&unfinished, compute, data)?;
        let seconds = |run: &RunPlan, done| {
            let computation = probe.computation(run, done, data.test_images);
            loading.seconds(run, done, computation)
        };
        let runs = runs
            .into_iter()
            .zip(left)
            .map(|(run, left)| Scheduled {
                seconds: match left {
                    Left::All => seconds(&run, 0),
                    Left::After(iteration) => seconds(&run, iteration),
                    Left::Nothing => 0.0,
                },
                run,
                left,
            })
            .collect();
        Ok(Self {
            runs,
            mean_image_seconds: loading.mean_images,
            on_gpu: compute.device != Device::Cpu,
            keep: compute.keep.map(|bytes| bytes as u64),
        })
    }

    /// The runs' plans.
    pub fn plans(&self) -> Vec<RunPlan> {
        self.runs
            .iter()
            .map(|scheduled| scheduled.run.clone())
            .collect()
    }

    /// Estimated total time left.
    pub fn seconds(&self) -> f64 {
        let runs = self.runs.iter().map(|scheduled| scheduled.seconds);
        self.mean_image_seconds + runs.sum::<f64>()
    }

    /// Iterations left of all runs.
    pub fn iterations(&self) -> u64 {
        self.runs.iter().map(Scheduled::iterations).sum()
    }

    /// The unfinished run whose training steps take the most memory, and the bytes of a step, which keeps as many activations as
    /// it may.
    pub fn memory(&self) -> Option<(&RunPlan, u64)> {
        self.runs
            .iter()
            .filter(|scheduled| scheduled.left != Left::Nothing)
            .map(|scheduled| {
                let run = &scheduled.run;
                (run, memory::of_step(run, self.on_gpu, self.keep))
            })
            .max_by_key(|(_, bytes)| *bytes)
    }

    /// Upper bound on the disk space for unfinished runs, in bytes.
    pub fn disk(&self) -> u64 {
        self.runs
            .iter()
            .filter(|scheduled| scheduled.left != Left::Nothing)
            .map(|scheduled| run::space::needed(&scheduled.run))
            .sum()
    }
}

fn left(run: &RunPlan, results_dir: &Path) -> Result<Left> {
    let view = RunView::look(&results_dir.join(run.folder()))?;
    Ok(match view.filter(|view| view.plan().same_run(run)) {
        None => Left::All,
        Some(view) if view.ending.is_final() => {
            // Damage is found before others are trained.
            view.read()?;
            Left::Nothing
        }
        Some(view) => Left::After(view.iteration),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Experiment;
    use crate::processor::Processor;

    #[test]
    fn memory_is_that_of_a_step_with_what_it_may_keep() {
        let fig4 = Experiment::load(Path::new("experiments/fig4.toml"), "paper", &[]).unwrap();
        let run = RunPlan::new(&fig4.networks[0], 1, "paper", "", Processor::Cuda).unwrap();
        let bytes = |on_gpu, keep, left| {
            let schedule = Schedule {
                runs: vec![Scheduled {
                    run: run.clone(),
                    left,
                    seconds: 0.0,
                }],
                mean_image_seconds: 0.0,
                on_gpu,
                keep,
            };
            schedule.memory().map(|(_, bytes)| bytes)
        };
        // All of it on a GPU, or where that is allowed; else some is computed again.
        let all = bytes(true, None, Left::All);
        let some = bytes(false, None, Left::All);
        assert!(some > Some(0) && some < all, "{some:?}, {all:?}");
        assert_eq!(bytes(false, Some(u64::MAX), Left::All), all);
        assert_eq!(bytes(true, Some(1), Left::All), some);
        assert_eq!(bytes(true, None, Left::Nothing), None);
    }
}
