//! A thread's working memory.

use std::cell::RefCell;

use super::aligned::AlignedFloats;

thread_local! {
    /// Copies and products of a task. It belongs to the thread, so that it stays in the cache from task to task.
    static NEAR: RefCell<AlignedFloats> = RefCell::new(AlignedFloats::zeros(0));
}

/// Calls `body` with `len` floats of this thread's working memory, with unspecified contents.
pub(super) fn with_near(len: usize, body: impl FnOnce(&mut [f32])) {
    NEAR.with_borrow_mut(|near| {
        if near.len() < len {
            *near = AlignedFloats::zeros(len);
        }
        body(&mut near[..len]);
    });
}
