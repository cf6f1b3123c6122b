//! Vectors of floats: one trait, so that every kernel is written once for AVX-512, AVX2+FMA and portable code.

/// The instruction set that the kernels use. Results differ between sets in the last bits, never within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// 16 floats a vector, 32 registers.
    Avx512,
    /// 8 floats a vector, 16 registers, fused multiply-add.
    Avx2,
    /// Plain Rust, for every other processor (ARM among them).
    Portable,
}

impl Instructions {
    pub const ALL: [Instructions; 3] = [
        Instructions::Avx512,
        Instructions::Avx2,
        Instructions::Portable,
    ];

    /// The fastest set of this processor.
    pub fn detect() -> Instructions {
        Instructions::ALL
            .into_iter()
            .find(|set| set.available())
            .unwrap_or(Instructions::Portable)
    }

    /// Whether this processor has the set.
    pub fn available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => {
                is_x86_feature_detected!("avx512f") && Instructions::Avx2.available()
            }
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Instructions::Avx512 | Instructions::Avx2 => false,
            Instructions::Portable => true,
        }
    }

    /// The name that a run records and that the command line takes.
    pub fn name(self) -> &'static str {
        match self {
            Instructions::Avx512 => "avx512",
            Instructions::Avx2 => "avx2",
            Instructions::Portable => "portable",
        }
    }

    /// Output channels that the convolutions hold in registers together; [`Vector::BLOCK`] in kernels.
    pub(super) fn block(self) -> usize {
        match self {
            Instructions::Avx512 | Instructions::Avx2 => 16,
            Instructions::Portable => 8,
        }
    }

    /// The set of that name, in any case; `None` for another word.
    pub fn parse(name: &str) -> Option<Instructions> {
        Instructions::ALL
            .into_iter()
            .find(|set| set.name().eq_ignore_ascii_case(name))
    }
}

/// A few floats in a register. Methods are inlined into a function that enables the instructions.
///
/// With debug assertions the standard library checks every pointer that is read, in the innermost loops too: three times the
/// time. The dev profile, which trains, therefore leaves them out of this crate; overflow checks stay, which is why pointers
/// are stepped with `wrapping_add` and index arithmetic is kept out of the loops over pixels.
///
/// # Safety
/// Every method: the processor has the instructions of the implementing type ([`dispatch`] sees to it), and pointers are
/// valid for the floats read or written, aligned for `f32` only.
pub(super) trait Vector: Copy {
    /// Floats in a vector.
    const LANES: usize;
    /// Whether there are 32 registers, so that 16 accumulators leave room.
    const MANY_REGISTERS: bool;
    /// Vectors of output channels that the convolutions hold in registers together.
    const VECTORS: usize = if Self::MANY_REGISTERS { 1 } else { 2 };
    /// Floats of them.
    const BLOCK: usize = Self::VECTORS * Self::LANES;

    unsafe fn splat(value: f32) -> Self;
    /// One float in all lanes.
    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Self {
        unsafe { Self::splat(from.read_unaligned()) }
    }
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// The first `count <= LANES` floats, zeros after them.
    unsafe fn load_part(from: *const f32, count: usize) -> Self;
    unsafe fn store_part(self, to: *mut f32, count: usize);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    /// `self * factor + addend`.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `self` where it is below `value`, else `value`: a NaN in `value` stays.
    unsafe fn or_above(self, value: Self) -> Self;
    /// `self` where `gate > 0`, else 0.
    unsafe fn where_positive(self, gate: Self) -> Self;
}

/// Hints that the cache line of an address, valid or not, will be read soon.
#[inline(always)]
pub(super) fn will_read(from: *const f32) {
    // SAFETY: a hint, which never faults and needs no instructions beyond the architecture's first ones.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(from.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// Hints that it will be written.
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

/// Work written for any vector.
pub(super) trait Kernel {
    /// # Safety
    /// As for [`Vector`]; implementations must be `#[inline(always)]`.
    unsafe fn run<V: Vector>(&self);
}

/// Runs a kernel with the vectors of an instruction set that [`Instructions::available`] has confirmed.
pub(super) fn dispatch<K: Kernel>(instructions: Instructions, kernel: &K) {
    match instructions {
        // SAFETY: a `Context` is made only with instructions that the processor has.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { x86::run_avx512(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { x86::run_avx2(kernel) },
        // SAFETY: portable vectors need no instructions; the kernel's pointers are its maker's promise.
        _ => unsafe { kernel.run::<Portable>() },
    }
}

/// Writes a block out for each value of a constant, of which there are two to sixteen, so that arrays indexed by it are
/// registers from the start: a loop would be unrolled too late for that.
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

/// Four floats in plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 4]);

/// Lane by lane, by index: closures would not be inlined into functions that enable instructions.
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
        // Two roundings: a fused one is a slow library call where the processor lacks it.
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
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Kernel, Vector};
    use std::arch::x86_64::*;

    /// # Safety
    /// The processor has AVX-512F and AVX2+FMA; the kernel's pointers are valid.
    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) unsafe fn run_avx512<K: Kernel>(kernel: &K) {
        unsafe { kernel.run::<Wide>() }
    }

    /// # Safety
    /// The processor has AVX2 and FMA; the kernel's pointers are valid.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2<K: Kernel>(kernel: &K) {
        unsafe { kernel.run::<Narrow>() }
    }

    /// Sixteen floats of AVX-512.
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
    }

    /// Eight floats of AVX2.
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
    }
}
