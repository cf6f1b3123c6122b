//! Vectors of floats behind one trait, so that every kernel is written once for AVX-512, AVX2+FMA and portable code.

use crate::processor::Instructions;

impl Instructions {
    /// Output channels that convolutions hold in registers at once; [`Vector::BLOCK`] in kernels.
    pub(super) fn block(self) -> usize {
        match self {
            Instructions::Avx512 | Instructions::Avx2 => 16,
            Instructions::Portable => 8,
        }
    }
}

/// A register of floats. Methods are inlined into a function that enables the instructions.
///
/// With debug assertions the standard library checks every pointer read, in innermost loops too, which takes three times as
/// long. The dev profile, which is used for training, therefore disables them for this crate. It keeps overflow checks,
/// which is why pointers are advanced with `wrapping_add` and index arithmetic is kept out of the loops over pixels.
///
/// # Safety
/// For every method, the CPU must have the instructions of the implementing type, which [`dispatch`] ensures, and pointers
/// must be valid for the floats read or written, with the alignment of `f32`.
pub(super) trait Vector: Copy {
    /// Floats per vector.
    const LANES: usize;
    /// Whether there are 32 registers, so that 16 accumulators leave room.
    const MANY_REGISTERS: bool;
    /// Vectors of output channels that convolutions hold in registers at once.
    const VECTORS: usize = if Self::MANY_REGISTERS { 1 } else { 2 };
    /// The same in floats.
    const BLOCK: usize = Self::VECTORS * Self::LANES;

    unsafe fn splat(value: f32) -> Self;
    /// One float in all lanes.
    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Self {
        unsafe { Self::splat(from.read_unaligned()) }
    }
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// The first `count <= LANES` floats, followed by zeros.
    unsafe fn load_part(from: *const f32, count: usize) -> Self;
    unsafe fn store_part(self, to: *mut f32, count: usize);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    /// `self * factor + addend`.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger of `self` and `value`; a NaN in `value` stays.
    unsafe fn or_above(self, value: Self) -> Self;
    /// `self` where `gate > 0`, else 0.
    unsafe fn where_positive(self, gate: Self) -> Self;
    /// Adds each lane to a double.
    unsafe fn add_to_doubles(self, to: *mut f64);
    /// Transposes: reads `LANES` rows of `count <= LANES` floats, `apart` floats from each other, and writes `count` rows of
    /// `LANES` floats.
    unsafe fn transpose(
        from: *const f32,
        apart: usize,
        count: usize,
        to: *mut f32,
        to_apart: usize,
    );
}

/// Prefetches the cache line of an address, valid or not, for reading.
#[inline(always)]
pub(super) fn will_read(from: *const f32) {
    // SAFETY: a prefetch never faults and needs no instruction-set extension.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(from.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// Prefetches the cache line of an address, valid or not, into the L2 cache.
#[inline(always)]
pub(super) fn will_read_later(from: *const f32) {
    // SAFETY: as above.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(from.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// Prefetches the cache line of an address, valid or not, for writing.
#[inline(always)]
pub(super) fn will_write(to: *const f32) {
    // SAFETY: as above.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_ET0>(to.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = to;
}

/// Code written for any vector.
pub(super) trait Kernel {
    /// # Safety
    /// As for [`Vector`]; implementations must be `#[inline(always)]`.
    unsafe fn run<V: Vector>(&self);
}

/// Runs a kernel with an instruction set that [`Instructions::available`] has confirmed.
pub(super) fn dispatch<K: Kernel>(instructions: Instructions, kernel: &K) {
    match instructions {
        // SAFETY: a `Context` has only instructions that the CPU supports.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { x86::run_avx512(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { x86::run_avx2(kernel) },
        // SAFETY: portable vectors need no special instructions; the kernel's creator ensures that its pointers are valid.
        _ => unsafe { kernel.run::<Portable>() },
    }
}

/// Repeats a block for each value of a constant, two to sixteen times, so that arrays indexed by it become registers. The
/// compiler would unroll a loop too late for that.
macro_rules! unroll {
    (2: $i:ident in 0..$count:expr => $body:block) => {
        unroll!(@each $i, $count, $body, 0 1)
    };
    (3: $i:ident in 0..3 => $body:block) => {
        unroll!(@each $i, 3, $body, 0 1 2)
    };
    (4: $i:ident in 0..4 => $body:block) => {
        unroll!(@each $i, 4, $body, 0 1 2 3)
    };
    (6: $i:ident in 0..6 => $body:block) => {
        unroll!(@each $i, 6, $body, 0 1 2 3 4 5)
    };
    (8: $i:ident in 0..8 => $body:block) => {
        unroll!(@each $i, 8, $body, 0 1 2 3 4 5 6 7)
    };
    (9: $i:ident in 0..9 => $body:block) => {
        unroll!(@each $i, 9, $body, 0 1 2 3 4 5 6 7 8)
    };
    (16: $i:ident in 0..$count:expr => $body:block) => {
        unroll!(@each $i, $count, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@each $i:ident, $count:expr, $body:block, $($value:literal)*) => {
        $(if $value < $count {
            const $i: usize = $value;
            $body
        })*
    };
}
pub(super) use unroll;

/// Four floats, in plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 4]);

/// Computes lane by lane, by index: closures would not be inlined into functions that enable instructions.
macro_rules! lanes {
    ($i:ident => $value:expr) => {{
        let mut out = [0.0f32; 4];
        let mut $i = 0;
        while $i < 4 {
            out[$i] = $value;
            $i += 1;
        }
        Portable(out)
    }};
}

impl Vector for Portable {
    const LANES: usize = 4;
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Portable([value; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Portable(from.cast::<[f32; 4]>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        lanes!(i => if i < count { unsafe { *from.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        for i in 0..count {
            unsafe { *to.add(i) = self.0[i] }
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        lanes!(i => self.0[i] + other.0[i])
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        lanes!(i => self.0[i] - other.0[i])
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Rounds twice: `f32::mul_add` is a slow library call on CPUs without fused multiply-add.
        lanes!(i => self.0[i] * factor.0[i] + addend.0[i])
    }
    #[inline(always)]
    unsafe fn or_above(self, value: Self) -> Self {
        lanes!(i => if self.0[i] > value.0[i] { self.0[i] } else { value.0[i] })
    }
    #[inline(always)]
    unsafe fn where_positive(self, gate: Self) -> Self {
        lanes!(i => if gate.0[i] > 0.0 { self.0[i] } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn add_to_doubles(self, to: *mut f64) {
        for lane in 0..4 {
            let to = to.wrapping_add(lane);
            unsafe { to.write_unaligned(to.read_unaligned() + f64::from(self.0[lane])) }
        }
    }
    #[inline(always)]
    unsafe fn transpose(
        from: *const f32,
        apart: usize,
        count: usize,
        to: *mut f32,
        to_apart: usize,
    ) {
        for row in 0..count {
            let from = from.wrapping_add(row);
            let to = to.wrapping_add(row * to_apart);
            let value = lanes!(i => unsafe { *from.wrapping_add(i * apart) });
            unsafe { value.store(to) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Kernel, Vector};
    use std::arch::x86_64::*;

    /// # Safety
    /// The CPU must have AVX-512F, AVX2 and FMA; the kernel's pointers must be valid.
    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) unsafe fn run_avx512<K: Kernel>(kernel: &K) {
        unsafe { kernel.run::<Wide>() }
    }

    /// # Safety
    /// The CPU must have AVX2 and FMA; the kernel's pointers must be valid.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2<K: Kernel>(kernel: &K) {
        unsafe { kernel.run::<Narrow>() }
    }

    /// Sixteen floats, with AVX-512.
    #[derive(Clone, Copy)]
    struct Wide(__m512);

    impl Vector for Wide {
        const LANES: usize = 16;
        const MANY_REGISTERS: bool = true;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { Wide(_mm512_set1_ps(value)) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { Wide(_mm512_loadu_ps(from)) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, count: usize) -> Self {
            unsafe { Wide(_mm512_maskz_loadu_ps(((1u32 << count) - 1) as u16, from)) }
        }
        #[inline(always)]
        unsafe fn store_part(self, to: *mut f32, count: usize) {
            unsafe { _mm512_mask_storeu_ps(to, ((1u32 << count) - 1) as u16, self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { Wide(_mm512_add_ps(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            unsafe { Wide(_mm512_sub_ps(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
            unsafe { Wide(_mm512_fmadd_ps(self.0, factor.0, addend.0)) }
        }
        #[inline(always)]
        unsafe fn or_above(self, value: Self) -> Self {
            unsafe { Wide(_mm512_max_ps(self.0, value.0)) }
        }
        #[inline(always)]
        unsafe fn where_positive(self, gate: Self) -> Self {
            unsafe {
                let mask = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(gate.0, _mm512_setzero_ps());
                Wide(_mm512_maskz_mov_ps(mask, self.0))
            }
        }
        #[inline(always)]
        unsafe fn add_to_doubles(self, to: *mut f64) {
            unsafe {
                let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self.0));
                let halves = [_mm512_castps512_ps256(self.0), _mm256_castpd_ps(high)];
                for (half, to) in halves.into_iter().zip([to, to.wrapping_add(8)]) {
                    let sum = _mm512_add_pd(_mm512_loadu_pd(to), _mm512_cvtps_pd(half));
                    _mm512_storeu_pd(to, sum);
                }
            }
        }
        #[inline(always)]
        unsafe fn transpose(
            from: *const f32,
            apart: usize,
            count: usize,
            to: *mut f32,
            to_apart: usize,
        ) {
            unsafe {
                let mut row = [_mm512_setzero_ps(); 16];
                unroll!(16: I in 0..16 => {
                    row[I] = Wide::load_part(from.wrapping_add(I * apart), count).0;
                });
                // Pairs of rows, then four rows: of columns 4 * quarter + place, in the quarters of a register.
                let mut pair = row;
                unroll!(8: I in 0..8 => {
                    pair[2 * I] = _mm512_unpacklo_ps(row[2 * I], row[2 * I + 1]);
                    pair[2 * I + 1] = _mm512_unpackhi_ps(row[2 * I], row[2 * I + 1]);
                });
                unroll!(4: I in 0..4 => {
                    let a = _mm512_castps_pd(pair[4 * I]);
                    let b = _mm512_castps_pd(pair[4 * I + 1]);
                    let c = _mm512_castps_pd(pair[4 * I + 2]);
                    let d = _mm512_castps_pd(pair[4 * I + 3]);
                    row[4 * I] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
                    row[4 * I + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
                    row[4 * I + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
                    row[4 * I + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
                });
                // Even and odd quarters of eight rows, then of all.
                unroll!(4: I in 0..4 => {
                    pair[I] = _mm512_shuffle_f32x4::<0x88>(row[I], row[4 + I]);
                    pair[4 + I] = _mm512_shuffle_f32x4::<0xdd>(row[I], row[4 + I]);
                    pair[8 + I] = _mm512_shuffle_f32x4::<0x88>(row[8 + I], row[12 + I]);
                    pair[12 + I] = _mm512_shuffle_f32x4::<0xdd>(row[8 + I], row[12 + I]);
                });
                unroll!(4: I in 0..4 => {
                    row[I] = _mm512_shuffle_f32x4::<0x88>(pair[I], pair[8 + I]);
                    row[4 + I] = _mm512_shuffle_f32x4::<0x88>(pair[4 + I], pair[12 + I]);
                    row[8 + I] = _mm512_shuffle_f32x4::<0xdd>(pair[I], pair[8 + I]);
                    row[12 + I] = _mm512_shuffle_f32x4::<0xdd>(pair[4 + I], pair[12 + I]);
                });
                unroll!(16: I in 0..16 => {
                    if I < count {
                        Wide(row[I]).store(to.wrapping_add(I * to_apart));
                    }
                });
            }
        }
    }

    /// Eight floats, with AVX2.
    #[derive(Clone, Copy)]
    struct Narrow(__m256);

    /// All ones in the first `count` lanes.
    #[inline(always)]
    unsafe fn first(count: usize) -> __m256i {
        unsafe {
            _mm256_cmpgt_epi32(
                _mm256_set1_epi32(count as i32),
                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
            )
        }
    }

    impl Vector for Narrow {
        const LANES: usize = 8;
        const MANY_REGISTERS: bool = false;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { Narrow(_mm256_set1_ps(value)) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { Narrow(_mm256_loadu_ps(from)) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, count: usize) -> Self {
            unsafe { Narrow(_mm256_maskload_ps(from, first(count))) }
        }
        #[inline(always)]
        unsafe fn store_part(self, to: *mut f32, count: usize) {
            unsafe { _mm256_maskstore_ps(to, first(count), self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { Narrow(_mm256_add_ps(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            unsafe { Narrow(_mm256_sub_ps(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
            unsafe { Narrow(_mm256_fmadd_ps(self.0, factor.0, addend.0)) }
        }
        #[inline(always)]
        unsafe fn or_above(self, value: Self) -> Self {
            unsafe { Narrow(_mm256_max_ps(self.0, value.0)) }
        }
        #[inline(always)]
        unsafe fn where_positive(self, gate: Self) -> Self {
            unsafe {
                let mask = _mm256_cmp_ps::<_CMP_GT_OQ>(gate.0, _mm256_setzero_ps());
                Narrow(_mm256_and_ps(mask, self.0))
            }
        }
        #[inline(always)]
        unsafe fn add_to_doubles(self, to: *mut f64) {
            unsafe {
                let halves = [
                    _mm256_castps256_ps128(self.0),
                    _mm256_extractf128_ps::<1>(self.0),
                ];
                for (half, to) in halves.into_iter().zip([to, to.wrapping_add(4)]) {
                    let sum = _mm256_add_pd(_mm256_loadu_pd(to), _mm256_cvtps_pd(half));
                    _mm256_storeu_pd(to, sum);
                }
            }
        }
        #[inline(always)]
        unsafe fn transpose(
            from: *const f32,
            apart: usize,
            count: usize,
            to: *mut f32,
            to_apart: usize,
        ) {
            unsafe {
                let mut row = [_mm256_setzero_ps(); 8];
                unroll!(8: I in 0..8 => {
                    row[I] = Narrow::load_part(from.wrapping_add(I * apart), count).0;
                });
                let mut pair = row;
                unroll!(4: I in 0..4 => {
                    pair[2 * I] = _mm256_unpacklo_ps(row[2 * I], row[2 * I + 1]);
                    pair[2 * I + 1] = _mm256_unpackhi_ps(row[2 * I], row[2 * I + 1]);
                });
                unroll!(2: I in 0..2 => {
                    let [a, b] = [pair[4 * I], pair[4 * I + 1]];
                    let [c, d] = [pair[4 * I + 2], pair[4 * I + 3]];
                    row[4 * I] = _mm256_shuffle_ps::<0x44>(a, c);
                    row[4 * I + 1] = _mm256_shuffle_ps::<0xee>(a, c);
                    row[4 * I + 2] = _mm256_shuffle_ps::<0x44>(b, d);
                    row[4 * I + 3] = _mm256_shuffle_ps::<0xee>(b, d);
                });
                unroll!(4: I in 0..4 => {
                    pair[I] = _mm256_permute2f128_ps::<0x20>(row[I], row[4 + I]);
                    pair[4 + I] = _mm256_permute2f128_ps::<0x31>(row[I], row[4 + I]);
                });
                unroll!(8: I in 0..8 => {
                    if I < count {
                        Narrow(pair[I]).store(to.wrapping_add(I * to_apart));
                    }
                });
            }
        }
    }
}
