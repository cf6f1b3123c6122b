//! What is going on with a run.

use std::fmt;
use std::path::Path;

use crate::record::Ending;
use crate::run::{Owner, RunView};

/// The state of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    Finished,
    Diverged,
    /// A process is working on it.
    Running,
    /// Started, but no process is working on it; the same command resumes it.
    Stopped,
    /// Started on this other host; whether it is running is unknown here.
    Elsewhere(String),
    /// Part of the experiment, but not started.
    Waiting,
}

impl Activity {
    /// What is going on with `run` in `results_dir`.
    pub fn of(results_dir: &Path, run: &RunView) -> Self {
        match run.ending {
            Ending::Finished => Activity::Finished,
            Ending::Diverged => Activity::Diverged,
            Ending::Partial => match run.owner(results_dir) {
                Owner::AtWork => Activity::Running,
                Owner::Nobody => Activity::Stopped,
                Owner::Elsewhere(host) => Activity::Elsewhere(host),
            },
        }
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        matches!(self, Activity::Finished | Activity::Diverged)
    }

    /// The name in JSON.
    pub fn key(&self) -> &'static str {
        match self {
            Activity::Finished => "finished",
            Activity::Diverged => "diverged",
            Activity::Running => "running",
            Activity::Stopped => "stopped",
            Activity::Elsewhere(_) => "elsewhere",
            Activity::Waiting => "waiting",
        }
    }

    /// The other host, if it is one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Activity::Elsewhere(host) => Some(host),
            _ => None,
        }
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` respects the column width.
        match self {
            Activity::Elsewhere(host) => f.pad(&format!("on {host}")),
            Activity::Diverged => f.pad("DIVERGED"),
            other => f.pad(other.key()),
        }
    }
}
