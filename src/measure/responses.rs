//! Standard deviations of layer responses (section 4.2, Fig. 7): the output of each 3x3 layer after batch normalisation
//! and before the nonlinearity.

use anyhow::{Context, Result};

use crate::data::Batch;
use crate::engine::{Differentiable, Response, Statistics};
use crate::manifest::{ResponsePooling, ResponseStatistics};
use crate::network::Network;

/// The response of one 3x3 layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// torchvision's name of the convolution.
    pub name: String,
    pub deviation: f64,
    pub mean: f64,
}

/// The statistics that the engine normalises with; `None` for those of each batch.
pub fn engine_statistics(statistics: ResponseStatistics) -> Option<Statistics> {
    match statistics {
        ResponseStatistics::Batch => None,
        ResponseStatistics::Population => Some(Statistics::Population),
        ResponseStatistics::Moving => Some(Statistics::Moving),
    }
}

/// Sums of every layer's responses over `batches`, in the order of `Network::convolutions`.
///
/// # Errors
/// Those of the batches and of the engine, which must have population statistics for `Population`.
pub fn sums(
    engine: &mut dyn Differentiable,
    statistics: Option<Statistics>,
    batches: impl Iterator<Item = Result<Batch>>,
) -> Result<Vec<Response>> {
    let mut all: Vec<Response> = Vec::new();
    for batch in batches {
        let found = engine.responses(&batch?, statistics)?;
        all.resize(found.len(), Response::default());
        for (sum, found) in all.iter_mut().zip(&found) {
            sum.normalised.add(&found.normalised);
            sum.output.add(&found.output);
        }
    }
    Ok(all)
}

/// The 3x3 layers from input to output, without projections.
///
/// # Errors
/// If the number of responses is not that of the network's convolutions.
pub fn layers(
    network: &Network,
    responses: &[Response],
    pooling: ResponsePooling,
) -> Result<Vec<Layer>> {
    let convolutions = network.convolutions();
    (convolutions.len() == responses.len())
        .then_some(())
        .context("responses of another network")?;
    Ok(convolutions
        .into_iter()
        .zip(responses)
        .filter(|(convolution, _)| convolution.kernel == 3)
        .map(|(convolution, response)| {
            let (mean, variance) = response.normalised.layer();
            let channels = response.normalised.channels();
            let count = channels.len().max(1) as f64;
            Layer {
                name: convolution.name,
                mean,
                deviation: match pooling {
                    ResponsePooling::Layer => variance.sqrt(),
                    ResponsePooling::ChannelMean => {
                        channels.iter().map(|(_, v)| v.sqrt()).sum::<f64>() / count
                    }
                },
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Sums;
    use crate::network::{Family, Shortcut};

    #[test]
    fn there_are_6n_plus_1_layers_with_either_pooling() {
        let network = Network::cifar(Family::Resnet, 8, Shortcut::C, 10).unwrap();
        // Two channels with deviations 1 and 3 and means 0 and 2.
        let sums = Sums {
            values: 100,
            sum: vec![0.0, 200.0],
            squares: vec![100.0, 1300.0],
        };
        let response = Response {
            normalised: sums.clone(),
            output: sums,
        };
        let responses = vec![response; network.convolutions().len()];
        let layer = layers(&network, &responses, ResponsePooling::Layer).unwrap();
        assert_eq!(layer.len(), 7);
        // Total variance: (1 + 9) / 2 within, 1 between the means.
        assert!((layer[0].deviation - 6.0f64.sqrt()).abs() < 1e-12);
        assert!((layer[0].mean - 1.0).abs() < 1e-12);
        let mean = layers(&network, &responses, ResponsePooling::ChannelMean).unwrap();
        assert!((mean[0].deviation - 2.0).abs() < 1e-12);
        assert!(layers(&network, &responses[1..], ResponsePooling::Layer).is_err());
    }
}
