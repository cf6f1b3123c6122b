//! Ctrl-C and SIGTERM ask for a stop; a second Ctrl-C does not wait for it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Exit;
use crate::train::{Signal, Stop};

/// `timeout` and some shells send one Ctrl-C to a process and to its group: what comes this soon is the same one.
const SAME_PRESS: Duration = Duration::from_millis(200);

/// From now on SIGINT and SIGTERM raise `stop` instead of ending the process. A second SIGINT ends it at once with
/// [`Exit::Interrupted`]; what was not kept by then is made again on resume.
///
/// # Errors
/// If the operating system refuses the handlers.
pub fn listen(stop: &Stop) -> anyhow::Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).context("cannot listen to Ctrl-C and SIGTERM")?;
    let stop = stop.clone();
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut pressed: Option<Instant> = None;
            for signal in signals.forever() {
                if signal == SIGTERM {
                    stop.request(Signal::Terminate);
                    continue;
                }
                match pressed {
                    Some(first) if first.elapsed() >= SAME_PRESS => {
                        std::process::exit(Exit::Interrupted as i32)
                    }
                    Some(_) => {}
                    None => pressed = Some(Instant::now()),
                }
                stop.request(Signal::Interrupt);
            }
        })
        .context("cannot start the thread that listens to signals")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sigterm_raises_the_flag_and_the_process_lives_on() {
        let stop = Stop::new();
        listen(&stop).unwrap();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        let started = Instant::now();
        while stop.requested().is_none() && started.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(stop.requested(), Some(Signal::Terminate));
    }
}
