//! The shape of a convolution.

use super::feature::Feature;

/// A convolution with a square kernel, padding `kernel / 2` and no bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// With a halo of at least `kernel / 2`.
    pub input: Feature,
    /// Output channels.
    pub outputs: usize,
    /// Side of the kernel; odd.
    pub kernel: usize,
    pub stride: usize,
}

impl ConvShape {
    /// The output, with a halo of one pixel.
    pub fn output(&self) -> Feature {
        let side = |length: usize| (length + 2 * self.padding() - self.kernel) / self.stride + 1;
        Feature::new(
            self.input.images,
            side(self.input.height),
            side(self.input.width),
            self.outputs,
        )
    }

    pub fn padding(&self) -> usize {
        self.kernel / 2
    }

    /// Floats of the weights, `[outputs][inputs][kernel][kernel]`.
    pub fn weights(&self) -> usize {
        self.outputs * self.input.channels * self.kernel * self.kernel
    }

    pub(super) fn check(&self) {
        assert!(self.kernel % 2 == 1, "the kernel side is even: {self:?}");
        assert!(
            self.input.halo >= self.padding(),
            "the halo is smaller than the padding: {self:?}"
        );
    }
}
