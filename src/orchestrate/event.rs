//! What a worker says of its run, a JSON object a line.

use serde::{Deserialize, Serialize};

use crate::record::{Ending, Evaluation, Iteration, Split, Statistics, Views};
use crate::train::Phase;

/// A line: the run's name, and what happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub run: String,
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins after this iteration, 0 for a new one.
    Started {
        iteration: u64,
        iterations: u64,
    },
    /// The last update, at most a few times a second. `error` is the mean of the last mini-batches.
    Progress {
        iteration: u64,
        learning_rate: f64,
        /// Null if it is not finite.
        loss: Option<f64>,
        error: f64,
    },
    /// An evaluation, or the mean image before the run begins, is at this image of its phase.
    Phase {
        phase: PhaseName,
        done: u64,
        total: u64,
    },
    /// A row of an evaluation, with the names of the records.
    Evaluation {
        iteration: u64,
        split: String,
        statistics: String,
        views: String,
        images: u64,
        loss: Option<f64>,
        error: f64,
        top5_error: f64,
    },
    /// The state after this iteration was saved.
    Checkpoint {
        iteration: u64,
    },
    Note {
        text: String,
    },
    Warning {
        text: String,
    },
    /// The run is complete. `trained` is false if it was before.
    Finished {
        ending: Ending,
        trained: bool,
        exit: u8,
    },
    /// A signal, or the end of the parent, stopped it; the same command resumes it.
    Stopped {
        exit: u8,
    },
    /// It failed, with the exit code of the worker.
    Failed {
        error: String,
        exit: u8,
    },
}

/// The name of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseName {
    Mean,
    Statistics,
    Test,
    Clean,
}

impl From<Phase> for PhaseName {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Mean => PhaseName::Mean,
            Phase::Statistics => PhaseName::Statistics,
            Phase::Test => PhaseName::Test,
            Phase::Clean => PhaseName::Clean,
        }
    }
}

impl From<PhaseName> for Phase {
    fn from(name: PhaseName) -> Self {
        match name {
            PhaseName::Mean => Phase::Mean,
            PhaseName::Statistics => Phase::Statistics,
            PhaseName::Test => Phase::Test,
            PhaseName::Clean => Phase::Clean,
        }
    }
}

impl Event {
    /// An update, with the mean error of the last mini-batches.
    pub fn progress(row: &Iteration, error: f64) -> Self {
        Event::Progress {
            iteration: row.iteration,
            learning_rate: row.learning_rate,
            loss: finite(row.loss),
            error,
        }
    }

    /// A row of an evaluation.
    pub fn evaluation(row: &Evaluation) -> Self {
        Event::Evaluation {
            iteration: row.iteration,
            split: row.split.name().into(),
            statistics: row.statistics.name().into(),
            views: row.views.name().into(),
            images: row.images,
            loss: finite(row.loss),
            error: row.error,
            top5_error: row.top5_error,
        }
    }

    /// The row of an update, if it is one. What is not said in a line is 0.
    pub fn to_iteration(&self) -> Option<Iteration> {
        match *self {
            Event::Progress {
                iteration,
                learning_rate,
                loss,
                error,
            } => Some(Iteration {
                iteration,
                epoch: 0.0,
                learning_rate,
                loss: loss.unwrap_or(f64::NAN),
                error,
                seconds: 0.0,
            }),
            _ => None,
        }
    }

    /// The row of an evaluation, if it is one with known names.
    pub fn to_evaluation(&self) -> Option<Evaluation> {
        match self {
            Event::Evaluation {
                iteration,
                split,
                statistics,
                views,
                images,
                loss,
                error,
                top5_error,
            } => Some(Evaluation {
                iteration: *iteration,
                split: Split::parse(split)?,
                statistics: Statistics::parse(statistics)?,
                views: Views::parse(views)?,
                images: *images,
                loss: loss.unwrap_or(f64::NAN),
                error: *error,
                top5_error: *top5_error,
            }),
            _ => None,
        }
    }
}

/// JSON has no NaN.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_being_written() {
        let row = Evaluation {
            iteration: 5,
            split: Split::Test,
            statistics: Statistics::Population,
            views: Views::Centre,
            images: 2000,
            loss: f64::INFINITY,
            error: 90.0,
            top5_error: 1.0 / 3.0,
        };
        for event in [
            Event::Started {
                iteration: 0,
                iterations: 60,
            },
            Event::Phase {
                phase: Phase::Mean.into(),
                done: 64,
                total: 600,
            },
            Event::evaluation(&row),
            Event::Finished {
                ending: Ending::Diverged,
                trained: true,
                exit: 0,
            },
        ] {
            let run = "plain-8-s1-4bc277a2".to_owned();
            let line = Line { run, event };
            let text = serde_json::to_string(&line).unwrap();
            assert!(text.starts_with(r#"{"run":"plain-8-s1-4bc277a2","event":""#));
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
        }
        let known = Event::evaluation(&row).to_evaluation().unwrap();
        assert!(known.loss.is_nan() && known.views == row.views);
    }
}
