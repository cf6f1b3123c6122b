//! An allocator that counts, so that a file that asks for too much memory is noticed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What is allocated, the most since [`begin`], and what there was then.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static BEFORE: AtomicUsize = AtomicUsize::new(0);
/// The case under way, for a last message.
static CASE: AtomicU64 = AtomicU64::new(0);

/// Bytes that are refused at once, as a machine would that does not promise more than it has.
const REFUSED: usize = 4 << 30;

pub struct Counting;

fn grow(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    MOST.fetch_max(live, Relaxed);
}

fn shrink(bytes: usize) {
    LIVE.fetch_sub(bytes, Relaxed);
}

/// Whether so much is refused, which ends the program.
fn refused(bytes: usize) -> bool {
    if bytes < REFUSED {
        return false;
    }
    let case = CASE.load(Relaxed);
    let _ =
        std::io::stderr().write_fmt(format_args!("case {case} asks for {bytes} bytes at once\n"));
    true
}

// SAFETY: the system's allocator does the work; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refused(layout.size()) {
            return std::ptr::null_mut();
        }
        grow(layout.size());
        // SAFETY: the caller's layout, unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if refused(layout.size()) {
            return std::ptr::null_mut();
        }
        grow(layout.size());
        // SAFETY: the caller's layout, unchanged.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: what the system's allocator gave, with its layout.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if refused(size) {
            return std::ptr::null_mut();
        }
        grow(size);
        shrink(layout.size());
        // SAFETY: what the system's allocator gave, with its layout.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Begins to count for a case.
pub fn begin(case: u64) {
    CASE.store(case, Relaxed);
    let live = LIVE.load(Relaxed);
    BEFORE.store(live, Relaxed);
    MOST.store(live, Relaxed);
}

/// The most bytes at once since [`begin`].
pub fn most() -> usize {
    MOST.load(Relaxed).saturating_sub(BEFORE.load(Relaxed))
}
