//! The flag that asks training to stop, and which signal asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::exit::Exit;

/// What asked training to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// The code with which a program that heeded this signal exits.
    pub fn exit(self) -> Exit {
        match self {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        }
    }
}

/// A flag shared between whoever asks for a stop and the loop, which looks at it before every mini-batch of every phase.
/// Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// A flag that nobody has raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a stop. The first signal is the one that is remembered.
    pub fn request(&self, signal: Signal) {
        let code = match signal {
            Signal::Interrupt => 1,
            Signal::Terminate => 2,
        };
        // A failed exchange means that a stop was asked for before.
        let _ = self
            .0
            .compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Which signal asked for a stop, if any did.
    pub fn requested(&self) -> Option<Signal> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Signal::Interrupt),
            _ => Some(Signal::Terminate),
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
