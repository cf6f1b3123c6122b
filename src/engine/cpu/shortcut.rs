//! Shortcuts around the layers of a block, which are added before the last ReLU.

use super::context::Context;
use super::feature::Feature;
use super::shared_slice::SharedSlice;

/// What is added before the ReLU.
#[derive(Clone, Copy, Debug)]
pub enum Shortcut<'a> {
    None,
    /// A feature of the same shape.
    Identity(&'a [f32]),
    /// Option A (section 3.3): every `stride`-th pixel of a feature with fewer channels, zeros for the missing ones.
    Subsampled {
        data: &'a [f32],
        feature: Feature,
    },
}

impl Shortcut<'_> {
    pub(super) fn check(&self, to: Feature) {
        match self {
            Shortcut::None => {}
            Shortcut::Identity(data) => to.check("shortcut", data),
            Shortcut::Subsampled { data, feature } => {
                feature.check("shortcut", data);
                subsampling(*feature, to);
            }
        }
    }
}

/// The stride of option A's shortcut from `from` to `to`, which has at least as many channels. A single row or column does not
/// tell it, so the longer side does.
pub fn subsampling(from: Feature, to: Feature) -> usize {
    let stride = |from: usize, to: usize| from.div_ceil(to.max(1)).max(1);
    let stride = stride(from.height, to.height).max(stride(from.width, to.width));
    assert!(
        from.images == to.images
            && from.channels <= to.channels
            && from.height.div_ceil(stride) == to.height
            && from.width.div_ceil(stride) == to.width,
        "no option A shortcut from {from:?} to {to:?}"
    );
    stride
}

/// The gradient of [`Shortcut::Subsampled`]: adds `dy`, of shape `to`, to the pixels and channels of `dx`, of shape `from`,
/// that were read.
pub fn shortcut_a_backward(ctx: &Context, dy: &[f32], to: Feature, dx: &mut [f32], from: Feature) {
    to.check("dy", dy);
    from.check("dx", dx);
    let stride = subsampling(from, to);
    let dx = SharedSlice::new(dx);
    ctx.pass(to.images, &|image| {
        for y in 0..to.height {
            for x in 0..to.width {
                let at = to.at(image, y, x);
                // SAFETY: each task writes a different image.
                let place =
                    unsafe { dx.slice(from.at(image, y * stride, x * stride), from.channels) };
                for (sum, value) in place.iter_mut().zip(&dy[at..]) {
                    *sum += value;
                }
            }
        }
    });
}
