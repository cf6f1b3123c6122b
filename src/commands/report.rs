//! `report`: regenerates reports from records, and the index of all reports.

use std::path::PathBuf;

use anyhow::Result;

use super::seeds::parse as parse_seeds;
use super::target;
use crate::cli::{Places, ReportArgs};
use crate::counted::counted;
use crate::exit::Exit;
use crate::judge::{Evidence, Verdict, Wanted, judge};
use crate::manifest::{self, Bars, Experiment};
use crate::nearest::remedy;
use crate::publish::page::site::{self, Blank};
use crate::publish::{self, Report, publish_bars};
use crate::run::RunView;
use crate::{note, outln};

/// `refig report [EXPERIMENT]`. Unlike `check`, the exit code does not depend on the verdicts.
pub fn run(args: &ReportArgs, places: &Places) -> Result<Exit> {
    let mut failed = None;
    let wanted = match &args.experiment {
        Some(name) => {
            let path = manifest::find(&places.experiments_dir, name)?;
            vec![manifest::listed(&path)?]
        }
        None => {
            let catalogue = manifest::list(&places.experiments_dir)?;
            for broken in &catalogue.broken {
                note!("refig: no report: {}", broken.why);
                failed = Some(Exit::Usage);
            }
            catalogue.experiments
        }
    };
    if let (Some(profile), [only]) = (&args.profile, &wanted[..])
        && !only.profiles.is_empty()
        && !only.profiles.contains(profile)
    {
        return Err(Exit::Usage.error(format!(
            "{}: no profile \"{profile}\"; {}",
            only.path.display(),
            remedy(profile, only.profiles.iter().map(String::as_str))
        )));
    }
    let views = super::runs(places)?;
    let mut blanks = Vec::new();
    let mut undrawn = None;
    let mut written = 0;
    for listed in &wanted {
        if let Some(bars) = Bars::load(&listed.path)? {
            let png = publish_bars(&bars, &places.reports_dir)?;
            let page = png.with_file_name("index.html");
            outln!("{}: reference data only", page.display());
            written += 1;
            continue;
        }
        for profile in &listed.profiles {
            if args.profile.as_ref().is_some_and(|only| only != profile) {
                continue;
            }
            let blank = || Blank {
                experiment: listed.name.clone(),
                profile: profile.clone(),
            };
            match one(listed, profile, args, places, &views) {
                Ok(true) => written += 1,
                Ok(false) => blanks.push(blank()),
                // The runs' layer responses have not been measured.
                Err(error) if Exit::of(&error) == Exit::Missing => {
                    blanks.push(blank());
                    undrawn.get_or_insert(error);
                }
                // One that fails does not keep the others from theirs.
                Err(error) if args.all => {
                    note!(
                        "refig: no report of {} at {profile}: {error:#}",
                        listed.name
                    );
                    failed.get_or_insert(Exit::of(&error));
                }
                Err(error) => return Err(error),
            }
        }
    }
    if args.all {
        let index = site::write(&places.reports_dir, &blanks)?;
        let reports = counted(written, "report");
        outln!("{reports}, index {}", index.display());
    } else if let (0, Some(error)) = (written, undrawn) {
        return Err(error);
    } else if written == 0 {
        let name = args.experiment.as_deref().unwrap_or_default();
        let (profile, seeds) = (args.profile.as_deref(), args.seeds.as_deref());
        let told = |what: Option<&str>, before: &str| {
            what.map_or(String::new(), |what| format!("{before}{what}"))
        };
        return Err(Exit::Missing.error(format!(
            "no runs of {name}{}{} in {}; train with `refig reproduce {name}{}{}`",
            told(profile, " at profile "),
            told(seeds, " with seeds "),
            places.results_dir.display(),
            told(profile, " --profile "),
            told(seeds, " --seeds ")
        )));
    }
    Ok(failed.unwrap_or(Exit::Success))
}

/// Writes a report; false if there is nothing to report on.
///
/// # Errors
/// [`Exit::Missing`] if there are runs but nothing to draw.
fn one(
    listed: &manifest::Listed,
    profile: &str,
    args: &ReportArgs,
    places: &Places,
    views: &[RunView],
) -> Result<bool> {
    let experiment = Experiment::load(&listed.path, profile, &[])?;
    // Regenerate a report with its previous seeds.
    let before = match site::summary(&publish::folder(&experiment, None, &places.reports_dir)) {
        Ok(before) => before,
        Err(error) => {
            note!("note: {error:#}, with the seeds of the profile");
            None
        }
    };
    let asked = match (&args.seeds, before) {
        (Some(text), _) => parse_seeds(text)?,
        (None, Some(before)) => before.seeds,
        (None, None) => experiment.seeds.clone(),
    };
    let wanted = Wanted {
        seeds: target::seeds(&asked, args.seeds.is_some()),
        ..Wanted::default()
    };
    let evidence = Evidence::gather(&experiment, views, &wanted)?;
    if evidence.runs.is_empty() {
        return Ok(false);
    }
    let verdict = judge(&evidence)?;
    match write(&evidence, &verdict, args, places) {
        Ok(index) => outln!("{}: {}", index.display(), verdict.headline),
        Err(error) if Exit::of(&error) == Exit::Missing => return Err(error),
        Err(error) => {
            outln!("{}", verdict.headline);
            return Err(error);
        }
    }
    Ok(true)
}

/// Writes the report; returns the path of its page.
fn write(
    evidence: &Evidence,
    verdict: &Verdict,
    args: &ReportArgs,
    places: &Places,
) -> Result<PathBuf> {
    let report = Report::new(evidence, verdict, &places.reports_dir, !args.no_reference)?;
    super::draw(&report, places.quiet)?;
    report.write(&places.results_dir, false)
}
