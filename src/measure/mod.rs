//! What looks at the machine or the engine rather than at training: time of a training step, parity with recorded steps.

pub mod parity;
pub mod step;
