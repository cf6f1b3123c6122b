//! Which run goes when: joins train and run. `runs.rs` takes runs one after the other from their directories through
//! training and back, `cost.rs` and `probe.rs` estimate how long that takes, `progress.rs` shows how it goes, and
//! `signals.rs` listens to Ctrl-C and SIGTERM. `start.rs` makes the weights that a run starts from, `responses.rs` measures
//! the layer responses of finished runs.
mod cost;
mod observer;
mod probe;
mod progress;
mod responses;
mod runs;
mod signals;
mod start;

pub use cost::{Work, work};
pub use observer::{Ended, RunResult, RunsObserver, Start};
pub use probe::Probe;
pub use progress::{Progress, Style, duration};
pub use responses::measure_responses;
pub use runs::{Options, hyperparameters, run_all};
pub use signals::listen;
