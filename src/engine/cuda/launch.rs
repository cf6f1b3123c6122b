//! Launches, recorded while they are made so that the driver can repeat all of them in one call, as a graph.
//!
//! The graph is built from the launches rather than captured from a stream: a step also allocates and frees memory in
//! stream order, which does not belong in the graph, and dfdx's device works on the null stream, which cannot be captured.

use std::mem::MaybeUninit;

use super::kernel::Kernel;

/// A launch with its arguments, which are plain numbers and addresses.
pub struct Launch {
    pub kernel: &'static str,
    /// Per block.
    pub threads: u32,
    pub grid: [u32; 3],
    /// Size of the arguments in bytes, which the host checks.
    #[cfg(test)]
    pub size: usize,
    arguments: Box<[MaybeUninit<u64>]>,
    /// Off the main line: it follows the launches before it, but what comes after it does not follow it until a join.
    pub aside: bool,
    /// Whether it also follows the launches aside.
    pub joins: bool,
}

/// Launches since a recording began.
pub struct Recording {
    /// How often a slot had been reallocated before.
    pub reallocations: usize,
    launches: Vec<Launch>,
    aside: bool,
    joins: bool,
}

impl Recording {
    pub fn new(reallocations: usize) -> Self {
        Self {
            reallocations,
            launches: Vec::new(),
            aside: false,
            joins: false,
        }
    }

    pub fn push(&mut self, launch: Launch) {
        self.launches.push(Launch {
            aside: self.aside,
            joins: std::mem::take(&mut self.joins),
            ..launch
        });
    }

    /// Whether the next launches are aside.
    pub fn set_aside(&mut self, aside: bool) {
        self.aside = aside;
    }

    /// The next launch follows those aside too.
    pub fn join(&mut self) {
        self.joins = true;
    }

    pub fn into_launches(self) -> Vec<Launch> {
        self.launches
    }
}

impl Launch {
    pub fn new<A: Copy>(kernel: Kernel<A>, grid: [usize; 3], arguments: &A) -> Self {
        let size = size_of::<A>();
        let mut copy = vec![MaybeUninit::<u64>::uninit(); size.div_ceil(size_of::<u64>())];
        // SAFETY: both have `size` bytes. They may contain padding and are therefore copied as `MaybeUninit`.
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
            aside: false,
            joins: false,
        }
    }

    /// The address of the arguments, aligned for any type of theirs.
    pub fn arguments(&self) -> *const MaybeUninit<u64> {
        self.arguments.as_ptr()
    }
}
