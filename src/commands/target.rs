//! From the words on the command line to an experiment with a profile and seeds.

use std::path::Path;

use anyhow::Result;

use super::compute;
use super::seeds::parse as parse_seeds;
use crate::cli::{Places, SelectionArgs};
use crate::data::Request;
use crate::engine::{self, Device};
use crate::judge::{Seeds, Wanted};
use crate::manifest::{self, Experiment};
use crate::origin::DataKind;

/// An experiment at a profile with its seeds, and why that profile.
pub struct Target {
    pub experiment: Experiment,
    /// The same with the networks of `--networks` alone; all of them where none are named.
    pub only: Experiment,
    pub seeds: Vec<u64>,
    /// Whether the seeds were named on the command line; otherwise others that are complete count too.
    seeds_named: bool,
    /// `asked for`, or why it was chosen.
    pub why: String,
}

impl Target {
    /// The runs that are looked at.
    pub fn wanted(&self, data: DataKind) -> Wanted {
        Wanted {
            seeds: seeds(&self.seeds, self.seeds_named),
            data,
            made_on: None,
        }
    }
}

/// Named seeds alone, or a profile's and what is complete beside them.
pub fn seeds(asked: &[u64], named: bool) -> Seeds {
    match named {
        true => Seeds::Only(asked.to_vec()),
        false => Seeds::AtLeast(asked.to_vec()),
    }
}

/// The experiment whose runs are trained, checked or drawn. Without a profile, the circumstances choose it.
pub fn select(
    args: &SelectionArgs,
    places: &Places,
    circumstances: impl FnOnce() -> Result<Circumstances>,
) -> Result<Target> {
    let path = manifest::find(&places.experiments_dir, &args.experiment)?;
    let (profile, why) = match &args.profile {
        Some(profile) => (profile.clone(), "asked for".to_string()),
        None => circumstances()?.profile(),
    };
    let experiment = Experiment::load(&path, &profile, &args.overrides)?;
    let seeds = match &args.seeds {
        Some(text) => parse_seeds(text)?,
        None => experiment.seeds.clone(),
    };
    let mut only = experiment.clone();
    if !args.networks.is_empty() {
        only.only(&args.networks)?;
    }
    Ok(Target {
        experiment,
        only,
        seeds,
        seeds_named: args.seeds.is_some(),
        why,
    })
}

/// An experiment by its name as it stands in its file, at a profile and with seeds if they are given.
pub fn named(
    name: &str,
    profile: &Option<String>,
    seeds: &Option<String>,
    places: &Places,
) -> Result<Target> {
    let args = SelectionArgs {
        experiment: name.into(),
        profile: profile.clone(),
        seeds: seeds.clone(),
        networks: Vec::new(),
        overrides: Vec::new(),
        data: DataKind::Any,
    };
    select(&args, places, Circumstances::here)
}

/// What the profile depends on where none is asked for.
pub struct Circumstances {
    pub device: Device,
    /// Whether CIFAR-10 is there without a download.
    pub cifar10: bool,
}

impl Circumstances {
    /// Those of a command that takes neither a device nor a place of the data.
    pub fn here() -> Result<Self> {
        let gpu = engine::has_cuda().then(compute::first_gpu);
        Ok(Self {
            device: match gpu {
                Some(Ok(card)) => Device::Cuda(card.number),
                _ => Device::Cpu,
            },
            cifar10: Request::from_environment(None).is_local(),
        })
    }

    /// `paper` needs a GPU to end in hours rather than weeks, and the paper's images.
    fn profile(&self) -> (String, String) {
        let (profile, why) = match (self.device, self.cifar10) {
            (Device::Cuda(_), true) => ("paper", format!("{} and CIFAR-10 are here", self.device)),
            (Device::Cuda(_), false) => (
                "quick",
                format!(
                    "{} is here but CIFAR-10 is not; with it `paper` is chosen: refig data fetch cifar10",
                    self.device
                ),
            ),
            (Device::Cpu, _) if !engine::has_cuda() && nvidia_driver() => (
                "quick",
                "an NVIDIA driver is here, but this build trains on the CPU; one with CUDA: \
                 cargo run --release --features cuda -- reproduce fig6"
                    .into(),
            ),
            (Device::Cpu, _) => ("quick", "no usable GPU".into()),
        };
        (profile.into(), why)
    }
}

/// Whether the machine has NVIDIA's driver loaded, by the file that it makes on Linux.
pub fn nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_is_chosen_only_with_a_gpu_and_cifar() {
        let profile = |device, cifar10| Circumstances { device, cifar10 }.profile();
        assert_eq!(profile(Device::Cuda(0), true).0, "paper");
        let (chosen, why) = profile(Device::Cuda(1), false);
        assert_eq!(chosen, "quick");
        assert!(
            why.contains("data fetch cifar10") && why.contains("cuda:1"),
            "{why}"
        );
        for cifar10 in [false, true] {
            assert_eq!(profile(Device::Cpu, cifar10).0, "quick");
        }
    }
}
