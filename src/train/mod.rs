//! The training loop. It knows no files and no devices: rows and states go to a [`Keeper`], progress to an [`Observer`].
//!
//! - `training.rs`: the loop over iterations
//! - `evaluation.rs`: batch-norm statistics estimated on training images, then loss and error
//! - `ahead.rs`: an evaluation's next batch, made while the engine works
//! - `scores.rs`: scores averaged over several views of an image
//! - `schedule.rs`: the learning rate of each update
//! - `state.rs`: the loop's own state, kept with every checkpoint, and the warm-up
//! - `stop.rs`: the flag that asks for a stop
//! - `observer.rs` and `data.rs`: what a caller provides
//! - `construct.rs`: a deeper plain network constructed from a trained shallower one

mod ahead;
mod construct;
mod data;
mod evaluation;
mod observer;
mod schedule;
mod scores;
mod state;
mod stop;
mod training;

pub use construct::{StageMoments, construct};
pub use data::{ImagesAt, MiniBatches, Required, StatisticsAt, TrainingData};
pub use evaluation::{
    BOTH_STATISTICS, EVALUATION_BATCH, EvaluationData, check_test_images, estimate_statistics,
    evaluate,
};
pub use observer::{Keeper, Observer, Phase};
pub use schedule::Schedule;
pub use scores::Scores;
pub use state::{LoopState, MiniBatch, WarmUpState};
pub use stop::{Signal, Stop};
pub use training::Training;
