//! Runs in the formats of other programs: `csv.rs` tables, `tensorboard.rs` TensorBoard's event files. Functions of the
//! records alone: the same records give the same bytes.

mod csv;
mod tensorboard;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::run::RunView;
use crate::run::disk::Disk;

/// A format of other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `runs.csv`, and `iterations.csv` and `evaluations.csv` for each run.
    Csv,
    /// An event file for each run: `tensorboard --logdir DIR` shows them.
    Tensorboard,
}

/// Writes the runs below `out`, each in a folder named as in the results. Gives the files that were written.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] where records cannot be read or `out` cannot be written.
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
