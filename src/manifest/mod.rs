//! Experiments as files: TOML in, a validated and resolved experiment out.
//!
//! - `file.rs`: the format; `source.rs`: a parsed manifest that can name the line of every error
//! - `wording.rs`: the messages of serde and toml in plain words
//! - `overrides.rs`: `--set`; `merge.rs`: laying one TOML table over another
//! - `recipes.rs`: the merged recipe of each network; `resolve.rs`: a manifest at one profile
//! - `validate/`: everything that is rejected beyond keys and types
//! - `colours.rs`: the colour of each network; `margin.rs`: the margin of a claim
//! - `experiment.rs`: the result; `departures.rs`: how it differs from the paper's recipe; `bars.rs`: its counterpart for
//!   figures without runs
//! - `list.rs`: the experiments of a folder, and the JSON schema for editors

mod bars;
mod colours;
mod departures;
mod evaluated;
mod experiment;
mod file;
mod list;
mod margin;
mod merge;
mod overrides;
mod recipes;
mod resolve;
mod source;
mod validate;
mod wording;

pub use crate::origin::DataName;
pub use bars::{BarPanel, Bars};
pub use departures::papers_recipe;
pub use evaluated::Evaluated;
pub use experiment::{Claim, Comparison, Experiment, NetworkEntry, Panel, Reference};
pub use file::{
    Expectation, Kind, LayerOrder, Metric, ResponseImages, ResponsePooling, ResponseStatistics,
    Responses,
};
pub use list::{Broken, Catalogue, Listed, find, list, listed, schema};
