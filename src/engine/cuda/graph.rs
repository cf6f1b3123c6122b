//! Launches that are noted while they are made, so that a GPU can make all of them again by one call of the driver: the graph
//! of a step. It is built from the launches themselves, one after the other, and not captured from a stream: what a step
//! does besides launching (allocating and freeing in the stream's order) is not part of it, and dfdx's device works on the
//! null stream, which cannot be captured.

use std::mem::MaybeUninit;

use super::arguments::Kernel;

/// A launch and its arguments, which are plain numbers and addresses.
pub struct Noted {
    pub kernel: &'static str,
    /// Of a block.
    pub threads: u32,
    pub grid: [u32; 3],
    /// Bytes of the arguments, which the host checks.
    #[cfg(test)]
    pub size: usize,
    arguments: Box<[MaybeUninit<u64>]>,
}

impl Noted {
    pub fn new<A: Copy>(kernel: Kernel<A>, grid: [usize; 3], arguments: &A) -> Self {
        let size = size_of::<A>();
        let mut copy = vec![MaybeUninit::<u64>::uninit(); size.div_ceil(size_of::<u64>())];
        // SAFETY: as many bytes as the argument has, which may hold padding and is therefore copied without being read.
        unsafe {
            std::ptr::copy_nonoverlapping(
                std::ptr::from_ref(arguments).cast::<MaybeUninit<u8>>(),
                copy.as_mut_ptr().cast(),
                size,
            );
        }
        Self {
            kernel: kernel.name,
            threads: kernel.threads,
            grid: grid.map(|side| side as u32),
            #[cfg(test)]
            size,
            arguments: copy.into(),
        }
    }

    /// Where the arguments lie, aligned for any of them.
    pub fn arguments(&self) -> *const MaybeUninit<u64> {
        self.arguments.as_ptr()
    }
}
