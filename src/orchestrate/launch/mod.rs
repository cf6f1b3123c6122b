//! Launches the runs of a frozen plan on a cluster.
//!
//! - `submit.rs` submits what is neither complete nor queued, in the pieces that `arrays.rs` makes
//! - `launcher.rs`: the queues there are; `slurm.rs` with the batch scripts of `script.rs`, `hyperqueue.rs`
//! - `record.rs`: what was submitted, beside the plan; `in_queue.rs`: what of it is queued or running
//! - `site.rs`: the site file, with what a cluster wants to know; `site_kinds.rs` checks the kinds of its values, `site_check.rs`
//!   the values
//! - `quote.rs`, `words.rs`: text and paths on their way into a script; `task_ids.rs`: tasks of an array

mod arrays;
mod hyperqueue;
mod in_queue;
mod launcher;
mod quote;
mod record;
mod script;
mod site;
mod site_check;
mod site_kinds;
mod slurm;
mod submit;
mod task_ids;
mod words;

use std::path::PathBuf;

pub use arrays::arrays;
pub use hyperqueue::arguments;
pub use in_queue::{InQueue, glance};
pub use launcher::{Launcher, Queued, Submission, Work};
pub use quote::{directive, quote, quote_all};
pub use record::{Job, Launches, Record, launch_folder, plan_in};
pub use script::script;
pub use site::{Gpus, Setting, Site};
pub use slurm::parse as parse_squeue;
pub use submit::{Outcome, prefix, preview, submit};
pub use task_ids::TaskIds;
pub use words::path as path_word;

/// How the runs of a plan are made on a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    pub site: Site,
    /// The folder of plan, record, scripts and logs.
    pub folder: PathBuf,
    /// The worker's command, without the number of the run.
    pub worker: Vec<String>,
    /// The command that draws and checks.
    pub report: Vec<String>,
    /// Whether the runs need a GPU.
    pub on_gpu: bool,
    /// Threads of a worker, which are the CPUs of its task.
    pub threads: usize,
    /// Variables of a worker that say where data is.
    pub environment: Vec<(&'static str, String)>,
}
