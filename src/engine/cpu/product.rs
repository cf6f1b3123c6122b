//! Products of matrices of many channels: the innermost loops of pointwise convolutions and of minimal filtering of wide
//! layers. One factor's rows (pixels, or tiles) lie packed in groups of channels, the other's channels in blocks.
//!
//! A block of output channels is two vectors wide. Twelve rows of it (six with half the registers) stay in registers, so that
//! two loads and a broadcast a row feed twice as many multiply-adds, and what is read may come from the L2 cache.

use super::vector::{Vector, unroll, will_read, will_read_later, will_write};
use crate::processor::Instructions;

/// Channels that are adjacent in packed rows, `[group of channels][row][channel]`. Channels come in multiples of it.
pub(super) const LANE: usize = 16;

/// Most output channels of a block.
pub(super) const WIDEST: usize = 32;

/// Output channels of a block, in vectors.
const VECTORS: usize = 2;

/// Output channels of a block, in floats.
pub(super) const fn width<V: Vector>() -> usize {
    VECTORS * V::LANES
}

impl Instructions {
    /// Output channels of a block, in floats; [`width`] in kernels.
    pub(super) fn wide_block(self) -> usize {
        match self {
            Instructions::Avx512 => WIDEST,
            Instructions::Avx2 => 16,
            Instructions::Portable => 8,
        }
    }
}

/// Pixels that will be copied next, of which products prefetch some, so that copying does not wait for memory.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    /// The first of the channels.
    pub from: *const f32,
    /// The place of each pixel, relative to `from`.
    pub places: &'a [usize],
    /// Which of the pixels from a row on are prefetched with it, as start and end.
    pub share: (usize, usize),
}

impl Ahead<'_> {
    pub(super) const NONE: Ahead<'static> = Ahead {
        from: std::ptr::null(),
        places: &[],
        share: (0, 0),
    };

    /// Prefetches a cache line of each of the pixels of a row's share, as far as there are so many.
    #[inline(always)]
    fn prefetch(&self, row: usize, channel: usize) {
        let end = (row + self.share.1).min(self.places.len());
        for pixel in row + self.share.0..end {
            will_read_later(self.from.wrapping_add(self.places[pixel] + channel));
        }
    }
}

/// `c = a * b`, or `c += ...`, for one block of output channels.
pub(super) struct RowsByBlock<'a> {
    /// The rows' channels, `[group of channels][row][channel]`. There is room for the twelve rows after the last.
    pub a: *const f32,
    /// Floats between groups of channels.
    pub apart: usize,
    /// Channels that are summed over, a multiple of [`LANE`].
    pub depth: usize,
    /// `[channel][output channel of the block]`
    pub b: *const f32,
    /// What `places` are relative to.
    pub c: *mut f32,
    /// The place of each row's outputs.
    pub places: &'a [usize],
    /// Whether to add to what is there. A sum that is begun in one call and continued in another has the same bits as a sum
    /// in one call.
    pub accumulate: bool,
    /// Pixels with as many channels as are summed over.
    pub ahead: Ahead<'a>,
}

impl RowsByBlock<'_> {
    /// # Safety
    /// As for [`Vector`]; all pointers must be valid, and nobody else may access the outputs.
    #[inline(always)]
    pub(super) unsafe fn multiply<V: Vector>(&self) {
        let mut row = 0;
        while row < self.places.len() {
            let left = self.places.len() - row;
            // SAFETY: as above.
            unsafe {
                row += match (V::MANY_REGISTERS, left) {
                    (true, 9..) => self.rows::<V, 12>(row),
                    (true, 5..) => self.rows::<V, 8>(row),
                    (true, _) => self.rows::<V, 4>(row),
                    (false, 5..) => self.rows::<V, 6>(row),
                    (false, 3..) => self.rows::<V, 4>(row),
                    (false, _) => self.rows::<V, 2>(row),
                };
            }
        }
    }

    /// Up to `R` rows. Returns `R`.
    #[inline(always)]
    unsafe fn rows<V: Vector, const R: usize>(&self, row: usize) -> usize {
        let places = &self.places[row..];
        let count = places.len().min(R);
        unsafe {
            let mut sum = [V::splat(0.0); 32];
            unroll!(16: ROW in 0..R => {
                if ROW < count {
                    let to = self.c.wrapping_add(places[ROW]);
                    unroll!(2: VEC in 0..VECTORS => {
                        let to = to.wrapping_add(VEC * V::LANES);
                        if self.accumulate {
                            sum[ROW * VECTORS + VEC] = V::load(to);
                        } else {
                            will_write(to);
                        }
                    });
                }
            });
            let mut group = self.a.wrapping_add(row * LANE);
            let mut b = self.b;
            for channel in (0..self.depth).step_by(LANE) {
                self.ahead.prefetch(row, channel);
                // All rows leave the cache line of a group at once; the next ones may be as far away as the L3 cache.
                let next = group.wrapping_add(self.apart);
                unroll!(16: ROW in 0..R => { will_read(next.wrapping_add(ROW * LANE)); });
                let mut at = group;
                for _ in 0..LANE {
                    let mut w = [V::splat(0.0); VECTORS];
                    unroll!(2: VEC in 0..VECTORS => {
                        w[VEC] = V::load(b.wrapping_add(VEC * V::LANES));
                    });
                    unroll!(16: ROW in 0..R => {
                        let x = V::broadcast(at.wrapping_add(ROW * LANE));
                        unroll!(2: VEC in 0..VECTORS => {
                            sum[ROW * VECTORS + VEC] = x.mul_add(w[VEC], sum[ROW * VECTORS + VEC]);
                        });
                    });
                    at = at.wrapping_add(1);
                    b = b.wrapping_add(VECTORS * V::LANES);
                }
                group = next;
            }
            unroll!(16: ROW in 0..R => {
                if ROW < count {
                    let to = self.c.wrapping_add(places[ROW]);
                    unroll!(2: VEC in 0..VECTORS => {
                        sum[ROW * VECTORS + VEC].store(to.wrapping_add(VEC * V::LANES));
                    });
                }
            });
        }
        R
    }
}

/// Adds the products of one group of channels of `x`, `[row][channel]`, and a block of channels of `d`,
/// `[row][channel of the block]`, over `count` rows to `to`, `[channel of x][channel of the block]`, or writes them with
/// `fresh`. Meanwhile prefetches a cache line of each of the pixels that are named.
///
/// # Safety
/// As for [`Vector`]; all pointers must be valid, and nobody else may access the sums.
#[inline(always)]
pub(super) unsafe fn add_outer_products<V: Vector>(
    x: *const f32,
    d: *const f32,
    count: usize,
    to: *mut f32,
    fresh: bool,
    ahead: [Ahead<'_>; 2],
) {
    let mut channel = 0;
    while channel < LANE {
        let ahead = match channel {
            0 => ahead[0],
            8 => ahead[1],
            _ => Ahead::NONE,
        };
        let x = x.wrapping_add(channel);
        let to = to.wrapping_add(channel * width::<V>());
        // SAFETY: as above.
        unsafe {
            channel += if V::MANY_REGISTERS {
                outer_products::<V, 8>(x, d, count, to, fresh, ahead)
            } else {
                outer_products::<V, 4>(x, d, count, to, fresh, ahead)
            };
        }
    }
}

/// For `C` channels of `x`. Returns `C`.
#[inline(always)]
unsafe fn outer_products<V: Vector, const C: usize>(
    x: *const f32,
    d: *const f32,
    count: usize,
    to: *mut f32,
    fresh: bool,
    ahead: Ahead<'_>,
) -> usize {
    unsafe {
        let mut sum = [V::splat(0.0); 32];
        unroll!(16: PLACE in 0..C * VECTORS => { will_write(to.wrapping_add(PLACE * V::LANES)); });
        let (mut x, mut d) = (x, d);
        for row in 0..count {
            ahead.prefetch(row, 0);
            let mut w = [V::splat(0.0); VECTORS];
            unroll!(2: VEC in 0..VECTORS => {
                w[VEC] = V::load(d.wrapping_add(VEC * V::LANES));
            });
            unroll!(16: CHANNEL in 0..C => {
                let x = V::broadcast(x.wrapping_add(CHANNEL));
                unroll!(2: VEC in 0..VECTORS => {
                    sum[CHANNEL * VECTORS + VEC] = x.mul_add(w[VEC], sum[CHANNEL * VECTORS + VEC]);
                });
            });
            x = x.wrapping_add(LANE);
            d = d.wrapping_add(VECTORS * V::LANES);
        }
        unroll!(16: PLACE in 0..C * VECTORS => {
            let to = to.wrapping_add(PLACE * V::LANES);
            let mut value = sum[PLACE];
            if !fresh {
                value = value.add(V::load(to));
            }
            value.store(to);
        });
    }
    C
}
