//! `export`: the records in the formats of other programs.

use anyhow::Result;

use super::selection;
use crate::cli::{ExportArgs, ExportKind, Places};
use crate::exit::Exit;
use crate::report::export::{self, Kind};
use crate::report::{Wanted, select};
use crate::run;

/// `refig export csv|tensorboard [EXPERIMENT] --out DIR`.
pub fn run(args: &ExportArgs, places: &Places) -> Result<Exit> {
    let mut runs = run::find(&places.results_dir)?;
    if let Some(name) = &args.experiment {
        let selection = selection::named(name, &args.profile, &args.seeds, places)?;
        let wanted = Wanted {
            seeds: args.seeds.is_some().then_some(selection.seeds),
            ..Wanted::default()
        };
        runs = select(&selection.experiment, &runs, &wanted).runs;
    }
    if runs.is_empty() {
        return Err(Exit::Missing.error(format!(
            "no runs to export in {}; `refig status` shows what is there",
            places.results_dir.display()
        )));
    }
    let kind = match args.format {
        ExportKind::Csv => Kind::Csv,
        ExportKind::Tensorboard => Kind::Tensorboard,
    };
    let files = export::write(kind, &runs, &args.out)?;
    println!(
        "{} runs, {} files in {}",
        runs.len(),
        files.len(),
        args.out.display()
    );
    Ok(Exit::Success)
}
