//! The folders of a project: those named by flags, else those here, else those of the project around this folder.

use std::path::{Path, PathBuf};

use clap::Args;

/// Where the flags of every command are in its help: after its own, which would be mixed with them otherwise.
const LAST: usize = 900;

/// Folders of experiments, runs and reports, and how much to print.
#[derive(Clone, Debug, Args)]
pub struct PlacesArgs {
    /// Folder of experiment manifests. Default: `experiments`, here or in the nearest folder above with manifests.
    #[arg(long, global = true, value_name = "DIR", display_order = LAST)]
    pub experiments_dir: Option<PathBuf>,
    /// Folder of recorded runs. Default: `results`, here or beside `experiments`.
    #[arg(long, global = true, value_name = "DIR", display_order = LAST + 1)]
    pub results_dir: Option<PathBuf>,
    /// Folder of figures and verdicts. Default: `reports`, here or beside `experiments`.
    #[arg(long, global = true, value_name = "DIR", display_order = LAST + 2)]
    pub reports_dir: Option<PathBuf>,
    /// Print only errors and the result: no progress, notes or confirmations.
    #[arg(short, long, global = true, display_order = LAST + 3)]
    pub quiet: bool,
}

/// The folders to use, and how much to print.
#[derive(Clone, Debug)]
pub struct Places {
    pub experiments_dir: PathBuf,
    pub results_dir: PathBuf,
    pub reports_dir: PathBuf,
    pub quiet: bool,
    /// The project above the working folder, if there is none here.
    pub above: Option<PathBuf>,
}

impl PlacesArgs {
    /// The folders, as seen from the working folder `here`.
    pub fn resolve(&self, here: &Path) -> Places {
        let elsewhere = self.experiments_dir.is_some() || here.join("experiments").is_dir();
        // Relative, to keep local paths out of reports.
        let above: Option<PathBuf> = (!elsewhere)
            .then(|| steps_to_project(here))
            .flatten()
            .filter(|&steps| steps > 0)
            .map(|steps| (0..steps).map(|_| "..").collect());
        let root = above.as_deref().unwrap_or(Path::new(""));
        let folder =
            |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| root.join(name));
        Places {
            experiments_dir: folder(&self.experiments_dir, "experiments"),
            results_dir: folder(&self.results_dir, "results"),
            reports_dir: folder(&self.reports_dir, "reports"),
            quiet: self.quiet,
            above,
        }
    }
}

/// How many folders up the nearest folder with manifests in `experiments` is. Does not leave the repository or the home
/// folder.
fn steps_to_project(here: &Path) -> Option<usize> {
    let home = std::env::home_dir();
    for (steps, folder) in here.ancestors().enumerate() {
        if has_manifests(&folder.join("experiments")) {
            return Some(steps);
        }
        if folder.join(".git").exists() || home.as_deref() == Some(folder) {
            return None;
        }
    }
    None
}

fn has_manifests(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.path().extension().is_some_and(|e| e == "toml"))
        })
    })
}
