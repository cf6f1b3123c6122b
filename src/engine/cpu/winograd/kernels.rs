//! Kernels of 3x3 in memory, as a pass sees them.

use super::super::conv_shape::ConvShape;

/// Weights, `[outputs][inputs][3][3]`, seen from a pass: it reads inputs and computes outputs.
#[derive(Clone, Copy)]
pub(super) struct Kernels<'a> {
    pub values: &'a [f32],
    pub inputs: usize,
    /// Floats between input channels.
    pub from_input: usize,
    pub from_output: usize,
    /// Whether to reverse the kernel positions.
    pub rotated: bool,
}

impl<'a> Kernels<'a> {
    /// For the forward pass.
    pub(super) fn forward(values: &'a [f32], shape: ConvShape) -> Kernels<'a> {
        Kernels {
            values,
            inputs: shape.input.channels,
            from_input: 9,
            from_output: 9 * shape.input.channels,
            rotated: false,
        }
    }

    /// For the input gradient, which is the forward pass with inputs and outputs exchanged and the kernels rotated by 180
    /// degrees.
    pub(super) fn backward(values: &'a [f32], shape: ConvShape) -> Kernels<'a> {
        Kernels {
            values,
            inputs: shape.outputs,
            from_input: 9 * shape.input.channels,
            from_output: 9,
            rotated: true,
        }
    }
}
