//! Tells errors of the engine from activations at the kink of a ReLU.
//!
//! The gradient of a ReLU jumps at 0. An activation within rounding of 0 may therefore count in one pass and not in
//! another, both of which are right, and then gradients differ by far more than rounding explains, and later weights too.
//! Errors past the tolerance are put down to kinks only if all of this holds:
//!
//! - the recording is what double precision gives from the same weights, so that it is not at fault;
//! - each step of the engine is what double precision gives from the engine's own weights before it, with activations
//!   within rounding of 0 counted on the side that fits;
//! - there are such activations.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::recording::Recording;
use super::{Report, distance, start, wide};
use crate::engine::{Options, Statistics};
use crate::measure::double::{Double, Normalise, Pass, Place, Values, widen};
use crate::recipe::Precision;

/// Distance from a kink that counts as rounding, in units of the root mean square of the ReLU's inputs: tens of times the
/// rounding of 32 bits, as it adds up over layers.
const ROUNDING: f64 = 1e-5;
/// Activations at kinks whose side is tried.
const MOST_TRIED: usize = 32;
/// Multiply-adds in double precision beyond which kinks are not looked for.
const MOST_WORK: u64 = 30_000_000_000;
/// The smallest tolerance that rounding to 32 bits can be expected to keep.
const LEAST_TOLERANCE: f64 = 1e-6;

/// The result of one recording.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All errors are within the tolerance.
    Passed,
    /// Errors are past it only because some activations lie at a ReLU's kink.
    ApartFromKinks(Kinks),
    /// The engine is wrong, or may be; with what was found out.
    Failed(String),
}

/// The activations at kinks in all steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Kinks {
    pub count: usize,
    /// All activations at ReLUs.
    pub of: usize,
    /// The largest error with the kinks told apart.
    pub error: f64,
    /// The normalisations before these ReLUs, with the number of activations of each.
    pub layers: BTreeMap<String, usize>,
}

impl Outcome {
    /// Whether the engine is in order.
    pub fn is_success(&self) -> bool {
        !matches!(self, Outcome::Failed(_))
    }
}

/// Judges a report; if an error is past the tolerance, finds out whether kinks explain it.
///
/// # Errors
/// Those of the engine.
pub fn judge(
    recording: &Recording,
    report: &Report,
    options: &Options,
    tolerance: f64,
) -> Result<Outcome> {
    if report.within(tolerance) {
        return Ok(Outcome::Passed);
    }
    if report.rows.iter().any(|row| row.error.is_nan()) {
        return Ok(Outcome::Failed("a result is not a number".into()));
    }
    if options.precision != Precision::Fp32 {
        let why = "kinks are told apart in fp32 only".into();
        return Ok(Outcome::Failed(why));
    }
    if tolerance < LEAST_TOLERANCE {
        let why = "the tolerance is below what 32 bits can keep".into();
        return Ok(Outcome::Failed(why));
    }
    let work: u64 = recording
        .steps()
        .map(|(batch, _)| {
            let forward = recording.network.multiply_adds(batch.size.height);
            // A forward and a backward pass for each of the two trajectories.
            forward.saturating_mul(6 * batch.labels.len() as u64)
        })
        .fold(0, u64::saturating_add);
    if work > MOST_WORK {
        let why = "too large to be repeated in double precision".into();
        return Ok(Outcome::Failed(why));
    }
    let recorded = recording_in_double(recording);
    if !recorded.within(tolerance) {
        return Ok(Outcome::Failed(format!(
            "the recording is not what double precision gives: {}",
            recorded.words()
        )));
    }
    let mut found = Found::default();
    let engine = engine_in_double(recording, options, tolerance, &mut found)?;
    if !engine.within(tolerance) {
        return Ok(Outcome::Failed(format!(
            "not explained by a ReLU's kink: the engine differs from double precision, {}",
            engine.words()
        )));
    }
    if found.count == 0 {
        return Ok(Outcome::Failed(
            "no activation lies at a ReLU's kink; rounding grows from step to step".into(),
        ));
    }
    Ok(Outcome::ApartFromKinks(Kinks {
        count: found.count,
        of: found.of,
        error: engine.error,
        layers: found.layers,
    }))
}

/// The largest error of many comparisons.
struct Worst {
    error: f64,
    what: String,
}

impl Worst {
    fn new() -> Self {
        Self {
            error: 0.0,
            what: String::new(),
        }
    }

    fn add(&mut self, what: impl FnOnce() -> String, error: f64) {
        if error > self.error || error.is_nan() {
            (self.error, self.what) = (error, what());
        }
    }

    fn add_all(&mut self, step: usize, ours: &Values, theirs: &Values) {
        for (name, theirs) in theirs {
            let ours = ours.get(name).map_or(&[][..], Vec::as_slice);
            self.add(|| format!("{name} in step {step}"), distance(ours, theirs));
        }
    }

    fn within(&self, tolerance: f64) -> bool {
        self.error <= tolerance
    }

    fn words(&self) -> String {
        format!("{} by {:.1e}", self.what, self.error)
    }
}

/// Activations at kinks, while they are counted.
#[derive(Default)]
struct Found {
    count: usize,
    of: usize,
    layers: BTreeMap<String, usize>,
}

/// How far the recording is from its steps in double precision.
fn recording_in_double(recording: &Recording) -> Worst {
    let mut worst = Worst::new();
    let mut double = Double::new(&recording.network, &recording.hyper, &recording.before);
    let none = BTreeSet::new();
    for (step, (batch, &loss)) in recording.steps().enumerate() {
        let pass = double.forward(batch, Normalise::Batch);
        let gradients = pass.backward(&none);
        worst.add(
            || format!("loss of step {step}"),
            distance(&[f64::from(loss)], &[pass.loss()]),
        );
        if step == 0 {
            let logits = wide(&recording.training_logits);
            worst.add(|| "logits.train".into(), distance(&logits, &pass.logits));
            let recorded = recording.gradients.iter();
            let recorded: Values = recorded
                .map(|(name, values)| (name.clone(), wide(values)))
                .collect();
            worst.add_all(step, &recorded, &gradients);
        }
        let statistics = pass.statistics();
        double.update(&gradients, &statistics, recording.learning_rate);
    }
    let after = widen(&recording.after);
    worst.add_all(recording.losses.len(), &after, &double.values);
    if let Some(first) = recording.batches.first() {
        let logits = wide(&recording.evaluation_logits);
        let pass = double.forward(first, Normalise::Running);
        worst.add(|| "logits.eval".into(), distance(&logits, &pass.logits));
    }
    worst
}

/// How far each step of the engine is from double precision, kinks told apart.
fn engine_in_double(
    recording: &Recording,
    options: &Options,
    tolerance: f64,
    found: &mut Found,
) -> Result<Worst> {
    let (network, hyper) = (&recording.network, &recording.hyper);
    let mut worst = Worst::new();
    let mut engine = start(recording, options)?;
    for (step, (batch, _)) in recording.steps().enumerate() {
        let mut double = Double::new(network, hyper, &engine.state(true)?);
        let pass = double.forward(batch, Normalise::Batch);
        let ours = engine.differentiate(batch)?;
        worst.add(
            || format!("training logits in step {step}"),
            distance(&wide(&ours.logits), &pass.logits),
        );
        let gradients = widen(&ours.gradients);
        let near = pass.near(ROUNDING);
        found.of += pass.activations();
        found.count += near.len();
        for &place in &near {
            *found.layers.entry(pass.name(place).into()).or_default() += 1;
        }
        worst.add_all(
            step,
            &gradients,
            &closest(&pass, &gradients, &near, tolerance),
        );
        let (loss, statistics) = (pass.loss(), pass.statistics());
        let taken = engine.step(batch, recording.learning_rate)?;
        worst.add(
            || format!("loss of step {step}"),
            distance(&[f64::from(taken.loss)], &[loss]),
        );
        double.update(&gradients, &statistics, recording.learning_rate);
        worst.add_all(step, &widen(&engine.state(false)?), &double.values);
    }
    let first = recording.first()?;
    let state = engine.state(false)?;
    let double = Double::new(network, hyper, &state);
    let pass = double.forward(first, Normalise::Running);
    let logits = engine.logits(first, Statistics::Moving)?;
    worst.add(
        || "evaluation logits".into(),
        distance(&wide(&logits), &pass.logits),
    );
    Ok(worst)
}

/// The gradients in double precision with the activations in `near` on the sides that come closest to `ours`: each is
/// tried on the other side, the nearest first, until all is within the tolerance.
fn closest(pass: &Pass<'_>, ours: &Values, near: &[Place], tolerance: f64) -> Values {
    let mut flipped = BTreeSet::new();
    let mut best = pass.backward(&flipped);
    let mut errors = Errors::of(ours, &best);
    for &place in near.iter().take(MOST_TRIED) {
        if errors.largest <= tolerance {
            break;
        }
        flipped.insert(place);
        let tried = pass.backward(&flipped);
        let with = Errors::of(ours, &tried);
        if with.sum < errors.sum {
            (best, errors) = (tried, with);
        } else {
            flipped.remove(&place);
        }
    }
    best
}

/// The errors of gradients: a flip may mend one tensor while another is still the largest.
struct Errors {
    largest: f64,
    sum: f64,
}

impl Errors {
    fn of(ours: &Values, theirs: &Values) -> Self {
        let mut errors = Self {
            largest: 0.0,
            sum: 0.0,
        };
        for (name, theirs) in theirs {
            let ours = ours.get(name).map_or(&[][..], Vec::as_slice);
            let error = distance(ours, theirs);
            errors.largest = errors.largest.max(error);
            errors.sum += error;
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::{Batch, ImageSize};
    use crate::engine::{Hyperparameters, Instructions};
    use crate::measure::parity::replay;
    use crate::network::{Family, Network, Shortcut, initialise};
    use crate::random::{Purpose, Stream};
    use crate::recipe::{DecayOn, Initialisation, MomentumForm};
    use crate::weights::{Tensor, Weights};

    const TOLERANCE: f64 = 1e-4;

    fn options() -> Options {
        Options {
            threads: 1,
            instructions: Some(Instructions::Portable),
            ..Options::default()
        }
    }

    fn hyper() -> Hyperparameters {
        Hyperparameters {
            momentum: 0.9,
            momentum_form: MomentumForm::Pytorch,
            weight_decay: 1e-4,
            weight_decay_on: DecayOn::All,
            norm_momentum: 0.1,
            norm_epsilon: 1e-5,
            norm_group: 0,
            micro_batch: 0,
        }
    }

    fn narrow(values: &[f64]) -> Vec<f32> {
        values.iter().map(|&value| value as f32).collect()
    }

    fn network() -> Network {
        let network = Network::cifar(Family::Resnet, 8, Shortcut::B, 10).unwrap();
        Network {
            base_width: 4,
            ..network
        }
    }

    fn batch() -> Batch {
        let mut stream = Stream::new(3, Purpose::Synthetic, 0, 0);
        let pixels = (0..2 * 8 * 8 * 3).map(|_| 2.0 * stream.uniform() as f32 - 1.0);
        Batch {
            pixels: pixels.collect(),
            labels: vec![1, 7],
            size: ImageSize::square(8),
            ..Batch::default()
        }
    }

    /// One step from `before`, in double precision.
    fn record(before: &Weights) -> Recording {
        let (network, hyper, batch) = (network(), hyper(), batch());
        let mut double = Double::new(&network, &hyper, before);
        let pass = double.forward(&batch, Normalise::Batch);
        let gradients = pass.backward(&BTreeSet::new());
        let (loss, logits, statistics) = (pass.loss(), narrow(&pass.logits), pass.statistics());
        double.update(&gradients, &statistics, 0.1);
        let evaluated = double.forward(&batch, Normalise::Running);
        let evaluation_logits = narrow(&evaluated.logits);
        let mut after = before.clone();
        for (name, tensor) in &mut after.tensors {
            tensor.data = narrow(&double.values[name]);
        }
        Recording {
            file: "made".into(),
            learning_rate: 0.1,
            before: before.clone(),
            after,
            batches: vec![batch.clone()],
            losses: vec![loss as f32],
            gradients: gradients
                .iter()
                .map(|(name, values)| (name.clone(), narrow(values)))
                .collect(),
            training_logits: logits,
            evaluation_logits,
            network: network.clone(),
            hyper,
        }
    }

    /// Weights with which the value at `place` is 0 but for rounding.
    fn at_the_kink(weights: &Weights, place: Place) -> Weights {
        let (network, hyper, batch) = (network(), hyper(), batch());
        let double = Double::new(&network, &hyper, weights);
        let pass = double.forward(&batch, Normalise::Batch);
        let (value, channel) = pass.value(place);
        let mut moved = weights.clone();
        let name = format!("{}.bias", pass.name(place));
        let Tensor { data, .. } = moved.tensors.get_mut(&name).unwrap();
        data[channel] -= value as f32;
        moved
    }

    #[test]
    fn recorded_steps_are_those_of_double_precision() {
        for name in [
            "plain-8",
            "resnet-8-a",
            "resnet-8-b",
            "resnet-10-imagenet-stem",
            "resnet-14-bottleneck",
        ] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
            let file = folder.join(format!("{name}.safetensors"));
            let worst = recording_in_double(&Recording::read(&file).unwrap());
            assert!(worst.within(1e-5), "{name}: {}", worst.words());
        }
    }

    #[test]
    fn an_activation_at_a_kink_is_told_from_an_error() {
        let weights = initialise(&network(), &Initialisation::default(), 1);
        let mut stream = Stream::new(4, Purpose::Bootstrap, 0, 0);
        // On which side rounding puts a value is not known before.
        for _ in 0..200 {
            let place = (1 + stream.below(6) as usize, stream.below(64) as usize);
            let mut recording = record(&at_the_kink(&weights, place));
            let report = replay(&recording, &options()).unwrap();
            let outcome = judge(&recording, &report, &options(), TOLERANCE).unwrap();
            if report.within(TOLERANCE) {
                assert_eq!(outcome, Outcome::Passed);
                continue;
            }
            let Outcome::ApartFromKinks(kinks) = &outcome else {
                panic!("{outcome:?} {report:?}")
            };
            assert!(outcome.is_success());
            assert!(kinks.count >= 1 && kinks.count < 20 && kinks.error <= TOLERANCE);
            assert_eq!(kinks.layers.values().sum::<usize>(), kinks.count);

            // A kink excuses nothing else.
            let values = recording.gradients.get_mut("fc.weight").unwrap();
            values.iter_mut().for_each(|value| *value *= 1.01);
            let report = replay(&recording, &options()).unwrap();
            let outcome = judge(&recording, &report, &options(), TOLERANCE).unwrap();
            let Outcome::Failed(why) = &outcome else {
                panic!("{outcome:?}")
            };
            assert!(why.contains("fc.weight"), "{why}");
            return;
        }
        panic!("rounding put every value on the right side");
    }

    #[test]
    fn a_wrong_gradient_is_not_closer_with_kinks() {
        let weights = initialise(&network(), &Initialisation::default(), 1);
        let (network, hyper, batch) = (network(), hyper(), batch());
        let double = Double::new(&network, &hyper, &weights);
        let pass = double.forward(&batch, Normalise::Batch);
        let near: Vec<Place> = pass.near(f64::INFINITY).into_iter().take(6).collect();
        let flipped = BTreeSet::from([near[2]]);
        let mut ours = pass.backward(&flipped);
        let found = closest(&pass, &ours, &near, 1e-9);
        assert!(Errors::of(&ours, &found).largest < TOLERANCE);
        assert!(Errors::of(&ours, &pass.backward(&BTreeSet::new())).largest > TOLERANCE);
        for value in ours.get_mut("layer2.0.conv1.weight").unwrap() {
            *value *= 1.01;
        }
        let found = closest(&pass, &ours, &near, TOLERANCE);
        assert!(Errors::of(&ours, &found).largest > TOLERANCE);
    }
}
