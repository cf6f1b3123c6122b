//! From the words on the command line to an experiment with a profile and seeds.

use std::path::Path;

use anyhow::Result;

use super::seeds;
use crate::cli::{DataKind, Places, SelectionArgs};
use crate::manifest::{self, Experiment};

/// An experiment at a profile, and why that profile.
pub struct Selection {
    pub experiment: Experiment,
    /// The same with the networks of `--networks` alone; all of them where none are named.
    pub only: Experiment,
    pub seeds: Vec<u64>,
    /// `asked for`, or why it was chosen.
    pub why: String,
}

/// The folder of the experiment whose runs are trained, checked or drawn.
pub fn select(args: &SelectionArgs, places: &Places) -> Result<Selection> {
    let path = manifest::find(&places.experiments_dir, &args.experiment)?;
    let (profile, why) = match &args.profile {
        Some(profile) => (profile.clone(), "asked for".to_string()),
        None => default_profile(),
    };
    let experiment = Experiment::load(&path, &profile, &args.overrides)?;
    let seeds = match &args.seeds {
        Some(text) => seeds::parse(text)?,
        None => experiment.seeds.clone(),
    };
    let mut only = experiment.clone();
    if !args.networks.is_empty() {
        only.only(&args.networks)?;
    }
    Ok(Selection {
        experiment,
        only,
        seeds,
        why,
    })
}

/// An experiment by its name as it stands in its file, at a profile and with seeds if they are given.
pub fn named(
    name: &str,
    profile: &Option<String>,
    seeds: &Option<String>,
    places: &Places,
) -> Result<Selection> {
    let args = SelectionArgs {
        experiment: name.into(),
        profile: profile.clone(),
        seeds: seeds.clone(),
        networks: Vec::new(),
        overrides: Vec::new(),
        data: DataKind::Any,
    };
    select(&args, places)
}

/// The profile where none is asked for: `paper` needs a GPU to end in hours rather than weeks.
fn default_profile() -> (String, String) {
    let why = if nvidia_driver() {
        "an NVIDIA driver is here, but this build trains on the CPU; one with CUDA: \
         cargo run --release --features cuda -- reproduce fig6"
    } else {
        "no usable GPU"
    };
    ("quick".into(), why.into())
}

/// Whether the machine has NVIDIA's driver loaded, by the file that it makes on Linux.
fn nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}
