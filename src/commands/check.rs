//! `check` and `render`: the verdict and the figure, from existing records.

use std::io::Write as _;

use anyhow::Result;

use super::target;
use crate::cli::{CheckArgs, CheckFormat, Places, RenderArgs, SelectionArgs};
use crate::console::paint;
use crate::counted::counted;
use crate::exit::Exit;
use crate::judge::{Baseline, BaselineStatus, Evidence, Verdict, judge, subjects};
use crate::manifest::{self, Bars};
use crate::publish::page::{self, Page};
use crate::publish::{Report, annotations, headline, junit, publish_bars, summary, table};
use crate::run::Tree;
use crate::{note, out, outln};

/// The evidence for the selection.
fn evidence(args: &SelectionArgs, places: &Places) -> Result<Evidence> {
    let target = target::select(args, places, target::Circumstances::here)?;
    let views = super::runs(places)?;
    Evidence::gather(&target.only, &views, &target.wanted(args.data))
}

/// `refig check EXPERIMENT`.
pub fn check(args: &CheckArgs, places: &Places) -> Result<Exit> {
    let mut evidence = evidence(&args.selection, places)?;
    if let Some(name) = &args.accept {
        return accept(name, &evidence, places, args.allow_few_seeds);
    }
    if let Some(name) = &args.against {
        let path = Baseline::path(&evidence.experiment, name)?;
        evidence.baselines = vec![Baseline::read(&path)?];
        evidence.unread.clear();
    }
    if let Some(line) = evidence.unused.as_ref().filter(|_| !places.quiet) {
        note!("note: {line}");
    }
    for line in &evidence.unread {
        note!("note: {line}");
    }
    let verdict = judge(&evidence)?;
    let report = report(&evidence, &verdict, places)?;
    let page = report.page(&places.results_dir)?;
    match places.quiet && args.format == CheckFormat::Text {
        true => paint(&headline(&verdict)),
        false => show(&verdict, &page, args.format, args.strict)?,
    }
    if args.write {
        let index = report.write(&places.results_dir, args.strict)?;
        if !places.quiet {
            note!("wrote {}", index.display());
        }
    }
    let exit = verdict.exit_when(args.strict);
    Ok(match args.against {
        Some(_) if exit == Exit::Success => baseline_exit(&verdict),
        _ => exit,
    })
}

/// The report, without the paper's curves and values if they cannot be read: what is judged needs neither.
fn report<'a>(evidence: &'a Evidence, verdict: &'a Verdict, places: &Places) -> Result<Report<'a>> {
    match Report::new(evidence, verdict, &places.reports_dir, true) {
        Err(error) if Exit::of(&error) == Exit::Storage => {
            note!("note: checked without the paper's values: {error:#}");
            Report::new(evidence, verdict, &places.reports_dir, false)
        }
        report => report,
    }
}

/// The exit code of `--against`: success if some value was compared and none changed.
fn baseline_exit(verdict: &Verdict) -> Exit {
    let any = |status| verdict.baselines.iter().any(|row| row.status == status);
    if any(BaselineStatus::Changed) {
        Exit::CheckFailed
    } else if any(BaselineStatus::Unchanged) {
        Exit::Success
    } else {
        Exit::Missing
    }
}

/// Prints the verdict to standard output.
fn show(verdict: &Verdict, page: &Page, format: CheckFormat, strict: bool) -> Result<()> {
    match format {
        CheckFormat::Text => paint(&table(verdict)),
        CheckFormat::Json => out!("{}", verdict.json()?),
        CheckFormat::Markdown => out!("{}", page::markdown(page)),
        CheckFormat::Junit => out!("{}", junit(verdict, strict)?),
        CheckFormat::Github => {
            out!("{}", annotations(verdict, strict));
            paint(&headline(verdict));
            if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") {
                std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&path)
                    .and_then(|mut file| file.write_all(summary(page).as_bytes()))
                    .map_err(|error| {
                        let path = path.to_string_lossy();
                        Exit::Storage.error(format!(
                            "cannot append to $GITHUB_STEP_SUMMARY, {path}: {error}"
                        ))
                    })?;
            }
        }
    }
    Ok(())
}

/// Records the current errors as a baseline. Accepting is a person's decision, so not on CI, and needs a clean tree for
/// reproducible numbers.
fn accept(name: &str, evidence: &Evidence, places: &Places, few_seeds: bool) -> Result<Exit> {
    let on_ci = std::env::var("CI").is_ok_and(|set| !["", "0", "false"].contains(&set.as_str()));
    if on_ci {
        return Err(Exit::Usage.error(
            "--accept on CI ($CI is set): accept and commit the baseline locally; use --against on CI",
        ));
    }
    let (experiment, seeds) = (&evidence.experiment, &evidence.seeds);
    let path = Baseline::path(experiment, name)?;
    let tree = Tree::of(&places.experiments_dir);
    let folder = format!("the tree of {}", places.experiments_dir.display());
    Tree::require_clean(tree.as_ref(), &folder)?;
    let commit = tree.map(|tree| tree.commit).unwrap_or_default();
    let subjects = subjects(evidence)?;
    let accepted = Baseline::of(name, &commit, experiment, seeds, &subjects, few_seeds)?;
    accepted.write(&path)?;
    outln!(
        "accepted {} errors over {} as {}; commit it",
        accepted.values.len(),
        counted(seeds.len(), "seed"),
        path.display()
    );
    Ok(Exit::Success)
}

/// `refig render EXPERIMENT`.
pub fn render(args: &RenderArgs, places: &Places) -> Result<Exit> {
    let path = manifest::find(&places.experiments_dir, &args.selection.experiment)?;
    if let Some(bars) = Bars::load(&path)? {
        let png = publish_bars(&bars, &places.reports_dir)?;
        if !places.quiet {
            note!("drew {}", png.display());
        }
        return Ok(Exit::Success);
    }
    let evidence = evidence(&args.selection, places)?;
    let verdict = judge(&evidence)?;
    let report = Report::new(&evidence, &verdict, &places.reports_dir, !args.no_reference)?;
    super::draw(&report, places.quiet)?;
    Ok(Exit::Success)
}
