//! `clean`: removes runs that no experiment uses.

use std::io::{BufRead, Write};

use anyhow::{Context, Result};

use crate::cli::{CleanArgs, Places};
use crate::exit::Exit;
use crate::manifest::{self, Experiment};
use crate::run;
use crate::{note, out, outln};

/// `refig clean`.
pub fn run(args: &CleanArgs, places: &Places) -> Result<Exit> {
    let mut named = Vec::new();
    let catalogue = manifest::list(&places.experiments_dir)?;
    for broken in &catalogue.broken {
        note!("refig: its runs count as unused: {}", broken.why);
    }
    for listed in &catalogue.experiments {
        for profile in &listed.profiles {
            named.extend(Experiment::load(&listed.path, profile, &[])?.networks);
        }
    }
    let mut unnamed = run::find(&places.results_dir)?;
    unnamed.retain(|view| !named.iter().any(|entry| view.plan().belongs_to(entry)));
    if unnamed.is_empty() {
        outln!("no unused runs");
        return Ok(Exit::Success);
    }
    for view in &unnamed {
        outln!("{}", view.folder.display());
    }
    // A typing error must not cost the runs of an experiment without a question.
    if args.yes && !catalogue.broken.is_empty() {
        return Err(Exit::Usage.error(
            "--yes: some of these runs may belong to the manifests that cannot be read; mend those, or answer the question without --yes",
        ));
    }
    if !args.yes {
        out!("remove these {} runs? [y/N] ", unnamed.len());
        std::io::stdout()
            .flush()
            .context("cannot write the question")?;
        let mut answer = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut answer)
            .context("cannot read the answer")?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            outln!("nothing was removed");
            return Ok(Exit::Success);
        }
    }
    for view in &unnamed {
        view.remove(&places.results_dir)?;
    }
    outln!("removed {} runs", unnamed.len());
    Ok(Exit::Success)
}
