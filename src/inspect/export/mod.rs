//! Exports runs: `csv.rs` as tables, `tensorboard.rs` as TensorBoard event files. The same records give the same bytes.

mod csv;
mod tensorboard;

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::place::{is_held_out, place};
use crate::exit::Exit;
use crate::run::disk::Disk;
use crate::run::{RunView, Skipped, is_plain_name};

/// An export format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `runs.csv`, and `iterations.csv` and `evaluations.csv` per run.
    Csv,
    /// An event file per run, for `tensorboard --logdir DIR`.
    Tensorboard,
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// The files written.
    pub files: Vec<PathBuf>,
    /// Runs whose records cannot be read.
    pub skipped: Vec<Skipped>,
}

/// Writes the runs in `results_dir` to `out`, in folders named as there. A run whose records cannot be read does not keep
/// the others from being written.
///
/// # Errors
/// [`Exit::Storage`] if a run's folder has an unusual name or `out` cannot be written.
pub fn write(kind: Kind, results_dir: &Path, runs: Vec<RunView>, out: &Path) -> Result<Exported> {
    let disk = Disk::default();
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    let mut put = |path: PathBuf, bytes: &[u8]| -> Result<()> {
        disk.create_dir(path.parent().unwrap_or(out))?;
        disk.replace(&path, bytes)?;
        files.push(path);
        Ok(())
    };
    let mut table = csv::RUNS.to_owned();
    for (name, run) in named(results_dir, runs)? {
        let folder = out.join(&name);
        let place = run.folder.clone();
        let (run, rows) = match run.read() {
            Ok(read) => read,
            Err(error) => {
                skipped.push(Skipped {
                    folder: place,
                    why: format!("{error:#}"),
                });
                continue;
            }
        };
        let held_out = is_held_out(&run);
        let (iterations, evaluations) = (&rows.iterations, &rows.evaluations);
        match kind {
            Kind::Csv => {
                table.push_str(&csv::run(&name, &run, iterations, evaluations));
                let rows = csv::iterations(iterations);
                put(folder.join("iterations.csv"), rows.as_bytes())?;
                let rows = csv::evaluations(held_out, evaluations);
                put(folder.join("evaluations.csv"), rows.as_bytes())?;
            }
            Kind::Tensorboard => {
                let begun = tensorboard::seconds(&run.file.start.time);
                let bytes = tensorboard::events(begun, held_out, iterations, evaluations);
                let path = folder.join(tensorboard::file_name(begun));
                put(path.clone(), &bytes)?;
                remove_others(&disk, &folder, &path)?;
            }
        }
    }
    if kind == Kind::Csv {
        put(out.join("runs.csv"), table.as_bytes())?;
    }
    Ok(Exported { files, skipped })
}

/// The runs with their folders' names, all checked before anything is written.
fn named(results_dir: &Path, runs: Vec<RunView>) -> Result<Vec<(String, RunView)>> {
    let mut all = Vec::new();
    for run in runs {
        let name = place(results_dir, &run);
        if !name.split('/').all(is_plain_name) {
            return Err(Exit::Storage.error(format!(
                "{}: cannot export a folder of this name; rename it to letters, digits, `-`, `_` and `.`",
                run.folder.display()
            )));
        }
        all.push((name, run));
    }
    Ok(all)
}

/// Removes earlier event files of a run that has been started over since, which TensorBoard would show as one with `kept`.
fn remove_others(disk: &Disk, folder: &Path, kept: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        Exit::Storage.error(format!("{}: cannot list: {error}", folder.display()))
    })?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path != kept && tensorboard::is_event_file(&name) {
            disk.remove(&path)?;
        }
    }
    Ok(())
}
