//! Global average pooling.

use super::context::Context;
use super::feature::{Feature, zero_halo};
use super::shared_slice::SharedSlice;

/// The mean over each image's pixels, `[images][channels]`.
pub fn mean_pool_forward(ctx: &Context, x: &[f32], feature: Feature, y: &mut [f32]) {
    feature.check("x", x);
    let channels = feature.channels;
    assert_eq!(y.len(), feature.images * channels);
    let scale = 1.0 / (feature.height * feature.width) as f32;
    let y = SharedSlice::new(y);
    ctx.pass(feature.images, &|image| {
        // SAFETY: each task writes the channels of a different image.
        let y = unsafe { y.slice(image * channels, channels) };
        y.fill(0.0);
        for row in 0..feature.height {
            for column in 0..feature.width {
                for (sum, value) in y.iter_mut().zip(&x[feature.at(image, row, column)..]) {
                    *sum += value;
                }
            }
        }
        for sum in y {
            *sum *= scale;
        }
    });
}

/// Spreads the gradient `dy`, `[images][channels]`, over the pixels of `dx`.
pub fn mean_pool_backward(ctx: &Context, dy: &[f32], feature: Feature, dx: &mut [f32]) {
    feature.check("dx", dx);
    let channels = feature.channels;
    assert_eq!(dy.len(), feature.images * channels);
    let scale = 1.0 / (feature.height * feature.width) as f32;
    let dx = SharedSlice::new(dx);
    ctx.pass(feature.images, &|image| {
        zero_halo(feature, image, dx);
        let dy = &dy[image * channels..(image + 1) * channels];
        for row in 0..feature.height {
            for column in 0..feature.width {
                // SAFETY: each task writes a different image.
                let dx = unsafe { dx.slice(feature.at(image, row, column), channels) };
                for (place, value) in dx.iter_mut().zip(dy) {
                    *place = value * scale;
                }
            }
        }
    });
}
