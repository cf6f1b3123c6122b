//! `status`: lists the runs in the results folder.

use anyhow::Result;

use crate::cli::Places;
use crate::exit::Exit;
use crate::outln;
use crate::record::Ending;
use crate::run;

/// `refig status`.
pub fn run(places: &Places) -> Result<Exit> {
    let runs = run::find(&places.results_dir)?;
    if runs.is_empty() {
        outln!("no runs in {}", places.results_dir.display());
    }
    for view in runs {
        let plan = view.plan();
        let state = match view.ending {
            Ending::Partial => format!("resumes after {}", view.iteration),
            ending => format!("done ({ending}) after {}", view.iteration),
        };
        outln!(
            "{:<44} {state} of {} iterations",
            plan.folder(),
            plan.recipe.iterations
        );
    }
    Ok(Exit::Success)
}
