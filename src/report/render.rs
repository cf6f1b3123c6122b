//! The figure of an experiment, from the files of its runs to an SVG and a PNG.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::assemble::{DrawnRun, assemble};
use super::figure::{self, End, Figure};
use super::reference::Reference;
use super::selection::{Selection, Wanted, origin, select};
use super::{check, final_errors, responses};
use crate::exit::Exit;
use crate::manifest::{Experiment, Kind};
use crate::run::disk::Disk;
use crate::run::{self, Outcome, ResponseRecord, RunView, State};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderOptions {
    /// The paper's own curves beneath.
    pub reference: bool,
    /// Which runs; by default what the files hold of the experiment, see [`select`].
    pub wanted: Wanted,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            reference: true,
            wanted: Wanted::default(),
        }
    }
}

/// The files that were written.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    pub svg: PathBuf,
    pub png: PathBuf,
    /// Runs that are missing, not finished, diverged or left out.
    pub warnings: Vec<String>,
}

/// Draws `<reports_dir>/<figure>/<profile>/<figure>.svg` and `.png` from the runs in `results_dir`, finished and partial.
/// The same files give the same bytes.
///
/// # Errors
/// [`Exit::Missing`] where there is no run to draw; [`Exit::Storage`] for files that cannot be read or written.
pub fn render(
    experiment: &Experiment,
    results_dir: &Path,
    reports_dir: &Path,
    options: &RenderOptions,
) -> Result<Rendered> {
    let views = run::find(results_dir)?;
    let Selection { runs, mut warnings } = select(experiment, &views, &options.wanted);
    let (name, profile) = (&experiment.name, &experiment.profile);
    if runs.is_empty() {
        return Err(Exit::Missing.error(format!(
            "no run of {name} at profile {profile} in {}; make them with `refig reproduce {name} --profile {profile}`",
            results_dir.display()
        )));
    }
    let drawn = match experiment.kind {
        Kind::Table => table(experiment, &runs, options)?,
        Kind::Responses => layer_responses(experiment, &runs, options)?,
        _ => curves(experiment, &runs, options)?,
    };
    warnings.extend(drawn.warnings);
    let folder = reports_dir.join(name).join(profile);
    let disk = Disk::default();
    disk.create_dir(&folder)?;
    if let Some(text) = drawn.markdown {
        disk.replace(&folder.join(format!("{name}.md")), text.as_bytes())?;
    }
    let svg = folder.join(format!("{name}.svg"));
    disk.replace(&svg, drawn.svg.as_bytes())?;
    let png = folder.join(format!("{name}.png"));
    disk.replace(&png, &figure::png(&drawn.svg)?)?;
    Ok(Rendered { svg, png, warnings })
}

/// What is written of one experiment.
struct Drawn {
    svg: String,
    /// Of a table.
    markdown: Option<String>,
    warnings: Vec<String>,
}

fn curves(experiment: &Experiment, runs: &[RunView], options: &RenderOptions) -> Result<Drawn> {
    let (figure, warnings) = figure_of(experiment, runs, options.reference)?;
    Ok(Drawn {
        svg: figure::svg(&figure)?,
        markdown: None,
        warnings,
    })
}

/// A figure for a page: as plain data where it is curves, else as the text of its SVG.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    Curves(Figure),
    Picture(String),
}

/// What [`render`] draws of these runs; none where there is nothing to draw.
///
/// # Errors
/// [`Exit::Storage`] for files that cannot be read.
pub fn shown(
    experiment: &Experiment,
    runs: &[RunView],
    options: &RenderOptions,
) -> Result<Option<Shown>> {
    if runs.is_empty() {
        return Ok(None);
    }
    let figure = match experiment.kind {
        Kind::Table => {
            return Ok(Some(Shown::Picture(table(experiment, runs, options)?.svg)));
        }
        Kind::Responses => response_figure(experiment, runs, options.reference)?,
        _ => Some(figure_of(experiment, runs, options.reference)?),
    };
    let figure = figure.map(|(figure, _)| figure);
    Ok(figure
        .filter(|figure| !figure.panels.is_empty())
        .map(Shown::Curves))
}

/// The figure of these runs with what a reader should know of what is missing; with `reference`, over the paper's curves.
fn figure_of(
    experiment: &Experiment,
    runs: &[RunView],
    reference: bool,
) -> Result<(Figure, Vec<String>)> {
    let runs: Vec<DrawnRun> = runs.iter().map(read).collect::<Result<_>>()?;
    let mut references = BTreeMap::new();
    for panel in experiment.panels.iter().filter(|_| reference) {
        if let Some(reference) = &panel.reference
            && !references.contains_key(&reference.file)
        {
            references.insert(reference.file.clone(), Reference::read(&reference.file)?);
        }
    }
    Ok(assemble(experiment, &runs, &references))
}

fn layer_responses(
    experiment: &Experiment,
    runs: &[RunView],
    options: &RenderOptions,
) -> Result<Drawn> {
    let Some((figure, warnings)) = response_figure(experiment, runs, options.reference)? else {
        let (name, profile) = (&experiment.name, &experiment.profile);
        return Err(Exit::Missing.error(format!(
            "no run of {name} at profile {profile} was measured; `refig reproduce {name} --profile {profile}` measures finished runs"
        )));
    };
    Ok(Drawn {
        svg: figure::svg(&figure)?,
        markdown: None,
        warnings,
    })
}

/// The figure of these runs' layer responses with what a reader should know of what is missing; none where none was measured.
fn response_figure(
    experiment: &Experiment,
    runs: &[RunView],
    reference: bool,
) -> Result<Option<(Figure, Vec<String>)>> {
    let how = experiment
        .responses
        .as_ref()
        .context("an experiment of responses that does not say how they are measured")?;
    let mut measured = Vec::new();
    for view in runs {
        let record = ResponseRecord::load(&view.folder, how, &view.plan().identity)?;
        let run = DrawnRun {
            plan: view.plan().clone(),
            origin: origin(view),
            end: End::Finished,
            iterations: Vec::new(),
            evaluations: Vec::new(),
        };
        measured.push((run, record));
    }
    if measured.iter().all(|(_, record)| record.is_none()) {
        return Ok(None);
    }
    let mut papers = BTreeMap::new();
    for reference in experiment
        .panels
        .iter()
        .filter_map(|panel| panel.values.as_ref())
        .filter(|_| reference)
    {
        let curves = responses::read_paper(&reference.file)?;
        papers.insert(reference.file.clone(), curves);
    }
    Ok(Some(responses::assemble(
        experiment, how, &measured, &papers,
    )))
}

fn table(experiment: &Experiment, runs: &[RunView], options: &RenderOptions) -> Result<Drawn> {
    let mut papers = BTreeMap::new();
    for reference in experiment
        .panels
        .iter()
        .filter_map(|panel| panel.values.as_ref())
        .filter(|_| options.reference)
    {
        let values = final_errors::PaperTable::read(&reference.file)?;
        papers.insert(reference.file.clone(), values);
    }
    let seeds = options.wanted.seeds.as_ref().unwrap_or(&experiment.seeds);
    let verdict = check(experiment, seeds, runs)?;
    let shown = final_errors::assemble(experiment, &verdict, &papers);
    Ok(Drawn {
        svg: figure::table(&shown)?,
        markdown: Some(shown.markdown()),
        warnings: Vec::new(),
    })
}

fn read(view: &RunView) -> Result<DrawnRun> {
    Ok(DrawnRun {
        plan: view.plan().clone(),
        origin: origin(view),
        end: match view.state {
            State::Done {
                outcome: Outcome::Finished,
                ..
            } => End::Finished,
            State::Done {
                outcome: Outcome::Diverged,
                ..
            } => End::Diverged,
            State::Partial { .. } => End::Partial,
        },
        iterations: view.iterations()?,
        evaluations: view.evaluations()?,
    })
}
