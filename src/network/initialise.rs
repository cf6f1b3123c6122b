//! Initial weights (section 3.4: the normal initialisation of He et al. 2015).

use std::collections::BTreeMap;

use super::{Join, Network, Parameter, Role};
use crate::random::{Purpose, Stream};
use crate::recipe::{ClassifierInitialisation, Fan, Initialisation};
use crate::weights::{Tensor, Weights};

/// Initial weights with torchvision's names: convolutions are normal with variance `2 / fan`; batch norm has scale 1,
/// shift 0, running mean 0 and running variance 1. The values of a parameter depend only on the seed and its position in
/// the network.
pub fn initialise(network: &Network, how: &Initialisation, seed: u64) -> Weights {
    let mut tensors: BTreeMap<String, Tensor> = network
        .parameters()
        .into_iter()
        .zip(0..)
        .map(|(parameter, place)| {
            let stream = Stream::new(seed, Purpose::Initialise, 0, place);
            let data = values(&parameter, network.features(), how, stream);
            let shape = parameter.shape;
            (parameter.name, Tensor { shape, data })
        })
        .collect();
    if let Some(scale) = how.residual_scale {
        for name in residual_scales(network) {
            if let Some(tensor) = tensors.get_mut(&name) {
                tensor.data.fill(scale as f32);
            }
        }
    }
    Weights {
        tensors,
        metadata: String::new(),
    }
}

/// Names of the scale of the last batch normalisation in each residual branch.
fn residual_scales(network: &Network) -> impl Iterator<Item = String> {
    let residual = |join: &Join| !matches!(join, Join::None);
    network
        .blocks()
        .into_iter()
        .filter(move |block| residual(&block.join))
        .filter_map(|block| block.convolutions.into_iter().next_back())
        .map(|last| format!("{}.weight", last.norm))
}

fn values(
    parameter: &Parameter,
    features: usize,
    how: &Initialisation,
    mut stream: Stream,
) -> Vec<f32> {
    let shape = &parameter.shape;
    let count: usize = shape.iter().product();
    let he = |fan: usize| (2.0 / fan as f64).sqrt();
    let mut normal = |deviation: f64| {
        (0..count)
            .map(|_| (deviation * stream.normal()) as f32)
            .collect()
    };
    match (parameter.role, how.classifier) {
        // Shape [outputs, inputs, k, k].
        (Role::ConvolutionWeight, _) => match how.fan {
            Fan::In => normal(he(shape[1..].iter().product())),
            Fan::Out => normal(he(shape[0] * shape[2..].iter().product::<usize>())),
        },
        (Role::Scale | Role::RunningVariance, _) => vec![1.0; count],
        (Role::Shift | Role::RunningMean, _) => vec![0.0; count],
        // Shape [classes, features].
        (Role::ClassifierWeight, ClassifierInitialisation::HeFanIn) => normal(he(shape[1])),
        (Role::ClassifierWeight, ClassifierInitialisation::HeFanOut) => normal(he(shape[0])),
        (Role::ClassifierWeight, ClassifierInitialisation::SmallNormal) => normal(0.01),
        (Role::ClassifierWeight | Role::ClassifierBias, ClassifierInitialisation::Uniform) => {
            let bound = 1.0 / (features as f64).sqrt();
            (0..count)
                .map(|_| (bound * (2.0 * stream.uniform() - 1.0)) as f32)
                .collect()
        }
        (Role::ClassifierBias, _) => vec![0.0; count],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Family, Shortcut};

    fn resnet_20(how: &Initialisation, seed: u64) -> Weights {
        let network = Network::cifar(Family::Resnet, 20, Shortcut::B, 10).unwrap();
        initialise(&network, how, seed)
    }

    /// Standard deviation around 0.
    fn deviation(tensor: &Tensor) -> f64 {
        let squares: f64 = tensor.data.iter().map(|&v| f64::from(v).powi(2)).sum();
        (squares / tensor.data.len() as f64).sqrt()
    }

    #[test]
    fn the_deviation_of_convolutions_follows_their_fan() {
        let fans = |fan| {
            let weights = resnet_20(
                &Initialisation {
                    fan,
                    ..Initialisation::default()
                },
                1,
            );
            deviation(&weights.tensors["layer3.0.conv1.weight"])
        };
        // 32 inputs, 64 outputs, 18,432 weights: 3 % is more than five standard errors.
        let expected = (2.0_f64 / (32.0 * 9.0)).sqrt();
        assert!((fans(Fan::In) / expected - 1.0).abs() < 0.03);
        let expected = (2.0_f64 / (64.0 * 9.0)).sqrt();
        assert!((fans(Fan::Out) / expected - 1.0).abs() < 0.03);
    }

    #[test]
    fn the_residual_scale_applies_only_to_the_last_norm_of_each_branch() {
        let how = Initialisation {
            residual_scale: Some(0.0),
            ..Initialisation::default()
        };
        let (usual, changed) = (resnet_20(&Initialisation::default(), 1), resnet_20(&how, 1));
        let zeros: Vec<&str> = (changed.tensors.iter())
            .filter(|(name, tensor)| usual.tensors[*name] != **tensor)
            .map(|(name, tensor)| {
                assert!(tensor.data.iter().all(|&v| v == 0.0), "{name}");
                name.as_str()
            })
            .collect();
        // ResNet-20 has three blocks per stage; the norms of projections keep a scale of 1.
        assert_eq!(zeros.len(), 9, "{zeros:?}");
        assert!(zeros.iter().all(|name| name.ends_with(".bn2.weight")));

        let plain = Network::cifar(Family::Plain, 20, Shortcut::A, 10).unwrap();
        let usual = initialise(&plain, &Initialisation::default(), 1);
        assert_eq!(initialise(&plain, &how, 1).tensors, usual.tensors);
    }

    #[test]
    fn every_parameter_is_present_and_norms_start_as_the_identity() {
        let weights = resnet_20(&Initialisation::default(), 1);
        let network = Network::cifar(Family::Resnet, 20, Shortcut::B, 10).unwrap();
        assert_eq!(weights.tensors.len(), network.parameters().len());
        for parameter in network.parameters() {
            let tensor = &weights.tensors[&parameter.name];
            assert_eq!(tensor.shape, parameter.shape, "{}", parameter.name);
            assert_eq!(tensor.data.len(), parameter.shape.iter().product::<usize>());
        }
        assert!(weights.tensors["bn1.weight"].data.iter().all(|&v| v == 1.0));
        assert!(weights.tensors["bn1.bias"].data.iter().all(|&v| v == 0.0));
        assert!(
            weights.tensors["bn1.running_mean"]
                .data
                .iter()
                .all(|&v| v == 0.0)
        );
        assert!(
            weights.tensors["bn1.running_var"]
                .data
                .iter()
                .all(|&v| v == 1.0)
        );
        assert!(weights.tensors["fc.bias"].data.iter().all(|&v| v == 0.0));
    }

    #[test]
    fn the_classifier_has_its_own_initialisation() {
        let of = |classifier| {
            resnet_20(
                &Initialisation {
                    classifier,
                    ..Initialisation::default()
                },
                1,
            )
            .tensors
        };
        // 640 weights: 15 % is five standard errors.
        let close =
            |tensor: &Tensor, expected: f64| (deviation(tensor) / expected - 1.0).abs() < 0.15;
        assert!(close(
            &of(ClassifierInitialisation::HeFanIn)["fc.weight"],
            (2.0f64 / 64.0).sqrt()
        ));
        assert!(close(
            &of(ClassifierInitialisation::HeFanOut)["fc.weight"],
            (2.0f64 / 10.0).sqrt()
        ));
        let small = of(ClassifierInitialisation::SmallNormal);
        assert!(close(&small["fc.weight"], 0.01));
        assert!(small["fc.bias"].data.iter().all(|&v| v == 0.0));
        let uniform = of(ClassifierInitialisation::Uniform);
        assert!(close(&uniform["fc.weight"], 0.125 / 3.0f64.sqrt()));
        assert!(uniform["fc.weight"].data.iter().all(|v| v.abs() <= 0.125));
        assert!(uniform["fc.bias"].data.iter().any(|&v| v != 0.0));
    }

    #[test]
    fn weights_depend_on_seed_and_position_only() {
        let how = Initialisation::default();
        assert_eq!(resnet_20(&how, 1), resnet_20(&how, 1));
        assert_ne!(resnet_20(&how, 1), resnet_20(&how, 2));
        let weights = resnet_20(&how, 1);
        // Same shape, different position.
        assert_ne!(
            weights.tensors["layer1.0.conv1.weight"],
            weights.tensors["layer1.0.conv2.weight"]
        );
    }
}
