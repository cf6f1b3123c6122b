//! The transforms of F(4x4, 3x3) at the points 0, ±√½, ±√2 and ∞, whose matrices have smaller entries than those at the usual
//! 0, ±1, ±2 and ∞, and therefore smaller rounding errors.
//!
//! With patch `d`, kernel `g` and gradient `y` of a tile: outputs `A^T ((G g G^T) . (B^T d B)) A`, gradient of the kernel
//! `G^T ((A y A^T) . (B^T d B)) G`.

use super::super::super::vector::{Vector, unroll};
use super::PLACES;
use super::tiles::{PATCH, SIDE};

/// √½.
const INNER: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// √2.
const OUTER: f32 = std::f32::consts::SQRT_2;

/// `B^T d` along six values.
#[inline(always)]
unsafe fn patch<V: Vector>(d: [V; 6]) -> [V; 6] {
    unsafe {
        let inner_even = d[2].mul_add(V::splat(-2.0), d[4]);
        let inner_odd = d[1].mul_add(V::splat(-2.0), d[3]);
        let outer_even = d[2].mul_add(V::splat(-0.5), d[4]);
        let outer_odd = d[1].mul_add(V::splat(-0.5), d[3]);
        [
            d[2].mul_add(V::splat(-2.5), d[0].add(d[4])),
            inner_odd.mul_add(V::splat(INNER), inner_even),
            inner_odd.mul_add(V::splat(-INNER), inner_even),
            outer_odd.mul_add(V::splat(OUTER), outer_even),
            outer_odd.mul_add(V::splat(-OUTER), outer_even),
            d[3].mul_add(V::splat(-2.5), d[1].add(d[5])),
        ]
    }
}

/// `A^T m` along six values.
#[inline(always)]
unsafe fn outputs<V: Vector>(m: [V; 6]) -> [V; 4] {
    unsafe {
        let (inner_sum, inner) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (outer_sum, outer) = (m[3].add(m[4]), m[3].sub(m[4]));
        let scaled = |value: V, factor: f32, addend: V| value.mul_add(V::splat(factor), addend);
        let nothing = V::splat(0.0);
        [
            m[0].add(inner_sum).add(outer_sum),
            scaled(inner, INNER, scaled(outer, OUTER, nothing)),
            scaled(inner_sum, 0.5, outer_sum.add(outer_sum)),
            scaled(inner, 0.5 * INNER, scaled(outer, 2.0 * OUTER, m[5])),
        ]
    }
}

/// `A y` along four values.
#[inline(always)]
unsafe fn spread_gradient<V: Vector>(y: [V; 4]) -> [V; 6] {
    unsafe {
        let scaled = |value: V, factor: f32, addend: V| value.mul_add(V::splat(factor), addend);
        let nothing = V::splat(0.0);
        let inner_even = scaled(y[2], 0.5, y[0]);
        let inner_odd = scaled(y[3], 0.5 * INNER, scaled(y[1], INNER, nothing));
        let outer_even = scaled(y[2], 2.0, y[0]);
        let outer_odd = scaled(y[3], 2.0 * OUTER, scaled(y[1], OUTER, nothing));
        [
            y[0],
            inner_even.add(inner_odd),
            inner_even.sub(inner_odd),
            outer_even.add(outer_odd),
            outer_even.sub(outer_odd),
            y[3],
        ]
    }
}

/// `G g` along three values.
#[inline(always)]
unsafe fn spread_kernel<V: Vector>(g: [V; 3]) -> [V; 6] {
    unsafe {
        let scaled = |value: V, factor: f32, addend: V| value.mul_add(V::splat(factor), addend);
        let nothing = V::splat(0.0);
        let inner_even = scaled(g[0], -2.0 / 3.0, scaled(g[2], -1.0 / 3.0, nothing));
        let inner_odd = scaled(g[1], -OUTER / 3.0, nothing);
        let outer_even = scaled(g[0], 1.0 / 6.0, scaled(g[2], 1.0 / 3.0, nothing));
        let outer_odd = scaled(g[1], OUTER / 6.0, nothing);
        [
            g[0],
            inner_even.add(inner_odd),
            inner_even.sub(inner_odd),
            outer_even.add(outer_odd),
            outer_even.sub(outer_odd),
            g[2],
        ]
    }
}

/// `G^T s` along six values.
#[inline(always)]
unsafe fn contract<V: Vector>(s: [V; 6]) -> [V; 3] {
    unsafe {
        let (inner_sum, inner) = (s[1].add(s[2]), s[1].sub(s[2]));
        let (outer_sum, outer) = (s[3].add(s[4]), s[3].sub(s[4]));
        let scaled = |value: V, factor: f32, addend: V| value.mul_add(V::splat(factor), addend);
        let nothing = V::splat(0.0);
        [
            scaled(inner_sum, -2.0 / 3.0, scaled(outer_sum, 1.0 / 6.0, s[0])),
            scaled(inner, -OUTER / 3.0, scaled(outer, OUTER / 6.0, nothing)),
            scaled(inner_sum, -1.0 / 3.0, scaled(outer_sum, 1.0 / 3.0, s[5])),
        ]
    }
}

/// `B^T d B` for one vector of channels. `rows` and `columns` say where the patch's pixels are; results are `apart` floats
/// from each other.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
pub(super) unsafe fn transform_patch<V: Vector>(
    x: *const f32,
    rows: [usize; PATCH],
    columns: [usize; PATCH],
    to: *mut f32,
    apart: usize,
) {
    unsafe {
        let mut across = [[V::splat(0.0); PATCH]; PATCH];
        unroll!(16: ROW in 0..PATCH => {
            let x = x.wrapping_add(rows[ROW]);
            let mut d = [V::splat(0.0); PATCH];
            unroll!(16: COLUMN in 0..PATCH => {
                d[COLUMN] = V::load(x.wrapping_add(columns[COLUMN]));
            });
            across[ROW] = patch(d);
        });
        unroll!(16: COLUMN in 0..PATCH => {
            let down = patch([
                across[0][COLUMN],
                across[1][COLUMN],
                across[2][COLUMN],
                across[3][COLUMN],
                across[4][COLUMN],
                across[5][COLUMN],
            ]);
            unroll!(16: ROW in 0..PATCH => {
                down[ROW].store(to.wrapping_add((ROW * PATCH + COLUMN) * apart));
            });
        });
    }
}

/// `A y A^T` for one vector of channels of a tile.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
pub(super) unsafe fn transform_gradient<V: Vector>(
    y: [[V; SIDE]; SIDE],
    to: *mut f32,
    apart: usize,
) {
    unsafe {
        let mut across = [[V::splat(0.0); PATCH]; SIDE];
        unroll!(4: ROW in 0..4 => { across[ROW] = spread_gradient(y[ROW]); });
        unroll!(16: COLUMN in 0..PATCH => {
            let down = spread_gradient([
                across[0][COLUMN],
                across[1][COLUMN],
                across[2][COLUMN],
                across[3][COLUMN],
            ]);
            unroll!(16: ROW in 0..PATCH => {
                down[ROW].store(to.wrapping_add((ROW * PATCH + COLUMN) * apart));
            });
        });
    }
}

/// `A^T m A` for one vector of channels, whose products are `apart` floats from each other.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
pub(super) unsafe fn transform_products<V: Vector>(
    products: *const f32,
    apart: usize,
) -> [[V; SIDE]; SIDE] {
    unsafe {
        let mut across = [[V::splat(0.0); SIDE]; PATCH];
        unroll!(16: ROW in 0..PATCH => {
            let mut m = [V::splat(0.0); PATCH];
            unroll!(16: COLUMN in 0..PATCH => {
                m[COLUMN] = V::load(products.wrapping_add((ROW * PATCH + COLUMN) * apart));
            });
            across[ROW] = outputs(m);
        });
        let mut y = [[V::splat(0.0); SIDE]; SIDE];
        unroll!(4: COLUMN in 0..4 => {
            let down = outputs([
                across[0][COLUMN],
                across[1][COLUMN],
                across[2][COLUMN],
                across[3][COLUMN],
                across[4][COLUMN],
                across[5][COLUMN],
            ]);
            unroll!(4: ROW in 0..4 => { y[ROW][COLUMN] = down[ROW]; });
        });
        y
    }
}

/// `G g G^T` for one vector of output channels; `g` is row by row.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
pub(super) unsafe fn transform_kernel<V: Vector>(g: [V; 9], to: *mut f32, apart: usize) {
    unsafe {
        let across = [
            spread_kernel([g[0], g[1], g[2]]),
            spread_kernel([g[3], g[4], g[5]]),
            spread_kernel([g[6], g[7], g[8]]),
        ];
        unroll!(16: COLUMN in 0..PATCH => {
            let down = spread_kernel([across[0][COLUMN], across[1][COLUMN], across[2][COLUMN]]);
            unroll!(16: ROW in 0..PATCH => {
                down[ROW].store(to.wrapping_add((ROW * PATCH + COLUMN) * apart));
            });
        });
    }
}

/// `G^T s G` for one vector of output channels, whose sums are `apart` floats from each other; row by row.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
pub(super) unsafe fn transform_sums<V: Vector>(sums: *const f32, apart: usize) -> [V; 9] {
    unsafe {
        let mut across = [[V::splat(0.0); 3]; PATCH];
        unroll!(16: ROW in 0..PATCH => {
            let mut s = [V::splat(0.0); PATCH];
            unroll!(16: COLUMN in 0..PATCH => {
                s[COLUMN] = V::load(sums.wrapping_add((ROW * PATCH + COLUMN) * apart));
            });
            across[ROW] = contract(s);
        });
        let mut g = [V::splat(0.0); 9];
        unroll!(3: COLUMN in 0..3 => {
            let down = contract([
                across[0][COLUMN],
                across[1][COLUMN],
                across[2][COLUMN],
                across[3][COLUMN],
                across[4][COLUMN],
                across[5][COLUMN],
            ]);
            unroll!(3: ROW in 0..3 => { g[ROW * 3 + COLUMN] = down[ROW]; });
        });
        g
    }
}

const _: () = assert!(PATCH * PATCH == PLACES);
