//! Experiments as files: TOML in, a checked and resolved experiment out.
mod recipe;
pub use recipe::*;
