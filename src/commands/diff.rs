//! `diff`: compares two runs.

use anyhow::Result;
use serde::Serialize;

use super::run::find_run;
use crate::cli::{DiffArgs, Format, Places};
use crate::exit::Exit;
use crate::inspect::difference::{self, Difference};
use crate::{out, outln};

/// The keys that `refig diff --help` lists.
#[derive(Serialize)]
struct Compared<'a> {
    one: &'a str,
    other: &'a str,
    same: bool,
    #[serde(flatten)]
    difference: &'a Difference,
}

/// `refig diff RUN RUN`. Differences in provenance are shown but do not count. With `-q`, says only whether and in what the
/// runs differ.
pub fn run(args: &DiffArgs, places: &Places) -> Result<Exit> {
    let one = find_run(&args.one, places)?;
    let other = find_run(&args.other, places)?;
    let folders = [&one, &other].map(|run| run.folder.display().to_string());
    let difference = difference::difference(one, other)?;
    match args.format {
        Format::Json => {
            let [one, other] = &folders;
            let json = Compared {
                one,
                other,
                same: difference.is_none(),
                difference: &difference,
            };
            outln!("{}", serde_json::to_string_pretty(&json)?);
        }
        Format::Text if places.quiet => outln!("{}", difference.verdict()),
        Format::Text => {
            let [one, other] = folders;
            out!("{one}\n{other}\n\n{}", difference.text());
        }
    }
    Ok(if difference.is_none() {
        Exit::Success
    } else {
        Exit::CheckFailed
    })
}
