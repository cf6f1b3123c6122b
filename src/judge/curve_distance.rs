//! Compares an experiment's curves with the paper's: matches curves to networks, picks the sampling points, and notes
//! where the distance is not comparable.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::distance::{CurveRow, Paper, Sample, phases};
use super::paper_curves::{PaperCurve, PaperCurves};
use crate::manifest::{Experiment, Metric, NetworkEntry, Panel, papers_recipe};
use crate::plan::RunPlan;
use crate::recipe::{Recipe, TRAINING_WINDOW};
use crate::record::curve::{self, Point};
use crate::record::{Evaluation, Split, Statistics};
use crate::run::Rows;

/// A run that reached its last iteration.
#[derive(Clone, Copy, Debug)]
pub(super) struct FinishedRun<'a> {
    pub plan: &'a RunPlan,
    pub rows: &'a Rows,
}

/// A row for each network and metric with a curve in the paper and a finished run. `refuse` returns why a network is not
/// comparable with the paper, if so.
pub(super) fn distances(
    experiment: &Experiment,
    paper: &BTreeMap<PathBuf, PaperCurves>,
    finished: &[FinishedRun],
    refuse: &dyn Fn(&str) -> Option<String>,
) -> Vec<CurveRow> {
    let mut rows: Vec<CurveRow> = Vec::new();
    for panel in &experiment.panels {
        let Some(drawn) = &panel.reference else {
            continue;
        };
        let Some(reference) = paper.get(&drawn.file) else {
            continue;
        };
        for entry in panel.networks.iter().filter_map(|n| experiment.network(n)) {
            let of_network: Vec<FinishedRun> = finished
                .iter()
                .filter(|run| run.plan.network.name == entry.name)
                .copied()
                .collect();
            for &metric in &panel.shows {
                let known = rows
                    .iter()
                    .any(|row| row.network == entry.name && row.metric == metric);
                let split = split_of(metric);
                let Some(curve) = reference.curve(&drawn.panels, entry.papers_name(), split) else {
                    continue;
                };
                if known || of_network.is_empty() {
                    continue;
                }
                let file = drawn.file.file_name().unwrap_or_default().to_string_lossy();
                let reason = refuse(&entry.name);
                let mut row = CurveRow {
                    network: entry.name.clone(),
                    metric,
                    source: format!("{file}, {}", curve.panel),
                    seeds: of_network.len(),
                    comparable: reason.is_none(),
                    note: reason.unwrap_or_default(),
                    phases: Vec::new(),
                };
                measure(
                    &mut row,
                    experiment,
                    panel,
                    entry,
                    &of_network,
                    reference,
                    curve,
                );
                rows.push(row);
            }
        }
    }
    rows
}

fn split_of(metric: Metric) -> Split {
    match metric {
        Metric::TrainingError => Split::Train,
        _ => Split::Test,
    }
}

fn measure(
    row: &mut CurveRow,
    experiment: &Experiment,
    panel: &Panel,
    entry: &NetworkEntry,
    runs: &[FinishedRun],
    reference: &PaperCurves,
    curve: &PaperCurve,
) {
    let (recipe, papers) = (&entry.recipe, papers_recipe(experiment.data));
    let Some(scale) = proportion(recipe, &papers) else {
        add(
            &mut row.note,
            &format!(
                "drops at {:?} of {} iterations are not proportional to the paper's {:?} of {}, so no points correspond",
                recipe.drops, recipe.iterations, papers.drops, papers.iterations
            ),
        );
        return;
    };
    if recipe.begins(&papers) {
        let first = recipe.iterations;
        add(
            &mut row.note,
            &format!("compared over the first {first} iterations"),
        );
    }
    if scale != 1.0 {
        let at = format!(
            "compared at the same fraction of the schedule, {} iterations for the paper's {}",
            recipe.iterations, papers.iterations
        );
        add(&mut row.note, &at);
    }
    let begins = panel.first_iteration as f64 / scale;
    let ours: Vec<Vec<Point>> = runs
        .iter()
        .map(|run| match row.metric {
            Metric::TrainingError => {
                curve::training(&run.rows.iterations, experiment.training_window, 1)
            }
            _ => at_every_evaluation(&run.rows.evaluations),
        })
        .collect();
    let (images, papers_images) = match row.metric {
        Metric::TrainingError => (
            (experiment.training_window * recipe.batch) as f64,
            (TRAINING_WINDOW * papers.batch) as f64,
        ),
        _ => {
            let theirs = experiment.data.test_images() as f64;
            (theirs, theirs)
        }
    };
    let paper = Paper {
        samples: samples(curve, reference, begins, scale)
            .into_iter()
            .filter(|&(iteration, _)| iteration <= recipe.iterations)
            .collect(),
        limit: reference.limit(),
        images: papers_images,
    };
    row.phases = phases(&ours, images, &paper, &recipe.drops);
}

/// Appends a phrase to a note.
fn add(note: &mut String, phrase: &str) {
    if !note.is_empty() {
        note.push_str("; ");
    }
    note.push_str(phrase);
}

/// How many of our iterations stand for one of the paper's; none unless ours begin the paper's or the drops are at the same fractions
/// of the schedule.
fn proportion(recipe: &Recipe, paper: &Recipe) -> Option<f64> {
    let scale = recipe.iterations_per(paper);
    let drops = recipe.drops.iter().zip(&paper.drops);
    let mut apart = drops.map(|(&ours, &theirs)| (ours as f64 - theirs as f64 * scale).abs());
    // A drop can only be at a whole iteration.
    let tolerance = (1e-6 * paper.iterations as f64).max(1.0);
    let alike = recipe.drops.len() == paper.drops.len() && apart.all(|apart| apart < tolerance);
    (recipe.begins(paper) || alike && scale > 0.0).then_some(scale)
}

/// The curve at its sampling points from the start of its panel, in our iterations, leaving out fractional ones. A point
/// that is not drawn between the panel's start and the curve's end is above the axis.
fn samples(curve: &PaperCurve, reference: &PaperCurves, begins: f64, scale: f64) -> Vec<Sample> {
    let step = reference.sampling();
    let last = curve.points.last().map_or(0.0, |point| point.0);
    let drawn: BTreeMap<u64, f64> = curve
        .points
        .iter()
        .map(|&(iteration, error)| (iteration.round() as u64, error))
        .collect();
    (1..)
        .map(|place| f64::from(place) * step)
        .skip_while(|&iteration| iteration < begins)
        .take_while(|&iteration| iteration <= last)
        .filter_map(|iteration| {
            let ours = iteration * scale;
            let whole = (ours - ours.round()).abs() < 1e-6;
            whole.then(|| {
                let theirs = drawn.get(&(iteration.round() as u64)).copied();
                (ours.round() as u64, theirs)
            })
        })
        .collect()
}

/// All test errors with population statistics.
fn at_every_evaluation(rows: &[Evaluation]) -> Vec<Point> {
    rows.iter()
        .filter(|row| row.is_of(Split::Test, Statistics::Population))
        .filter(|row| row.error.is_finite())
        .map(|row| Point {
            iteration: row.iteration,
            error: row.error,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::{Instructions, Processor};
    use std::path::Path;

    fn experiment(profile: &str) -> Experiment {
        shipped("fig6", profile)
    }

    fn shipped(name: &str, profile: &str) -> Experiment {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
        Experiment::load(&folder.join(format!("{name}.toml")), profile, &[]).unwrap()
    }

    /// Evaluations at each 1000 of the paper's iterations, `by` above its curve; 30 % if that is not drawn.
    fn like_the_papers(experiment: &Experiment, network: &str, by: f64) -> Vec<Evaluation> {
        let panel = experiment
            .panels
            .iter()
            .find(|panel| panel.networks.iter().any(|name| name == network))
            .unwrap();
        let drawn = panel.reference.as_ref().unwrap();
        let reference = PaperCurves::read(&drawn.file).unwrap();
        let papers = experiment.network(network).unwrap().papers_name();
        let curve = reference.curve(&drawn.panels, papers, Split::Test).unwrap();
        let scale = proportion(&experiment.recipe, &Recipe::default()).unwrap_or(1.0);
        (1..=64)
            .map(|thousand| {
                let point = curve
                    .points
                    .iter()
                    .find(|point| point.0 == 1000.0 * f64::from(thousand));
                Evaluation {
                    iteration: (1000.0 * scale) as u64 * thousand as u64,
                    split: Split::Test,
                    statistics: Statistics::Population,
                    views: Default::default(),
                    images: 10_000,
                    loss: 1.0,
                    error: point.map_or(30.0, |point| point.1 + by),
                    top5_error: 0.0,
                }
            })
            .collect()
    }

    fn of(experiment: &Experiment, network: &str, by: f64) -> CurveRow {
        let entry = experiment.network(network).unwrap();
        let processor = Processor::Cpu(Instructions::Avx2);
        let plan = RunPlan::new(entry, 1, "paper", "c1fa", processor).unwrap();
        let run = FinishedRun {
            plan: &plan,
            rows: &Rows {
                iterations: Vec::new(),
                evaluations: like_the_papers(experiment, network, by),
            },
        };
        let paper = experiment
            .panels
            .iter()
            .filter_map(|panel| panel.reference.as_ref())
            .map(|drawn| (drawn.file.clone(), PaperCurves::read(&drawn.file).unwrap()))
            .collect();
        let rows = distances(experiment, &paper, &[run], &|_| None);
        let of_test = rows.into_iter().find(|row| row.metric == Metric::TestError);
        of_test.unwrap()
    }

    #[test]
    fn the_papers_own_curve_is_at_no_distance_from_itself_in_every_phase() {
        for network in ["plain-20", "plain-56", "resnet-20", "resnet-110"] {
            let row = of(&experiment("paper"), network, 0.0);
            assert_eq!(row.phases.len(), 3, "{network}");
            for phase in &row.phases {
                assert!(phase.mean_difference.unwrap() < 1e-9, "{network}");
                assert_eq!(phase.above, phase.above_too, "{network}");
            }
            let counted: usize = row.phases.iter().map(|p| p.points + p.above).sum();
            assert_eq!(counted, 64, "{network}");
            assert!(row.phases[0].above > 0, "{network} begins above the axis");
        }
        let row = of(&experiment("paper"), "resnet-56", 0.25);
        assert!((row.phases[2].mean_signed.unwrap() - 0.25).abs() < 1e-9);
    }

    #[test]
    fn proportional_schedule_is_compared_at_the_same_fractions() {
        let row = of(&experiment("tenth"), "resnet-20", 0.5);
        assert!(
            row.note.contains("6400 iterations for the paper's 64000"),
            "{}",
            row.note
        );
        let last = row.phases.last().unwrap();
        assert_eq!((last.first, last.last, last.points), (4900, 6400, 16));
        assert!((last.mean_difference.unwrap() - 0.5).abs() < 1e-9);
        assert!(of(&experiment("quick"), "resnet-20", 0.0).phases.is_empty());
    }

    #[test]
    fn the_beginning_is_compared_with_the_beginning_of_the_network_that_it_is_a_variant_of() {
        let readings = shipped("readings", "paper");
        for network in ["resnet-20", "resnet-20-weights", "resnet-56-whole"] {
            let row = of(&readings, network, 0.5);
            assert!(
                row.comparable && row.note.contains("first 8000"),
                "{}",
                row.note
            );
            let [phase] = &row.phases[..] else {
                panic!("{network}: {:?}", row.phases);
            };
            assert_eq!(phase.last, 8000, "{network}");
            assert_eq!(phase.points + phase.above, 8, "{network}");
            assert!((phase.mean_signed.unwrap() - 0.5).abs() < 1e-9, "{network}");
        }
    }
}
