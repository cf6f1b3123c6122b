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
    let runs = made_elsewhere(results_dir, plan)?;
    let Some(run) = runs.iter().find(|run| run.ending == Ending::Partial) else {
        return Ok(());
    };
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

/// The plan's runs on other kinds of processors that have been begun, by name.
///
/// # Errors
/// If a value cannot be serialised, which is a bug.
pub fn made_elsewhere(results_dir: &Path, plan: &RunPlan) -> Result<Vec<RunView>> {
    let folder = results_dir.join(&plan.profile);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Ok(Vec::new());
    };
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    names.sort();
    let alike = format!("{}-s{}-", plan.network.name, plan.seed);
    let mut runs = Vec::new();
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
        if alike && !other.same_run(plan) && run.iteration > 0 {
            runs.push(run);
        }
    }
    Ok(runs)
}
