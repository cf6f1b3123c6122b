//! `diff`: compares two runs.

use anyhow::Result;

use super::run::find_run;
use crate::cli::{DiffArgs, Places};
use crate::exit::Exit;
use crate::inspect::difference;
use crate::{out, outln};

/// `refig diff RUN RUN`. Differences in provenance are shown but do not count.
pub fn run(args: &DiffArgs, places: &Places) -> Result<Exit> {
    let one = find_run(&args.one, places)?;
    let other = find_run(&args.other, places)?;
    outln!("{}\n{}\n", one.folder.display(), other.folder.display());
    let difference = difference::difference(one, other)?;
    out!("{}", difference.text());
    Ok(if difference.is_none() {
        Exit::Success
    } else {
        Exit::CheckFailed
    })
}
