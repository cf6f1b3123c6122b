//! Invalid manifests are rejected with file, line, value and remedy, before anything else happens.

mod fields;
mod refused;
mod values;
mod words;
