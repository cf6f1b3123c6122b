//! The operators on dfdx's CPU: the kernels of `cpu/` on the slices of its storage.

use std::sync::Arc;

use dfdx::prelude::{Cpu, CpuError};

use super::arithmetic::{Addend, Affine, Arithmetic, Averaging, Moments, ReluMask};
use super::cpu::{
    self, Context, ConvShape, CrossEntropy, Feature, LinearShape, NormShape, SgdStep,
};
use super::residency::{Kind, Numbers};

type Floats = Numbers<Cpu>;
type Done = Result<(), CpuError>;

fn shortcut<'a>(addend: Addend<'a, Cpu>) -> cpu::Shortcut<'a> {
    match addend {
        Addend::None => cpu::Shortcut::None,
        Addend::Identity(data) => cpu::Shortcut::Identity(data),
        Addend::Subsampled(data, feature) => cpu::Shortcut::Subsampled { data, feature },
    }
}

impl Arithmetic for Cpu {
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
        addend: Addend<'_, Cpu>,
        relu: bool,
        y: &mut Floats,
        moments: &mut Moments<Floats>,
    ) -> Done {
        let (mean, variance) = (&mut moments.mean, &mut moments.variance);
        let shortcut = shortcut(addend);
        cpu::norm_forward(
            workers,
            shape,
            x,
            affine.scale,
            affine.shift,
            shortcut,
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
        addend: Addend<'_, Cpu>,
        relu: bool,
        y: &mut Floats,
    ) -> Done {
        let (mean, variance) = (&moments.mean, &moments.variance);
        let shortcut = shortcut(addend);
        cpu::norm_inference(
            workers,
            shape,
            x,
            affine.scale,
            affine.shift,
            mean,
            variance,
            shortcut,
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
        mask: ReluMask<'_, Cpu>,
        dy: &mut Floats,
        dx: Option<&mut Floats>,
        (dscale, dshift): (&mut Floats, &mut Floats),
    ) -> Done {
        let mask = match mask {
            ReluMask::None => cpu::Mask::None,
            ReluMask::Recomputed => cpu::Mask::Recomputed,
            ReluMask::Output(y) => cpu::Mask::Output(y),
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

    fn cross_entropy_gradient(
        _: &Context,
        logits: &Floats,
        labels: &Arc<[u16]>,
        classes: usize,
        of: usize,
        gradient: &mut Floats,
    ) -> Done {
        cpu::cross_entropy_gradient(logits, labels, classes, of, gradient);
        Ok(())
    }

    fn descend(
        workers: &Context,
        step: SgdStep,
        weights: &mut Floats,
        gradient: &Floats,
        velocity: &mut Floats,
    ) -> Done {
        cpu::sgd_update(workers, step, weights, gradient, velocity);
        Ok(())
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
