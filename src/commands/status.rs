//! `status`: lists the runs in the results folder.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::cli::{Format, Places, StatusArgs};
use crate::exit::Exit;
use crate::inspect::{InQueue, Status};
use crate::orchestrate::launch;
use crate::{note, out, outln};

/// `refig status`.
pub fn run(args: &StatusArgs, places: &Places) -> Result<Exit> {
    let status = Status::of(&places.results_dir)?.with_queue(queue(places)?);
    match args.format {
        Format::Json => outln!("{}", serde_json::to_string_pretty(&status.json())?),
        Format::Text if status == Status::default() => {
            outln!("no runs in {}", places.results_dir.display());
        }
        Format::Text => out!("{}", status.text()),
    }
    Ok(Exit::Success)
}

/// What the cluster's queue says of runs that were launched from here.
fn queue(places: &Places) -> Result<BTreeMap<String, InQueue>> {
    let (found, unanswered) = launch::glance(&places.results_dir)?;
    for why in unanswered {
        note!("note: {why:#}");
    }
    Ok(found
        .into_iter()
        .map(|(run, row)| {
            let job = format!("{}_{}", row.number, row.task);
            let (state, reason) = (row.state, row.reason);
            (run, InQueue { job, state, reason })
        })
        .collect())
}
