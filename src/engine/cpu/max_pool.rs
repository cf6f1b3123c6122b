//! Max-pooling of the ImageNet stem: windows of 3x3 pixels, two apart, with a padding of one.

use super::Context;
use super::feature::{Feature, Shared, zero_halo};
use super::vector::{Kernel, Vector, dispatch};

/// Pixels of a window's side.
const WINDOW: usize = 3;
/// Pixels between windows.
const STRIDE: usize = 2;
/// Pixels around the image that windows reach into; they never count, whatever the values inside.
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

    /// The shape of what [`max_pool_forward`] remembers of each window: as [`Feature::max_pooled`] without a halo.
    pub fn max_places(&self) -> Feature {
        Feature {
            halo: 0,
            ..self.max_pooled()
        }
    }
}

/// The largest value of each window, a NaN where there is one. `places`, of the shape [`Feature::max_places`], says which of
/// the window's nine pixels it was, counted row by row: the first of equal ones.
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
    let (y, places) = (Shared::new(y), Shared::new(places));
    ctx.threads.run(output.images, &|image| {
        zero_halo(output, image, y);
        dispatch(
            ctx.instructions,
            &Largest {
                x,
                feature,
                image,
                y,
                places,
            },
        );
    });
}

/// Gives each window's gradient to the pixel that its value came from. `dx` is overwritten.
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
    let dx = Shared::new(dx);
    ctx.threads.run(feature.images, &|image| {
        dispatch(
            ctx.instructions,
            &Returned {
                places,
                dy,
                feature,
                image,
                dx,
            },
        );
    });
}

/// The image's row or column at `place` of the window at `at`, if it lies in the image.
#[inline(always)]
fn inside(at: usize, place: usize, length: usize) -> Option<usize> {
    let padded = at * STRIDE + place;
    if padded < PADDING || padded - PADDING >= length {
        return None;
    }
    Some(padded - PADDING)
}

/// One image forward. Plain loops over channels: the compiler makes vectors of the enabled instructions of them.
struct Largest<'a> {
    x: &'a [f32],
    feature: Feature,
    image: usize,
    y: Shared<'a>,
    places: Shared<'a>,
}

impl Kernel for Largest<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let (output, kept) = (self.feature.max_pooled(), self.feature.max_places());
        let channels = output.channels;
        for row in 0..output.height {
            for column in 0..output.width {
                // SAFETY: each task writes its own image.
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
struct Returned<'a> {
    places: &'a [f32],
    dy: &'a [f32],
    feature: Feature,
    image: usize,
    dx: Shared<'a>,
}

impl Kernel for Returned<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let (output, kept) = (self.feature.max_pooled(), self.feature.max_places());
        let channels = output.channels;
        let start = self.image * self.feature.image_storage();
        // SAFETY: each task writes its own image.
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
