//! A run without an engine: weights that follow a recurrence and rows that follow from the weights.
#![allow(dead_code)]

pub mod cifar;
#[cfg(unix)]
pub mod cluster;
pub mod images;
pub mod program;
pub mod python;
pub mod tiny;

use std::collections::BTreeMap;
use std::path::Path;

use refig::manifest::NetworkEntry;
use refig::network::{Network, Shortcut};
use refig::origin::Origin;
use refig::plan::RunPlan;
use refig::processor::{Instructions, Processor};
use refig::recipe::Recipe;
use refig::record::{Ending, Evaluation, Iteration, Recorder, Split, Statistics, Views};
use refig::run::disk::Disk;
use refig::run::{Notes, Resume, Rows, RunDirectory, RunView};
use refig::weights::{Tensor, Weights};

/// Iterations of the run.
pub const LAST: u64 = 8;

pub fn entry() -> NetworkEntry {
    let network = Network::parse_cifar("plain-20", Shortcut::A, 10).unwrap();
    NetworkEntry {
        name: network.name.clone(),
        label: "plain-20".into(),
        network,
        recipe: Recipe {
            iterations: LAST,
            drops: vec![5],
            ..Recipe::default()
        },
        colour: "#000000".into(),
        optional: false,
        variant_of: None,
        start: None,
    }
}

pub fn plan_on(processor: Processor) -> RunPlan {
    RunPlan::new(&entry(), 3, "quick", "feed", processor).unwrap()
}

pub fn plan() -> RunPlan {
    plan_on(Processor::Cpu(Instructions::Avx2))
}

pub fn notes() -> Notes {
    Notes {
        data: Origin::Synthetic,
        overrides: vec!["recipe.iterations=8".into()],
        threads: 2,
        ..Notes::default()
    }
}

pub fn weights(value: f32) -> Weights {
    let tensor = Tensor {
        shape: vec![2, 3],
        data: (0..6).map(|place| value * (place as f32 + 0.1)).collect(),
    };
    Weights {
        tensors: BTreeMap::from([("fc.weight".to_string(), tensor)]),
        metadata: String::new(),
    }
}

/// One update.
pub fn next(state: &Weights) -> Weights {
    let mut state = state.clone();
    for tensor in state.tensors.values_mut() {
        for value in &mut tensor.data {
            *value = *value * 0.9 + (*value * 3.7).sin() * 0.31;
        }
    }
    state
}

fn loss(state: &Weights) -> f64 {
    let values = state.tensors.values().flat_map(|tensor| &tensor.data);
    values.map(|&value| f64::from(value)).sum()
}

pub fn iteration(iteration: u64, state: &Weights) -> Iteration {
    // A clock that no two starts share.
    let clock = std::time::UNIX_EPOCH.elapsed().unwrap();
    Iteration {
        iteration,
        epoch: iteration as f64 * 128.0 / 50_000.0,
        learning_rate: if iteration > 5 { 0.01 } else { 0.1 },
        loss: loss(state),
        error: (loss(state) * 100.0).rem_euclid(100.0),
        seconds: clock.as_secs_f64(),
    }
}

pub fn evaluation(iteration: u64, state: &Weights, statistics: Statistics) -> Evaluation {
    Evaluation {
        iteration,
        split: Split::Test,
        statistics,
        views: Views::default(),
        images: 10_000,
        loss: loss(state) / 3.0,
        error: 12.5,
        top5_error: 1.0 / 3.0,
    }
}

/// Trains from wherever the run stands to its end. A checkpoint after iterations 2, 4 and 6, at 4 both before and behind
/// an evaluation, an evaluation at the end.
pub fn train(disk: Disk, results: &Path, fresh: bool) -> anyhow::Result<()> {
    let mut run = RunDirectory::open_on(disk, results, &plan(), &notes(), fresh)?;
    train_in(&mut run, |_| {})
}

/// [`train`] in an open directory, with something that happens before each iteration.
pub fn train_in(run: &mut RunDirectory, mut before: impl FnMut(u64)) -> anyhow::Result<()> {
    let (mut state, mut done, mut evaluated) = match run.resume()? {
        Resume::Done(_) => return Ok(()),
        Resume::New => (weights(1.0), 0, 0),
        Resume::At(checkpoint) => {
            let evaluated: u64 = checkpoint.loop_state.parse()?;
            (checkpoint.state, checkpoint.iteration, evaluated)
        }
    };
    loop {
        if (done == 4 || done == LAST) && evaluated < done {
            for statistics in [Statistics::Population, Statistics::Moving] {
                run.evaluation(evaluation(done, &state, statistics))?;
            }
            evaluated = done;
            run.checkpoint(done, &state, &evaluated.to_string())?;
        }
        if done == LAST {
            return run.finish(Ending::Finished, &state);
        }
        before(done + 1);
        state = next(&state);
        done += 1;
        run.iteration(iteration(done, &state))?;
        if done.is_multiple_of(2) && done < LAST {
            run.checkpoint(done, &state, &evaluated.to_string())?;
        }
    }
}

pub fn rows_of(run: &RunView) -> Rows {
    run.clone().read().unwrap().1
}

/// Equal to the bit, `seconds` aside.
pub fn same_but_seconds(one: &Rows, other: &Rows) -> bool {
    let iteration = |row: &Iteration| {
        let floats = [row.epoch, row.learning_rate, row.loss, row.error];
        (row.iteration, floats.map(f64::to_bits))
    };
    one.evaluations == other.evaluations
        && one.iterations.iter().map(iteration).collect::<Vec<_>>()
            == other.iterations.iter().map(iteration).collect::<Vec<_>>()
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        match entry.file_type().is_dir() {
            true => std::fs::create_dir_all(&target).unwrap(),
            false => std::fs::copy(entry.path(), &target).map(drop).unwrap(),
        }
    }
}

/// Writes a text file of a run with the digest of itself that belongs to `text`, whatever its digest says.
pub fn write_sealed(path: &Path, text: &str) {
    let at = text.find("sha256").unwrap();
    let open = at + text[at..].find("= \"").or(text[at..].find(": \"")).unwrap() + 3;
    let close = open + text[open..].find('"').unwrap();
    let empty = format!("{}{}", &text[..open], &text[close..]);
    let digest = refig::digest::sha256(empty.as_bytes());
    std::fs::write(path, format!("{}{digest}{}", &text[..open], &text[close..])).unwrap();
}
