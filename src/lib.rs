//! refig reproduces the figures of *Deep Residual Learning for Image Recognition* (He, Zhang, Ren, Sun, 2015) and says
//! with numbers how close it came.

pub mod address;
mod again;
pub mod cli;
pub mod commands;
pub mod console;
mod counted;
pub mod data;
pub mod digest;
pub mod duration;
pub mod engine;
pub mod exit;
pub mod figure;
pub mod inspect;
pub mod judge;
pub mod manifest;
pub mod measure;
mod nearest;
pub mod network;
pub mod orchestrate;
pub mod origin;
mod plain_name;
pub mod plan;
pub mod processor;
pub mod publish;
pub mod random;
pub mod recipe;
pub mod record;
pub mod regular;
pub mod run;
mod temporaries;
pub mod train;
pub mod weights;
