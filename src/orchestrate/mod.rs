//! Which run goes when: joins train and run.
//!
//! - `schedule.rs` is what is left of an experiment's runs and what it costs, as `cost.rs` counts and `probe.rs` measures
//! - `runs.rs` takes one run after the other from its directory through training and back, `start.rs` makes the weights
//!   that a run starts from
//! - `observer.rs` is told how it goes, `progress.rs` shows it, `signals.rs` listens to Ctrl-C and SIGTERM
//! - `responses.rs` measures the layer responses of finished runs
mod cost;
mod observer;
mod probe;
mod progress;
mod responses;
mod runs;
mod schedule;
mod signals;
mod start;

pub use cost::{Work, work};
pub use observer::{RunsObserver, Start};
pub use probe::Probe;
pub use progress::{Progress, Style};
pub use responses::measure_responses;
pub use runs::{Options, RunResult, run_all};
pub use schedule::{Left, Schedule, Scheduled};
pub use signals::listen;
