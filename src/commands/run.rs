//! `run pack` and `run unpack`: a run on its way to another machine. `work.rs` makes a run.

use std::path::Path;

use anyhow::Result;

use crate::cli::{Places, RunAction};
use crate::counted::counted;
use crate::exit::Exit;
use crate::inspect::place;
use crate::record::Ending;
use crate::run::{self, RunView};
use crate::{note, outln};

/// `refig run pack RUN --out FILE`, `refig run unpack FILE`.
pub fn run(action: &RunAction, places: &Places) -> Result<Exit> {
    match action {
        RunAction::Pack { run, out } => {
            let view = find_run(run, places)?;
            let packed = run::pack(&places.results_dir, &view.folder, out)?;
            let iteration = packed.iteration;
            if let Some(damage) = packed.damage {
                note!("{damage}; packed the previous checkpoint, iteration {iteration}");
            }
            if !places.quiet {
                let state = state(&view, iteration);
                outln!("{}: {state} in {} bytes", out.display(), packed.bytes);
            }
        }
        RunAction::Unpack { file } => {
            let view = run::unpack(file, &places.results_dir)?;
            if !places.quiet {
                outln!(
                    "{}: {}",
                    view.folder.display(),
                    state(&view, view.iteration)
                );
            }
        }
    }
    Ok(Exit::Success)
}

fn state(view: &RunView, iteration: u64) -> String {
    let of = view.plan().recipe.iterations;
    match view.ending {
        Ending::Partial => {
            let all = counted(of as usize, "iteration");
            format!("{}, {iteration} of {all}", view.title())
        }
        ending => format!("{}, {ending} at {iteration}", view.title()),
    }
}

/// The fewest digits of an identity that name a run.
const FEWEST: usize = 4;

/// Finds a run by folder, by name in the results folder, or by the start of its identity.
pub(super) fn find_run(name: &str, places: &Places) -> Result<RunView> {
    let folder = Path::new(name);
    if folder.join("run.toml").is_file()
        && let Some(view) = RunView::look(folder)?
    {
        return Ok(view);
    }
    let found = run::scan(&places.results_dir)?;
    let mut matching = found.runs;
    let wanted = name.trim_end_matches('/');
    matching.retain(|run| {
        let plan = run.plan();
        place(&places.results_dir, run) == wanted
            || plan.folder() == wanted
            || plan.name() == wanted
            || (wanted.len() >= FEWEST && plan.identity().starts_with(wanted))
    });
    match matching.len() {
        1 => Ok(matching.remove(0)),
        0 => {
            let mut skipped = found.skipped.iter();
            Err(match skipped.find(|skipped| is_named(&skipped.folder, wanted)) {
                Some(skipped) => {
                    let folder = skipped.folder.display();
                    Exit::Storage.error(format!("{folder}: unreadable run: {}", skipped.why))
                }
                None => Exit::Usage.error(format!(
                    "no run \"{name}\" in {}; give a folder, a name from `refig status`, or at least the first {FEWEST} digits of an identity",
                    places.results_dir.display()
                )),
            })
        }
        _ => {
            let folders: Vec<String> = matching
                .iter()
                .map(|run| run.folder.display().to_string())
                .collect();
            Err(Exit::Usage.error(format!(
                "\"{name}\" matches several runs: {}; give a folder",
                folders.join(", ")
            )))
        }
    }
}

/// Whether `wanted` is the name of an unreadable run's folder or the start of the identity in it.
fn is_named(folder: &Path, wanted: &str) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let hash = name.rsplit('-').next().unwrap_or_default();
    let identity = wanted.len() >= FEWEST
        && hash.len() == 8
        && (hash.starts_with(wanted) || wanted.starts_with(hash));
    identity || (!wanted.is_empty() && folder.ends_with(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_run_is_known_by_the_name_of_its_folder() {
        let folder = Path::new("results/quick/plain-20-s1-41c103fc");
        for name in ["quick/plain-20-s1-41c103fc", "plain-20-s1-41c103fc", "41c1"] {
            assert!(is_named(folder, name), "{name}");
        }
        for name in ["", "41c", "plain-20", "quick", "41c2"] {
            assert!(!is_named(folder, name), "{name}");
        }
    }
}
