use super::super::{Context, Instructions, add_into};
use super::noise;

#[test]
fn sums_are_added_in_pieces() {
    let ctx = Context::new(3, Instructions::Portable);
    let (value, before) = (noise(40_000, 1), noise(40_000, 2));
    let mut sum = before.clone();
    add_into(&ctx, &value, &mut sum);
    assert!((0..40_000).all(|i| sum[i] == before[i] + value[i]));
}
