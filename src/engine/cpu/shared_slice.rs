//! Writing to one slice from several tasks.

use std::marker::PhantomData;

/// A mutable slice of which several tasks write disjoint parts.
#[derive(Clone, Copy)]
pub(super) struct SharedSlice<'a, T = f32> {
    start: *mut T,
    len: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `slice` and `pointer`, whose callers promise disjoint parts.
unsafe impl<T: Send> Send for SharedSlice<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedSlice<'_, T> {}

impl<'a, T> SharedSlice<'a, T> {
    pub(super) fn new(data: &'a mut [T]) -> SharedSlice<'a, T> {
        SharedSlice {
            start: data.as_mut_ptr(),
            len: data.len(),
            borrow: PhantomData,
        }
    }

    /// A part of the slice.
    ///
    /// # Safety
    /// No other reference to these elements may be alive.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn slice(&self, from: usize, len: usize) -> &'a mut [T] {
        assert!(from + len <= self.len);
        // SAFETY: within the slice, and exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }

    /// The address of an element. Callers must not use it to access what another task writes.
    pub(super) fn pointer(&self, at: usize) -> *mut T {
        assert!(at <= self.len);
        // SAFETY: within the slice or one past its end.
        unsafe { self.start.add(at) }
    }
}
