//! The fully connected layer, computed as a 1x1 convolution with the images as pixels of a row.

use super::context::Context;
use super::conv::{conv_forward, conv_input_gradient};
use super::conv_shape::ConvShape;
use super::conv_weight::conv_weight_gradient;
use super::feature::{Feature, add_halo};

/// `[images][inputs]` to `[images][outputs]`; weights are `[outputs][inputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    pub images: usize,
    pub inputs: usize,
    pub outputs: usize,
}

impl LinearShape {
    fn convolution(&self) -> ConvShape {
        // As many per row as fit a register tile.
        let width = [16, 8, 4, 2, 1]
            .into_iter()
            .find(|width| self.images.is_multiple_of(*width));
        let width = width.unwrap_or(1);
        ConvShape {
            input: Feature {
                images: self.images / width,
                height: 1,
                width,
                channels: self.inputs,
                halo: 0,
            },
            outputs: self.outputs,
            kernel: 1,
            stride: 1,
        }
    }

    fn check(&self, x: &[f32], w: &[f32], y: &[f32], bias: &[f32]) {
        assert_eq!(x.len(), self.images * self.inputs);
        assert_eq!(w.len(), self.outputs * self.inputs);
        assert_eq!(y.len(), self.images * self.outputs);
        assert_eq!(bias.len(), self.outputs);
    }
}

/// `y = x w^T + bias`.
pub fn linear_forward(
    ctx: &Context,
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    y: &mut [f32],
    shape: LinearShape,
) {
    shape.check(x, w, y, bias);
    let conv = shape.convolution();
    let output = conv.output();
    let mut padded = vec![0.0; output.storage()];
    conv_forward(ctx, x, w, &mut padded, conv);
    for (image, y) in y.chunks_exact_mut(shape.outputs).enumerate() {
        let at = output.at(image / output.width, 0, image % output.width);
        for (channel, place) in y.iter_mut().enumerate() {
            *place = padded[at + channel] + bias[channel];
        }
    }
}

/// Gradients of the input, the weights and the bias. All three are overwritten.
pub fn linear_backward(
    ctx: &Context,
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    dw: &mut [f32],
    dbias: &mut [f32],
    shape: LinearShape,
) {
    shape.check(x, w, dy, dbias);
    let conv = shape.convolution();
    let output = conv.output();
    let mut padded = vec![0.0; output.storage()];
    add_halo(ctx, dy, output, &mut padded);
    conv_input_gradient(ctx, &padded, w, dx, conv, false);
    conv_weight_gradient(ctx, x, &padded, dw, conv);
    for (channel, place) in dbias.iter_mut().enumerate() {
        let sum: f64 = dy
            .iter()
            .skip(channel)
            .step_by(shape.outputs)
            .map(|&d| f64::from(d))
            .sum();
        *place = sum as f32;
    }
}
