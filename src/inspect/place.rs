//! Names for runs on disk.

use std::path::Path;

use crate::recipe::TrainingSplit;
use crate::run::RunView;

/// The run's folder below `results_dir`, such as `quick/plain-20-s1-e298d1de`: where it was found, whatever its `run.toml`
/// says.
pub fn place(results_dir: &Path, run: &RunView) -> String {
    let below = run.folder.strip_prefix(results_dir).unwrap_or(&run.folder);
    let names: Vec<_> = below.iter().map(|name| name.to_string_lossy()).collect();
    match (names.is_empty(), run.folder.file_name()) {
        (false, _) => names.join("/"),
        (true, Some(name)) => name.to_string_lossy().into_owned(),
        (true, None) => run.plan().name(),
    }
}

/// Whether the run is evaluated on training images held out of training (the 45k/5k split) instead of the test set.
pub fn is_held_out(run: &RunView) -> bool {
    run.plan().recipe.split == TrainingSplit::HoldOut
}
