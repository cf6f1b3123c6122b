//! Max-pooling of the ImageNet stem: 3x3 windows with stride 2 and padding 1.

use super::context::Context;
use super::feature::{Feature, zero_halo};
use super::shared_slice::SharedSlice;
use super::vector::{Kernel, Vector, dispatch};

/// Side of a window, in pixels.
const WINDOW: usize = 3;
/// Distance between windows, in pixels.
const STRIDE: usize = 2;
/// Pixels around the image that windows reach into. They are never the maximum.
const PADDING: usize = 1;

impl Feature {
    /// The shape after max-pooling, with a halo of one pixel.
    pub fn max_pooled(&self) -> Feature {
        Feature::new(
            self.images,
            self.height.div_ceil(STRIDE),
            self.width.div_ceil(STRIDE),
            self.channels,
        )
    }

    /// The shape of [`max_pool_forward`]'s `places`: [`Feature::max_pooled`] without a halo.
    pub fn max_places(&self) -> Feature {
        Feature {
            halo: 0,
            ..self.max_pooled()
        }
    }
}

/// The largest value of each window, or a NaN if there is one. `places`, of shape [`Feature::max_places`], receives its
/// row-major index in the window, the first one in case of a tie.
pub fn max_pool_forward(
    ctx: &Context,
    x: &[f32],
    feature: Feature,
    y: &mut [f32],
    places: &mut [f32],
) {
    let (output, kept) = (feature.max_pooled(), feature.max_places());
    feature.check("x", x);
    output.check("y", y);
    kept.check("places", places);
    let (y, places) = (SharedSlice::new(y), SharedSlice::new(places));
    ctx.pass(output.images, &|image| {
        zero_halo(output, image, y);
        dispatch(
            ctx.instructions,
            &Maximum {
                x,
                feature,
                image,
                y,
                places,
            },
        );
    });
}

/// The gradient of the input: each window's gradient goes to its maximum. `dx` is overwritten.
pub fn max_pool_backward(
    ctx: &Context,
    places: &[f32],
    dy: &[f32],
    feature: Feature,
    dx: &mut [f32],
) {
    feature.max_pooled().check("dy", dy);
    feature.max_places().check("places", places);
    feature.check("dx", dx);
    let dx = SharedSlice::new(dx);
    ctx.pass(feature.images, &|image| {
        dispatch(
            ctx.instructions,
            &Gradient {
                places,
                dy,
                feature,
                image,
                dx,
            },
        );
    });
}

/// The image's row or column at `place` of the window at `at`, if it is inside the image.
#[inline(always)]
fn inside(at: usize, place: usize, length: usize) -> Option<usize> {
    let padded = at * STRIDE + place;
    if padded < PADDING || padded - PADDING >= length {
        return None;
    }
    Some(padded - PADDING)
}

/// One image forward. The compiler vectorises the plain loops over channels with the enabled instructions.
struct Maximum<'a> {
    x: &'a [f32],
    feature: Feature,
    image: usize,
    y: SharedSlice<'a>,
    places: SharedSlice<'a>,
}

impl Kernel for Maximum<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let (output, kept) = (self.feature.max_pooled(), self.feature.max_places());
        let channels = output.channels;
        for row in 0..output.height {
            for column in 0..output.width {
                // SAFETY: each task writes a different image.
                let (y, places) = unsafe {
                    (
                        self.y.slice(output.at(self.image, row, column), channels),
                        self.places
                            .slice(kept.at(self.image, row, column), channels),
                    )
                };
                let mut begun = false;
                for place in 0..WINDOW * WINDOW {
                    let at = (
                        inside(row, place / WINDOW, self.feature.height),
                        inside(column, place % WINDOW, self.feature.width),
                    );
                    let (Some(down), Some(across)) = at else {
                        continue;
                    };
                    let from = self.feature.at(self.image, down, across);
                    let x = &self.x[from..from + channels];
                    let number = place as f32;
                    for c in 0..channels {
                        let take = !begun || x[c] > y[c] || x[c].is_nan();
                        y[c] = if take { x[c] } else { y[c] };
                        places[c] = if take { number } else { places[c] };
                    }
                    begun = true;
                }
            }
        }
    }
}

/// One image backward.
struct Gradient<'a> {
    places: &'a [f32],
    dy: &'a [f32],
    feature: Feature,
    image: usize,
    dx: SharedSlice<'a>,
}

impl Kernel for Gradient<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let (output, kept) = (self.feature.max_pooled(), self.feature.max_places());
        let channels = output.channels;
        let start = self.image * self.feature.image_storage();
        // SAFETY: each task writes a different image.
        unsafe { self.dx.slice(start, self.feature.image_storage()) }.fill(0.0);
        for row in 0..output.height {
            for column in 0..output.width {
                let dy = &self.dy[output.at(self.image, row, column)..][..channels];
                let places = &self.places[kept.at(self.image, row, column)..][..channels];
                for place in 0..WINDOW * WINDOW {
                    let at = (
                        inside(row, place / WINDOW, self.feature.height),
                        inside(column, place % WINDOW, self.feature.width),
                    );
                    let (Some(down), Some(across)) = at else {
                        continue;
                    };
                    // SAFETY: as above.
                    let dx = unsafe {
                        self.dx
                            .slice(self.feature.at(self.image, down, across), channels)
                    };
                    let number = place as f32;
                    for c in 0..channels {
                        dx[c] += if places[c] == number { dy[c] } else { 0.0 };
                    }
                }
            }
        }
    }
}
