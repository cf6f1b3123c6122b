//! `export`: records in other programs' formats.

use anyhow::Result;

use super::target::{self, Target};
use crate::cli::{ExportArgs, ExportKind, Places};
use crate::counted::counted;
use crate::exit::Exit;
use crate::inspect::changed;
use crate::inspect::export::{self, Kind};
use crate::judge::{Seeds, Wanted, select, settled_seeds};
use crate::run;
use crate::{note, outln};

/// `refig export csv|tensorboard [EXPERIMENT] --out DIR`.
pub fn run(args: &ExportArgs, places: &Places) -> Result<Exit> {
    let found = run::scan(&places.results_dir)?;
    for skipped in &found.skipped {
        note!("skipped {}: {}", skipped.folder.display(), skipped.why);
    }
    let mut runs = found.runs;
    let target = target::named(&args.runs, places)?;
    if let Some(target) = &target {
        if let Some(text) = changed(&target.experiment, &runs)
            && !places.quiet
        {
            note!("note: {text}");
        }
        let wanted = Wanted {
            seeds: match args.runs.seeds {
                Some(_) => Seeds::Only(target.seeds.clone()),
                None => Seeds::All,
            },
            ..Wanted::default()
        };
        let seeds = settled_seeds(&target.experiment, &runs, &wanted);
        runs = select(&target.experiment, &runs, &wanted, &seeds).runs;
    }
    if runs.is_empty() {
        let folder = places.results_dir.display();
        return Err(Exit::Missing.error(match target {
            None => format!("no runs to export in {folder}; train with `refig reproduce`"),
            Some(Target { experiment, .. }) => format!(
                "no such runs of {} at profile {} in {folder}; list all runs with `refig status`, and choose with --profile and \
                 --seeds",
                experiment.name, experiment.profile
            ),
        }));
    }
    let all = runs.len();
    let kind = match args.format {
        ExportKind::Csv => Kind::Csv,
        ExportKind::Tensorboard => Kind::Tensorboard,
    };
    let exported = export::write(kind, &places.results_dir, runs, &args.out)?;
    for skipped in &exported.skipped {
        note!("skipped {}: {}", skipped.folder.display(), skipped.why);
    }
    if !places.quiet {
        outln!(
            "{}, {} in {}",
            counted(all - exported.skipped.len(), "run"),
            counted(exported.files.len(), "file"),
            args.out.display()
        );
    }
    Ok(match exported.skipped.is_empty() {
        true => Exit::Success,
        false => Exit::Storage,
    })
}
