//! The operators on dfdx's CPU: `cpu/`'s kernels on the slices that its storage holds.

use std::convert::Infallible;
use std::sync::Arc;

use dfdx::prelude::*;

use super::cpu::{
    self, Context, ConvShape, CrossEntropy, Feature, LinearShape, NormShape, SgdStep,
};
use crate::data::{Drawn, Originals};

use super::operators::{Added, Affine, Averaging, Kind, Moments, Numbers, Operators, Passed};

type Floats = Numbers<Cpu>;
type Done = Result<(), CpuError>;

fn shortcut<'a>(added: Added<'a, Cpu>) -> cpu::Shortcut<'a> {
    match added {
        Added::Nothing => cpu::Shortcut::None,
        Added::Identity(data) => cpu::Shortcut::Identity(data),
        Added::Subsampled(data, feature) => cpu::Shortcut::Subsampled { data, feature },
    }
}

// SAFETY: dfdx's CPU and the kernels' threads are `Send`.
unsafe impl Operators for Cpu {
    type Workers = Context;
    type Labels = Arc<[u16]>;
    /// Those of the host: the loader's threads prepare pixels ahead, which is faster than drawing them in a step.
    type Images = Arc<Originals>;
    type Ledger = Vec<CrossEntropy>;
    /// There is none: starting a kernel costs nothing.
    type Recording = Infallible;

    const KEEPS_IMAGES: bool = false;
    const BUNCH: usize = 1;

    fn upload(&self, values: &[f32]) -> Result<Floats, CpuError> {
        let mut storage = self.allocate(0)?;
        *storage = values.to_vec();
        Ok(storage)
    }

    fn download(&self, storage: &Floats) -> Result<Vec<f32>, CpuError> {
        Ok(storage.to_vec())
    }

    fn put_images(workers: &Context, pixels: &[f32], shape: Feature, into: &mut Floats) -> Done {
        cpu::add_halo(workers, pixels, shape, into);
        Ok(())
    }

    fn put_labels(_: &Context, labels: &[u16]) -> Result<Arc<[u16]>, CpuError> {
        Ok(labels.into())
    }

    fn keep_images(_: &Context, originals: &Arc<Originals>) -> Result<Arc<Originals>, CpuError> {
        Ok(Arc::clone(originals))
    }

    fn draw_images(
        workers: &Context,
        images: &Arc<Originals>,
        drawn: &Drawn,
        shape: Feature,
        into: &mut Floats,
    ) -> Result<Arc<[u16]>, CpuError> {
        cpu::add_halo(workers, &drawn.pixels(), shape, into);
        let labels = &images.images().labels;
        let indices = drawn
            .decisions
            .iter()
            .map(|decision| decision.index as usize);
        Ok(indices.map(|index| labels[index].into()).collect())
    }

    fn convolve(
        workers: &Context,
        shape: ConvShape,
        x: &Floats,
        weight: &Floats,
        y: &mut Floats,
    ) -> Done {
        cpu::conv_forward(workers, x, weight, y, shape);
        Ok(())
    }

    fn convolve_input_gradient(
        workers: &Context,
        shape: ConvShape,
        dy: &Floats,
        weight: &Floats,
        dx: &mut Floats,
        accumulate: bool,
    ) -> Done {
        cpu::conv_input_gradient(workers, dy, weight, dx, shape, accumulate);
        Ok(())
    }

    fn convolve_weight_gradient(
        workers: &Context,
        shape: ConvShape,
        x: &Floats,
        dy: &Floats,
        dweight: &mut Floats,
    ) -> Done {
        cpu::conv_weight_gradient(workers, x, dy, dweight, shape);
        Ok(())
    }

    fn normalise(
        workers: &Context,
        shape: NormShape,
        x: &Floats,
        affine: Affine<'_, Cpu>,
        added: Added<'_, Cpu>,
        relu: bool,
        y: &mut Floats,
        moments: &mut Moments<Floats>,
    ) -> Done {
        let (mean, variance) = (&mut moments.mean, &mut moments.variance);
        let added = shortcut(added);
        cpu::norm_forward(
            workers,
            shape,
            x,
            affine.scale,
            affine.shift,
            added,
            relu,
            y,
            mean,
            variance,
        );
        Ok(())
    }

    fn normalise_fixed(
        workers: &Context,
        shape: NormShape,
        x: &Floats,
        affine: Affine<'_, Cpu>,
        moments: &Moments<Floats>,
        added: Added<'_, Cpu>,
        relu: bool,
        y: &mut Floats,
    ) -> Done {
        let (mean, variance) = (&moments.mean, &moments.variance);
        let added = shortcut(added);
        cpu::norm_inference(
            workers,
            shape,
            x,
            affine.scale,
            affine.shift,
            mean,
            variance,
            added,
            relu,
            y,
        );
        Ok(())
    }

    fn normalise_gradient(
        workers: &Context,
        shape: NormShape,
        x: &Floats,
        affine: Affine<'_, Cpu>,
        moments: &Moments<Floats>,
        passed: Passed<'_, Cpu>,
        dy: &mut Floats,
        dx: Option<&mut Floats>,
        (dscale, dshift): (&mut Floats, &mut Floats),
    ) -> Done {
        let mask = match passed {
            Passed::Everything => cpu::Mask::None,
            Passed::Recomputed => cpu::Mask::Recomputed,
            Passed::Positive(y) => cpu::Mask::Output(y),
        };
        cpu::norm_backward(
            workers,
            shape,
            x,
            affine.scale,
            affine.shift,
            &moments.mean,
            &moments.variance,
            mask,
            dy,
            dx.map(|dx| dx.as_mut_slice()),
            dscale,
            dshift,
        );
        Ok(())
    }

    fn subsample_gradient(
        workers: &Context,
        dy: &Floats,
        to: Feature,
        dx: &mut Floats,
        from: Feature,
    ) -> Done {
        cpu::shortcut_a_backward(workers, dy, to, dx, from);
        Ok(())
    }

    fn add(workers: &Context, _: Kind, value: &Floats, sum: &mut Floats) -> Done {
        cpu::add_into(workers, value, sum);
        Ok(())
    }

    fn max_pool(
        workers: &Context,
        shape: Feature,
        x: &Floats,
        y: &mut Floats,
        places: &mut Floats,
    ) -> Done {
        cpu::max_pool_forward(workers, x, shape, y, places);
        Ok(())
    }

    fn max_pool_gradient(
        workers: &Context,
        shape: Feature,
        places: &Floats,
        dy: &Floats,
        dx: &mut Floats,
    ) -> Done {
        cpu::max_pool_backward(workers, places, dy, shape, dx);
        Ok(())
    }

    fn pool(workers: &Context, shape: Feature, x: &Floats, y: &mut Floats) -> Done {
        cpu::mean_pool_forward(workers, x, shape, y);
        Ok(())
    }

    fn pool_gradient(workers: &Context, shape: Feature, dy: &Floats, dx: &mut Floats) -> Done {
        cpu::mean_pool_backward(workers, dy, shape, dx);
        Ok(())
    }

    fn classify(
        workers: &Context,
        shape: LinearShape,
        x: &Floats,
        weight: &Floats,
        bias: &Floats,
        y: &mut Floats,
    ) -> Done {
        cpu::linear_forward(workers, x, weight, bias, y, shape);
        Ok(())
    }

    fn classify_gradient(
        workers: &Context,
        shape: LinearShape,
        x: &Floats,
        weight: &Floats,
        dy: &Floats,
        dx: &mut Floats,
        (dweight, dbias): (&mut Floats, &mut Floats),
    ) -> Done {
        cpu::linear_backward(workers, x, weight, dy, dx, dweight, dbias, shape);
        Ok(())
    }

    fn cross_entropy(
        _: &Context,
        logits: &Floats,
        labels: &Arc<[u16]>,
        classes: usize,
    ) -> Result<CrossEntropy, CpuError> {
        Ok(cpu::cross_entropy(logits, labels, classes))
    }

    fn enter_cross_entropy(
        _: &Context,
        logits: &Floats,
        labels: &Arc<[u16]>,
        classes: usize,
        ledger: &mut Vec<CrossEntropy>,
    ) -> Done {
        ledger.push(cpu::cross_entropy(logits, labels, classes));
        Ok(())
    }

    fn read_ledger(
        _: &Context,
        ledger: &mut Vec<CrossEntropy>,
    ) -> Result<Vec<CrossEntropy>, CpuError> {
        Ok(std::mem::take(ledger))
    }

    fn cross_entropy_gradient(
        _: &Context,
        logits: &Floats,
        labels: &Arc<[u16]>,
        classes: usize,
        gradient: &mut Floats,
    ) -> Done {
        cpu::cross_entropy_gradient(logits, labels, classes, gradient);
        Ok(())
    }

    fn descend(
        _: &Context,
        step: SgdStep,
        weights: &mut Floats,
        gradient: &Floats,
        velocity: &mut Floats,
    ) -> Done {
        cpu::sgd_update(step, weights, gradient, velocity);
        Ok(())
    }

    fn end_recording(_: &Context) -> Result<Option<Infallible>, CpuError> {
        Ok(None)
    }

    unsafe fn replay(_: &Context, recording: &Infallible) -> Result<bool, CpuError> {
        match *recording {}
    }

    fn average(
        _: &Context,
        shape: NormShape,
        averaging: Averaging,
        batch: &Floats,
        running: &mut Floats,
    ) -> Done {
        cpu::moving_average(
            shape,
            averaging.momentum,
            averaging.unbiased,
            batch,
            running,
        );
        Ok(())
    }
}
