//! Which runs on disk a figure shows: by identity where the runs are known, otherwise the one set of runs of the
//! experiment's recipe that was made on the same data, device and instruction set.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::data::Origin;
use crate::manifest::Experiment;
use crate::plan::RunPlan;
use crate::run::{RunView, State};

/// Runs that are named one by one where many share a reason.
const NAMED: usize = 3;

/// The runs of one figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// By network and seed.
    pub runs: Vec<RunView>,
    /// What lies there too and is not shown.
    pub warnings: Vec<String>,
}

/// Where a run's images came from, as its `run.toml` says.
pub fn origin(view: &RunView) -> Origin {
    match view.about.notes.data.as_str() {
        "cifar10" => Origin::Cifar10,
        "synthetic" => Origin::Synthetic,
        _ => Origin::Other,
    }
}

/// CIFAR-10 is shown before other images, and those before synthetic ones.
fn rank(origin: Origin) -> u8 {
    match origin {
        Origin::Cifar10 => 0,
        Origin::Other => 1,
        Origin::Synthetic => 2,
    }
}

/// Which runs are asked for; by default every one of the experiment's recipes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// These runs and no others, by identity.
    pub runs: Option<Vec<RunPlan>>,
    /// Of these seeds alone.
    pub seeds: Option<Vec<u64>>,
    /// On these images alone.
    pub origin: Option<Origin>,
}

/// Selects among the runs on disk. With `wanted.runs`, those and no others. Without, runs of the experiment's recipes: on
/// CIFAR-10 before other data, then on the device with the most networks; seeds are never mixed over data or devices.
pub fn select(experiment: &Experiment, views: &[RunView], wanted: &Wanted) -> Selection {
    let mut selection = Selection::default();
    if let Some(plans) = &wanted.runs {
        let named: BTreeSet<&str> = plans.iter().map(|plan| plan.identity.as_str()).collect();
        let chosen = views
            .iter()
            .filter(|view| named.contains(view.plan().identity.as_str()));
        selection.runs = once_each(experiment, chosen);
        return selection;
    }
    let mut groups: BTreeMap<Group, Vec<&RunView>> = BTreeMap::new();
    for view in views {
        let plan = view.plan();
        let ours = experiment
            .network(&plan.network.name)
            .is_some_and(|entry| plan.belongs_to(entry));
        let seed = wanted
            .seeds
            .as_ref()
            .is_none_or(|seeds| seeds.contains(&plan.seed));
        let images = wanted.origin.is_none_or(|kind| kind == origin(view));
        if ours && seed && images {
            groups.entry(Group::of(view)).or_default().push(view);
        }
    }
    let networks = |members: &[&RunView]| {
        let names: BTreeSet<&str> = members
            .iter()
            .map(|view| view.plan().network.name.as_str())
            .collect();
        names.len()
    };
    let best = groups
        .iter()
        .min_by_key(|(group, members)| {
            (
                group.rank,
                Reverse(networks(members)),
                Reverse(members.len()),
                *group,
            )
        })
        .map(|(group, _)| group.clone());
    for (group, members) in groups {
        if Some(&group) == best.as_ref() {
            selection.runs = once_each(experiment, members.into_iter());
        } else {
            selection.warnings.push(format!(
                "{} runs on {} are not shown: a figure shows runs of one data set and one device",
                members.len(),
                group.text()
            ));
        }
    }
    selection
}

/// Further seeds, beside those asked for, whose runs of every network are finished and would share a figure with the
/// wanted ones: what is there is used, not sampled.
pub fn further_seeds(experiment: &Experiment, views: &[RunView], wanted: &Wanted) -> Vec<u64> {
    let every = Wanted {
        seeds: None,
        ..wanted.clone()
    };
    let found = select(experiment, views, &every).runs;
    let finished = |seed: u64, name: &str| {
        found.iter().any(|view| {
            let plan = view.plan();
            plan.seed == seed
                && plan.network.name == name
                && matches!(view.state, State::Done { .. })
        })
    };
    let seeds: BTreeSet<u64> = found.iter().map(|view| view.plan().seed).collect();
    seeds
        .into_iter()
        .filter(|seed| {
            wanted
                .seeds
                .as_ref()
                .is_none_or(|asked| !asked.contains(seed))
        })
        .filter(|&seed| {
            let mut networks = experiment.networks.iter().filter(|entry| !entry.optional);
            networks.all(|entry| finished(seed, &entry.name))
        })
        .collect()
}

/// The wanted runs with their seeds settled: those asked for and, unless the reader `named` them, all that are complete
/// beside them (see [`further_seeds`]), in order.
pub fn with_further_seeds(
    experiment: &Experiment,
    views: &[RunView],
    mut wanted: Wanted,
    asked: &[u64],
    named: bool,
) -> Wanted {
    let mut seeds = asked.to_vec();
    wanted.seeds = Some(seeds.clone());
    if !named {
        seeds.extend(further_seeds(experiment, views, &wanted));
        seeds.sort_unstable();
        wanted.seeds = Some(seeds);
    }
    wanted
}

/// Runs of the experiment's networks in its profile's folder that were not selected, each with the reason, in a line; none
/// where all were.
pub fn left_unused(
    experiment: &Experiment,
    views: &[RunView],
    wanted: &Wanted,
    selected: &[RunView],
) -> Option<String> {
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for view in views {
        let plan = view.plan();
        let used = selected.iter().any(|run| run.folder == view.folder);
        let Some(entry) = experiment.network(&plan.network.name) else {
            continue;
        };
        if used || plan.profile != experiment.profile {
            continue;
        }
        let seeds = wanted.seeds.as_ref();
        let newer = selected.iter().any(|run| {
            let run = run.plan();
            run.network.name == plan.network.name
                && run.seed == plan.seed
                && run.numerics_version > plan.numerics_version
        });
        let reason = if newer {
            "made again by a newer version".into()
        } else if !plan.belongs_to(entry) {
            "of another recipe".into()
        } else if wanted.origin.is_some_and(|kind| kind != origin(view)) {
            format!("on {}", Group::of(view).text())
        } else if seeds.is_some_and(|seeds| !seeds.contains(&plan.seed)) {
            format!("seed {} was not asked for or is not complete", plan.seed)
        } else {
            format!(
                "on {}, and a figure shows runs of one data set and one device",
                Group::of(view).text()
            )
        };
        reasons.entry(reason).or_default().push(plan.folder());
    }
    let each: Vec<String> = reasons
        .into_iter()
        .map(|(reason, runs)| {
            let more = match runs.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "{}{more} ({reason})",
                runs[..runs.len().min(NAMED)].join(", ")
            )
        })
        .collect();
    (!each.is_empty()).then(|| format!("left unused: {}", each.join("; ")))
}

/// What must be the same for runs to share a figure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    rank: u8,
    data_digest: String,
    device: String,
    instructions: String,
}

impl Group {
    fn of(view: &RunView) -> Self {
        let plan = view.plan();
        Self {
            rank: rank(origin(view)),
            data_digest: plan.data_digest.clone(),
            device: plan.device.clone(),
            instructions: plan.instructions.clone(),
        }
    }

    fn text(&self) -> String {
        let data = ["CIFAR-10", "other images", "synthetic images"][usize::from(self.rank.min(2))];
        let digest = self.data_digest.get(..8).unwrap_or(&self.data_digest);
        format!("{data} ({digest}), {} {}", self.device, self.instructions)
    }
}

/// One run of each network and seed: a finished one, the newest arithmetic's, that in the experiment's own profile.
fn once_each<'a>(
    experiment: &Experiment,
    views: impl Iterator<Item = &'a RunView>,
) -> Vec<RunView> {
    let mut runs: Vec<RunView> = views.cloned().collect();
    let place = |view: &RunView| {
        let name = &view.plan().network.name;
        experiment
            .networks
            .iter()
            .position(|entry| &entry.name == name)
    };
    runs.sort_by_key(|view| {
        let plan = view.plan();
        let foreign = plan.profile != experiment.profile;
        (
            place(view),
            plan.seed,
            !matches!(view.state, State::Done { .. }),
            Reverse(plan.numerics_version),
            plan.identity.clone(),
            foreign,
            plan.profile.clone(),
        )
    });
    runs.dedup_by(|next, first| {
        let (next, first) = (next.plan(), first.plan());
        next.network.name == first.network.name && next.seed == first.seed
    });
    runs
}
