//! The training loop: learning-rate schedule and warm-up, evaluation with estimated batch-norm statistics, stopping.
//! It hands rows and states to a [`Keeper`] and progress to an [`Observer`]; it knows no file and no device.
mod construct;
mod evaluation;
mod initialise;
mod schedule;
mod state;
mod stop;
mod training;

pub use construct::{StageMoments, construct};
pub use evaluation::{EVALUATION_BATCH, Phase};
pub use initialise::initialise;
pub use schedule::Schedule;
pub use state::{LoopState, MiniBatch, WarmUpState};
pub use stop::{Signal, Stop};
pub use training::{Keeper, MiniBatches, Observer, Outcome, Training, TrainingData};
