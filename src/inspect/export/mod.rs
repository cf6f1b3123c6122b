//! Exports runs: `csv.rs` as tables, `tensorboard.rs` as TensorBoard event files. The same records give the same bytes.

mod csv;
mod tensorboard;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::run::RunView;
use crate::run::disk::Disk;

/// An export format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `runs.csv`, and `iterations.csv` and `evaluations.csv` per run.
    Csv,
    /// An event file per run, for `tensorboard --logdir DIR`.
    Tensorboard,
}

/// Writes the runs to `out`, in folders named as in the results. Returns the files written.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] if records cannot be read or `out` cannot be written.
pub fn write(kind: Kind, runs: Vec<RunView>, out: &Path) -> Result<Vec<PathBuf>> {
    let disk = Disk::default();
    let mut files = Vec::new();
    let mut put = |path: PathBuf, bytes: &[u8]| -> Result<()> {
        disk.create_dir(path.parent().unwrap_or(out))?;
        disk.replace(&path, bytes)?;
        files.push(path);
        Ok(())
    };
    let mut table = csv::RUNS.to_owned();
    for run in runs {
        let folder = out.join(run.plan().folder());
        let (run, rows) = run.read()?;
        let (iterations, evaluations) = (&rows.iterations, &rows.evaluations);
        match kind {
            Kind::Csv => {
                table.push_str(&csv::run(&run, iterations, evaluations));
                let rows = csv::iterations(iterations);
                put(folder.join("iterations.csv"), rows.as_bytes())?;
                let rows = csv::evaluations(evaluations);
                put(folder.join("evaluations.csv"), rows.as_bytes())?;
            }
            Kind::Tensorboard => {
                let begun = tensorboard::seconds(&run.file.start.time);
                let bytes = tensorboard::events(begun, iterations, evaluations);
                put(folder.join(tensorboard::file_name(begun)), &bytes)?;
            }
        }
    }
    if kind == Kind::Csv {
        put(out.join("runs.csv"), table.as_bytes())?;
    }
    Ok(files)
}
