//! The differentiable operators, recorded on the tape of unmodified dfdx: convolution, batch normalisation fused with the
//! addition of a shortcut and ReLU, option A's shortcut, max-pooling, global average pooling, the classifier,
//! cross-entropy.
//!
//! Each computes its output and leaves on the tape what its gradient needs. A backward operation takes its output's
//! gradient out of dfdx's `Gradients`, which frees the memory or passes it on as the gradient of an input.

use std::sync::Arc;

use dfdx::prelude::*;

use super::activation::{Activation, Recomputation, Source, Variable};
use super::arithmetic::{Addend, Affine, Arithmetic, Moments, ReluMask};
use super::cpu::{ConvShape, Feature, LinearShape, NormShape};
use super::gradient::Key;
use super::residency::{Numbers, Residency};
use super::session::Session;

/// A feature without spatial extent: `[images][channels]`.
fn flat(images: usize, channels: usize) -> Feature {
    Feature {
        images,
        height: 1,
        width: 1,
        channels,
        halo: 0,
    }
}

/// A convolution without bias. Without `input_gradient`, the gradient of `x` is skipped: the first layer's images need
/// none.
pub fn convolution<D: Arithmetic, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    shape: ConvShape,
    x: &Activation<D>,
    weight: &Variable<D>,
    input_gradient: bool,
) -> Result<Activation<D>, D::Err> {
    let mut y = session.lend(shape.output())?;
    D::convolve(
        &session.workers,
        shape,
        x.values.numbers(),
        &weight.values,
        y.numbers_mut(),
    )?;
    let y = Activation::new(shape.output(), y)?;
    if T::OWNS_TAPE {
        let (session, weight, of_x, of_y) = (
            session.clone(),
            weight.clone(),
            x.key.clone(),
            y.key.clone(),
        );
        let x = Source::of(x);
        tape.add_backward_op(move |gradients| {
            let Some(dy) = of_y.take(gradients, &session)? else {
                return Ok(());
            };
            let x = x.values(&session)?;
            let workers = &session.workers;
            let mut dweight = weight.key.take_or_lend(gradients, &session)?.gradient;
            // The two gradients need nothing of each other.
            D::set_aside(workers, true);
            D::convolve_weight_gradient(
                workers,
                shape,
                x.numbers(),
                dy.numbers(),
                dweight.numbers_mut(),
            )?;
            D::set_aside(workers, false);
            // Frees memory of the shape that the gradient needs next, unless it is still read then.
            let _read = D::SIDE_BY_SIDE.then_some(x);
            weight.key.put(gradients, dweight)?;
            if input_gradient {
                let mut dx = of_x.take_or_lend(gradients, &session)?;
                D::convolve_input_gradient(
                    workers,
                    shape,
                    dy.numbers(),
                    &weight.values,
                    dx.gradient.numbers_mut(),
                    dx.accumulate,
                )?;
                of_x.put(gradients, dx.gradient)?;
            }
            D::join(workers);
            Ok(())
        });
    }
    Ok(y)
}

/// What is added to a normalised activation.
pub enum Shortcut<D: Residency> {
    None,
    Identity(Activation<D>),
    Subsampled(Subsampling<D>),
}

impl<D: Residency> Shortcut<D> {
    fn addend(&self) -> Addend<'_, D> {
        match self {
            Shortcut::None => Addend::None,
            Shortcut::Identity(x) => Addend::Identity(x.values.numbers()),
            Shortcut::Subsampled(view) => {
                Addend::Subsampled(view.from.values.numbers(), view.from.shape)
            }
        }
    }

    fn key(&self) -> Option<&Key<D>> {
        match self {
            Shortcut::None => None,
            Shortcut::Identity(x) => Some(&x.key),
            Shortcut::Subsampled(view) => Some(&view.key),
        }
    }
}

/// Option A's view of an activation: every second pixel, zero channels appended. It is never materialised but has a
/// gradient.
pub struct Subsampling<D: Residency> {
    from: Activation<D>,
    /// The key of the gradient, in the shape after subsampling.
    key: Key<D>,
}

/// Option A's shortcut from `x` to the shape `to`. Call it before any other operator that reads `x`: its gradient is then
/// the last and is added to theirs.
pub fn subsample<D: Arithmetic, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    x: &Activation<D>,
    to: Feature,
) -> Result<Subsampling<D>, D::Err> {
    let key = Key::of_activation(session, to)?;
    if T::OWNS_TAPE {
        let (session, from, of_x, of_y) = (session.clone(), x.shape, x.key.clone(), key.clone());
        tape.add_backward_op(move |gradients| {
            let Some(dy) = of_y.take(gradients, &session)? else {
                return Ok(());
            };
            let mut dx = of_x.take_or_lend(gradients, &session)?;
            if !dx.accumulate {
                session
                    .device
                    .try_fill_with_zeros(dx.gradient.numbers_mut())?;
            }
            D::subsample_gradient(
                &session.workers,
                dy.numbers(),
                to,
                dx.gradient.numbers_mut(),
                from,
            )?;
            of_x.put(gradients, dx.gradient)
        });
    }
    Ok(Subsampling {
        from: x.clone(),
        key,
    })
}

/// One normalisation's statistics of one mini-batch.
pub struct BatchStatistics<D: Residency> {
    pub shape: NormShape,
    pub moments: Arc<Moments<Numbers<D>>>,
}

/// What is fused into a normalisation, after it.
pub struct Epilogue<D: Residency> {
    pub shortcut: Shortcut<D>,
    pub relu: bool,
    /// Whether a convolution of the output recomputes it for the backward pass instead of keeping it. Has no effect with a
    /// shortcut.
    pub recompute: bool,
}

impl<D: Residency> Epilogue<D> {
    pub fn none() -> Self {
        Self {
            shortcut: Shortcut::None,
            relu: false,
            recompute: false,
        }
    }

    pub fn relu() -> Self {
        Self {
            relu: true,
            ..Self::none()
        }
    }
}

/// Batch normalisation with the mini-batch's statistics, then the epilogue.
pub fn normalisation<D: Arithmetic, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    shape: NormShape,
    x: &Activation<D>,
    [scale, shift]: [&Variable<D>; 2],
    epilogue: Epilogue<D>,
) -> Result<(Activation<D>, BatchStatistics<D>), D::Err> {
    let Epilogue {
        shortcut,
        relu,
        recompute,
    } = epilogue;
    let channels = shape.groups() * shape.feature.channels;
    let mut moments = Moments {
        mean: session.device.allocate(channels)?,
        variance: session.device.allocate(channels)?,
    };
    let mut y = session.lend(x.shape)?;
    let affine = Affine {
        scale: &*scale.values,
        shift: &*shift.values,
    };
    D::normalise(
        &session.workers,
        shape,
        x.values.numbers(),
        affine,
        shortcut.addend(),
        relu,
        y.numbers_mut(),
        &mut moments,
    )?;
    let moments = Arc::new(moments);
    let mut y = Activation::new(x.shape, y)?;
    if recompute && shortcut.key().is_none() {
        y.recomputation = Some(Arc::new(Recomputation {
            shape,
            x: x.values.clone(),
            scale: scale.values.clone(),
            shift: shift.values.clone(),
            moments: moments.clone(),
            relu,
        }));
    }
    if T::OWNS_TAPE {
        let (session, x, of_y) = (session.clone(), x.clone(), y.key.clone());
        let (scale, shift, moments) = (scale.clone(), shift.clone(), moments.clone());
        // With a shortcut added, only the output shows where the ReLU let values pass.
        let output = (relu && shortcut.key().is_some()).then(|| y.values.clone());
        let of_shortcut = shortcut.key().cloned();
        tape.add_backward_op(move |gradients| {
            let Some(mut dy) = of_y.take(gradients, &session)? else {
                return Ok(());
            };
            let mut dscale = scale.key.take_or_lend(gradients, &session)?.gradient;
            let mut dshift = shift.key.take_or_lend(gradients, &session)?.gradient;
            let mut dx = match of_shortcut {
                Some(_) => Some(session.lend(x.shape)?),
                None => None,
            };
            let mask = match &output {
                Some(y) => ReluMask::Output(y.numbers()),
                None if relu => ReluMask::Recomputed,
                None => ReluMask::None,
            };
            D::normalise_gradient(
                &session.workers,
                shape,
                x.values.numbers(),
                Affine {
                    scale: &*scale.values,
                    shift: &*shift.values,
                },
                &moments,
                mask,
                dy.numbers_mut(),
                dx.as_mut().map(|dx| dx.numbers_mut()),
                (dscale.numbers_mut(), dshift.numbers_mut()),
            )?;
            scale.key.put(gradients, dscale)?;
            shift.key.put(gradients, dshift)?;
            match (dx, of_shortcut) {
                (Some(dx), Some(of_shortcut)) => {
                    of_shortcut.add(gradients, &session, dy)?;
                    x.key.add(gradients, &session, dx)
                }
                _ => x.key.add(gradients, &session, dy),
            }
        });
    }
    Ok((y, BatchStatistics { shape, moments }))
}

/// As [`normalisation`], with given statistics. Records nothing, since evaluation takes no gradients.
pub fn normalisation_fixed<D: Arithmetic>(
    session: &Arc<Session<D>>,
    shape: NormShape,
    x: &Activation<D>,
    [scale, shift]: [&Variable<D>; 2],
    moments: &Moments<Numbers<D>>,
    epilogue: &Epilogue<D>,
) -> Result<Activation<D>, D::Err> {
    let mut y = session.lend(x.shape)?;
    let affine = Affine {
        scale: &*scale.values,
        shift: &*shift.values,
    };
    D::normalise_fixed(
        &session.workers,
        shape,
        x.values.numbers(),
        affine,
        moments,
        epilogue.shortcut.addend(),
        epilogue.relu,
        y.numbers_mut(),
    )?;
    Activation::new(x.shape, y)
}

/// Max-pooling of the ImageNet stem. It keeps the places of the maxima, a quarter of its input's size, instead of the
/// input.
pub fn max_pool<D: Arithmetic, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    x: &Activation<D>,
) -> Result<Activation<D>, D::Err> {
    let from = x.shape;
    let mut y = session.lend(from.max_pooled())?;
    let mut places = session.lend_floats(from.max_places())?;
    D::max_pool(
        &session.workers,
        from,
        x.values.numbers(),
        y.numbers_mut(),
        places.numbers_mut(),
    )?;
    let y = Activation::new(from.max_pooled(), y)?;
    if T::OWNS_TAPE {
        let (session, of_x, of_y) = (session.clone(), x.key.clone(), y.key.clone());
        tape.add_backward_op(move |gradients| {
            let Some(dy) = of_y.take(gradients, &session)? else {
                return Ok(());
            };
            let mut dx = session.lend(from)?;
            D::max_pool_gradient(
                &session.workers,
                from,
                places.numbers(),
                dy.numbers(),
                dx.numbers_mut(),
            )?;
            of_x.add(gradients, &session, dx)
        });
    }
    Ok(y)
}

/// Global average pooling: the mean over each image's pixels.
pub fn mean_pool<D: Arithmetic, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    x: &Activation<D>,
) -> Result<Activation<D>, D::Err> {
    let from = x.shape;
    let to = flat(from.images, from.channels);
    let mut y = session.lend_floats(to)?;
    D::pool(&session.workers, from, x.values.numbers(), y.numbers_mut())?;
    let y = Activation::new(to, y)?;
    if T::OWNS_TAPE {
        let (session, of_x, of_y) = (session.clone(), x.key.clone(), y.key.clone());
        tape.add_backward_op(move |gradients| {
            let Some(dy) = of_y.take(gradients, &session)? else {
                return Ok(());
            };
            let mut dx = session.lend(from)?;
            D::pool_gradient(&session.workers, from, dy.numbers(), dx.numbers_mut())?;
            of_x.add(gradients, &session, dx)
        });
    }
    Ok(y)
}

/// The fully connected layer, with bias.
pub fn classifier<D: Arithmetic, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    x: &Activation<D>,
    [weight, bias]: [&Variable<D>; 2],
    classes: usize,
) -> Result<Activation<D>, D::Err> {
    let shape = LinearShape {
        images: x.shape.images,
        inputs: x.shape.channels,
        outputs: classes,
    };
    let to = flat(shape.images, classes);
    let mut y = session.lend_floats(to)?;
    D::classify(
        &session.workers,
        shape,
        x.values.numbers(),
        &weight.values,
        &bias.values,
        y.numbers_mut(),
    )?;
    let y = Activation::new(to, y)?;
    if T::OWNS_TAPE {
        let (session, x, of_y) = (session.clone(), x.clone(), y.key.clone());
        let (weight, bias) = (weight.clone(), bias.clone());
        tape.add_backward_op(move |gradients| {
            let Some(dy) = of_y.take(gradients, &session)? else {
                return Ok(());
            };
            let mut dx = session.lend_floats(x.shape)?;
            let mut dweight = weight.key.take_or_lend(gradients, &session)?.gradient;
            let mut dbias = bias.key.take_or_lend(gradients, &session)?.gradient;
            D::classify_gradient(
                &session.workers,
                shape,
                x.values.numbers(),
                &weight.values,
                dy.numbers(),
                dx.numbers_mut(),
                (dweight.numbers_mut(), dbias.numbers_mut()),
            )?;
            weight.key.put(gradients, dweight)?;
            bias.key.put(gradients, dbias)?;
            x.key.add(gradients, &session, dx)
        });
    }
    Ok(y)
}

/// Records the gradient of the mean cross-entropy of `of` images, of which `logits` are some or all; the backward pass
/// starts there. The loss itself is not computed here but read after the step, so that the step does not wait for it.
pub fn cross_entropy<D: Arithmetic>(
    session: &Arc<Session<D>>,
    tape: &mut OwnedTape<f32, D>,
    logits: &Activation<D>,
    labels: &D::Labels,
    of: usize,
) {
    let (session, logits, labels) = (session.clone(), logits.clone(), labels.clone());
    tape.add_backward_op(move |gradients| {
        let mut gradient = session.lend_floats(logits.shape)?;
        D::cross_entropy_gradient(
            &session.workers,
            logits.values.numbers(),
            &labels,
            logits.shape.channels,
            of,
            gradient.numbers_mut(),
        )?;
        logits.key.add(gradients, &session, gradient)
    });
}
