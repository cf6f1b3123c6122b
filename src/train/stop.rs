//! The flag that requests a stop, and the signal that set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::again::again;
use crate::exit::Exit;

/// The signal that requested a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// The terminal went away (SIGHUP).
    HangUp,
}

impl Signal {
    /// The exit code of a program stopped by this signal.
    pub fn exit(self) -> Exit {
        match self {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
            Signal::HangUp => Exit::HungUp,
        }
    }

    /// The error that ends interrupted work, such as a download, before a run begins or without one.
    pub fn stopped(self) -> anyhow::Error {
        self.exit()
            .error("stopped; run the same command again to resume")
    }

    /// The error that ends interrupted work on a run, which has been started over by then if it is to be.
    pub fn stopped_run(self) -> anyhow::Error {
        self.exit().error(format!("stopped; {} to resume", again()))
    }
}

/// A flag that the loop checks before every mini-batch of every phase. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    signal: Arc<AtomicU8>,
    attended: Arc<AtomicBool>,
    supervised: Arc<AtomicBool>,
    urgent: Arc<AtomicBool>,
}

impl Stop {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests a stop. Only the first signal is remembered.
    pub fn request(&self, signal: Signal) {
        let code = match signal {
            Signal::Interrupt => 1,
            Signal::Terminate => 2,
            Signal::HangUp => 3,
        };
        // A failed exchange means that a stop was requested before.
        let _ = self
            .signal
            .compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Says whether work is under way that saves its state when a stop is requested, however long its steps are.
    pub fn attend(&self, attended: bool) {
        self.attended.store(attended, Ordering::Relaxed);
    }

    /// Whether such work is under way.
    pub fn is_attended(&self) -> bool {
        self.attended.load(Ordering::Relaxed)
    }

    /// Says whether the work is that of child processes, which have to be ended before this one ends.
    pub fn supervise(&self, supervised: bool) {
        self.supervised.store(supervised, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_supervised(&self) -> bool {
        self.supervised.load(Ordering::Relaxed)
    }

    /// Says that a stop was requested once more: whoever supervises child processes kills them.
    pub fn insist(&self) {
        self.urgent.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was requested once more.
    pub fn is_urgent(&self) -> bool {
        self.urgent.load(Ordering::Relaxed)
    }

    /// The signal that requested a stop, if any.
    pub fn requested(&self) -> Option<Signal> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Signal::Interrupt),
            2 => Some(Signal::Terminate),
            _ => Some(Signal::HangUp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_decides_the_exit_code() {
        let stop = Stop::new();
        assert_eq!(stop.requested(), None);
        stop.clone().request(Signal::Terminate);
        stop.request(Signal::Interrupt);
        assert_eq!(stop.requested().map(Signal::exit), Some(Exit::Terminated));
    }
}
