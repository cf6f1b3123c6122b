//! Bounds the memory of pictures that are decoded at the same time, in bytes: one of ImageNet's largest takes as much as a
//! hundred usual ones.

use std::sync::{Condvar, Mutex, PoisonError};

/// What all threads of this process share: about 230 pictures of 500x375 pixels, or 3 of 4000x3000.
pub(super) static DECODED: Budget = Budget::new(128 << 20);

/// Bytes that threads take and give back.
#[derive(Debug)]
pub(super) struct Budget {
    whole: usize,
    left: Mutex<usize>,
    given_back: Condvar,
}

/// Bytes that are given back when this is dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    of: &'a Budget,
    bytes: usize,
}

impl Budget {
    pub(super) const fn new(whole: usize) -> Self {
        Self {
            whole,
            left: Mutex::new(whole),
            given_back: Condvar::new(),
        }
    }

    /// Waits until so many bytes are left. More than there are at all are taken alone, and so is what nobody knows.
    pub(super) fn take(&self, bytes: Option<usize>) -> Share<'_> {
        let bytes = bytes.map_or(self.whole, |bytes| bytes.min(self.whole));
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        while *left < bytes {
            left = self
                .given_back
                .wait(left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *left -= bytes;
        Share { of: self, bytes }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.of.left.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.of.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn no_more_than_the_whole_is_out_and_nobody_waits_for_ever() {
        let budget = Budget::new(100);
        let out = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..8 {
                let (budget, out) = (&budget, &out);
                scope.spawn(move || {
                    for turn in 0..200 {
                        let bytes = match (thread + turn) % 9 {
                            0 => Some(1000),
                            1 => None,
                            more => Some(7 * more),
                        };
                        let share = budget.take(bytes);
                        let now = out.fetch_add(share.bytes, Ordering::SeqCst) + share.bytes;
                        assert!(now <= 100, "{now}");
                        out.fetch_sub(share.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*budget.left.lock().unwrap(), 100);
    }
}
