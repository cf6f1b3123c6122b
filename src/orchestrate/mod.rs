//! Which run goes when: joins train and run. `runs.rs` takes runs one after the other from their directories through
//! training and back, `cost.rs` and `probe.rs` estimate how long that takes, `progress.rs` shows how it goes, and
//! `signals.rs` listens to Ctrl-C and SIGTERM.
mod cost;
mod observer;
mod progress;
mod signals;

pub use cost::{Work, work};
pub use observer::{Ended, RunResult, RunsObserver, Start};
pub use progress::{Progress, Style, duration};
pub use signals::listen;
