//! Launches of the classifier and of its loss.

use super::arguments::{self, CrossEntropyArguments, Divisor, Linear, size};
use super::gpu::{Gpu, Slot, check};
use crate::engine::cpu::{CrossEntropy, LinearShape};

/// Outputs of a block, a warp each.
const OUTPUTS: usize = 4;

/// `y = x weight^T + bias`.
pub fn classify<G: Gpu>(
    gpu: &G,
    shape: LinearShape,
    x: &G::Numbers,
    weight: &G::Numbers,
    bias: &G::Numbers,
    y: &mut G::Numbers,
) -> Result<(), G::Error> {
    let LinearShape {
        images,
        inputs,
        outputs,
    } = shape;
    check(gpu, "x", x, images * inputs);
    check(gpu, "weight", weight, outputs * inputs);
    check(gpu, "bias", bias, outputs);
    check(gpu, "y", y, images * outputs);
    let arguments = Linear {
        x: gpu.address(x),
        weight: gpu.address(weight),
        bias: gpu.address(bias),
        y: gpu.address(y),
        ..arguments(shape)
    };
    let grid = [(images * outputs).div_ceil(OUTPUTS), 1, 1];
    // SAFETY: lengths were checked.
    unsafe { gpu.launch(arguments::LINEAR, grid, &arguments) }
}

fn arguments(shape: LinearShape) -> Linear {
    Linear {
        x: 0,
        weight: 0,
        bias: 0,
        y: 0,
        dy: 0,
        dx: 0,
        dweight: 0,
        dbias: 0,
        images: size(shape.images),
        inputs: size(shape.inputs),
        outputs: size(shape.outputs),
        by_outputs: Divisor::new(shape.outputs),
        by_inputs: Divisor::new(shape.inputs),
    }
}

/// Gradients of input, weights and bias.
pub fn classify_gradient<G: Gpu>(
    gpu: &G,
    shape: LinearShape,
    x: &G::Numbers,
    weight: &G::Numbers,
    dy: &G::Numbers,
    dx: &mut G::Numbers,
    [dweight, dbias]: [&mut G::Numbers; 2],
) -> Result<(), G::Error> {
    let LinearShape {
        images,
        inputs,
        outputs,
    } = shape;
    check(gpu, "x", x, images * inputs);
    check(gpu, "weight", weight, outputs * inputs);
    check(gpu, "dy", dy, images * outputs);
    check(gpu, "dx", dx, images * inputs);
    check(gpu, "dweight", dweight, outputs * inputs);
    check(gpu, "dbias", dbias, outputs);
    let arguments = Linear {
        x: gpu.address(x),
        weight: gpu.address(weight),
        dy: gpu.address(dy),
        dx: gpu.address(dx),
        dweight: gpu.address(dweight),
        dbias: gpu.address(dbias),
        ..arguments(shape)
    };
    let numbers = images * inputs + outputs * inputs + outputs;
    let threads = arguments::LINEAR_GRADIENT.threads as usize;
    // SAFETY: lengths were checked.
    unsafe {
        gpu.launch(
            arguments::LINEAR_GRADIENT,
            [numbers.div_ceil(threads), 1, 1],
            &arguments,
        )
    }
}

/// Sums of loss and errors. Waits for all work before it.
pub fn cross_entropy<G: Gpu>(
    gpu: &G,
    logits: &G::Numbers,
    labels: &[u16],
    classes: usize,
) -> Result<CrossEntropy, G::Error> {
    check(gpu, "logits", logits, labels.len() * classes);
    let arguments = CrossEntropyArguments {
        logits: gpu.address(logits),
        labels: gpu.send(Slot::Labels, labels)?,
        sums: gpu.scratch(Slot::Sums, 3 * size_of::<f64>())?,
        gradient: 0,
        images: size(labels.len()),
        classes: size(classes),
    };
    let mut bytes = [0; 3 * size_of::<f64>()];
    // SAFETY: lengths were checked; labels are below the number of classes, as the engine's mini-batches are.
    unsafe { gpu.launch(arguments::CROSS_ENTROPY, [1, 1, 1], &arguments)? };
    gpu.receive(Slot::Sums, &mut bytes)?;
    let (numbers, _) = bytes.as_chunks::<8>();
    let [loss, wrong, wrong_top5] = [0, 1, 2].map(|at| f64::from_ne_bytes(numbers[at]));
    Ok(CrossEntropy {
        loss,
        wrong: wrong as u32,
        wrong_top5: wrong_top5 as u32,
    })
}

/// The gradient of the mean loss.
pub fn cross_entropy_gradient<G: Gpu>(
    gpu: &G,
    logits: &G::Numbers,
    labels: &[u16],
    classes: usize,
    gradient: &mut G::Numbers,
) -> Result<(), G::Error> {
    check(gpu, "logits", logits, labels.len() * classes);
    check(gpu, "gradient", gradient, labels.len() * classes);
    let arguments = CrossEntropyArguments {
        logits: gpu.address(logits),
        labels: gpu.send(Slot::Labels, labels)?,
        sums: 0,
        gradient: gpu.address(gradient),
        images: size(labels.len()),
        classes: size(classes),
    };
    let threads = arguments::CROSS_ENTROPY_GRADIENT.threads as usize;
    let grid = [labels.len().div_ceil(threads), 1, 1];
    // SAFETY: as above.
    unsafe { gpu.launch(arguments::CROSS_ENTROPY_GRADIENT, grid, &arguments) }
}
