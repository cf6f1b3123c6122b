//! Ctrl-C, SIGTERM and SIGHUP request a stop, and so does the end of the parent of a worker; a second Ctrl-C exits at once.
//! Whatever ends the program here first removes the files that it has begun.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::exit::Exit;
use crate::temporaries;
use crate::train::{Signal, Stop};

/// `timeout` and some shells signal both a process and its group for one Ctrl-C, so signals this close count as one.
const SAME_PRESS: Duration = Duration::from_millis(200);

/// Time that a command has to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// Makes SIGINT, SIGTERM and SIGHUP raise `stop`; SIGHUP stays ignored under `nohup`. A second SIGINT exits at once with
/// [`Exit::Interrupted`]; work since the last checkpoint is repeated on resume. Where `stop` is supervised, a second SIGINT or
/// SIGTERM makes it urgent instead.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn listen(stop: &Stop) -> anyhow::Result<()> {
    let mut heeded = vec![SIGINT, SIGTERM];
    if is_ignored(SIGHUP) != Some(true) {
        heeded.push(SIGHUP);
    }
    let mut signals =
        Signals::new(heeded).context("cannot install handlers for Ctrl-C and other signals")?;
    let stop = stop.clone();
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut pressed: Option<Instant> = None;
            let mut asked: Option<Instant> = None;
            for signal in signals.forever() {
                match signal {
                    SIGTERM => stop.request(Signal::Terminate),
                    SIGHUP => stop.request(Signal::HangUp),
                    _ => {}
                }
                end_unattended(&stop);
                match asked {
                    // A terminal that goes away may say so several times.
                    _ if signal == SIGHUP => {}
                    Some(first) if first.elapsed() >= SAME_PRESS => stop.insist(),
                    Some(_) => {}
                    None => asked = Some(Instant::now()),
                }
                if signal != SIGINT {
                    continue;
                }
                match pressed {
                    _ if stop.is_supervised() => {}
                    Some(first) if first.elapsed() >= SAME_PRESS => end(Exit::Interrupted),
                    Some(_) => {}
                    None => pressed = Some(Instant::now()),
                }
                stop.request(Signal::Interrupt);
            }
        })
        .context("cannot start the signal thread")?;
    Ok(())
}

/// Lets SIGINT, SIGTERM and SIGHUP end the program as they do by themselves, but without the files that it has begun. Those that
/// it was started to ignore stay ignored; where that is not known, all of them are left alone.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn end_tidily() -> anyhow::Result<()> {
    let heeded = [SIGHUP, SIGINT, SIGTERM];
    let heeded = heeded
        .into_iter()
        .filter(|&signal| is_ignored(signal) == Some(false));
    let mut signals =
        Signals::new(heeded).context("cannot install handlers for Ctrl-C and other signals")?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                temporaries::remove_all();
                // Returns only if it is unknown, which none of these is.
                let _ = emulate_default_handler(signal);
            }
        })
        .context("cannot start the signal thread")?;
    Ok(())
}

/// Makes the end of standard input raise `stop`, as SIGTERM does. The parent of a worker holds the other end, writes nothing to
/// it, and closes it when the worker is to stop. The system closes it when the parent dies, however that happens.
///
/// # Errors
/// If the thread cannot be started.
pub fn stop_with_parent(stop: &Stop) -> anyhow::Result<()> {
    let stop = stop.clone();
    thread::Builder::new()
        .name("parent".into())
        .spawn(move || {
            // An error is an end as well.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            stop.request(Signal::Terminate);
            end_unattended(&stop);
        })
        .context("cannot start the thread that watches the parent")?;
    Ok(())
}

/// Ends the program a moment later, unless work is under way that will heed the request: a read may be blocked for ever.
fn end_unattended(stop: &Stop) {
    let stop = stop.clone();
    // Without another thread, only a second Ctrl-C ends it.
    let _ = thread::Builder::new().name("grace".into()).spawn(move || {
        thread::sleep(GRACE);
        if let Some(signal) = stop.requested()
            && !stop.is_attended()
        {
            end(signal.exit());
        }
    });
}

fn end(exit: Exit) -> ! {
    temporaries::remove_all();
    std::process::exit(exit as i32)
}

/// Whether this process was started with a signal ignored, as `nohup` does with SIGHUP. Known on Linux only.
fn is_ignored(signal: i32) -> Option<bool> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask & (1 << (signal - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigterm_requests_a_stop() {
        let stop = Stop::new();
        // Otherwise the program, here all tests, would be ended.
        stop.attend(true);
        listen(&stop).unwrap();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        let started = Instant::now();
        while stop.requested().is_none() && started.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(stop.requested(), Some(Signal::Terminate));
    }
}
