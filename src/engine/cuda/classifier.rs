//! Launches of the classifier and its loss.

use super::arguments::{Address, CrossEntropyArguments, Linear};
use super::gpu::{Gpu, Slot, check};
use super::index::{Divisor, size};
use super::kernel;
use super::labels::Labels;
use crate::engine::cpu::{CrossEntropy, LinearShape};

/// Outputs per block, one warp each.
const OUTPUTS: usize = 4;

/// Steps whose losses the GPU keeps until they are read.
pub const LEDGER: usize = 20;

/// Size of an entry in bytes: loss, errors, top-5 errors.
const ENTRY: usize = 3 * size_of::<f64>();

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
    unsafe { gpu.launch(kernel::LINEAR, grid, &arguments) }
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
    let threads = kernel::LINEAR_GRADIENT.threads as usize;
    // SAFETY: lengths were checked.
    unsafe {
        gpu.launch(
            kernel::LINEAR_GRADIENT,
            [numbers.div_ceil(threads), 1, 1],
            &arguments,
        )
    }
}

/// Sums of loss and errors. Waits for all earlier work.
pub fn cross_entropy<G: Gpu>(
    gpu: &G,
    logits: &G::Numbers,
    labels: Labels,
    classes: usize,
) -> Result<CrossEntropy, G::Error> {
    let sums = gpu.scratch(Slot::Sums, ENTRY)?;
    sum(gpu, logits, labels, classes, sums)?;
    let mut bytes = [0; ENTRY];
    gpu.receive(Slot::Sums, &mut bytes)?;
    Ok(entry(&bytes))
}

/// Writes the sums of loss and errors to a place of the ledger, below [`LEDGER`]. Waits for nothing.
pub fn enter_cross_entropy<G: Gpu>(
    gpu: &G,
    logits: &G::Numbers,
    labels: Labels,
    classes: usize,
    place: usize,
) -> Result<(), G::Error> {
    assert!(
        place < LEDGER,
        "place {place} in a ledger of {LEDGER} entries"
    );
    let ledger = gpu.scratch(Slot::Ledger, LEDGER * ENTRY)?;
    sum(
        gpu,
        logits,
        labels,
        classes,
        ledger + (place * ENTRY) as Address,
    )
}

/// Reads the first entries of the ledger. Waits for all earlier work.
pub fn read_ledger<G: Gpu>(gpu: &G, entries: usize) -> Result<Vec<CrossEntropy>, G::Error> {
    let mut bytes = vec![0; entries * ENTRY];
    gpu.receive(Slot::Ledger, &mut bytes)?;
    let (entries, _) = bytes.as_chunks::<ENTRY>();
    Ok(entries.iter().map(entry).collect())
}

fn entry(bytes: &[u8; ENTRY]) -> CrossEntropy {
    let (numbers, _) = bytes.as_chunks::<8>();
    let [loss, wrong, wrong_top5] = [0, 1, 2].map(|at| f64::from_ne_bytes(numbers[at]));
    CrossEntropy {
        loss,
        wrong: wrong as u32,
        wrong_top5: wrong_top5 as u32,
    }
}

/// Launches a mini-batch's sums, which are written to `sums`, an address with room for an entry.
fn sum<G: Gpu>(
    gpu: &G,
    logits: &G::Numbers,
    labels: Labels,
    classes: usize,
    sums: Address,
) -> Result<(), G::Error> {
    check(gpu, "logits", logits, labels.images * classes);
    let arguments = CrossEntropyArguments {
        logits: gpu.address(logits),
        labels: labels.address(gpu)?,
        sums,
        gradient: 0,
        images: size(labels.images),
        classes: size(classes),
        of: size(labels.images),
    };
    // SAFETY: lengths were checked, and the engine checks that labels are below the number of classes.
    unsafe { gpu.launch(kernel::CROSS_ENTROPY, [1, 1, 1], &arguments) }
}

/// The gradient of the mean loss of `of` images, of which these are some or all.
pub fn cross_entropy_gradient<G: Gpu>(
    gpu: &G,
    logits: &G::Numbers,
    labels: Labels,
    classes: usize,
    of: usize,
    gradient: &mut G::Numbers,
) -> Result<(), G::Error> {
    check(gpu, "logits", logits, labels.images * classes);
    check(gpu, "gradient", gradient, labels.images * classes);
    let arguments = CrossEntropyArguments {
        logits: gpu.address(logits),
        labels: labels.address(gpu)?,
        sums: 0,
        gradient: gpu.address(gradient),
        images: size(labels.images),
        classes: size(classes),
        of: size(of),
    };
    let threads = kernel::CROSS_ENTROPY_GRADIENT.threads as usize;
    let grid = [labels.images.div_ceil(threads), 1, 1];
    // SAFETY: as above.
    unsafe { gpu.launch(kernel::CROSS_ENTROPY_GRADIENT, grid, &arguments) }
}
