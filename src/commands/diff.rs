//! `diff`: compares two runs.

use std::path::Path;

use anyhow::Result;

use crate::cli::{DiffArgs, Places};
use crate::exit::Exit;
use crate::inspect::difference;
use crate::run::{self, RunView};

/// `refig diff RUN RUN`. Differences in provenance are shown but do not count.
pub fn run(args: &DiffArgs, places: &Places) -> Result<Exit> {
    let one = find(&args.one, places)?;
    let other = find(&args.other, places)?;
    println!("{}\n{}\n", one.folder.display(), other.folder.display());
    let difference = difference::difference(one, other)?;
    print!("{}", difference.text());
    Ok(if difference.is_none() {
        Exit::Success
    } else {
        Exit::CheckFailed
    })
}

/// Finds a run by folder, by name in the results folder, or by the start of its identity.
fn find(name: &str, places: &Places) -> Result<RunView> {
    let folder = Path::new(name);
    if folder.join("run.toml").is_file() {
        let mut there = run::find(folder)?;
        if there.len() == 1 {
            return Ok(there.remove(0));
        }
    }
    let mut matching = run::find(&places.results_dir)?;
    let wanted = name.trim_end_matches('/');
    matching.retain(|run| {
        let plan = run.plan();
        plan.folder() == wanted
            || plan.name() == wanted
            || (wanted.len() >= 4 && plan.identity().starts_with(wanted))
    });
    match matching.len() {
        1 => Ok(matching.remove(0)),
        0 => Err(Exit::Usage.error(format!(
            "no run \"{name}\" in {}; give a folder, a name from `refig status`, or the start of an identity",
            places.results_dir.display()
        ))),
        _ => {
            let folders: Vec<String> = matching.iter().map(|run| run.plan().folder()).collect();
            Err(Exit::Usage.error(format!(
                "\"{name}\" matches several runs: {}; give a folder",
                folders.join(", ")
            )))
        }
    }
}
