//! The solution by construction (section 1): a deeper plain network that computes the same as a trained shallower one,
//! because its additional blocks are the identity.
//!
//! The output of a stage is not negative after its ReLU, so convolutions with delta kernels and ReLUs pass it through
//! unchanged. A batch normalisation with running mean `m` and variance `v` is the identity if its scale is
//! `sqrt(v + epsilon)` and its shift is `m`. With moving averages, the deeper network then computes the same up to rounding.
//! With mini-batch statistics it computes nearly the same if `m` and `v` are those of the stage's output on training images;
//! the remaining difference is that between the statistics of a mini-batch and these, and values pushed below 0.

use anyhow::{Context, Result};

use crate::exit::Exit;
use crate::network::{Family, Network};
use crate::weights::{Tensor, Weights};

/// Mean and variance of each output channel, for every stage.
pub type StageMoments = Vec<Vec<(f64, f64)>>;

/// Weights for `deeper`: in each stage the blocks of `network`, followed by identity blocks.
///
/// # Errors
/// [`Exit::Usage`] if `deeper` is not a plain network of the same widths with at least as many blocks in every stage;
/// [`Exit::Storage`] if a tensor is missing or has the wrong shape.
pub fn construct(
    network: &Network,
    weights: &Weights,
    deeper: &Network,
    stages: &StageMoments,
    epsilon: f32,
) -> Result<Weights> {
    let alike = network.blocks.len() == deeper.blocks.len()
        && network.base_width == deeper.base_width
        && network.stem == deeper.stem
        && network.classes == deeper.classes
        && !(network.bottleneck || deeper.bottleneck)
        && [network.family, deeper.family] == [Family::Plain; 2];
    let grows = network
        .blocks
        .iter()
        .zip(&deeper.blocks)
        .all(|(a, b)| a <= b);
    if !alike || !grows {
        return Err(Exit::Usage.error(format!(
            "cannot construct {} from {}: both must be plain networks of the same widths, and no stage may get shorter",
            deeper.name, network.name
        )));
    }
    let existing = |name: &str| {
        weights.tensors.get(name).cloned().ok_or_else(|| {
            Exit::Storage.error(format!(
                "no tensor {name}: these are not the weights of {}",
                network.name
            ))
        })
    };
    let mut constructed = Weights::default();
    for parameter in deeper.parameters() {
        let tensor = match added_to_stage(&parameter.name, network) {
            None => existing(&parameter.name)?,
            Some(stage) => {
                let moments = stages
                    .get(stage)
                    .with_context(|| format!("no moments of stage {}", stage + 1))?;
                identity(&parameter.name, &parameter.shape, moments, epsilon)
            }
        };
        if tensor.shape != parameter.shape {
            return Err(Exit::Storage.error(format!(
                "tensor {} has shape {:?} instead of {:?}: these are not the weights of {}",
                parameter.name, tensor.shape, parameter.shape, network.name
            )));
        }
        constructed.tensors.insert(parameter.name, tensor);
    }
    Ok(constructed)
}

/// The stage, counted from 0, of a tensor in a block that `network` lacks: 1 for `layer2.7.conv1.weight`.
fn added_to_stage(name: &str, network: &Network) -> Option<usize> {
    let mut parts = name.strip_prefix("layer")?.split('.');
    let stage = parts.next()?.parse::<usize>().ok()?.checked_sub(1)?;
    let block: usize = parts.next()?.parse().ok()?;
    (block >= *network.blocks.get(stage)?).then_some(stage)
}

/// A tensor of an identity block.
fn identity(name: &str, shape: &[usize], moments: &[(f64, f64)], epsilon: f32) -> Tensor {
    let each = |value: &dyn Fn((f64, f64)) -> f32| {
        moments
            .iter()
            .map(|&pair| value(pair))
            .collect::<Vec<f32>>()
    };
    let data = if name.ends_with("running_mean") || name.ends_with("bias") {
        each(&|(mean, _)| mean as f32)
    } else if name.ends_with("running_var") {
        each(&|(_, variance)| variance as f32)
    } else if name.contains(".bn") {
        // In 32 bits, like the stored variance.
        each(&|(_, variance)| (variance as f32 + epsilon).sqrt())
    } else {
        delta(shape)
    };
    Tensor {
        shape: shape.to_vec(),
        data,
    }
}

/// A kernel `[outputs][inputs][k][k]` that copies each input to the output with the same index.
fn delta(shape: &[usize]) -> Vec<f32> {
    let [outputs, inputs, height, width] = shape[..] else {
        return Vec::new();
    };
    let mut data = vec![0.0; outputs * inputs * height * width];
    for channel in 0..outputs.min(inputs) {
        let middle = (height / 2) * width + width / 2;
        data[(channel * inputs + channel) * height * width + middle] = 1.0;
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{self, Hyperparameters, Options, Statistics};
    use crate::network::{Shortcut, initialise};
    use crate::random::{Purpose, Stream};
    use crate::recipe::{DecayOn, Initialisation, MomentumForm};

    fn plain(depth: usize) -> Network {
        Network::cifar(Family::Plain, depth, Shortcut::A, 10).unwrap()
    }

    fn engine(network: &Network) -> Box<dyn engine::Differentiable> {
        let hyper = Hyperparameters {
            momentum: 0.9,
            momentum_form: MomentumForm::Caffe,
            weight_decay: 1e-4,
            weight_decay_on: DecayOn::All,
            norm_momentum: 0.1,
            norm_epsilon: 1e-5,
            norm_group: 0,
            micro_batch: 0,
        };
        engine::create_differentiable(network, 8, &hyper, &Options::default()).unwrap()
    }

    fn images() -> crate::data::Batch {
        let mut stream = Stream::new(3, Purpose::Synthetic, 0, 0);
        crate::data::Batch {
            pixels: (0..64 * 8 * 8 * 3)
                .map(|_| stream.normal() as f32)
                .collect(),
            labels: (0..64).map(|_| stream.below(10) as u16).collect(),
            size: crate::data::ImageSize::square(8),
            ..crate::data::Batch::default()
        }
    }

    /// Trained for a few steps, so that the moving averages are not the initial ones.
    fn trained(network: &Network) -> (Box<dyn engine::Differentiable>, Weights) {
        let mut engine = engine(network);
        engine
            .restore(&initialise(network, &Initialisation::default(), 1))
            .unwrap();
        for _ in 0..30 {
            engine.step(&images(), 0.01).unwrap();
        }
        let weights = engine.state(false).unwrap();
        (engine, weights)
    }

    #[test]
    fn the_deeper_network_computes_the_same_as_the_shallower_one() {
        let (shallow, deep) = (plain(8), plain(26));
        let (mut before, weights) = trained(&shallow);
        let responses = before.responses(&images(), None).unwrap();
        // Every stage of plain-8 is one block, so its last convolutions are the third, fifth and seventh.
        let stages: StageMoments = [2, 4, 6]
            .map(|place| responses[place].output.channels())
            .to_vec();
        let made = construct(&shallow, &weights, &deep, &stages, 1e-5).unwrap();
        let mut after = engine(&deep);
        after.restore(&made).unwrap();

        // Moving averages: the same up to rounding, and the same errors.
        let one = before.logits(&images(), Statistics::Moving).unwrap();
        let other = after.logits(&images(), Statistics::Moving).unwrap();
        let largest = one.iter().map(|v| v.abs()).fold(0.0, f32::max);
        for (a, b) in one.iter().zip(&other) {
            assert!((a - b).abs() <= 1e-5 * largest, "{a} and {b}");
        }
        assert_eq!(
            before
                .evaluate(&images(), Statistics::Moving)
                .unwrap()
                .wrong,
            after.evaluate(&images(), Statistics::Moving).unwrap().wrong
        );

        // Mini-batch statistics, as in training: nearly the same on the batch that the moments are from.
        let one = before.differentiate(&images()).unwrap();
        let other = after.differentiate(&images()).unwrap();
        assert!(
            (one.loss - other.loss).abs() < 1e-3 * one.loss,
            "{} and {}",
            one.loss,
            other.loss
        );
    }

    #[test]
    fn incompatible_networks_and_weights_are_rejected() {
        let (_, weights) = trained(&plain(8));
        let stages = vec![
            vec![(0.0, 1.0); 16],
            vec![(0.0, 1.0); 32],
            vec![(0.0, 1.0); 64],
        ];
        let residual = Network::cifar(Family::Resnet, 20, Shortcut::A, 10).unwrap();
        assert!(construct(&plain(8), &weights, &residual, &stages, 1e-5).is_err());
        assert!(construct(&plain(20), &weights, &plain(8), &stages, 1e-5).is_err());
        // The weights of another network.
        let error = construct(&plain(14), &weights, &plain(20), &stages, 1e-5).unwrap_err();
        assert!(
            error.to_string().contains("layer1.1.conv1.weight"),
            "{error}"
        );
    }
}
