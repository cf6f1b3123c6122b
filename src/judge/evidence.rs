//! The evidence on an experiment: its runs with all their records, and the paper's own curves, each read once. Verdict and
//! figures are functions of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;

use super::baseline::Baseline;
use super::paper_curves::PaperCurves;
use super::run_evidence::RunEvidence;
use super::selection::{self, Selection, Wanted};
use crate::manifest::{Expectation, Experiment};
use crate::run::{ResponseRecord, RunView};

/// The profile whose expectations and claims are the paper's own.
pub const PAPER: &str = "paper";

/// All that is known of an experiment.
#[derive(Clone, Debug)]
pub struct Evidence {
    pub experiment: Experiment,
    /// The seeds that every network must have: those asked for and, unless the user named them, all that are complete.
    pub seeds: Vec<u64>,
    /// One a network and seed, by network and seed.
    pub runs: Vec<RunEvidence>,
    /// The paper's curves by file.
    pub paper: BTreeMap<PathBuf, PaperCurves>,
    /// The paper's final errors of this experiment's networks; at another profile than the paper's they only stand beside.
    pub papers_errors: Vec<Expectation>,
    /// Values that this project recorded before, which guard against change.
    pub baselines: Vec<Baseline>,
    /// Runs that are left out, each group with its reason.
    pub left_out: Vec<String>,
    /// The same for the runs of this profile's folder, in a line.
    pub unused: Option<String>,
}

impl Evidence {
    /// Selects the experiment's runs among those on disk, see [`selection::select`], and reads their records.
    ///
    /// # Errors
    /// [`crate::exit::Exit`]'s `Storage` or `Usage` where records or the paper's curves cannot be read.
    pub fn gather(experiment: &Experiment, views: &[RunView], wanted: &Wanted) -> Result<Self> {
        let seeds = selection::settled_seeds(experiment, views, wanted);
        let Selection { runs, left_out } = selection::select(experiment, views, wanted, &seeds);
        let unused = selection::unused(experiment, views, wanted, &seeds, &runs);
        let mut read = Vec::new();
        for view in runs {
            let (view, rows) = view.read()?;
            let responses = match &experiment.responses {
                Some(how) => ResponseRecord::load(&view.folder, how, view.plan().identity())?,
                None => None,
            };
            read.push(RunEvidence {
                view,
                rows,
                responses,
            });
        }
        let mut paper = BTreeMap::new();
        for reference in experiment
            .panels
            .iter()
            .filter_map(|p| p.reference.as_ref())
        {
            if !paper.contains_key(&reference.file) {
                paper.insert(reference.file.clone(), PaperCurves::read(&reference.file)?);
            }
        }
        Ok(Self {
            papers_errors: papers_errors(experiment),
            baselines: Baseline::all(experiment)?,
            experiment: experiment.clone(),
            seeds,
            runs: read,
            paper,
            left_out,
            unused,
        })
    }
}

/// The paper's values for the networks of any profile; none where the manifest has no such profile.
fn papers_errors(experiment: &Experiment) -> Vec<Expectation> {
    if experiment.profile == PAPER {
        return experiment.expectations.clone();
    }
    Experiment::load(&experiment.file, PAPER, &[])
        .map(|paper| paper.expectations)
        .unwrap_or_default()
        .into_iter()
        .filter(|value| experiment.network(&value.network).is_some())
        .collect()
}
