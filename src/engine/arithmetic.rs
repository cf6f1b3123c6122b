//! The arithmetic of every operator of the paper's networks, forward and backward, on a device's own storage.
//! `differentiable.rs` records it on dfdx's tape, in the same way for every device.

// Kernels take every operand as a separate argument.
#![allow(clippy::too_many_arguments)]

use super::cpu::{ConvShape, CrossEntropy, Feature, LinearShape, NormShape, SgdStep};
use super::residency::{Kind, Numbers, Residency};

/// What is added to a normalised activation before its ReLU.
pub enum Addend<'a, D: Residency> {
    None,
    /// A feature of the same shape.
    Identity(&'a Numbers<D>),
    /// Option A: every second pixel of a feature of this shape, with zeros for the channels that it lacks.
    Subsampled(&'a Numbers<D>, Feature),
}

/// Where the ReLU after a normalisation lets gradients pass.
pub enum ReluMask<'a, D: Residency> {
    /// Everywhere: there was no ReLU.
    None,
    /// Recomputed from the normalisation's input; possible if nothing was added.
    Recomputed,
    /// Where this output is above 0.
    Output(&'a Numbers<D>),
}

/// A normalisation's learnt scale and shift, `[channels]`.
pub struct Affine<'a, D: Residency> {
    pub scale: &'a Numbers<D>,
    pub shift: &'a Numbers<D>,
}

impl<D: Residency> Clone for Affine<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<D: Residency> Copy for Affine<'_, D> {}

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
    /// Whether to convert the batch's biased variance to the unbiased one.
    pub unbiased: bool,
}

/// One parameter's step of gradient descent.
pub struct Descent<'a, D: Residency> {
    pub step: SgdStep,
    pub weights: &'a mut Numbers<D>,
    pub gradient: &'a Numbers<D>,
    pub velocity: &'a mut Numbers<D>,
}

/// One running statistic's update.
pub struct MovingAverage<'a, D: Residency> {
    pub shape: NormShape,
    pub averaging: Averaging,
    /// Of the mini-batch, `[groups][channels]`.
    pub batch: &'a Numbers<D>,
    /// `[channels]`.
    pub running: &'a mut Numbers<D>,
}

/// The operators on a device. Outputs are overwritten unless a method says otherwise; the halo of every feature that is
/// written is zero afterwards.
pub trait Arithmetic: Residency {
    fn convolve(
        workers: &Self::Workers,
        shape: ConvShape,
        x: &Numbers<Self>,
        weight: &Numbers<Self>,
        y: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// Writes the gradient of the input to `dx`, or adds it with `accumulate`.
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

    /// Batch normalisation with each group's own statistics, then the addition, then the ReLU.
    fn normalise(
        workers: &Self::Workers,
        shape: NormShape,
        x: &Numbers<Self>,
        affine: Affine<'_, Self>,
        addend: Addend<'_, Self>,
        relu: bool,
        y: &mut Numbers<Self>,
        moments: &mut Moments<Numbers<Self>>,
    ) -> Result<(), Self::Err>;

    /// As `normalise`, with given statistics; with those of `normalise` the outputs are the same to the bit.
    fn normalise_fixed(
        workers: &Self::Workers,
        shape: NormShape,
        x: &Numbers<Self>,
        affine: Affine<'_, Self>,
        moments: &Moments<Numbers<Self>>,
        addend: Addend<'_, Self>,
        relu: bool,
        y: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// With `dx`, writes the gradient of the input there and turns `dy` into the gradient of the addend. Without, turns
    /// `dy` into the gradient of the input. Writes the gradients of scale and shift to `daffine`.
    fn normalise_gradient(
        workers: &Self::Workers,
        shape: NormShape,
        x: &Numbers<Self>,
        affine: Affine<'_, Self>,
        moments: &Moments<Numbers<Self>>,
        mask: ReluMask<'_, Self>,
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

    /// Max-pooling over 3x3 windows with stride 2 and padding 1 (Table 1); padding never wins, a NaN does. `y` has the
    /// shape [`Feature::max_pooled`]. `places`, of shape [`Feature::max_places`], receives the row-major index of each
    /// window's maximum, the first one in case of a tie.
    fn max_pool(
        workers: &Self::Workers,
        shape: Feature,
        x: &Numbers<Self>,
        y: &mut Numbers<Self>,
        places: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// The gradient of `max_pool`'s input, of `shape`: each window's gradient goes to its maximum.
    fn max_pool_gradient(
        workers: &Self::Workers,
        shape: Feature,
        places: &Numbers<Self>,
        dy: &Numbers<Self>,
        dx: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// The mean over each image's pixels.
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

    /// Gradients of the input, to `dx`, and of the weights and the bias, to `dparameters`.
    fn classify_gradient(
        workers: &Self::Workers,
        shape: LinearShape,
        x: &Numbers<Self>,
        weight: &Numbers<Self>,
        dy: &Numbers<Self>,
        dx: &mut Numbers<Self>,
        dparameters: (&mut Numbers<Self>, &mut Numbers<Self>),
    ) -> Result<(), Self::Err>;

    /// Sums of softmax cross-entropy and of errors. Waits for the device.
    fn cross_entropy(
        workers: &Self::Workers,
        logits: &Numbers<Self>,
        labels: &Self::Labels,
        classes: usize,
    ) -> Result<CrossEntropy, Self::Err>;

    /// Appends these sums to a ledger. Does not wait for the device.
    fn enter_cross_entropy(
        workers: &Self::Workers,
        logits: &Numbers<Self>,
        labels: &Self::Labels,
        classes: usize,
        ledger: &mut Self::Ledger,
    ) -> Result<(), Self::Err>;

    /// The gradient of the mean cross-entropy of `of` images, of which these are some or all.
    fn cross_entropy_gradient(
        workers: &Self::Workers,
        logits: &Numbers<Self>,
        labels: &Self::Labels,
        classes: usize,
        of: usize,
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

    /// Moves running statistics, `[channels]`, towards the mean over the groups, each weighted by its number of values.
    fn average(
        workers: &Self::Workers,
        shape: NormShape,
        averaging: Averaging,
        batch: &Numbers<Self>,
        running: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// One step for every parameter, in as few launches as possible.
    fn descend_all(
        workers: &Self::Workers,
        steps: Vec<Descent<'_, Self>>,
    ) -> Result<(), Self::Err> {
        for one in steps {
            Self::descend(workers, one.step, one.weights, one.gradient, one.velocity)?;
        }
        Ok(())
    }

    /// Updates all running statistics, in as few launches as possible.
    fn average_all(
        workers: &Self::Workers,
        averages: Vec<MovingAverage<'_, Self>>,
    ) -> Result<(), Self::Err> {
        for one in averages {
            Self::average(workers, one.shape, one.averaging, one.batch, one.running)?;
        }
        Ok(())
    }
}
