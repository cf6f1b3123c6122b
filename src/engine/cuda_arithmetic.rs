//! The operators on dfdx's CUDA device: launches of the kernels of `cuda/` on the storage that it allocates.

use dfdx::prelude::{Cuda, CudaError};

use super::arithmetic::{
    Addend, Affine, Arithmetic, Averaging, Descent, Moments, MovingAverage, ReluMask,
};
use super::cpu::{ConvShape, CrossEntropy, Feature, LinearShape, NormShape, SgdStep};
use super::cuda::{self, Gate, Nvidia, Shortcut};
use super::residency::{Kind, Numbers};

type Floats = Numbers<Cuda>;
type Done = Result<(), CudaError>;

fn shortcut<'a>(addend: Addend<'a, Cuda>) -> Shortcut<'a, Floats> {
    match addend {
        Addend::None => Shortcut::None,
        Addend::Identity(data) => Shortcut::Identity(data),
        Addend::Subsampled(data, feature) => Shortcut::Subsampled(data, feature),
    }
}

impl Arithmetic for Cuda {
    fn convolve(
        gpu: &Nvidia,
        shape: ConvShape,
        x: &Floats,
        weight: &Floats,
        y: &mut Floats,
    ) -> Done {
        Ok(cuda::convolve(gpu, shape, x, weight, y)?)
    }

    fn convolve_input_gradient(
        gpu: &Nvidia,
        shape: ConvShape,
        dy: &Floats,
        weight: &Floats,
        dx: &mut Floats,
        accumulate: bool,
    ) -> Done {
        Ok(cuda::convolve_input_gradient(
            gpu, shape, dy, weight, dx, accumulate,
        )?)
    }

    fn convolve_weight_gradient(
        gpu: &Nvidia,
        shape: ConvShape,
        x: &Floats,
        dy: &Floats,
        dweight: &mut Floats,
    ) -> Done {
        Ok(cuda::convolve_weight_gradient(gpu, shape, x, dy, dweight)?)
    }

    fn normalise(
        gpu: &Nvidia,
        shape: NormShape,
        x: &Floats,
        affine: Affine<'_, Cuda>,
        addend: Addend<'_, Cuda>,
        relu: bool,
        y: &mut Floats,
        moments: &mut Moments<Floats>,
    ) -> Done {
        let statistics = [&mut moments.mean, &mut moments.variance];
        let affine = [affine.scale, affine.shift];
        Ok(cuda::normalise(
            gpu,
            shape,
            x,
            affine,
            shortcut(addend),
            relu,
            y,
            statistics,
        )?)
    }

    fn normalise_fixed(
        gpu: &Nvidia,
        shape: NormShape,
        x: &Floats,
        affine: Affine<'_, Cuda>,
        moments: &Moments<Floats>,
        addend: Addend<'_, Cuda>,
        relu: bool,
        y: &mut Floats,
    ) -> Done {
        let statistics = [&moments.mean, &moments.variance];
        let affine = [affine.scale, affine.shift];
        Ok(cuda::normalise_fixed(
            gpu,
            shape,
            x,
            affine,
            statistics,
            shortcut(addend),
            relu,
            y,
        )?)
    }

    fn normalise_gradient(
        gpu: &Nvidia,
        shape: NormShape,
        x: &Floats,
        affine: Affine<'_, Cuda>,
        moments: &Moments<Floats>,
        mask: ReluMask<'_, Cuda>,
        dy: &mut Floats,
        dx: Option<&mut Floats>,
        (dscale, dshift): (&mut Floats, &mut Floats),
    ) -> Done {
        let gate = match mask {
            ReluMask::None => Gate::Open,
            ReluMask::Recomputed => Gate::Recomputed,
            ReluMask::Output(y) => Gate::Output(y),
        };
        let affine = [affine.scale, affine.shift];
        let statistics = [&moments.mean, &moments.variance];
        let parameters = [dscale, dshift];
        Ok(cuda::normalise_gradient(
            gpu, shape, x, affine, statistics, gate, dy, dx, parameters,
        )?)
    }

    fn subsample_gradient(
        gpu: &Nvidia,
        dy: &Floats,
        to: Feature,
        dx: &mut Floats,
        from: Feature,
    ) -> Done {
        Ok(cuda::subsample_gradient(gpu, dy, to, dx, from)?)
    }

    fn add(gpu: &Nvidia, kind: Kind, value: &Floats, sum: &mut Floats) -> Done {
        Ok(cuda::add(gpu, kind, value, sum)?)
    }

    fn max_pool(
        gpu: &Nvidia,
        shape: Feature,
        x: &Floats,
        y: &mut Floats,
        places: &mut Floats,
    ) -> Done {
        Ok(cuda::max_pool(gpu, shape, x, y, places)?)
    }

    fn max_pool_gradient(
        gpu: &Nvidia,
        shape: Feature,
        places: &Floats,
        dy: &Floats,
        dx: &mut Floats,
    ) -> Done {
        Ok(cuda::max_pool_gradient(gpu, shape, places, dy, dx)?)
    }

    fn pool(gpu: &Nvidia, shape: Feature, x: &Floats, y: &mut Floats) -> Done {
        Ok(cuda::pool(gpu, shape, x, y)?)
    }

    fn pool_gradient(gpu: &Nvidia, shape: Feature, dy: &Floats, dx: &mut Floats) -> Done {
        Ok(cuda::pool_gradient(gpu, shape, dy, dx)?)
    }

    fn classify(
        gpu: &Nvidia,
        shape: LinearShape,
        x: &Floats,
        weight: &Floats,
        bias: &Floats,
        y: &mut Floats,
    ) -> Done {
        Ok(cuda::classify(gpu, shape, x, weight, bias, y)?)
    }

    fn classify_gradient(
        gpu: &Nvidia,
        shape: LinearShape,
        x: &Floats,
        weight: &Floats,
        dy: &Floats,
        dx: &mut Floats,
        (dweight, dbias): (&mut Floats, &mut Floats),
    ) -> Done {
        Ok(cuda::classify_gradient(
            gpu,
            shape,
            x,
            weight,
            dy,
            dx,
            [dweight, dbias],
        )?)
    }

    fn cross_entropy(
        gpu: &Nvidia,
        logits: &Floats,
        labels: &cuda::Labels,
        classes: usize,
    ) -> Result<CrossEntropy, CudaError> {
        Ok(cuda::cross_entropy(gpu, logits, *labels, classes)?)
    }

    fn enter_cross_entropy(
        gpu: &Nvidia,
        logits: &Floats,
        labels: &cuda::Labels,
        classes: usize,
        ledger: &mut usize,
    ) -> Done {
        cuda::enter_cross_entropy(gpu, logits, *labels, classes, *ledger)?;
        *ledger += 1;
        Ok(())
    }

    fn cross_entropy_gradient(
        gpu: &Nvidia,
        logits: &Floats,
        labels: &cuda::Labels,
        classes: usize,
        of: usize,
        gradient: &mut Floats,
    ) -> Done {
        Ok(cuda::cross_entropy_gradient(
            gpu, logits, *labels, classes, of, gradient,
        )?)
    }

    fn descend(
        gpu: &Nvidia,
        step: SgdStep,
        weights: &mut Floats,
        gradient: &Floats,
        velocity: &mut Floats,
    ) -> Done {
        let one = Descent {
            step,
            weights,
            gradient,
            velocity,
        };
        Self::descend_all(gpu, vec![one])
    }

    fn average(
        gpu: &Nvidia,
        shape: NormShape,
        averaging: Averaging,
        batch: &Floats,
        running: &mut Floats,
    ) -> Done {
        let one = MovingAverage {
            shape,
            averaging,
            batch,
            running,
        };
        Self::average_all(gpu, vec![one])
    }

    fn descend_all(gpu: &Nvidia, steps: Vec<Descent<'_, Cuda>>) -> Done {
        let updates = steps.into_iter().map(|one| cuda::Update {
            step: one.step,
            weights: one.weights,
            gradient: one.gradient,
            velocity: one.velocity,
        });
        Ok(cuda::descend(gpu, &mut updates.collect::<Vec<_>>())?)
    }

    fn average_all(gpu: &Nvidia, averages: Vec<MovingAverage<'_, Cuda>>) -> Done {
        // All have the momentum of the recipe.
        let momentum = averages.first().map_or(0.0, |one| one.averaging.momentum);
        let averages = averages.into_iter().map(|one| cuda::MovingAverage {
            shape: one.shape,
            unbiased: one.averaging.unbiased,
            batch: one.batch,
            running: one.running,
        });
        Ok(cuda::average(
            gpu,
            momentum,
            &mut averages.collect::<Vec<_>>(),
        )?)
    }
}
