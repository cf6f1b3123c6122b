//! What a dfdx device must be able to do for a network to train on it: the arithmetic of every operator, forward and
//! backward, on the device's own storage. `differentiable.rs` records it on dfdx's tape, the same for every device.

// Kernels take what they need by name.
#![allow(clippy::too_many_arguments)]

use std::sync::Arc;

use dfdx::prelude::*;

use super::cpu::{ConvShape, CrossEntropy, Feature, LinearShape, NormShape, SgdStep};
use crate::data::{Drawn, Originals};

/// A device's storage, counted in 32-bit floats.
pub type Numbers<D> = <D as Storage<f32>>::Vec;

/// How a device keeps what is gathered in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A feature behind the images, a convolution, a normalisation or max-pooling, or its gradient: as the device keeps
    /// activations, which may be in fewer bits.
    Activation,
    /// Parameters, statistics, and what comes behind mean pooling: 32-bit floats.
    Floats,
}

/// What is added to a normalised activation before its ReLU.
pub enum Added<'a, D: Operators> {
    Nothing,
    /// A feature of the same shape.
    Identity(&'a Numbers<D>),
    /// Option A: every second pixel of a feature of this shape, zeros in the channels that it lacks.
    Subsampled(&'a Numbers<D>, Feature),
}

/// Where the ReLU behind a normalisation let values pass.
pub enum Passed<'a, D: Operators> {
    /// There was none.
    Everything,
    /// Known from the normalisation's input: nothing was added.
    Recomputed,
    /// Where this output is above 0.
    Positive(&'a Numbers<D>),
}

/// Scale, shift, means and variances of a normalisation, in this order of use.
pub struct Affine<'a, D: Operators> {
    pub scale: &'a Numbers<D>,
    pub shift: &'a Numbers<D>,
}

impl<D: Operators> Clone for Affine<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<D: Operators> Copy for Affine<'_, D> {}

/// Means and biased variances, `[groups][channels]`.
pub struct Moments<N> {
    pub mean: N,
    pub variance: N,
}

/// How batch statistics enter a moving average.
#[derive(Clone, Copy, Debug)]
pub struct Averaging {
    /// Weight of the new batch.
    pub momentum: f32,
    /// Whether the batch's biased variance is to be made unbiased.
    pub unbiased: bool,
}

/// One parameter's step of gradient descent.
pub struct Descent<'a, D: Operators> {
    pub step: SgdStep,
    pub weights: &'a mut Numbers<D>,
    pub gradient: &'a Numbers<D>,
    pub velocity: &'a mut Numbers<D>,
}

/// A running statistic, `[channels]`, and the mini-batch's, `[groups][channels]`, that it moves towards.
pub struct Moving<'a, D: Operators> {
    pub shape: NormShape,
    pub averaging: Averaging,
    pub batch: &'a Numbers<D>,
    pub running: &'a mut Numbers<D>,
}

/// A dfdx device with the operators of the paper's networks. Outputs are overwritten unless said otherwise, so that storage
/// may hold anything before; the halo of every feature that is written is zero afterwards.
///
/// # Safety
/// A device and its workers may be moved to another thread, together with all that shares them: nothing in them is bound to
/// the thread that made it.
pub unsafe trait Operators: Device<f32> {
    /// What the device's work is done by: threads and an instruction set on the CPU.
    type Workers: 'static;
    /// The classes of a mini-batch, where the device reads them: those of the mini-batch that came in last.
    type Labels: Clone + 'static;
    /// A set of images that the device keeps.
    type Images: 'static;
    /// Sums of losses that nobody has asked for yet, at most `BUNCH`.
    type Ledger: Default + 'static;

    /// Work that was noted, to be made again.
    type Recording: 'static;

    /// Whether mini-batches are better drawn from kept images than given as pixels.
    const KEEPS_IMAGES: bool;
    /// Steps that are best begun before their losses are asked for.
    const BUNCH: usize;

    fn allocate(&self, len: usize) -> Result<Numbers<Self>, Self::Err> {
        Storage::<f32>::try_alloc_len(self, len)
    }

    fn upload(&self, values: &[f32]) -> Result<Numbers<Self>, Self::Err>;

    fn download(&self, storage: &Numbers<Self>) -> Result<Vec<f32>, Self::Err>;

    /// The same of many at once: a device that works beside the processor is waited for once.
    fn download_many(
        &self,
        _: &Self::Workers,
        many: &[&Numbers<Self>],
    ) -> Result<Vec<Vec<f32>>, Self::Err> {
        many.iter().map(|storage| self.download(storage)).collect()
    }

    /// Floats of storage that an activation takes.
    fn activation_floats(_: &Self::Workers, shape: Feature) -> usize {
        shape.storage()
    }

    /// An activation's numbers, halo included.
    fn download_activation(
        &self,
        _: &Self::Workers,
        storage: &Numbers<Self>,
        _: Feature,
    ) -> Result<Vec<f32>, Self::Err> {
        self.download(storage)
    }

    /// `[images][height][width][channels]` without a halo into a feature.
    fn put_images(
        workers: &Self::Workers,
        pixels: &[f32],
        shape: Feature,
        into: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    fn put_labels(workers: &Self::Workers, labels: &[u16]) -> Result<Self::Labels, Self::Err>;

    fn keep_images(
        workers: &Self::Workers,
        originals: &Arc<Originals>,
    ) -> Result<Self::Images, Self::Err>;

    /// The pixels of `drawn`, [`Drawn::pixels`] to the bit, into a feature, and their classes. The device waits for nothing.
    fn draw_images(
        workers: &Self::Workers,
        images: &Self::Images,
        drawn: &Drawn,
        shape: Feature,
        into: &mut Numbers<Self>,
    ) -> Result<Self::Labels, Self::Err>;

    fn convolve(
        workers: &Self::Workers,
        shape: ConvShape,
        x: &Numbers<Self>,
        weight: &Numbers<Self>,
        y: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// Adds to `dx` with `accumulate`.
    fn convolve_input_gradient(
        workers: &Self::Workers,
        shape: ConvShape,
        dy: &Numbers<Self>,
        weight: &Numbers<Self>,
        dx: &mut Numbers<Self>,
        accumulate: bool,
    ) -> Result<(), Self::Err>;

    fn convolve_weight_gradient(
        workers: &Self::Workers,
        shape: ConvShape,
        x: &Numbers<Self>,
        dy: &Numbers<Self>,
        dweight: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// Batch normalisation with each group's own statistics, the addition, then the ReLU.
    fn normalise(
        workers: &Self::Workers,
        shape: NormShape,
        x: &Numbers<Self>,
        affine: Affine<'_, Self>,
        added: Added<'_, Self>,
        relu: bool,
        y: &mut Numbers<Self>,
        moments: &mut Moments<Numbers<Self>>,
    ) -> Result<(), Self::Err>;

    /// As `normalise` with given statistics, `[channels]`.
    fn normalise_fixed(
        workers: &Self::Workers,
        shape: NormShape,
        x: &Numbers<Self>,
        affine: Affine<'_, Self>,
        moments: &Moments<Numbers<Self>>,
        added: Added<'_, Self>,
        relu: bool,
        y: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// With `dx`, the gradient of the input goes there and `dy` leaves as that of what was added. Without, `dy` leaves as the
    /// gradient of the input. Gives the gradients of scale and shift.
    fn normalise_gradient(
        workers: &Self::Workers,
        shape: NormShape,
        x: &Numbers<Self>,
        affine: Affine<'_, Self>,
        moments: &Moments<Numbers<Self>>,
        passed: Passed<'_, Self>,
        dy: &mut Numbers<Self>,
        dx: Option<&mut Numbers<Self>>,
        daffine: (&mut Numbers<Self>, &mut Numbers<Self>),
    ) -> Result<(), Self::Err>;

    /// Adds the gradient `dy` of an option A shortcut to `dx`.
    fn subsample_gradient(
        workers: &Self::Workers,
        dy: &Numbers<Self>,
        to: Feature,
        dx: &mut Numbers<Self>,
        from: Feature,
    ) -> Result<(), Self::Err>;

    /// `sum += value`.
    fn add(
        workers: &Self::Workers,
        kind: Kind,
        value: &Numbers<Self>,
        sum: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// The largest of each window of 3x3 pixels, two apart, over a padding of one that never counts (Table 1); a NaN where
    /// there is one. `y` has the shape [`Feature::max_pooled`]; `places`, [`Feature::max_places`], takes which of the window's
    /// nine it was, row by row from 0: the first of equal ones.
    fn max_pool(
        workers: &Self::Workers,
        shape: Feature,
        x: &Numbers<Self>,
        y: &mut Numbers<Self>,
        places: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// The gradient of `max_pool`'s input, of `shape`: each window's goes to the pixel that it took.
    fn max_pool_gradient(
        workers: &Self::Workers,
        shape: Feature,
        places: &Numbers<Self>,
        dy: &Numbers<Self>,
        dx: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// The mean of each image's pixels.
    fn pool(
        workers: &Self::Workers,
        shape: Feature,
        x: &Numbers<Self>,
        y: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    fn pool_gradient(
        workers: &Self::Workers,
        shape: Feature,
        dy: &Numbers<Self>,
        dx: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    fn classify(
        workers: &Self::Workers,
        shape: LinearShape,
        x: &Numbers<Self>,
        weight: &Numbers<Self>,
        bias: &Numbers<Self>,
        y: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// Gradients of the input, the weights and the bias, into `dx`, `dparameters`.
    fn classify_gradient(
        workers: &Self::Workers,
        shape: LinearShape,
        x: &Numbers<Self>,
        weight: &Numbers<Self>,
        dy: &Numbers<Self>,
        dx: &mut Numbers<Self>,
        dparameters: (&mut Numbers<Self>, &mut Numbers<Self>),
    ) -> Result<(), Self::Err>;

    /// Sums of cross-entropy after softmax and of errors. Waits for them.
    fn cross_entropy(
        workers: &Self::Workers,
        logits: &Numbers<Self>,
        labels: &Self::Labels,
        classes: usize,
    ) -> Result<CrossEntropy, Self::Err>;

    /// Appends the same sums to a ledger. Waits for nothing.
    fn enter_cross_entropy(
        workers: &Self::Workers,
        logits: &Numbers<Self>,
        labels: &Self::Labels,
        classes: usize,
        ledger: &mut Self::Ledger,
    ) -> Result<(), Self::Err>;

    /// Empties a ledger. Waits for what is in it.
    fn read_ledger(
        workers: &Self::Workers,
        ledger: &mut Self::Ledger,
    ) -> Result<Vec<CrossEntropy>, Self::Err>;

    /// The gradient of the mean cross-entropy.
    fn cross_entropy_gradient(
        workers: &Self::Workers,
        logits: &Numbers<Self>,
        labels: &Self::Labels,
        classes: usize,
        gradient: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// One step of gradient descent with momentum on one parameter.
    fn descend(
        workers: &Self::Workers,
        step: SgdStep,
        weights: &mut Numbers<Self>,
        gradient: &Numbers<Self>,
        velocity: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// Moves running statistics, `[channels]`, towards the mean of the groups' (each counted by its images).
    fn average(
        workers: &Self::Workers,
        shape: NormShape,
        averaging: Averaging,
        batch: &Numbers<Self>,
        running: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// From here on what the device is given to do is noted too. False where it is not.
    fn begin_recording(_: &Self::Workers) -> bool {
        false
    }

    /// Ends what `begin_recording` began; `None` where it cannot be made again.
    fn end_recording(workers: &Self::Workers) -> Result<Option<Self::Recording>, Self::Err>;

    /// Gives the device the noted work again, as one piece. False, with nothing done, where memory of its workers that the
    /// work uses has since been exchanged.
    ///
    /// # Safety
    /// All storage that the work used is still there.
    unsafe fn replay(
        workers: &Self::Workers,
        recording: &Self::Recording,
    ) -> Result<bool, Self::Err>;

    /// Every parameter's step, in as few launches as the device can.
    fn descend_all(
        workers: &Self::Workers,
        steps: Vec<Descent<'_, Self>>,
    ) -> Result<(), Self::Err> {
        for one in steps {
            Self::descend(workers, one.step, one.weights, one.gradient, one.velocity)?;
        }
        Ok(())
    }

    /// Every running statistic's move, in as few launches as the device can.
    fn average_all(workers: &Self::Workers, moves: Vec<Moving<'_, Self>>) -> Result<(), Self::Err> {
        for one in moves {
            Self::average(workers, one.shape, one.averaging, one.batch, one.running)?;
        }
        Ok(())
    }
}
