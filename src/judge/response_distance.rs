//! Compares layer responses with the paper's, layer by layer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::paper_responses::PaperResponses;
use super::run_evidence::RunEvidence;
use crate::manifest::{Experiment, LayerOrder, Panel};

/// A network's layer responses compared with the paper's. Shown, never judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResponseRow {
    pub network: String,
    /// The file of the paper's responses.
    pub source: String,
    /// Number of measured runs in the mean.
    pub seeds: usize,
    /// Whether recipe and images are the paper's; otherwise a distance means nothing.
    pub comparable: bool,
    /// Why it is not comparable.
    pub note: String,
    /// Layers compared.
    pub layers: usize,
    /// Standard deviation, mean over the layers: ours and the paper's.
    pub ours: f64,
    pub papers: f64,
    /// Mean over the layers of the distance between our response and the paper's, % of the paper's.
    pub mean_distance: f64,
    /// Our response over the paper's at `farthest_layer`, where it is farthest from 1: 2 and 1/2 are as far.
    pub farthest_ratio: f64,
    /// From 1.
    pub farthest_layer: usize,
}

/// A row for each network with measured responses and a line in the paper. `refuse` returns why a network is not comparable with the
/// paper, if so.
pub(super) fn response_distances(
    experiment: &Experiment,
    paper: &BTreeMap<PathBuf, PaperResponses>,
    runs: &[RunEvidence],
    refuse: &dyn Fn(&str) -> Option<String>,
) -> Vec<ResponseRow> {
    let mut rows: Vec<ResponseRow> = Vec::new();
    let original = |panel: &&Panel| panel.order == LayerOrder::Original;
    for panel in experiment.panels.iter().filter(original) {
        let Some(reference) = &panel.values else {
            continue;
        };
        let Some(responses) = paper.get(&reference.file) else {
            continue;
        };
        for entry in panel.networks.iter().filter_map(|n| experiment.network(n)) {
            let measured: Vec<Vec<f64>> = runs
                .iter()
                .filter(|run| run.plan().network.name == entry.name)
                .filter_map(|run| run.responses.as_ref())
                .map(|record| record.layer.iter().map(|layer| layer.deviation).collect())
                .collect();
            let known = rows.iter().any(|row| row.network == entry.name);
            let Some(line) = responses.line(&reference.panels, entry.papers_name()) else {
                continue;
            };
            if known || measured.is_empty() {
                continue;
            }
            let papers: Vec<f64> = line.iter().map(|&(_, deviation)| deviation).collect();
            let file = reference.file.file_name().unwrap_or_default();
            let Some(mut row) = compare(&measured, &papers) else {
                continue;
            };
            let reason = refuse(&entry.name);
            row.network.clone_from(&entry.name);
            row.source = file.to_string_lossy().into_owned();
            row.comparable = reason.is_none();
            row.note = reason.unwrap_or_default();
            rows.push(row);
        }
    }
    rows
}

/// The distance of the mean of `measured`, a list of layers for each run, from the paper's; none unless all have the same layers, and
/// the paper's responses are above zero.
fn compare(measured: &[Vec<f64>], papers: &[f64]) -> Option<ResponseRow> {
    let layers = papers.len();
    let alike = measured.iter().all(|run| run.len() == layers);
    if layers == 0 || !alike || papers.iter().any(|&theirs| theirs <= 0.0) {
        return None;
    }
    let runs = measured.len() as f64;
    let ours: Vec<f64> = (0..layers)
        .map(|layer| measured.iter().map(|run| run[layer]).sum::<f64>() / runs)
        .collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / layers as f64;
    let ratios: Vec<f64> = ours.iter().zip(papers).map(|(a, b)| a / b).collect();
    let apart: Vec<f64> = ratios.iter().map(|ratio| (ratio - 1.0).abs()).collect();
    let far = |ratio: f64| ratio.ln().abs();
    let (place, &ratio) = ratios
        .iter()
        .enumerate()
        .max_by(|a, b| far(*a.1).total_cmp(&far(*b.1)))?;
    Some(ResponseRow {
        network: String::new(),
        source: String::new(),
        seeds: measured.len(),
        comparable: true,
        note: String::new(),
        layers,
        ours: mean(&ours),
        papers: mean(papers),
        mean_distance: 100.0 * mean(&apart),
        farthest_ratio: ratio,
        farthest_layer: place + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_of_the_mean_over_runs_layer_by_layer() {
        let row = compare(
            &[vec![1.0, 8.0, 2.0], vec![3.0, 8.0, 2.0]],
            &[2.0, 2.0, 4.0],
        )
        .unwrap();
        assert_eq!((row.seeds, row.layers), (2, 3));
        assert_eq!((row.ours, row.papers), (4.0, 8.0 / 3.0));
        // 0, 300 and 50 %.
        assert!((row.mean_distance - 350.0 / 3.0).abs() < 1e-9);
        assert_eq!((row.farthest_layer, row.farthest_ratio), (2, 4.0));
    }

    #[test]
    fn a_fifth_of_the_papers_is_farther_than_four_times() {
        let row = compare(&[vec![8.0, 0.4]], &[2.0, 2.0]).unwrap();
        assert_eq!((row.farthest_layer, row.farthest_ratio), (2, 0.2));
    }

    #[test]
    fn other_layers_are_not_compared() {
        assert_eq!(compare(&[vec![1.0, 1.0]], &[1.0]), None);
        assert_eq!(compare(&[vec![]], &[]), None);
        assert_eq!(compare(&[vec![1.0]], &[0.0]), None);
    }
}
