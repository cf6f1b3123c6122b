//! Launches of passes over whole features: addition, pooling, option A's gradient.

use super::arguments::{Add, MaxPool, Pool, Shape, Subsample};
use super::gpu::{Gpu, check, check_feature};
use super::index::{Divisor, size};
use super::kernel;
use crate::engine::cpu::{Feature, subsampling};
use crate::engine::residency::Kind;
use crate::recipe::Precision;

/// Threads per block.
const THREADS: usize = 256;

/// Adds the gradient `dy` of an option A shortcut to `dx`.
pub fn subsample_gradient<G: Gpu>(
    gpu: &G,
    dy: &G::Numbers,
    to: Feature,
    dx: &mut G::Numbers,
    from: Feature,
) -> Result<(), G::Error> {
    check_feature(gpu, "dy", dy, to);
    check_feature(gpu, "dx", dx, from);
    let arguments = Subsample {
        dy: gpu.address(dy),
        dx: gpu.address(dx),
        to: Shape::new(to),
        from: Shape::new(from),
        stride: size(subsampling(from, to)),
        by_from_channels: Divisor::new(from.channels),
    };
    let grid = [(to.pixels() * from.channels).div_ceil(THREADS), 1, 1];
    // SAFETY: lengths were checked; each thread adds to a different place.
    unsafe {
        gpu.launch(
            kernel::SUBSAMPLE_GRADIENT.of(gpu.precision()),
            grid,
            &arguments,
        )
    }
}

/// `sum += value`.
pub fn add<G: Gpu>(
    gpu: &G,
    kind: Kind,
    value: &G::Numbers,
    sum: &mut G::Numbers,
) -> Result<(), G::Error> {
    let floats = gpu.len(value);
    check(gpu, "sum", sum, floats);
    let precision = match kind {
        Kind::Activation => gpu.precision(),
        Kind::Floats => Precision::Fp32,
    };
    let count = match precision {
        Precision::Fp32 | Precision::Tf32 => floats,
        Precision::Bf16 => 2 * floats,
    };
    let arguments = Add {
        value: gpu.address(value),
        sum: gpu.address(sum),
        count: size(count),
    };
    let grid = [count.div_ceil(4 * THREADS), 1, 1];
    // SAFETY: lengths were checked.
    unsafe { gpu.launch(kernel::ADD.of(precision), grid, &arguments) }
}

/// Max-pooling, as the CPU's `max_pool_forward`.
pub fn max_pool<G: Gpu>(
    gpu: &G,
    feature: Feature,
    x: &G::Numbers,
    y: &mut G::Numbers,
    places: &mut G::Numbers,
) -> Result<(), G::Error> {
    let pooled = feature.max_pooled();
    check_feature(gpu, "x", x, feature);
    check_feature(gpu, "y", y, pooled);
    check(gpu, "places", places, feature.max_places().storage());
    let arguments = MaxPool {
        from: gpu.address(x),
        to: gpu.address(y),
        places: gpu.address(places),
        shape: Shape::new(feature),
        pooled: Shape::new(pooled),
    };
    let grid = [pooled.storage().div_ceil(THREADS), 1, 1];
    // SAFETY: lengths were checked.
    unsafe { gpu.launch(kernel::MAX_POOL.of(gpu.precision()), grid, &arguments) }
}

/// The gradient of [`max_pool`]'s input.
pub fn max_pool_gradient<G: Gpu>(
    gpu: &G,
    feature: Feature,
    places: &G::Numbers,
    dy: &G::Numbers,
    dx: &mut G::Numbers,
) -> Result<(), G::Error> {
    let pooled = feature.max_pooled();
    check(gpu, "places", places, feature.max_places().storage());
    check_feature(gpu, "dy", dy, pooled);
    check_feature(gpu, "dx", dx, feature);
    let arguments = MaxPool {
        from: gpu.address(dy),
        to: gpu.address(dx),
        places: gpu.address(places),
        shape: Shape::new(feature),
        pooled: Shape::new(pooled),
    };
    let grid = [feature.storage().div_ceil(THREADS), 1, 1];
    // SAFETY: lengths were checked.
    unsafe {
        gpu.launch(
            kernel::MAX_POOL_GRADIENT.of(gpu.precision()),
            grid,
            &arguments,
        )
    }
}

fn mean(feature: Feature) -> f32 {
    1.0 / (feature.height * feature.width) as f32
}

/// The mean over each image's pixels, `[images][channels]`.
pub fn pool<G: Gpu>(
    gpu: &G,
    feature: Feature,
    x: &G::Numbers,
    y: &mut G::Numbers,
) -> Result<(), G::Error> {
    let means = feature.images * feature.channels;
    check_feature(gpu, "x", x, feature);
    check(gpu, "y", y, means);
    let arguments = Pool {
        from: gpu.address(x),
        to: gpu.address(y),
        shape: Shape::new(feature),
        scale: mean(feature),
    };
    // SAFETY: lengths were checked.
    unsafe {
        gpu.launch(
            kernel::POOL.of(gpu.precision()),
            [means.div_ceil(THREADS), 1, 1],
            &arguments,
        )
    }
}

/// Spreads the gradient of [`pool`] over the pixels.
pub fn pool_gradient<G: Gpu>(
    gpu: &G,
    feature: Feature,
    dy: &G::Numbers,
    dx: &mut G::Numbers,
) -> Result<(), G::Error> {
    check(gpu, "dy", dy, feature.images * feature.channels);
    check_feature(gpu, "dx", dx, feature);
    let arguments = Pool {
        from: gpu.address(dy),
        to: gpu.address(dx),
        shape: Shape::new(feature),
        scale: mean(feature),
    };
    let grid = [feature.storage().div_ceil(THREADS), 1, 1];
    // SAFETY: lengths were checked.
    unsafe { gpu.launch(kernel::POOL_GRADIENT.of(gpu.precision()), grid, &arguments) }
}
