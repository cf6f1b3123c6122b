//! The figure of an experiment, from the files of its runs to an SVG and a PNG.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::assemble::{DrawnRun, assemble};
use super::figure::{self, End};
use super::reference::Reference;
use super::selection::{Selection, Wanted, origin, select};
use crate::exit::Exit;
use crate::manifest::Experiment;
use crate::run::disk::Disk;
use crate::run::{self, Outcome, RunView, State};

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
    let runs: Vec<DrawnRun> = runs.iter().map(read).collect::<Result<_>>()?;
    let (name, profile) = (&experiment.name, &experiment.profile);
    let mut references = BTreeMap::new();
    for panel in experiment.panels.iter().filter(|_| options.reference) {
        if let Some(reference) = &panel.reference
            && !references.contains_key(&reference.file)
        {
            references.insert(reference.file.clone(), Reference::read(&reference.file)?);
        }
    }
    let (figure, found) = assemble(experiment, &runs, &references);
    if figure.panels.is_empty() {
        return Err(Exit::Missing.error(format!(
            "no run of {name} at profile {profile} in {}; make them with `refig reproduce {name} --profile {profile}`",
            results_dir.display()
        )));
    }
    warnings.extend(found);
    let folder = reports_dir.join(name).join(profile);
    let disk = Disk::default();
    disk.create_dir(&folder)?;
    let text = figure::svg(&figure)?;
    let svg = folder.join(format!("{name}.svg"));
    disk.replace(&svg, text.as_bytes())?;
    let png = folder.join(format!("{name}.png"));
    disk.replace(&png, &figure::png(&text)?)?;
    Ok(Rendered { svg, png, warnings })
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
