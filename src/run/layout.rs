//! The names of the files in a run's folder.

pub(super) const RUN: &str = "run.toml";
pub(super) const DONE: &str = "done.json";
pub(super) const PROGRESS: &str = "progress.json";
pub(super) const LOG: &str = "log";
pub(super) const PARTS: &str = "parts";
pub(super) const ITERATIONS: &str = "iterations.parquet";
pub(super) const EVALUATIONS: &str = "evaluations.parquet";
pub(super) const WEIGHTS: &str = "weights.safetensors";
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";
pub(super) const PREVIOUS: &str = "checkpoint.previous.safetensors";
