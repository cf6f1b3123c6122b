//! ImageNet's layouts: the same eight images in every one give the same order, labels and digest, and nothing is guessed.

mod faults;
mod images;
mod places;
mod read;

#[path = "../common/mod.rs"]
mod common;
