//! The evidence on an experiment: its runs with their records, and the paper's curves, each read once. Verdict and
//! figures derive from it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;

use super::baseline::Baseline;
use super::paper_curves::PaperCurves;
use super::paper_files::by_file;
use super::paper_responses::PaperResponses;
use super::run_evidence::RunEvidence;
use super::selection::{self, Selection, Wanted};
use crate::manifest::{Expectation, Experiment};
use crate::run::{ResponseRecord, RunView};

/// The profile whose expectations and claims are the paper's own.
pub const PAPER: &str = "paper";

/// An experiment's runs and reference values.
#[derive(Clone, Debug)]
pub struct Evidence {
    pub experiment: Experiment,
    /// Seeds required of every network: those requested and, unless the user chose them, all others that are complete.
    pub seeds: Vec<u64>,
    /// One per network and seed, in this order.
    pub runs: Vec<RunEvidence>,
    /// The paper's curves by file.
    pub paper: BTreeMap<PathBuf, PaperCurves>,
    /// The paper's layer responses by file, if the experiment is about them.
    pub papers_responses: BTreeMap<PathBuf, PaperResponses>,
    /// Why some of the paper's curves or responses cannot be read, if so.
    pub without_paper: Option<String>,
    /// The paper's final errors for this experiment's networks; shown but not comparable at other profiles than the
    /// paper's.
    pub papers_errors: Vec<Expectation>,
    /// Our earlier errors, which guard against change.
    pub baselines: Vec<Baseline>,
    /// Baselines that cannot be read, a line each with the reason.
    pub unread: Vec<String>,
    /// Runs left out, a line per group with its reason.
    pub left_out: Vec<String>,
    /// Unused runs in this profile's folder with the reasons, in one line.
    pub unused: Option<String>,
}

impl Evidence {
    /// Selects the experiment's runs with [`selection::select`] and reads their records.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Storage`] if records cannot be read. The paper's curves and baselines are left out if they
    /// cannot be read: `without_paper` and `unread` say why.
    pub fn gather(experiment: &Experiment, views: &[RunView], wanted: &Wanted) -> Result<Self> {
        let seeds = selection::settled_seeds(experiment, views, wanted);
        let Selection { runs, left_out } = selection::select(experiment, views, wanted, &seeds);
        let unused = selection::unused(experiment, views, wanted, &seeds, &runs);
        // The runs know how many classes there were.
        let mut experiment = match runs.first() {
            Some(run) => experiment.with_classes(run.plan().network.classes),
            None => experiment.clone(),
        };
        // An optional network is judged once it has been run.
        for entry in &mut experiment.networks {
            let has_run = |run: &RunView| run.plan().network.name == entry.name;
            entry.optional &= !runs.iter().any(has_run);
        }
        let experiment = &experiment;
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
        let panels = || experiment.panels.iter();
        let drawn = panels().filter_map(|panel| panel.reference.as_ref());
        let (paper, no_curves) = by_file(drawn, PaperCurves::read);
        let of_responses = panels().filter(|_| experiment.responses.is_some());
        let measured = of_responses.filter_map(|panel| panel.values.as_ref());
        let (papers_responses, no_responses) = by_file(measured, PaperResponses::read);
        let without_paper = no_responses.or(no_curves);
        let (baselines, unread) = Baseline::all(experiment);
        Ok(Self {
            papers_errors: papers_errors(experiment),
            baselines,
            unread,
            without_paper: without_paper.map(|error| format!("{error:#}")),
            experiment: experiment.clone(),
            seeds,
            runs: read,
            paper,
            papers_responses,
            left_out,
            unused,
        })
    }
}

/// The paper's values for the experiment's networks; empty if the manifest has no `paper` profile, or values of its own there since
/// the paper has no such networks.
fn papers_errors(experiment: &Experiment) -> Vec<Expectation> {
    if !experiment.is_of_the_paper() {
        return Vec::new();
    }
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
