//! Which run goes when: joins train and run. `runs.rs` takes runs one after the other from their directories through
//! training and back, `cost.rs` and `probe.rs` estimate how long that takes, `progress.rs` shows how it goes, and
//! `signals.rs` listens to Ctrl-C and SIGTERM.
mod cost;
mod observer;
mod probe;
mod progress;
mod runs;
mod signals;

pub use cost::{Work, work};
pub use observer::{Ended, RunResult, RunsObserver, Start};
pub use probe::Probe;
pub use progress::{Progress, Style, duration};
pub use runs::{Options, hyperparameters, run_all};
pub use signals::listen;
