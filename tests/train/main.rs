//! The training loop on an engine that computes next to nothing: what is evaluated when, that a stop is heeded in every
//! phase, that a resume changes nothing, and that divergence is a result.

mod course;
mod fake;
mod resumed;
mod scene;
