//! The figure of layer responses (Fig. 7): curves over the layers, from the runs' measurements.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::captions::{barely_learned, colour, is_synthetic, line, recipe, sentence, watermark};
use super::curve_figure::{Figure, Limits, Panel, Quantity, Series};
use crate::judge::{PaperResponses, RunEvidence, Verdict};
use crate::manifest::{
    Evaluated, Experiment, LayerOrder, ResponseImages, ResponsePooling, ResponseStatistics,
    Responses,
};
use crate::record::curve::{self, Point};
use crate::record::{Ending, Split};
use crate::run::ResponseRecord;

/// The deviations of a run's layers, in the given order.
pub fn curve(record: &ResponseRecord, order: LayerOrder) -> Vec<Point> {
    let mut deviations: Vec<f64> = record.layer.iter().map(|layer| layer.deviation).collect();
    if order == LayerOrder::Sorted {
        deviations.sort_by(|a, b| b.total_cmp(a));
    }
    (1..)
        .zip(deviations)
        .map(|(iteration, error)| Point { iteration, error })
        .collect()
}

/// The figure, and warnings about missing runs; `papers` are by file.
pub fn assemble(
    experiment: &Experiment,
    how: &Responses,
    (verdict, runs): (&Verdict, &[RunEvidence]),
    papers: &BTreeMap<PathBuf, PaperResponses>,
) -> (Figure, Vec<String>) {
    let mut panels = Vec::new();
    for panel in &experiment.panels {
        let entries = panel
            .networks
            .iter()
            .filter_map(|name| experiment.network(name));
        let mut series = Vec::new();
        for entry in entries {
            let measured: Vec<Vec<Point>> = runs
                .iter()
                .filter(|run| run.plan().network.name == entry.name)
                .filter_map(|run| run.responses.as_ref())
                .map(|record| curve(record, panel.order))
                .collect();
            if entry.optional && measured.is_empty() {
                continue;
            }
            let paper = panel.values.as_ref().and_then(|reference| {
                let papers = papers.get(&reference.file)?;
                papers.line(&reference.panels, &entry.name)
            });
            series.push(Series {
                network: entry.label.clone(),
                colour: colour(&entry.colour),
                split: Split::Test,
                mean: curve::mean(&measured),
                range: curve::range(&measured),
                others: Vec::new(),
                ending: (!measured.is_empty()).then_some(Ending::Finished),
                reference: paper.map(<[_]>::to_vec).unwrap_or_default(),
            });
        }
        panels.push(Panel {
            title: panel.title.clone(),
            first_iteration: 1,
            series,
        });
    }
    let all = || panels.iter().flat_map(|panel| &panel.series);
    let layers = last_layer(all());
    let heights = all().flat_map(|series| {
        let ours = series.range.iter().map(|range| range.high);
        let mean = series.mean.iter().map(|point| point.error);
        ours.chain(mean)
            .chain(series.reference.iter().map(|point| point.1))
            .collect::<Vec<_>>()
    });
    let highest = heights.fold(0.0, f64::max);
    let warnings = warnings(experiment, runs);
    let mut notes = notes(experiment, how, &panels, is_synthetic(runs));
    notes.extend(barely_learned(verdict));
    notes.extend(warnings.iter().map(|warning| sentence(warning)));
    let figure = Figure {
        title: experiment.title.clone(),
        line: line(experiment, runs),
        notes,
        watermark: watermark(runs),
        quantity: Quantity::Responses,
        chance: None,
        iterations: layers,
        evaluated: Evaluated::default(),
        dashed_training: experiment.dashed_training,
        limits: Some(Limits {
            low: 0.0,
            high: (highest * 1.05).max(0.1),
        }),
        panels,
    };
    (figure, warnings)
}

/// The last layer of any curve: of the paper's too, which would be cut off where the deepest networks have no run.
fn last_layer<'a>(series: impl Iterator<Item = &'a Series>) -> u64 {
    let layers = series.flat_map(|series| {
        let ours = series.mean.iter().map(|point| point.iteration);
        ours.chain(series.reference.iter().map(|point| point.0 as u64))
    });
    layers.max().unwrap_or(1)
}

fn notes(
    experiment: &Experiment,
    how: &Responses,
    panels: &[Panel],
    synthetic: bool,
) -> Vec<String> {
    let mut notes = recipe(experiment);
    if synthetic {
        notes.push(
            "The images are SYNTHETIC, generated from a seed: nothing here is comparable with the paper."
                .into(),
        );
    }
    let images = match how.images {
        ResponseImages::Training => "training",
        ResponseImages::Test => "test",
    };
    let statistics = match how.statistics {
        ResponseStatistics::Batch => "each mini-batch's own statistics",
        ResponseStatistics::Population => "statistics of training images (population)",
        ResponseStatistics::Moving => "moving averages",
    };
    let pooling = match how.pooling {
        ResponsePooling::Layer => "over all values of the layer",
        ResponsePooling::ChannelMean => "as the mean over channels",
    };
    notes.push(format!(
        "Standard deviation of each 3x3 layer's output after batch normalisation and before addition and ReLU, {pooling}, on \
         {} {images} images without augmentation, with {statistics}; the paper does not specify these settings.",
        how.count
    ));
    notes.push(means(panels));
    let paper = panels.iter().flat_map(|panel| &panel.series);
    if paper.map(|series| series.reference.len()).max() > Some(0) {
        notes.push("The paper's curves are extracted from its figure (arXiv:1512.03385v1).".into());
    }
    notes
}

/// What the values beside the names are, and the paper's; each curve is in every panel, in another order.
fn means(panels: &[Panel]) -> String {
    let of_network = |series: &Series| match series.means() {
        [Some(_), Some(papers)] => Some(format!("{} {papers:.2}", series.network)),
        _ => None,
    };
    let first = panels.iter().take(1).flat_map(|panel| &panel.series);
    let papers: Vec<String> = first.filter_map(of_network).collect();
    let beside = "Beside the names: means over the layers.";
    match papers.is_empty() {
        true => beside.to_owned(),
        false => format!("{beside} The paper's: {}.", papers.join(", ")),
    }
}

fn warnings(experiment: &Experiment, runs: &[RunEvidence]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut missing = Vec::new();
    for entry in experiment.networks.iter().filter(|entry| !entry.optional) {
        if !runs.iter().any(|run| run.plan().network.name == entry.name) {
            missing.push(entry.label.clone());
        }
    }
    if !missing.is_empty() {
        warnings.push(format!("no run of {}", missing.join(", ")));
    }
    let unmeasured: Vec<String> = runs
        .iter()
        .filter(|run| run.responses.is_none())
        .map(|run| run.view.title())
        .collect();
    if !unmeasured.is_empty() {
        warnings.push(format!(
            "not measured: {}; `refig reproduce {} --profile {}` measures finished runs",
            unmeasured.join(", "),
            experiment.name,
            experiment.profile
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ResponsePooling;
    use crate::origin::Origin;
    use crate::run::LayerResponse;

    fn series(layers: u64, papers: u64) -> Series {
        Series {
            network: format!("plain-{layers}"),
            colour: (0, 0, 0),
            split: Split::Test,
            mean: (1..=layers)
                .map(|iteration| Point {
                    iteration,
                    error: 1.0,
                })
                .collect(),
            range: Vec::new(),
            others: Vec::new(),
            ending: None,
            reference: (1..=papers)
                .map(|layer| (layer as f64, layer as f64))
                .collect(),
        }
    }

    #[test]
    fn the_means_of_the_papers_curves_stand_beside_ours() {
        let panel = |series: Vec<Series>| Panel {
            series,
            ..Panel::default()
        };
        let both = [
            panel(vec![series(3, 3), series(0, 5), series(4, 4)]),
            panel(vec![series(3, 3)]),
        ];
        assert_eq!(
            means(&both),
            "Beside the names: means over the layers. The paper's: plain-3 2.00, plain-4 2.50."
        );
        let ours = [panel(vec![series(3, 0)])];
        assert_eq!(means(&ours), "Beside the names: means over the layers.");
    }

    #[test]
    fn the_papers_curves_are_shown_whole() {
        assert_eq!(last_layer([series(19, 19), series(0, 55)].iter()), 55);
        assert_eq!(last_layer([series(55, 0)].iter()), 55);
        assert_eq!(last_layer([].iter()), 1);
    }

    #[test]
    fn responses_are_sorted_in_descending_order() {
        let record = ResponseRecord {
            format: ResponseRecord::FORMAT,
            run: String::new(),
            network: "plain-20".into(),
            seed: 1,
            data: Origin::Cifar10,
            device: "cpu avx2".into(),
            images: 64,
            how: Responses {
                images: ResponseImages::Training,
                count: 64,
                statistics: ResponseStatistics::Batch,
                pooling: ResponsePooling::Layer,
            },
            layer: [1.0, 3.0, 2.0]
                .map(|deviation| LayerResponse {
                    name: String::new(),
                    deviation,
                    mean: 0.0,
                })
                .into(),
        };
        let values = |order| -> Vec<(u64, f64)> {
            let points = curve(&record, order);
            points.iter().map(|p| (p.iteration, p.error)).collect()
        };
        assert_eq!(values(LayerOrder::Original), [(1, 1.0), (2, 3.0), (3, 2.0)]);
        assert_eq!(values(LayerOrder::Sorted), [(1, 3.0), (2, 2.0), (3, 1.0)]);
    }
}
