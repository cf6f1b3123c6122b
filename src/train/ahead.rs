//! Prepares a batch of an evaluation while the engine works on the one before.

use std::slice::Chunks;
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::Result;

use super::data::StatisticsAt;
use crate::data::Batch;
use crate::exit::Exit;

/// Gives `body` a function whose calls return the batches of `chunks` in their order. Another thread makes them, each when the
/// one before was taken.
///
/// # Errors
/// That of `body`, to which those of `make` are passed; [`Exit::Internal`] if `make` panics.
pub(super) fn ahead<R>(
    chunks: Chunks<'_, u32>,
    make: &StatisticsAt<'_>,
    body: impl FnOnce(&mut dyn FnMut() -> Result<Batch>) -> Result<R>,
) -> Result<R> {
    thread::scope(|scope| {
        // Without room, so that no more than one waits.
        let (send, receive) = sync_channel(0);
        let maker = scope.spawn(move || {
            for chunk in chunks {
                if send.send(make(chunk)).is_err() {
                    // No more are wanted.
                    break;
                }
            }
        });
        let ended = body(&mut || {
            receive.recv().unwrap_or_else(|_| {
                Err(Exit::Internal
                    .error("a thread that prepares images failed; please report this"))
            })
        });
        // The thread may wait to send.
        drop(receive);
        // Its panic was an error above, if it mattered.
        maker.join().ok();
        ended
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    fn batch(chunk: &[u32]) -> Batch {
        Batch {
            labels: chunk.iter().map(|&index| index as u16).collect(),
            ..Batch::default()
        }
    }

    #[test]
    fn batches_come_in_order_and_one_is_made_ahead() {
        let indices: Vec<u32> = (0..10).collect();
        let made = AtomicUsize::new(0);
        let make = |chunk: &[u32]| -> Result<Batch> {
            made.fetch_add(1, Ordering::SeqCst);
            Ok(batch(chunk))
        };
        let count = ahead(indices.chunks(3), &make, |next| {
            let mut taken = 0;
            for chunk in indices.chunks(3) {
                assert_eq!(next()?, batch(chunk));
                taken += 1;
                let begun = Instant::now();
                while made.load(Ordering::SeqCst) < (taken + 1).min(4) {
                    assert!(begun.elapsed() < Duration::from_secs(60), "none is made");
                    thread::yield_now();
                }
                assert!(made.load(Ordering::SeqCst) <= taken + 1);
            }
            Ok(taken)
        });
        assert_eq!(count.unwrap(), 4);
    }

    #[test]
    fn errors_and_panics_end_it_and_so_does_one_who_wants_no_more() {
        let indices: Vec<u32> = (0..10).collect();
        let make = |chunk: &[u32]| match chunk[0] {
            4 => anyhow::bail!("image 4 is missing"),
            6 => panic!("image 6 makes no sense"),
            _ => Ok(batch(chunk)),
        };
        let all = |from: usize| {
            let chunks = indices[from..].chunks(2);
            ahead(chunks.clone(), &make, |next| {
                for _ in chunks {
                    next()?;
                }
                Ok(())
            })
        };
        assert_eq!(all(0).unwrap_err().to_string(), "image 4 is missing");
        assert_eq!(Exit::of(&all(6).unwrap_err()), Exit::Internal);
        all(8).unwrap();
        let first = ahead(indices.chunks(2), &make, |next| next());
        assert_eq!(first.unwrap(), batch(&[0, 1]));
    }
}
