//! `check` and `render`: the verdict and the figure, from the files alone.

use anyhow::Result;

use super::selection;
use crate::cli::{DataKind, Places, RenderArgs, SelectionArgs};
use crate::data::Origin;
use crate::exit::Exit;
use crate::manifest::Experiment;
use crate::report::{self, RenderOptions, Wanted, select};
use crate::run;

fn origin(kind: DataKind) -> Option<Origin> {
    match kind {
        DataKind::Any => None,
        DataKind::Cifar10 => Some(Origin::Cifar10),
        DataKind::Synthetic => Some(Origin::Synthetic),
    }
}

fn wanted(selection: &selection::Selection, args: &SelectionArgs) -> Wanted {
    Wanted {
        seeds: Some(selection.seeds.clone()),
        origin: origin(args.data),
        ..Wanted::default()
    }
}

/// `refig check EXPERIMENT`.
pub fn check(args: &SelectionArgs, places: &Places) -> Result<Exit> {
    let selection = selection::select(args, places)?;
    let wanted = wanted(&selection, args);
    verdict(&selection.experiment, &selection.seeds, places, &wanted)
}

/// `refig render EXPERIMENT`.
pub fn render(args: &RenderArgs, places: &Places) -> Result<Exit> {
    let selection = selection::select(&args.selection, places)?;
    let options = RenderOptions {
        reference: !args.no_reference,
        wanted: wanted(&selection, &args.selection),
    };
    draw(&selection.experiment, places, &options)?;
    Ok(Exit::Success)
}

/// The figure into the report's folder, with a word of what is missing in it.
pub fn draw(experiment: &Experiment, places: &Places, options: &RenderOptions) -> Result<()> {
    let (results, reports) = (&places.results_dir, &places.reports_dir);
    let rendered = report::render(experiment, results, reports, options)?;
    for warning in &rendered.warnings {
        eprintln!("note: {warning}");
    }
    if !places.quiet {
        eprintln!("drew {}", rendered.png.display());
    }
    Ok(())
}

/// The verdict on the terminal and in the report's folder.
pub fn verdict(
    experiment: &Experiment,
    seeds: &[u64],
    places: &Places,
    wanted: &Wanted,
) -> Result<Exit> {
    let views = run::find(&places.results_dir)?;
    let found = select(experiment, &views, wanted).runs;
    let verdict = report::check(experiment, seeds, &found)?;
    let folder = places
        .reports_dir
        .join(&experiment.name)
        .join(&experiment.profile);
    verdict.write(&folder)?;
    print!("{}", verdict.table());
    Ok(verdict.exit())
}
