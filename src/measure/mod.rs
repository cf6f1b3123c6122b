//! What looks at the machine or the engine rather than at training: time of a training step, parity with recorded steps,
//! deviations of layer responses.

pub mod doctor;
pub mod parity;
pub mod responses;
pub mod step;
