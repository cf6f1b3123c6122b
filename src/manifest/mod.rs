//! Experiments as files: TOML in, a checked and resolved experiment out.
//!
//! `file.rs` is what may be written, `recipe.rs` every choice that changes numbers, `source.rs` a file with its lines,
//! `resolve.rs` the merging of recipe, exceptions, profile and overrides, `check.rs`, `check_kind.rs`, `check_variant.rs`
//! and `check_recipe.rs` what is refused and why,
//! `experiment.rs` the result, `bars.rs` the same for a figure without runs, `list.rs` the experiments of a folder and the schema for editors.

mod bars;
mod check;
mod check_kind;
mod check_recipe;
mod check_variant;
mod experiment;
mod file;
mod list;
mod recipe;
mod resolve;
mod source;

pub use bars::{BarPanel, Bars};
pub use experiment::*;
pub use file::{
    DataKind, Expectation, Kind, LayerOrder, Metric, ResponseImages, ResponsePooling,
    ResponseStatistics, Responses,
};
pub use list::{Listed, find, list, schema};
pub use recipe::*;
