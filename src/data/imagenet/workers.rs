//! Work on several threads, in units that any of them may take.

use std::any::Any;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::data::loader::panic_text;
use crate::exit::Exit;

/// How often `take` is called while no unit is done.
const TICK: Duration = Duration::from_millis(100);

/// As many threads as there are cores to run them.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Calls `work` for the units `0..units` on so many `threads`. `take` gets each result with its unit, in whatever order they are
/// done, and a few times a second nothing. The first error of either ends the work.
pub(super) fn each<T: Send>(
    threads: usize,
    units: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
    mut take: impl FnMut(Option<(usize, T)>) -> Result<()>,
) -> Result<()> {
    let threads = threads.max(1).min(units);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        // Bounded, so that results do not pile up.
        let (send, receive) = sync_channel(2 * threads);
        for _ in 0..threads {
            let send = send.clone();
            let (next, stop, work) = (&next, &stop, &work);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let unit = next.fetch_add(1, Ordering::Relaxed);
                    if unit >= units {
                        break;
                    }
                    // Otherwise a panic would be noticed only once all other units are done, and end the program.
                    let done = catch_unwind(AssertUnwindSafe(|| work(unit)));
                    let done = done.unwrap_or_else(|panic| Err(failed(panic.as_ref())));
                    if send.send((unit, done)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let ended = loop {
            let taken = match receive.recv_timeout(TICK) {
                Ok((unit, Ok(done))) => take(Some((unit, done))),
                Ok((_, Err(error))) => Err(error),
                Err(RecvTimeoutError::Timeout) => take(None),
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
            };
            if taken.is_err() {
                break taken;
            }
        };
        stop.store(true, Ordering::Relaxed);
        // Threads that wait to send end with this.
        drop(receive);
        ended
    })
}

fn failed(panic: &(dyn Any + Send)) -> anyhow::Error {
    Exit::Internal.error(format!(
        "a thread that reads images failed: {}; please report this",
        panic_text(panic)
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_unit_is_taken_once_and_an_error_ends_the_work() {
        let mut seen = vec![0; 100];
        each(
            4,
            100,
            |unit| Ok(unit * unit),
            |done| {
                if let Some((unit, square)) = done {
                    assert_eq!(square, unit * unit);
                    seen[unit] += 1;
                }
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen, vec![1; 100]);
        each(4, 0, |_| Ok(()), |_| Ok(())).unwrap();
        let failing = |unit| match unit {
            7 => anyhow::bail!("unit 7"),
            _ => Ok(()),
        };
        let error = each(4, 10_000, failing, |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "unit 7");
        let stopped = each(4, 10_000, |_| Ok(()), |_| anyhow::bail!("stop")).unwrap_err();
        assert_eq!(stopped.to_string(), "stop");
    }

    #[test]
    fn no_more_threads_work_than_are_asked_for() {
        let threads = Mutex::new(HashSet::new());
        for asked in [1, 2] {
            threads.lock().unwrap().clear();
            let work = |_| {
                threads.lock().unwrap().insert(thread::current().id());
                // Otherwise the first might be done before the next begins.
                thread::sleep(Duration::from_millis(1));
                Ok(())
            };
            each(asked, 200, work, |_| Ok(())).unwrap();
            let found = threads.lock().unwrap().len();
            assert!((1..=asked).contains(&found), "{found} of {asked}");
        }
        each(0, 3, |_| Ok(()), |_| Ok(())).unwrap();
    }

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        let panics = |unit| match unit {
            7 => panic!("pixel 7 is missing"),
            _ => Ok(()),
        };
        let error = each(4, 10_000, panics, |_| Ok(())).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Internal);
        assert!(error.to_string().contains("pixel 7 is missing"), "{error}");
    }
}
