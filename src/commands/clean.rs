//! `clean`: removes runs that are not needed any more.

use std::io::{self, BufRead, Read};

use anyhow::Result;

use crate::cli::{CleanArgs, Places};
use crate::console;
use crate::counted::counted;
use crate::exit::Exit;
use crate::inspect::unneeded::unneeded;
use crate::manifest::{self, Experiment};
use crate::run::{self, Owner};
use crate::{note, out, outln};

/// `refig clean`.
pub fn run(args: &CleanArgs, places: &Places) -> Result<Exit> {
    let mut experiments = Vec::new();
    let catalogue = manifest::list(&places.experiments_dir)?;
    for broken in &catalogue.broken {
        note!("cannot tell which runs it uses: {}", broken.why);
    }
    for listed in &catalogue.experiments {
        for profile in &listed.profiles {
            experiments.push(Experiment::load(&listed.path, profile, &[])?);
        }
    }
    let found = run::scan(&places.results_dir)?;
    for skipped in &found.skipped {
        note!("left alone: {}", skipped.why);
    }
    let mut unneeded = unneeded(&found.runs, &experiments)?;
    unneeded.retain(|one| {
        let free = one.run.ending.is_final() || one.run.owner(&places.results_dir) == Owner::Nobody;
        if !free {
            note!("left alone: {} is in use", one.run.folder.display());
        }
        free
    });
    if unneeded.is_empty() {
        outln!("no runs to remove in {}", places.results_dir.display());
        return Ok(Exit::Success);
    }
    for one in &unneeded {
        outln!("{}: {}", one.run.folder.display(), one.why);
    }
    // A typing error must not cost the runs of an experiment without a question.
    if args.yes && !catalogue.broken.is_empty() {
        return Err(Exit::Usage.error(
            "--yes: some of these runs may belong to the manifests that cannot be read; mend those, or answer the question without --yes",
        ));
    }
    if !args.yes {
        match unneeded.len() {
            1 => out!("remove this run? [y/N] "),
            several => out!("remove these {several} runs? [y/N] "),
        }
        // A question that nobody could read has no answer.
        if !agreed() || !console::is_open() {
            outln!("nothing was removed");
            return Ok(Exit::Success);
        }
    }
    for one in &unneeded {
        one.run.remove(&places.results_dir)?;
    }
    outln!("removed {}", counted(unneeded.len(), "run"));
    Ok(Exit::Success)
}

/// Letters of the longest answer.
const LONGEST_ANSWER: u64 = 100;

/// Whether the answer on standard input is yes. What cannot be read is none.
fn agreed() -> bool {
    let mut answer = Vec::new();
    let mut input = io::stdin().lock().take(LONGEST_ANSWER);
    let read = input.read_until(b'\n', &mut answer);
    let answer = std::str::from_utf8(&answer).map(str::trim);
    read.is_ok() && matches!(answer, Ok("y" | "Y" | "yes"))
}
