//! Launches on a cluster without a cluster: scripts as text and run by bash, and stand-ins for Slurm's programs.
#![cfg(unix)]

mod documented;
#[path = "../common/python.rs"]
mod python;
mod scripts;
mod submitted;
mod words;

#[path = "../common/cluster.rs"]
mod cluster;
