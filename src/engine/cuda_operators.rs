//! The operators on dfdx's CUDA device: launches of `cuda/`'s kernels on the storage that it allocates.

use std::sync::Arc;

use anyhow::Result;
use dfdx::prelude::*;

use super::cpu::{ConvShape, CrossEntropy, Feature, LinearShape, NormShape, SgdStep};
use super::cuda::{self, Gate, Gpu, MovingAverage, Nvidia, Shortcut, Update};
use super::operators::{
    Added, Affine, Averaging, Descent, Kind, Moments, Moving, Numbers, Operators, Passed,
};
use super::storage::Session;
use super::trainer::Trainer;
use super::{Differentiable, Hyperparameters};
use crate::data::{Drawn, Originals};
use crate::manifest::Precision;
use crate::network::Network;

type Floats = Numbers<Cuda>;
type Done = std::result::Result<(), CudaError>;

fn shortcut<'a>(added: Added<'a, Cuda>) -> Shortcut<'a, Floats> {
    match added {
        Added::Nothing => Shortcut::Nothing,
        Added::Identity(data) => Shortcut::Same(data),
        Added::Subsampled(data, feature) => Shortcut::Subsampled(data, feature),
    }
}

// SAFETY: what is not `Send` in dfdx's device is a stream's handle. The driver's handles may be used from any thread, and cudarc
// binds its context to the calling thread before each use.
unsafe impl Operators for Cuda {
    type Workers = Nvidia;
    type Labels = cuda::Labels;
    type Images = cuda::Images<Nvidia>;
    /// Entries that are filled.
    type Ledger = usize;

    type Recording = cuda::Graph;

    const KEEPS_IMAGES: bool = true;
    const BUNCH: usize = cuda::LEDGER;

    fn upload(&self, values: &[f32]) -> std::result::Result<Floats, CudaError> {
        let mut storage = self.allocate(values.len())?;
        if !values.is_empty() {
            storage.device().htod_sync_copy_into(values, &mut storage)?;
        }
        Ok(storage)
    }

    fn download(&self, storage: &Floats) -> std::result::Result<Vec<f32>, CudaError> {
        let mut values = vec![0.0; Storage::<f32>::len(self, storage)];
        storage.device().dtoh_sync_copy_into(storage, &mut values)?;
        Ok(values)
    }

    fn download_many(
        &self,
        gpu: &Nvidia,
        many: &[&Floats],
    ) -> std::result::Result<Vec<Vec<f32>>, CudaError> {
        Ok(cuda::download_many(gpu, many)?)
    }

    fn activation_floats(gpu: &Nvidia, shape: Feature) -> usize {
        gpu.floats(shape)
    }

    fn download_activation(
        &self,
        gpu: &Nvidia,
        storage: &Floats,
        shape: Feature,
    ) -> std::result::Result<Vec<f32>, CudaError> {
        Ok(cuda::download_feature(gpu, storage, shape)?)
    }

    fn put_images(gpu: &Nvidia, pixels: &[f32], shape: Feature, into: &mut Floats) -> Done {
        Ok(cuda::put_images(gpu, pixels, shape, into)?)
    }

    fn put_labels(gpu: &Nvidia, labels: &[u16]) -> std::result::Result<cuda::Labels, CudaError> {
        Ok(cuda::Labels::put(gpu, labels)?)
    }

    fn keep_images(
        gpu: &Nvidia,
        originals: &Arc<Originals>,
    ) -> std::result::Result<cuda::Images<Nvidia>, CudaError> {
        Ok(cuda::Images::new(gpu, originals)?)
    }

    fn draw_images(
        gpu: &Nvidia,
        images: &cuda::Images<Nvidia>,
        drawn: &Drawn,
        shape: Feature,
        into: &mut Floats,
    ) -> std::result::Result<cuda::Labels, CudaError> {
        Ok(cuda::draw_images(gpu, images, drawn, shape, into)?)
    }

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
        added: Added<'_, Cuda>,
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
            shortcut(added),
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
        added: Added<'_, Cuda>,
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
            shortcut(added),
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
        passed: Passed<'_, Cuda>,
        dy: &mut Floats,
        dx: Option<&mut Floats>,
        (dscale, dshift): (&mut Floats, &mut Floats),
    ) -> Done {
        let gate = match passed {
            Passed::Everything => Gate::Open,
            Passed::Recomputed => Gate::Recomputed,
            Passed::Positive(y) => Gate::Output(y),
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
    ) -> std::result::Result<CrossEntropy, CudaError> {
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

    fn read_ledger(
        gpu: &Nvidia,
        ledger: &mut usize,
    ) -> std::result::Result<Vec<CrossEntropy>, CudaError> {
        Ok(cuda::read_ledger(gpu, std::mem::take(ledger))?)
    }

    fn cross_entropy_gradient(
        gpu: &Nvidia,
        logits: &Floats,
        labels: &cuda::Labels,
        classes: usize,
        gradient: &mut Floats,
    ) -> Done {
        Ok(cuda::cross_entropy_gradient(
            gpu, logits, *labels, classes, gradient,
        )?)
    }

    fn begin_recording(gpu: &Nvidia) -> bool {
        gpu.begin_noting()
    }

    fn end_recording(gpu: &Nvidia) -> std::result::Result<Option<cuda::Graph>, CudaError> {
        Ok(gpu.end_noting()?)
    }

    unsafe fn replay(gpu: &Nvidia, graph: &cuda::Graph) -> std::result::Result<bool, CudaError> {
        // SAFETY: the caller's promise.
        Ok(unsafe { gpu.launch_graph(graph)? })
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
        let one = Moving {
            shape,
            averaging,
            batch,
            running,
        };
        Self::average_all(gpu, vec![one])
    }

    fn descend_all(gpu: &Nvidia, steps: Vec<Descent<'_, Cuda>>) -> Done {
        let updates = steps.into_iter().map(|one| Update {
            step: one.step,
            weights: one.weights,
            gradient: one.gradient,
            velocity: one.velocity,
        });
        Ok(cuda::descend(gpu, &mut updates.collect::<Vec<_>>())?)
    }

    fn average_all(gpu: &Nvidia, moves: Vec<Moving<'_, Cuda>>) -> Done {
        // All with the momentum of the recipe.
        let momentum = moves.first().map_or(0.0, |one| one.averaging.momentum);
        let averages = moves.into_iter().map(|one| MovingAverage {
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

/// Opens a GPU that the driver shows, loads the kernels and demands that every operator agrees with the CPU's: in 32-bit
/// floats, and then in the precision that is asked for.
pub fn open(number: usize, precision: Precision) -> std::result::Result<(Cuda, Nvidia), String> {
    let device = Cuda::try_build(number, 0)
        .map_err(|error| format!("GPU {number} does not open: {error}"))?;
    let mut gpu = Nvidia::new(&device).map_err(|error| format!("GPU {number}: {error}"))?;
    let mut precisions = vec![Precision::Fp32];
    precisions.extend((precision != Precision::Fp32).then_some(precision));
    for precision in precisions {
        gpu.compute_in(precision);
        let far = cuda::self_check(&gpu).map_err(|error| {
            format!("GPU {number}: the self-check's kernels do not run: {error}")
        })?;
        if let Some(worst) = far.first() {
            return Err(format!(
                "GPU {number}: in {}, {} of {} is {:.1e} away from the CPU's result and {} more checks fail; nothing is trained on it",
                precision.name(),
                worst.what,
                worst.shape,
                worst.error,
                far.len() - 1
            ));
        }
    }
    Ok((device, gpu))
}

/// An engine on a GPU; see [`create`](super::create).
pub fn create(
    number: usize,
    precision: Precision,
    network: &Network,
    image_size: usize,
    hyper: &Hyperparameters,
) -> Result<Box<dyn Differentiable>> {
    let opened = open(number, precision);
    let (device, gpu) = opened.map_err(|why| crate::exit::Exit::Device.error(why))?;
    let session: Arc<Session<Cuda>> = Session::new(device, gpu, usize::MAX);
    let trainer = Trainer::new(session, network, image_size, hyper)?;
    Ok(Box::new(trainer))
}
