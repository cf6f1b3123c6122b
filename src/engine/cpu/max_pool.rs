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

/// Channels that stay in registers: a multiple of every vector.
const LANES: usize = 16;

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
                let mut inputs = [(0, 0.0); WINDOW * WINDOW];
                let mut count = 0;
                for place in 0..WINDOW * WINDOW {
                    let at = (
                        inside(row, place / WINDOW, self.feature.height),
                        inside(column, place % WINDOW, self.feature.width),
                    );
                    if let (Some(down), Some(across)) = at {
                        inputs[count] = (self.feature.at(self.image, down, across), place as f32);
                        count += 1;
                    }
                }
                let inputs = &inputs[..count];
                let whole = channels / LANES * LANES;
                for c in (0..whole).step_by(LANES) {
                    self.maximum::<LANES>(inputs, c, y, places);
                }
                for c in whole..channels {
                    self.maximum::<1>(inputs, c, y, places);
                }
            }
        }
    }
}

impl Maximum<'_> {
    /// The maxima of `N` channels from `c` on over inputs, of which each has its index and its place in the window.
    #[inline(always)]
    fn maximum<const N: usize>(
        &self,
        inputs: &[(usize, f32)],
        c: usize,
        y: &mut [f32],
        places: &mut [f32],
    ) {
        let (mut most, mut place) = ([f32::NEG_INFINITY; N], [0.0; N]);
        for (index, &(from, number)) in inputs.iter().enumerate() {
            let x = &self.x[from + c..from + c + N];
            for lane in 0..N {
                let take = index == 0 || x[lane] > most[lane] || x[lane].is_nan();
                most[lane] = if take { x[lane] } else { most[lane] };
                place[lane] = if take { number } else { place[lane] };
            }
        }
        y[c..c + N].copy_from_slice(&most);
        places[c..c + N].copy_from_slice(&place);
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
