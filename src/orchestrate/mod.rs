//! Trains the runs of an experiment.
//!
//! - `schedule.rs`: what is left of the runs and its cost, as counted by `cost.rs` and timed by `probe.rs`, and of pictures by
//!   `loading.rs`
//! - `runs.rs`: trains runs one by one, resuming from and recording to their directories; `start.rs`: initial weights
//! - `observer.rs`: the trait that sees progress; `progress.rs`: shows it
//! - `plan_file.rs`: a plan as a file, for workers; `jobs/`: a worker for each run, several at a time; `event.rs` and
//!   `json_lines.rs`: what a worker says of its run
//! - `signals.rs`: handles Ctrl-C and SIGTERM
//! - `launch/`: submits the runs to a cluster
//! - `views.rs`: the final test with several views of each picture; `tallies.rs`: how far it has come
//! - `responses.rs`: measures layer responses of finished runs; `evaluate.rs`: evaluates weights as their run was
mod cost;
mod evaluate;
pub mod event;
pub mod jobs;
mod json_lines;
pub mod launch;
mod loading;
mod observer;
pub mod plan_file;
mod probe;
mod progress;
mod responses;
mod runs;
mod schedule;
mod signals;
mod start;
mod tallies;
mod views;

pub use cost::{PictureWork, Work, picture_work, work};
pub use evaluate::{Subject, evaluate};
pub use json_lines::JsonLines;
pub use loading::Loading;
pub use observer::{RunsObserver, Start};
pub use probe::{Computation, Probe};
pub use progress::{Progress, Style};
pub use responses::measure_responses;
pub use runs::{Options, RunResult, run_all};
pub use schedule::{Left, Schedule, Scheduled};
pub use signals::{end_tidily, listen, stop_with_parent};
