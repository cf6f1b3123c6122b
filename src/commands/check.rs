//! `check` and `render`: the verdict and the figure, from the files alone.

use anyhow::Result;

use super::selection;
use crate::cli::{DataKind, Places, RenderArgs, SelectionArgs};
use crate::data::Origin;
use crate::exit::Exit;
use crate::manifest::Experiment;
use crate::report::runs::{self, select};

fn origin(kind: DataKind) -> Option<Origin> {
    match kind {
        DataKind::Any => None,
        DataKind::Cifar10 => Some(Origin::Cifar10),
        DataKind::Synthetic => Some(Origin::Synthetic),
    }
}

/// `refig check EXPERIMENT`.
pub fn check(args: &SelectionArgs, places: &Places) -> Result<Exit> {
    let selection = selection::select(args, places)?;
    report(
        &selection.experiment,
        &selection.seeds,
        places,
        origin(args.data),
        None,
    )
}

/// `refig render EXPERIMENT`.
pub fn render(args: &RenderArgs, places: &Places) -> Result<Exit> {
    let selection = selection::select(&args.selection, places)?;
    let experiment = &selection.experiment;
    let wanted = origin(args.selection.data);
    let found = select(experiment, &selection.seeds, &places.results_dir, wanted)?;
    if found.is_empty() {
        return Err(Exit::Missing.error(format!(
            "no runs of {} at profile {} in {}; make them with `refig reproduce {} --profile {}`",
            experiment.name,
            experiment.profile,
            places.results_dir.display(),
            experiment.name,
            experiment.profile
        )));
    }
    draw(experiment, &found, places, !args.no_reference)?;
    Ok(Exit::Success)
}

fn folder(experiment: &Experiment, places: &Places) -> std::path::PathBuf {
    places
        .reports_dir
        .join(&experiment.name)
        .join(&experiment.profile)
}

fn draw(
    experiment: &Experiment,
    found: &[crate::run::RunView],
    places: &Places,
    reference: bool,
) -> Result<()> {
    let folder = folder(experiment, places);
    for warning in runs::render(experiment, found, &folder, reference)? {
        eprintln!("note: {warning}");
    }
    if !places.quiet {
        eprintln!(
            "drew {}",
            folder.join(format!("{}.png", experiment.name)).display()
        );
    }
    Ok(())
}

/// The verdict on the terminal and in the report's folder; with `figure`, also the figure (with the paper's curves or not).
pub fn report(
    experiment: &Experiment,
    seeds: &[u64],
    places: &Places,
    wanted: Option<Origin>,
    figure: Option<bool>,
) -> Result<Exit> {
    let found = select(experiment, seeds, &places.results_dir, wanted)?;
    if let Some(reference) = figure {
        draw(experiment, &found, places, reference)?;
    }
    let verdict = crate::report::check(experiment, seeds, &found)?;
    verdict.write(&folder(experiment, places))?;
    print!("{}", verdict.table());
    Ok(verdict.exit())
}
