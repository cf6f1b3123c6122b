//! Resolves an experiment with its profile and seeds.

use std::path::Path;

use anyhow::Result;

use super::compute;
use super::seeds::parse as parse_seeds;
use crate::cli::{Places, RunsArgs, SelectionArgs};
use crate::data::Request;
use crate::engine::{self, Device};
use crate::exit::Exit;
use crate::judge::{Seeds, Wanted};
use crate::manifest::{self, Experiment};
use crate::origin::{DataKind, DataName};

/// The default profile of experiments on ImageNet.
const IMAGENETTE: &str = "imagenette";
/// That of experiments on CIFAR-10 where the paper's would take weeks, and what stands in for it.
const QUICK: &str = "quick";
const TENTH: &str = "tenth";

/// An experiment at a profile, with its seeds.
pub struct Target {
    pub experiment: Experiment,
    /// The same with only the networks of `--networks`, if given.
    pub only: Experiment,
    pub seeds: Vec<u64>,
    /// Whether the seeds were given on the command line; otherwise other complete seeds count too.
    seeds_named: bool,
    /// Why the profile was chosen.
    pub why: String,
}

impl Target {
    /// The same for the number of classes of the data that is there.
    pub fn with_classes(self, classes: usize) -> Self {
        Self {
            experiment: self.experiment.with_classes(classes),
            only: self.only.with_classes(classes),
            ..self
        }
    }

    /// The runs to select.
    pub fn wanted(&self, data: DataKind) -> Wanted {
        Wanted {
            seeds: seeds(&self.seeds, self.seeds_named),
            data,
            made_on: None,
        }
    }
}

/// Only the given seeds if `named`, else also other complete ones.
pub fn seeds(asked: &[u64], named: bool) -> Seeds {
    match named {
        true => Seeds::Only(asked.to_vec()),
        false => Seeds::AtLeast(asked.to_vec()),
    }
}

/// Resolves the experiment to train, check or draw. Without `--profile`, the circumstances decide between several profiles.
pub fn select(
    args: &SelectionArgs,
    places: &Places,
    circumstances: impl FnOnce() -> Result<Circumstances>,
) -> Result<Target> {
    let path = manifest::find(&places.experiments_dir, &args.experiment)?;
    let (data, known) = Experiment::profiles(&path)?;
    let (profile, why) = match (&args.profile, &known[..]) {
        (Some(profile), _) => (profile.clone(), "as requested".to_string()),
        (None, [only]) => (only.clone(), "the only profile".to_string()),
        (None, _) => usual(&path, (data, &known[..]), circumstances)?,
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

/// The default of several profiles, and why.
fn usual(
    path: &Path,
    (data, known): (DataName, &[String]),
    circumstances: impl FnOnce() -> Result<Circumstances>,
) -> Result<(String, String)> {
    let (profile, why) = match data {
        DataName::Cifar10 => circumstances()?.profile(),
        // The paper's schedule takes days on any GPU, so it is only trained when asked for.
        DataName::Imagenet => {
            let why = "the paper's schedule takes days to months; pass --profile paper for it";
            (IMAGENETTE.to_owned(), why.to_owned())
        }
    };
    let is_known = |name: &str| known.iter().any(|other| other == name);
    if is_known(&profile) {
        return Ok((profile, why));
    }
    // A network of 1202 layers learns nothing in as few iterations as `quick` has.
    if profile == QUICK && is_known(TENTH) {
        return Ok((TENTH.to_owned(), format!("{why}, and no shorter profile")));
    }
    Err(Exit::Usage.error(format!(
        "{} has no profile \"{profile}\", the default here ({why}); pass --profile with one of {}",
        path.display(),
        known.join(", ")
    )))
}

/// Resolves the experiment whose runs to show or convert, if one is named.
pub fn named(args: &RunsArgs, places: &Places) -> Result<Option<Target>> {
    let Some(experiment) = &args.experiment else {
        return Ok(None);
    };
    let args = SelectionArgs {
        experiment: experiment.clone(),
        profile: args.profile.clone(),
        seeds: args.seeds.clone(),
        networks: Vec::new(),
        overrides: args.overrides.clone(),
        data: DataKind::Any,
    };
    select(&args, places, Circumstances::here).map(Some)
}

/// What the default profile depends on.
pub struct Circumstances {
    pub device: Device,
    /// Whether CIFAR-10 is available without a download.
    pub cifar10: bool,
}

impl Circumstances {
    /// The circumstances for a command without options for device and data.
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

    /// The default profile and why: `paper` needs CIFAR-10, and a GPU to take hours rather than weeks.
    fn profile(&self) -> (String, String) {
        let (profile, why) = match (self.device, self.cifar10) {
            (Device::Cuda(_), true) => ("paper", format!("{} and CIFAR-10 are available", self.device)),
            (Device::Cuda(_), false) => (
                QUICK,
                format!(
                    "{} is available but CIFAR-10 is not; for `paper`, run `refig data fetch cifar10`",
                    self.device
                ),
            ),
            (Device::Cpu, _) if !engine::has_cuda() && nvidia_driver() => (
                QUICK,
                "this machine has an NVIDIA driver, but this build trains on the CPU; for CUDA, use \
                 cargo run --release --features cuda -- reproduce fig6"
                    .into(),
            ),
            (Device::Cpu, _) => (QUICK, "no usable GPU".into()),
        };
        (profile.into(), why)
    }
}

/// Whether NVIDIA's driver is loaded (Linux only).
pub fn nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_profile_needs_gpu_and_cifar10() {
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

    #[test]
    fn every_shipped_experiment_has_a_default_without_a_gpu_and_without_data() {
        let bare = || {
            Ok(Circumstances {
                device: Device::Cpu,
                cifar10: false,
            })
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
        let catalogue = manifest::list(&folder).unwrap();
        let mut defaults = Vec::new();
        for listed in &catalogue.experiments {
            let path = manifest::find(&folder, &listed.name).unwrap();
            // Published results need no profile.
            if listed.profiles.is_empty() {
                continue;
            }
            let (data, known) = Experiment::profiles(&path).unwrap();
            let (profile, _) = usual(&path, (data, &known[..]), bare).unwrap();
            Experiment::load(&path, &profile, &[]).unwrap();
            defaults.push(format!("{} {profile}", listed.name));
        }
        assert_eq!(
            defaults,
            [
                "construction quick",
                "decay tenth",
                "fig1 quick",
                "fig4 imagenette",
                "fig6 quick",
                "fig6-decay tenth",
                "fig7 quick",
                "readings quick",
                "resnet1202 tenth",
                "shortcuts quick",
                "slide35 imagenette",
                "table2 imagenette",
                "table3 imagenette",
                "table4 imagenette",
                "table6 quick",
                "widths quick",
            ]
        );
    }
}
