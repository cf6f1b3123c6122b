//! Experiments as files: TOML in, a validated and resolved experiment out.
//!
//! - `file.rs`: the format; `source.rs`: a parsed manifest that can name the line of every error
//! - `overrides.rs`: `--set`; `merge.rs`: laying one TOML table over another
//! - `recipes.rs`: the merged recipe of each network; `resolve.rs`: a manifest at one profile
//! - `validate/`: everything that is rejected beyond keys and types
//! - `experiment.rs`: the result; `bars.rs`: its counterpart for figures without runs
//! - `list.rs`: the experiments of a folder, and the JSON schema for editors

mod bars;
mod evaluated;
mod experiment;
mod file;
mod list;
mod merge;
mod overrides;
mod recipes;
mod resolve;
mod source;
mod validate;

pub use bars::{BarPanel, Bars};
pub use evaluated::Evaluated;
pub use experiment::{Claim, Comparison, Experiment, NetworkEntry, Panel, Reference};
pub use file::{
    Expectation, Kind, LayerOrder, Metric, ResponseImages, ResponsePooling, ResponseStatistics,
    Responses,
};
pub use list::{Listed, find, list, schema};
