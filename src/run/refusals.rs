//! When a run's directory is not opened, because what lies there, or beside it, would be lost from sight.

use std::path::Path;

use anyhow::{Result, ensure};

use super::format::{self, START_OVER};
use super::layout::{CHECKPOINT, DONE, ITERATIONS, PROGRESS};
use super::progress::Progress;
use super::run_file::RunFile;
use super::view::RunView;
use crate::exit::Exit;
use crate::plan::RunPlan;
use crate::record::Ending;

/// Refuses a folder that holds another run than the plan's.
///
/// # Errors
/// [`Exit::Storage`].
pub(super) fn refuse_another_run(folder: &Path, kept: &RunFile, plan: &RunPlan) -> Result<()> {
    ensure!(
        kept.plan.same_run(plan),
        Exit::Storage.error(format!(
            "{}: the folder holds another run, {}; rename it to that, or choose another folder with --results-dir",
            folder.display(),
            kept.plan.folder()
        ))
    );
    Ok(())
}

/// Refuses to start over silently where a run was further along: what says how far is gone.
///
/// # Errors
/// [`Exit::Storage`].
pub(super) fn refuse_lost(folder: &Path, plan: &RunPlan) -> Result<()> {
    if folder.join(ITERATIONS).exists() && !folder.join(PROGRESS).exists() {
        let done = folder.join(DONE);
        return Err(format::unreadable(&done, &"it is missing", START_OVER));
    }
    match Progress::load(folder, plan) {
        Some(progress) if progress.iteration > 0 => {
            let checkpoint = folder.join(CHECKPOINT);
            Err(format::unreadable(
                &checkpoint,
                &"it is missing",
                START_OVER,
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses to start over silently where a run was started with other arithmetic: hours of work would be lost from sight.
///
/// # Errors
/// [`Exit::Storage`].
pub(super) fn refuse_other_device(results_dir: &Path, plan: &RunPlan) -> Result<()> {
    match made_elsewhere(results_dir, plan)? {
        Some(run) if run.ending == Ending::Partial => {
            let other = run.plan().processor;
            Err(Exit::Storage.error(format!(
                "{}: this run was started on {other} and is at iteration {}; on {} its numbers would differ: \
                 finish it on {other}, start over with --fresh, or resume it here all the same with \
                 `reproduce --any-processor`",
                run.folder.display(),
                run.iteration,
                plan.processor,
            )))
        }
        _ => Ok(()),
    }
}

/// The plan's run on another kind of processor, if it was begun: the one that is furthest.
///
/// # Errors
/// If a value cannot be serialised, which is a bug.
pub fn made_elsewhere(results_dir: &Path, plan: &RunPlan) -> Result<Option<RunView>> {
    let folder = results_dir.join(&plan.profile);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Ok(None);
    };
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    names.sort();
    let alike = format!("{}-s{}-", plan.network.name, plan.seed);
    let mut furthest: Option<RunView> = None;
    for name in names {
        if !name.to_string_lossy().starts_with(&alike) {
            continue;
        }
        // Unreadable runs do not concern this one.
        let Ok(Some(run)) = RunView::look(&folder.join(&name)) else {
            continue;
        };
        let other = run.plan();
        let alike = plan.on(other.processor)?.same_run(other);
        let further = furthest
            .as_ref()
            .is_none_or(|before| run.iteration > before.iteration);
        if alike && !other.same_run(plan) && run.iteration > 0 && further {
            furthest = Some(run);
        }
    }
    Ok(furthest)
}
