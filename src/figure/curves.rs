//! Builds a figure of curves from an experiment and its runs, with the caveats for comparisons. Pure: no files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::captions::{barely_learned, colour, is_synthetic, line, recipe, sentence, watermark};
use super::curve_figure::{Figure, Limits, Panel, Quantity, Series};
use crate::judge::{PaperCurves, RunEvidence, Verdict};
use crate::manifest::{self, DataName, Evaluated, Experiment, Metric, NetworkEntry, papers_recipe};
use crate::origin::Origin;
use crate::record::curve::{self, Point};
use crate::record::{Ending, Split, Statistics};

/// The figure of these runs, and warnings about missing or irregular runs. `references` are the paper's curves by file;
/// curves of other files are left out.
pub fn assemble(
    experiment: &Experiment,
    verdict: &Verdict,
    runs: &[RunEvidence],
    references: &BTreeMap<PathBuf, PaperCurves>,
) -> (Figure, Vec<String>) {
    let iterations = experiment
        .networks
        .iter()
        .filter(|entry| !entry.optional)
        .map(|entry| entry.recipe.iterations)
        .max()
        .unwrap_or(experiment.recipe.iterations);
    let mut panels = Vec::new();
    for panel in &experiment.panels {
        let wanted = panel
            .only_with
            .as_ref()
            .is_none_or(|network| has_run(runs, network));
        // A panel without runs would show only the paper's curves.
        let any = panel.networks.iter().any(|network| has_run(runs, network));
        if wanted && any {
            panels.push(assemble_panel(
                experiment, panel, runs, references, iterations,
            ));
        }
    }
    let evaluated = verdict.evaluated(|network| has_run(runs, network));
    let warnings = warnings(experiment, runs);
    let mut notes = changes(experiment, runs);
    notes.push(measured(experiment, &panels, evaluated));
    notes.extend(explanations(experiment, runs, &panels));
    notes.extend(barely_learned(verdict));
    notes.extend(warnings.iter().map(|warning| sentence(warning)));
    let figure = Figure {
        title: verdict.title.clone(),
        line: line(experiment, runs),
        notes,
        watermark: watermark(runs),
        iterations,
        quantity: Quantity::Errors,
        chance: Some(verdict.chance),
        dashed_training: experiment.dashed_training,
        limits: experiment
            .error_axis
            .map(|[low, high]| Limits { low, high }),
        evaluated,
        panels,
    };
    (figure, warnings)
}

fn has_run(runs: &[RunEvidence], network: &str) -> bool {
    runs.iter().any(|run| run.plan().network.name == network)
}

fn assemble_panel(
    experiment: &Experiment,
    panel: &manifest::Panel,
    runs: &[RunEvidence],
    references: &BTreeMap<PathBuf, PaperCurves>,
    iterations: u64,
) -> Panel {
    let entries = panel
        .networks
        .iter()
        .filter_map(|name| experiment.network(name))
        .filter(|entry| !entry.optional);
    let (mut series, mut known) = (Vec::new(), BTreeSet::new());
    for entry in entries {
        for metric in &panel.shows {
            let split = match metric {
                Metric::TrainingError => Split::Train,
                Metric::TestError => Split::Test,
                // Not a curve over iterations.
                _ => continue,
            };
            let mut drawn = assemble_series(experiment, entry, runs, split);
            if let Some(reference) = &panel.reference
                && let Some(paper) = references.get(&reference.file)
                && let Some(curve) =
                    paper.curve(&reference.panels, entry.papers_name(), split)
                // Once, beneath the first of a network's variants.
                && known.insert((entry.papers_name(), split))
            {
                let scale = entry.recipe.iterations_per(&papers_recipe(experiment.data));
                drawn.reference = curve
                    .points
                    .iter()
                    .map(|point| (point.0 * scale, point.1))
                    .filter(|point| point.0 <= iterations as f64)
                    .collect();
            }
            series.push(drawn);
        }
    }
    let evaluated = experiment.evaluated(|name| panel.networks.iter().any(|other| other == name));
    Panel {
        title: evaluated.reworded(&panel.title),
        first_iteration: panel.first_iteration,
        series,
    }
}

/// Finished runs form the mean; unfinished and diverged runs are drawn separately. Without a finished run, a single
/// other run takes the place of the mean.
fn assemble_series(
    experiment: &Experiment,
    entry: &NetworkEntry,
    runs: &[RunEvidence],
    split: Split,
) -> Series {
    let mut by_end: BTreeMap<bool, Vec<(Vec<Point>, Ending)>> = BTreeMap::new();
    for run in runs
        .iter()
        .filter(|run| run.plan().network.name == entry.name)
    {
        let points = match split {
            Split::Train => {
                let interval = run.plan().recipe.evaluation.interval;
                let step = curve::sampling_step(run.plan().recipe.iterations, interval);
                curve::training(&run.rows.iterations, experiment.training_window, step)
            }
            Split::Test => {
                curve::evaluations(&run.rows.evaluations, Split::Test, Statistics::Population)
            }
        };
        let finished = run.view.ending == Ending::Finished;
        by_end
            .entry(finished)
            .or_default()
            .push((points, run.view.ending));
    }
    let finished = by_end.remove(&true).unwrap_or_default();
    let mut others = by_end.remove(&false).unwrap_or_default();
    let mut ending = Some(Ending::Finished);
    let mut means: Vec<Vec<Point>> = finished.into_iter().map(|(points, _)| points).collect();
    if means.is_empty() {
        ending = others.first().map(|(_, ending)| *ending);
        // Several end at different iterations and are drawn separately.
        if others.len() == 1 {
            means = others.drain(..).map(|(points, _)| points).collect();
        }
    }
    Series {
        network: entry.label.clone(),
        colour: colour(&entry.colour),
        split,
        mean: curve::mean(&means),
        range: curve::range(&means),
        others,
        ending,
        reference: Vec::new(),
    }
}

/// What differs from the paper's recipe and images.
fn changes(experiment: &Experiment, runs: &[RunEvidence]) -> Vec<String> {
    let mut notes = recipe(experiment);
    if !experiment.overrides.is_empty() {
        let given = experiment.overrides.join(", ");
        notes.push(format!("Changed on the command line: {given}."));
    }
    let part = |run: &RunEvidence| run.view.file.notes.data == Origin::ImagenetPart;
    if runs.iter().any(part) {
        notes.push(format!(
            "The images are {}: the errors are not comparable with the paper's.",
            experiment.images(Origin::ImagenetPart)
        ));
    }
    if is_synthetic(runs) {
        notes.push(
            "The images are SYNTHETIC, generated from a seed: nothing here is comparable with the paper."
                .into(),
        );
    }
    notes
}

/// How the errors were measured, and on which images.
fn measured(experiment: &Experiment, panels: &[Panel], evaluated: Evaluated) -> String {
    let training = panels
        .iter()
        .flat_map(|panel| &panel.series)
        .any(|series| series.split == Split::Train);
    let held_out = match evaluated {
        Evaluated::Test | Evaluated::ValidationSet => "",
        Evaluated::Validation => " on training images that were held out,",
        Evaluated::Both => " on the test images or on training images that were held out,",
    };
    let metric = evaluated.metric(Metric::TestError);
    let crop = match experiment.data {
        DataName::Cifar10 => "",
        DataName::Imagenet => " of the centre crop",
    };
    let mut how = vec![format!(
        "{metric}{crop}{held_out} with batch-norm statistics of training images (population)"
    )];
    if training {
        let window = experiment.training_window;
        how.push(format!(
            "training error as the mean of the last {window} augmented mini-batches"
        ));
    }
    sentence(&how.join("; "))
}

/// What the curves are.
fn explanations(experiment: &Experiment, runs: &[RunEvidence], panels: &[Panel]) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(over_seeds(runs, panels));
    notes.extend(starts(experiment, runs));
    let drawn: BTreeSet<&str> = panels
        .iter()
        .flat_map(|panel| &panel.series)
        .filter(|series| !series.reference.is_empty())
        .map(|series| series.network.as_str())
        .collect();
    if !drawn.is_empty() {
        let mut note =
            "The paper's curves are extracted from its figure (arXiv:1512.03385v1)".to_owned();
        let papers = papers_recipe(experiment.data);
        let lengths: BTreeSet<u64> = experiment
            .networks
            .iter()
            .filter(|entry| drawn.contains(entry.label.as_str()))
            .map(|entry| &entry.recipe)
            .filter(|recipe| recipe.iterations_per(&papers) != 1.0)
            .map(|recipe| recipe.iterations)
            .collect();
        if !lengths.is_empty() {
            let ours: Vec<String> = lengths.iter().map(u64::to_string).collect();
            note += &format!(
                "; their {} iterations are scaled to the same fraction of the schedule as our {}",
                papers.iterations,
                ours.join(" or ")
            );
        }
        notes.push(note + ".");
    }
    notes
}

/// Explains means and bands over several seeds.
fn over_seeds(runs: &[RunEvidence], panels: &[Panel]) -> Option<String> {
    let bands = panels
        .iter()
        .flat_map(|panel| &panel.series)
        .any(|series| !series.range.is_empty());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs
        .iter()
        .filter(|run| run.view.ending == Ending::Finished)
    {
        *counts.entry(&run.plan().network.name).or_default() += 1;
    }
    let (least, most) = (counts.values().min()?, counts.values().max()?);
    let n = if least == most {
        format!("n = {most}")
    } else {
        format!("n = {least} to {most}")
    };
    bands.then(|| {
        format!("Curves are means over a network's finished runs ({n}); bands span the lowest to the highest run.")
    })
}

/// For runs that start from another run's weights: the training error at its end and at their start, and how long they were
/// trained in all.
fn starts(experiment: &Experiment, runs: &[RunEvidence]) -> Vec<String> {
    let mut notes = Vec::new();
    for entry in &experiment.networks {
        let Some(start) = &entry.start else { continue };
        let mut seeds = Vec::new();
        for run in runs
            .iter()
            .filter(|run| run.plan().network.name == entry.name)
        {
            let before = runs
                .iter()
                .find(|other| Some(other.plan().identity()) == run.plan().start.as_deref());
            let ended = before.and_then(|before| {
                clean_error(before, before.plan().recipe.iterations, Statistics::Moving)
            });
            let begins = |statistics| clean_error(run, 0, statistics);
            if let (Some(ended), Some(begins), Some(anew)) = (
                ended,
                begins(Statistics::Moving),
                begins(Statistics::Population),
            ) {
                let seed = run.plan().seed;
                seeds.push(format!(
                    "seed {seed}: {ended:.2} % and {begins:.2} % ({anew:.2} % with re-estimated statistics)"
                ));
            }
        }
        if !seeds.is_empty() {
            notes.push(format!(
                "Training error without augmentation, with moving averages, at the end of {} and at the start of {}: {}.",
                start.label,
                entry.label,
                seeds.join("; ")
            ));
        }
        if has_run(runs, &entry.name) {
            let (before, own) = (start.recipe.iterations, entry.recipe.iterations);
            notes.push(format!(
                "At its end, {} has been trained for {} iterations, {before} of them as {}.",
                entry.label,
                before + own,
                start.label
            ));
        }
    }
    notes
}

/// The error of the clean pass at an iteration, %.
fn clean_error(run: &RunEvidence, iteration: u64, statistics: Statistics) -> Option<f64> {
    let rows = &mut run.rows.evaluations.iter();
    let row = rows.find(|row| row.iteration == iteration && row.is_of(Split::Train, statistics));
    row.map(|row| row.error)
}

/// Missing, unfinished, diverged and differently evaluated runs, as fragments.
fn warnings(experiment: &Experiment, runs: &[RunEvidence]) -> Vec<String> {
    let mut warnings = Vec::new();
    let seeds: BTreeSet<u64> = runs.iter().map(|run| run.plan().seed).collect();
    let mut missing = Vec::new();
    let mut some = Vec::new();
    for entry in experiment.networks.iter().filter(|entry| !entry.optional) {
        let there: BTreeSet<u64> = runs
            .iter()
            .filter(|run| run.plan().network.name == entry.name)
            .map(|run| run.plan().seed)
            .collect();
        if there.is_empty() {
            missing.push(entry.label.clone());
        } else if there.len() < seeds.len() {
            some.push(format!("{} (n = {})", entry.label, there.len()));
        }
    }
    if !missing.is_empty() {
        warnings.push(format!("no run of {}", missing.join(", ")));
    }
    if !some.is_empty() {
        warnings.push(format!("fewer seeds of {}", some.join(", ")));
    }
    let named = |run: &RunEvidence| {
        let name = &run.plan().network.name;
        let label = experiment.network(name).map_or(name, |entry| &entry.label);
        format!("{label} seed {}", run.plan().seed)
    };
    let mut odd: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for run in runs {
        let last = run.rows.iterations.last().map_or(0, |row| row.iteration);
        match run.view.ending {
            Ending::Partial => odd.entry("unfinished").or_default().push(format!(
                "{} (at {last} of {})",
                named(run),
                run.plan().recipe.iterations
            )),
            Ending::Diverged => odd
                .entry("diverged")
                .or_default()
                .push(format!("{} (at {last})", named(run))),
            Ending::Finished => {}
        }
        let entry = experiment.network(&run.plan().network.name);
        if entry.is_some_and(|entry| entry.recipe.evaluation != run.plan().recipe.evaluation) {
            odd.entry("evaluated with settings other than the manifest's")
                .or_default()
                .push(named(run));
        }
    }
    for (what, which) in odd {
        warnings.push(format!("{what}: {}", which.join(", ")));
    }
    warnings
}
