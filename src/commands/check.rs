//! `check` and `render`: the verdict and the figure, from the files alone.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::selection;
use crate::cli::{CheckArgs, CheckFormat, DataKind, Places, RenderArgs, SelectionArgs};
use crate::data::Origin;
use crate::exit::Exit;
use crate::manifest::{self, Bars, Experiment};
use crate::report::baseline::{self, Baseline};
use crate::report::page::{self, Material, Page};
use crate::report::{
    self, RenderOptions, Verdict, Wanted, formats, left_unused, select, with_further_seeds,
};
use crate::run::{self, RunView, Tree};

fn origin(kind: DataKind) -> Option<Origin> {
    match kind {
        DataKind::Any => None,
        DataKind::Cifar10 => Some(Origin::Cifar10),
        DataKind::Synthetic => Some(Origin::Synthetic),
    }
}

/// Which runs are looked at: of the seeds named, else of the profile's and whatever others are complete.
fn wanted(
    selection: &selection::Selection,
    args: &SelectionArgs,
    views: &[RunView],
) -> (Wanted, Vec<u64>) {
    let wanted = Wanted {
        origin: origin(args.data),
        ..Wanted::default()
    };
    let (asked, named) = (&selection.seeds, args.seeds.is_some());
    let wanted = with_further_seeds(&selection.only, views, wanted, asked, named);
    let seeds = wanted.seeds.clone().unwrap_or_default();
    (wanted, seeds)
}

/// `refig check EXPERIMENT`.
pub fn check(args: &CheckArgs, places: &Places) -> Result<Exit> {
    let selection = selection::select(&args.selection, places, selection::Circumstances::here)?;
    let views = run::find(&places.results_dir)?;
    let (wanted, seeds) = wanted(&selection, &args.selection, &views);
    let (experiment, seeds) = (&selection.only, &seeds);
    let found = select(experiment, &views, &wanted).runs;
    if let Some(name) = &args.accept {
        let few = args.allow_few_seeds;
        return accept(name, experiment, seeds, places, &found, few);
    }
    let baseline = match &args.against {
        Some(name) => {
            let path = baseline::path(&places.results_dir, experiment, name)?;
            Some(Baseline::read(&path)?)
        }
        None => None,
    };
    if let Some(line) = left_unused(experiment, &views, &wanted, &found) {
        eprintln!("note: {line}");
    }
    let verdict = report::check_against(experiment, seeds, &found, baseline.as_ref())?;
    let page = write(experiment, &verdict, &found, places, args.strict, true)?;
    show(&verdict, &page, args.format, args.strict)?;
    Ok(verdict.exit_when(args.strict))
}

/// The verdict on standard output.
fn show(verdict: &Verdict, page: &Page, format: CheckFormat, strict: bool) -> Result<()> {
    match format {
        CheckFormat::Text => print!("{}", verdict.table()),
        CheckFormat::Json => print!("{}", verdict.json()?),
        CheckFormat::Markdown => print!("{}", page::markdown(page)),
        CheckFormat::Junit => print!("{}", formats::junit(verdict, strict)),
        CheckFormat::Github => {
            print!("{}", formats::annotations(verdict, strict));
            println!("{}", verdict.headline);
            if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") {
                std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&path)
                    .and_then(|mut file| file.write_all(formats::summary(page).as_bytes()))
                    .with_context(|| {
                        let path = path.to_string_lossy();
                        Exit::Storage
                            .error(format!("cannot append to $GITHUB_STEP_SUMMARY, {path}"))
                    })?;
            }
        }
    }
    Ok(())
}

/// Records the present errors. A baseline is a decision that somebody takes, of numbers that can be made again.
fn accept(
    name: &str,
    experiment: &Experiment,
    seeds: &[u64],
    places: &Places,
    runs: &[RunView],
    few_seeds: bool,
) -> Result<Exit> {
    let on_ci = std::env::var("CI").is_ok_and(|set| !["", "0", "false"].contains(&set.as_str()));
    if on_ci {
        return Err(Exit::Usage.error(
            "--accept on CI ($CI is set): a baseline is accepted by a person and committed; CI compares with --against",
        ));
    }
    let path = baseline::path(&places.results_dir, experiment, name)?;
    let tree = Tree::of(&places.experiments_dir);
    let folder = format!("the tree of {}", places.experiments_dir.display());
    Tree::require_clean(tree.as_ref(), &folder)?;
    let commit = tree.map(|tree| tree.commit).unwrap_or_default();
    let subjects = report::subjects::subjects(experiment, seeds, runs)?;
    let accepted = Baseline::of(name, &commit, experiment, seeds, &subjects, few_seeds)?;
    accepted.write(&path)?;
    println!(
        "accepted {} errors over {} as {}; commit it",
        accepted.values.len(),
        match seeds.len() {
            1 => "1 seed".into(),
            count => format!("{count} seeds"),
        },
        path.display()
    );
    Ok(Exit::Success)
}

/// `refig render EXPERIMENT`.
pub fn render(args: &RenderArgs, places: &Places) -> Result<Exit> {
    let path = manifest::find(&places.experiments_dir, &args.selection.experiment)?;
    if let Some(bars) = Bars::load(&path)? {
        let png = report::bars::render(&bars, &places.reports_dir)?;
        if !places.quiet {
            eprintln!("drew {}", png.display());
        }
        return Ok(Exit::Success);
    }
    let selection = selection::select(&args.selection, places, selection::Circumstances::here)?;
    let views = run::find(&places.results_dir)?;
    let options = RenderOptions {
        reference: !args.no_reference,
        wanted: wanted(&selection, &args.selection, &views).0,
    };
    draw(&selection.only, places, &options)?;
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

/// The verdict on the terminal and in the report's folder, with the pages to read it; their figure is over the paper's
/// curves with `reference`.
pub fn verdict(
    experiment: &Experiment,
    seeds: &[u64],
    places: &Places,
    wanted: &Wanted,
    reference: bool,
) -> Result<Exit> {
    let views = run::find(&places.results_dir)?;
    let found = select(experiment, &views, wanted).runs;
    let verdict = report::check(experiment, seeds, &found)?;
    let page = write(experiment, &verdict, &found, places, false, reference)?;
    show(&verdict, &page, CheckFormat::Text, false)?;
    Ok(verdict.exit())
}

/// The folder of an experiment's report.
pub(super) fn folder(experiment: &Experiment, places: &Places) -> PathBuf {
    places
        .reports_dir
        .join(&experiment.name)
        .join(&experiment.profile)
}

/// The verdict's files and its pages.
pub(super) fn write(
    experiment: &Experiment,
    verdict: &Verdict,
    runs: &[RunView],
    places: &Places,
    strict: bool,
    reference: bool,
) -> Result<Page> {
    let folder = folder(experiment, places);
    verdict.write(&folder, strict)?;
    let options = RenderOptions {
        reference,
        wanted: Wanted {
            seeds: Some(verdict.seeds.clone()),
            ..Wanted::default()
        },
    };
    let figure = report::shown(experiment, runs, &options)?;
    let material = Material {
        figure: figure.as_ref(),
        runs,
        results: &page::relative(&folder, &places.results_dir),
    };
    page::write(verdict, &material, &folder)
}
