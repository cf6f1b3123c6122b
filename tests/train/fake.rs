//! An engine that computes next to nothing, and a recorder in memory.

use std::sync::{Arc, Mutex};

use refig::data::Batch;
use refig::engine::{self, Engine, Step, Tally};
use refig::recipe::Pooling;
use refig::record::{Evaluation, Iteration, Recorder};
use refig::train::{Keeper, LoopState, Signal, Stop};
use refig::weights::{Tensor, Weights};

/// Its one weight depends on every batch and rate it was stepped with; its evaluations depend on the weight and the images.
pub struct Fake {
    pub weight: f32,
    population: f32,
    pub calls: Calls,
    pub diverge_at: Option<u32>,
    steps: u32,
    /// Steps that it likes to be begun together, and those begun.
    pub bunch: usize,
    begun: Vec<Step>,
    /// Asks for a stop at the n-th call of any kind.
    pub stop_at: Option<(usize, Stop)>,
}

/// What the engine was asked to do, in order. (`Engine` is `Send`, hence a mutex on this one thread.)
type Calls = Arc<Mutex<Vec<String>>>;

impl Fake {
    pub fn new() -> Self {
        Self {
            weight: 1.0,
            population: 0.0,
            calls: Calls::default(),
            diverge_at: None,
            steps: 0,
            bunch: 1,
            begun: Vec::new(),
            stop_at: None,
        }
    }

    fn called(&self, what: String) {
        let mut calls = self.calls.lock().unwrap();
        calls.push(what);
        if let Some((at, stop)) = &self.stop_at
            && calls.len() == *at
        {
            stop.request(Signal::Interrupt);
        }
    }

    fn sum(batch: &Batch) -> f32 {
        batch.pixels.iter().sum()
    }
}

impl Engine for Fake {
    fn begin_step(&mut self, batch: &Batch, rate: f32) -> anyhow::Result<()> {
        self.called(format!("step {rate}"));
        self.steps += 1;
        self.weight = (self.weight * 1.7 + rate * Self::sum(batch)).sin() + 1.0;
        let loss = if self.diverge_at == Some(self.steps) {
            f32::NAN
        } else {
            self.weight
        };
        // Falls over the first steps and jumps up and down throughout.
        let wrong = (self.weight * 3.0) as u32 + 4u32.saturating_sub(self.steps / 4);
        self.begun.push(Step { loss, wrong });
        Ok(())
    }

    fn finish_steps(&mut self) -> anyhow::Result<Vec<Step>> {
        Ok(std::mem::take(&mut self.begun))
    }

    fn steps_in_flight(&self) -> usize {
        self.bunch
    }

    fn begin_population(&mut self) -> anyhow::Result<()> {
        self.population = 0.0;
        Ok(())
    }

    fn add_population(&mut self, batch: &Batch) -> anyhow::Result<()> {
        self.called(format!("statistics {}", batch.labels.len()));
        self.population += self.weight * Self::sum(batch);
        Ok(())
    }

    fn finish_population(&mut self, _: Pooling) -> anyhow::Result<()> {
        Ok(())
    }

    fn evaluate(&mut self, batch: &Batch, with: engine::Statistics) -> anyhow::Result<Tally> {
        let statistics = match with {
            engine::Statistics::Population => {
                self.called(format!("evaluate {}", batch.labels.len()));
                self.population
            }
            engine::Statistics::Moving => self.weight,
        };
        Ok(Tally {
            images: batch.labels.len() as u64,
            loss: f64::from(statistics * self.weight + Self::sum(batch)),
            wrong: batch.labels.len() as u64 / 2,
            wrong_top5: 1,
        })
    }

    fn logits(&mut self, _: &Batch, _: engine::Statistics) -> anyhow::Result<Vec<f32>> {
        unreachable!("the loop needs no logits")
    }

    fn state(&self, _: bool) -> anyhow::Result<Weights> {
        let tensor = Tensor {
            shape: vec![2],
            data: vec![self.weight, self.steps as f32],
        };
        Ok(Weights {
            tensors: [("w".to_owned(), tensor)].into(),
            metadata: String::new(),
        })
    }

    fn restore(&mut self, state: &Weights) -> anyhow::Result<()> {
        let data = &state.tensors["w"].data;
        (self.weight, self.steps) = (data[0], data[1] as u32);
        Ok(())
    }
}

/// What a run's directory does: rows since the last kept state are lost.
#[derive(Default)]
pub struct Memory {
    pub iterations: Vec<Iteration>,
    pub evaluations: Vec<Evaluation>,
    pub kept: Vec<(Weights, LoopState, usize, usize)>,
}

impl Recorder for Memory {
    fn iteration(&mut self, row: Iteration) -> anyhow::Result<()> {
        self.iterations.push(row);
        Ok(())
    }

    fn evaluation(&mut self, row: Evaluation) -> anyhow::Result<()> {
        self.evaluations.push(row);
        Ok(())
    }
}

impl Keeper for Memory {
    fn keep(&mut self, state: &Weights, at: &LoopState) -> anyhow::Result<()> {
        let text = LoopState::from_json(&at.to_json()?)?;
        let rows = (self.iterations.len(), self.evaluations.len());
        self.kept.push((state.clone(), text, rows.0, rows.1));
        Ok(())
    }
}

impl Memory {
    /// As after the process's end: what was not kept is gone.
    pub fn forget(&mut self) -> Option<(Weights, LoopState)> {
        let (weights, state, iterations, evaluations) = match self.kept.last() {
            Some((weights, state, i, e)) => (Some(weights.clone()), state.clone(), *i, *e),
            None => (None, LoopState::default(), 0, 0),
        };
        self.iterations.truncate(iterations);
        self.evaluations.truncate(evaluations);
        weights.map(|weights| (weights, state))
    }
}

/// Rows without the one column that is not reproducible, floats as bits.
pub fn rows(memory: &Memory) -> Vec<String> {
    let iterations = memory.iterations.iter().map(|row| {
        let bits = [row.epoch, row.learning_rate, row.loss, row.error].map(f64::to_bits);
        format!("{} {bits:?}", row.iteration)
    });
    let evaluations = memory.evaluations.iter().map(|row| format!("{row:?}"));
    iterations.chain(evaluations).collect()
}
