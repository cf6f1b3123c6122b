//! `run pack` and `run unpack`: a run on its way to another machine.

use std::path::Path;

use anyhow::Result;

use crate::cli::{Places, RunAction};
use crate::exit::Exit;
use crate::outln;
use crate::record::Ending;
use crate::run::{self, RunView};

/// `refig run pack RUN --out FILE`, `refig run unpack FILE`.
pub fn run(action: &RunAction, places: &Places) -> Result<Exit> {
    match action {
        RunAction::Pack { run, out } => {
            let view = find_run(run, places)?;
            let bytes = run::pack(&places.results_dir, &view.folder, out)?;
            outln!("{}: {} in {bytes} bytes", out.display(), state(&view));
        }
        RunAction::Unpack { file } => {
            let view = run::unpack(file, &places.results_dir)?;
            outln!("{}: {}", view.folder.display(), state(&view));
        }
    }
    Ok(Exit::Success)
}

fn state(view: &RunView) -> String {
    let of = view.plan().recipe.iterations;
    match view.ending {
        Ending::Partial => format!("{}, {} of {of} iterations", view.title(), view.iteration),
        ending => format!("{}, {ending} at {}", view.title(), view.iteration),
    }
}

/// Finds a run by folder, by name in the results folder, or by the start of its identity.
pub(super) fn find_run(name: &str, places: &Places) -> Result<RunView> {
    let folder = Path::new(name);
    if folder.join("run.toml").is_file() {
        if let Some(view) = RunView::look(folder)? {
            return Ok(view);
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
