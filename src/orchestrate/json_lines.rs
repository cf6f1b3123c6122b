//! Shows the progress of one run, and also prints it as JSON lines on standard output if asked to.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::event::{Event, Line};
use super::{Progress, RunsObserver, Start};
use crate::exit::Exit;
use crate::outln;
use crate::plan::RunPlan;
use crate::recipe::TRAINING_WINDOW;
use crate::record::{Ending, Evaluation, Iteration};
use crate::train::{Observer, Phase};

/// The least time between two lines about updates or phases.
const PAUSE: Duration = Duration::from_millis(200);

/// Observes one run for a person on standard error and, if `speaks`, for a program on standard output.
pub struct JsonLines {
    run: String,
    speaks: bool,
    progress: Progress,
    /// Errors of the last mini-batches.
    recent: VecDeque<f64>,
    iterations: u64,
    /// When the last line about an update or a phase was printed.
    told: Option<Instant>,
    /// How the run ended, and whether it was trained now.
    ending: Option<(Ending, bool)>,
}

impl JsonLines {
    /// Observes the run of this name.
    pub fn new(run: &str, speaks: bool, progress: Progress) -> Self {
        Self {
            run: run.into(),
            speaks,
            progress,
            recent: VecDeque::new(),
            iterations: 0,
            told: None,
            ending: None,
        }
    }

    /// Says that the worker ends before it has a run: the one that was named, if it was.
    pub fn refused(run: Option<&str>, error: &anyhow::Error) {
        print(run.unwrap_or_default(), failed(error));
    }

    /// Says how the worker ends.
    pub fn ended(&self, ended: &Result<Exit>) {
        let (exit, error) = match ended {
            Ok(exit) => (*exit, None),
            Err(error) => (Exit::of(error), Some(error)),
        };
        let code = exit as u8;
        self.say(match (error, self.ending) {
            _ if exit.is_stopped() => Event::Stopped { exit: code },
            (None, Some((ending, trained))) => Event::Finished {
                ending,
                trained,
                exit: code,
            },
            (None, None) => return,
            (Some(error), _) => failed(error),
        });
    }

    fn say(&self, event: Event) {
        if self.speaks {
            print(&self.run, event);
        }
    }

    /// Whether it is time for another line about something that happens often.
    fn is_due(&mut self) -> bool {
        let due = self.told.is_none_or(|told| told.elapsed() >= PAUSE);
        if due {
            self.told = Some(Instant::now());
        }
        due
    }
}

fn failed(error: &anyhow::Error) -> Event {
    Event::Failed {
        error: format!("{error:#}"),
        exit: Exit::of(error) as u8,
    }
}

fn print(run: &str, event: Event) {
    let run = run.to_owned();
    // Nothing in a line fails to be JSON.
    if let Ok(text) = serde_json::to_string(&Line { run, event }) {
        outln!("{text}");
    }
}

impl Observer for JsonLines {
    fn iteration(&mut self, row: &Iteration) {
        self.progress.iteration(row);
        self.recent.push_back(row.error);
        if self.recent.len() > TRAINING_WINDOW {
            self.recent.pop_front();
        }
        if self.speaks && (self.is_due() || row.iteration == self.iterations) {
            let error = self.recent.iter().sum::<f64>() / self.recent.len() as f64;
            self.say(Event::progress(row, error));
        }
    }

    fn phase(&mut self, phase: Phase, done: u64, total: u64) {
        self.progress.phase(phase, done, total);
        if self.speaks && self.is_due() {
            let phase = phase.into();
            self.say(Event::Phase { phase, done, total });
        }
    }

    fn evaluation(&mut self, row: &Evaluation) {
        self.progress.evaluation(row);
        self.say(Event::evaluation(row));
    }

    fn kept(&mut self, iteration: u64) {
        self.progress.kept(iteration);
        self.say(Event::Checkpoint { iteration });
    }
}

impl RunsObserver for JsonLines {
    fn planned(&mut self, costs: &[f64]) {
        self.progress.planned(costs);
    }

    fn begin(&mut self, run: &RunPlan, place: usize, start: Start) {
        self.progress.begin(run, place, start);
        self.iterations = run.recipe.iterations;
        self.say(Event::Started {
            iteration: match start {
                Start::New => 0,
                Start::At(iteration) => iteration,
            },
            iterations: self.iterations,
        });
    }

    fn skip(&mut self, run: &RunPlan, place: usize, ending: Ending) {
        self.progress.skip(run, place, ending);
        self.ending = Some((ending, false));
    }

    fn end(&mut self, run: &RunPlan, place: usize, ending: Ending) {
        self.progress.end(run, place, ending);
        self.ending = Some((ending, true));
    }

    fn tell(&mut self, text: &str) {
        self.progress.tell(text);
        self.say(Event::Note { text: text.into() });
    }

    fn warn(&mut self, text: &str) {
        self.progress.warn(text);
        self.say(Event::Warning { text: text.into() });
    }
}
