//! The differentiable operators, recorded on the tape of the unmodified dfdx: convolution, batch normalisation with the
//! addition of a shortcut and ReLU fused in, option A's shortcut, max-pooling, global mean pooling, the classifier, cross-entropy.
//!
//! Each computes its output and leaves on the tape what its gradient takes. A backward operation takes the gradient of its
//! output out of dfdx's `Gradients` and so frees its memory, or hands it on as the gradient of an input.

use std::sync::Arc;

use dfdx::prelude::*;

use super::cpu::{ConvShape, Feature, LinearShape, NormShape};
use super::operators::{Added, Affine, Moments, Numbers, Operators, Passed};
use super::storage::{Activation, Key, Learnt, Remade, Session, Source};

/// A feature of one number a channel: `[images][channels]`.
fn pooled(images: usize, channels: usize) -> Feature {
    Feature {
        images,
        height: 1,
        width: 1,
        channels,
        halo: 0,
    }
}

/// A convolution without bias. The gradient of `x` is left out where nobody asks for it: the images in front of the first
/// layer.
pub fn convolution<D: Operators, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    shape: ConvShape,
    x: &Activation<D>,
    weight: &Learnt<D>,
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
            let mut dweight = weight.key.take_or_begin(gradients, &session)?.gradient;
            D::convolve_weight_gradient(
                workers,
                shape,
                x.numbers(),
                dy.numbers(),
                dweight.numbers_mut(),
            )?;
            // Before the gradient needs memory of the same shape.
            drop(x);
            weight.key.put(gradients, dweight)?;
            if input_gradient {
                let mut dx = of_x.take_or_begin(gradients, &session)?;
                D::convolve_input_gradient(
                    workers,
                    shape,
                    dy.numbers(),
                    &weight.values,
                    dx.gradient.numbers_mut(),
                    dx.begun,
                )?;
                of_x.put(gradients, dx.gradient)?;
            }
            Ok(())
        });
    }
    Ok(y)
}

/// What is added to a normalised activation.
pub enum Shortcut<D: Operators> {
    None,
    Identity(Activation<D>),
    Subsampled(Subsampled<D>),
}

impl<D: Operators> Shortcut<D> {
    fn added(&self) -> Added<'_, D> {
        match self {
            Shortcut::None => Added::Nothing,
            Shortcut::Identity(x) => Added::Identity(x.values.numbers()),
            Shortcut::Subsampled(view) => {
                Added::Subsampled(view.from.values.numbers(), view.from.shape)
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

/// Every second pixel of an activation with zero channels appended (option A): never in memory, but with a gradient.
pub struct Subsampled<D: Operators> {
    from: Activation<D>,
    /// Of the gradient in the shape after subsampling.
    key: Key<D>,
}

/// Option A's shortcut from `x` to the shape `to`. To be recorded before what else uses `x`: its gradient is then added to
/// theirs, which has been written by then.
pub fn subsample<D: Operators, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    x: &Activation<D>,
    to: Feature,
) -> Result<Subsampled<D>, D::Err> {
    let key = Key::of_activation(session, to)?;
    if T::OWNS_TAPE {
        let (session, from, of_x, of_y) = (session.clone(), x.shape, x.key.clone(), key.clone());
        tape.add_backward_op(move |gradients| {
            let Some(dy) = of_y.take(gradients, &session)? else {
                return Ok(());
            };
            let mut dx = of_x.take_or_begin(gradients, &session)?;
            if !dx.begun {
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
    Ok(Subsampled {
        from: x.clone(),
        key,
    })
}

/// The statistics of one normalisation over one mini-batch.
pub struct BatchStatistics<D: Operators> {
    pub shape: NormShape,
    pub moments: Arc<Moments<Numbers<D>>>,
}

/// What comes behind a normalisation.
pub struct Behind<D: Operators> {
    pub shortcut: Shortcut<D>,
    pub relu: bool,
    /// A convolution of the output makes it again for its gradient, instead of keeping it. Only where statistics are of a
    /// single group and there is no shortcut; otherwise it is kept.
    pub remake: bool,
}

impl<D: Operators> Behind<D> {
    pub fn nothing() -> Self {
        Self {
            shortcut: Shortcut::None,
            relu: false,
            remake: false,
        }
    }

    pub fn relu() -> Self {
        Self {
            relu: true,
            ..Self::nothing()
        }
    }
}

/// Batch normalisation with the mini-batch's statistics, then what comes behind it.
pub fn normalisation<D: Operators, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    shape: NormShape,
    x: &Activation<D>,
    [scale, shift]: [&Learnt<D>; 2],
    behind: Behind<D>,
) -> Result<(Activation<D>, BatchStatistics<D>), D::Err> {
    let Behind {
        shortcut,
        relu,
        remake,
    } = behind;
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
        shortcut.added(),
        relu,
        y.numbers_mut(),
        &mut moments,
    )?;
    let moments = Arc::new(moments);
    let mut y = Activation::new(x.shape, y)?;
    if remake && shape.groups() == 1 && shortcut.key().is_none() {
        y.remade = Some(Arc::new(Remade {
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
        // Where something was added the ReLU is known from the output alone.
        let output = (relu && shortcut.key().is_some()).then(|| y.values.clone());
        let of_shortcut = shortcut.key().cloned();
        tape.add_backward_op(move |gradients| {
            let Some(mut dy) = of_y.take(gradients, &session)? else {
                return Ok(());
            };
            let mut dscale = scale.key.take_or_begin(gradients, &session)?.gradient;
            let mut dshift = shift.key.take_or_begin(gradients, &session)?.gradient;
            let mut dx = match of_shortcut {
                Some(_) => Some(session.lend(x.shape)?),
                None => None,
            };
            let passed = match &output {
                Some(y) => Passed::Positive(y.numbers()),
                None if relu => Passed::Recomputed,
                None => Passed::Everything,
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
                passed,
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

/// As [`normalisation`] with given statistics; nothing is recorded: evaluation takes no gradients.
pub fn normalisation_fixed<D: Operators>(
    session: &Arc<Session<D>>,
    shape: NormShape,
    x: &Activation<D>,
    [scale, shift]: [&Learnt<D>; 2],
    moments: &Moments<Numbers<D>>,
    behind: &Behind<D>,
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
        behind.shortcut.added(),
        behind.relu,
        y.numbers_mut(),
    )?;
    Activation::new(x.shape, y)
}

/// Max-pooling of the ImageNet stem. What it remembers for its gradient is a quarter of its input, which need not be kept.
pub fn max_pool<D: Operators, T: Tape<f32, D>>(
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

/// The mean over each image's pixels.
pub fn mean_pool<D: Operators, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    x: &Activation<D>,
) -> Result<Activation<D>, D::Err> {
    let from = x.shape;
    let to = pooled(from.images, from.channels);
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

/// The fully connected layer with bias.
pub fn classifier<D: Operators, T: Tape<f32, D>>(
    session: &Arc<Session<D>>,
    tape: &mut T,
    x: &Activation<D>,
    [weight, bias]: [&Learnt<D>; 2],
    classes: usize,
) -> Result<Activation<D>, D::Err> {
    let shape = LinearShape {
        images: x.shape.images,
        inputs: x.shape.channels,
        outputs: classes,
    };
    let to = pooled(shape.images, classes);
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
            let mut dweight = weight.key.take_or_begin(gradients, &session)?.gradient;
            let mut dbias = bias.key.take_or_begin(gradients, &session)?.gradient;
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

/// Records the gradient of the mean cross-entropy of `logits`, from which dfdx's `backward` starts: its own gradient is 1.
/// The loss itself is asked for when the step has been made, so that nothing in it waits for a number.
pub fn cross_entropy<D: Operators>(
    session: &Arc<Session<D>>,
    tape: &mut OwnedTape<f32, D>,
    logits: &Activation<D>,
    labels: &D::Labels,
) {
    let (session, logits, labels) = (session.clone(), logits.clone(), labels.clone());
    tape.add_backward_op(move |gradients| {
        let mut gradient = session.lend_floats(logits.shape)?;
        D::cross_entropy_gradient(
            &session.workers,
            logits.values.numbers(),
            &labels,
            logits.shape.channels,
            gradient.numbers_mut(),
        )?;
        logits.key.add(gradients, &session, gradient)
    });
}
