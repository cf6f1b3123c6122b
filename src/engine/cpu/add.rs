//! Elementwise addition.

use super::context::Context;
use super::shared_slice::SharedSlice;

/// `sum += value`, elementwise.
pub fn add_into(ctx: &Context, value: &[f32], sum: &mut [f32]) {
    assert_eq!(value.len(), sum.len());
    const PIECE: usize = 1 << 14;
    let len = sum.len();
    let sum = SharedSlice::new(sum);
    ctx.pass(len.div_ceil(PIECE), &|task| {
        let from = task * PIECE;
        let count = PIECE.min(len - from);
        // SAFETY: each task has a different piece.
        let sum = unsafe { sum.slice(from, count) };
        for (sum, value) in sum.iter_mut().zip(&value[from..from + count]) {
            *sum += value;
        }
    });
}
