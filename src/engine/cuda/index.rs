//! Index arithmetic of the kernels: 32-bit sizes, and division by multiplication.

/// Indices and sizes stay below this: kernels count in 32 bits and divide by multiplication.
const LIMIT: usize = 1 << 31;

/// Converts a size to the kernels' type.
///
/// # Panics
/// If it is 2^31 or more, which means that the mini-batch is too large for these kernels.
pub fn size(value: usize) -> u32 {
    assert!(
        value < LIMIT,
        "a tensor of {value} floats is too large: the GPU's kernels count to 2^31; use a smaller mini-batch"
    );
    value as u32
}

/// Division by multiplication and shift, exact for dividends below 2^31 (Granlund and Montgomery 1994).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divisor {
    divisor: u32,
    multiplier: u32,
    shift: u32,
}

impl Divisor {
    pub fn new(divisor: usize) -> Self {
        let divisor = size(divisor.max(1));
        let shift = u64::BITS - u64::from(divisor - 1).leading_zeros();
        let wide = u64::from(divisor);
        let multiplier = (((1u64 << shift) - wide) << 32) / wide + 1;
        Self {
            divisor,
            multiplier: multiplier as u32,
            shift,
        }
    }

    /// Divides as the kernels do.
    #[cfg(test)]
    pub fn divide(self, n: u32) -> u32 {
        let high = (u64::from(n) * u64::from(self.multiplier)) >> 32;
        (high as u32 + n) >> self.shift
    }
}
