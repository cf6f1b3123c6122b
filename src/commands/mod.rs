//! A thin file for each verb.

pub mod data;
