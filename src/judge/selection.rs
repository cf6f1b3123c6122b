//! Selects the runs to judge and draw: those of the experiment's recipe, all on the same data, and those of each network on the
//! same kind of processor.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::counted::counted;
use crate::manifest::Experiment;
use crate::origin::{DataKind, Origin};
use crate::processor::Processor;
use crate::run::RunView;

/// Runs listed by name for each reason.
const NAMED: usize = 3;

/// Why runs are left out.
const ONE_KIND: &str =
    "a figure shows one data set, and each network's runs on one kind of processor";

/// The requested runs; by default all of the experiment's recipes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    pub seeds: Seeds,
    pub data: DataKind,
    /// Only runs on data of this digest, and rather those of this kind of processor, where they are of as many networks as
    /// others.
    pub made_on: Option<(String, Processor)>,
}

/// The requested seeds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Seeds {
    /// Every seed with a run.
    #[default]
    All,
    /// These and no others.
    Only(Vec<u64>),
    /// These, and all others whose runs are complete.
    AtLeast(Vec<u64>),
}

/// The runs of one figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// By network and seed.
    pub runs: Vec<RunView>,
    /// Runs of the recipe left out, a phrase per group.
    pub left_out: Vec<String>,
}

/// The requested seeds and, with [`Seeds::AtLeast`], others whose runs are complete and would share the figure, in
/// order.
pub fn settled_seeds(experiment: &Experiment, views: &[RunView], wanted: &Wanted) -> Vec<u64> {
    let found = |seeds: Option<&[u64]>| select_of(experiment, views, wanted, seeds).runs;
    match &wanted.seeds {
        Seeds::Only(seeds) => seeds.clone(),
        Seeds::All => {
            let seeds: BTreeSet<u64> = found(None).iter().map(|view| view.plan().seed).collect();
            seeds.into_iter().collect()
        }
        Seeds::AtLeast(asked) => {
            let there = found(None);
            let finished = |seed: u64, name: &str| {
                there.iter().any(|view| {
                    let plan = view.plan();
                    plan.seed == seed && plan.network.name == name && view.ending.is_final()
                })
            };
            let complete = |seed: u64| {
                let mut networks = experiment.networks.iter().filter(|entry| !entry.optional);
                networks.all(|entry| finished(seed, &entry.name))
            };
            let mut seeds: BTreeSet<u64> = asked.iter().copied().collect();
            let others = there.iter().map(|view| view.plan().seed);
            seeds.extend(others.filter(|&seed| complete(seed)));
            seeds.into_iter().collect()
        }
    }
}

/// Selects runs, preferring the paper's images, then the device with the most networks. Never mixes data. Networks that this
/// device lacks come from another, whose numbers differ in rounding alone; one network's runs are of one device.
pub fn select(
    experiment: &Experiment,
    views: &[RunView],
    wanted: &Wanted,
    seeds: &[u64],
) -> Selection {
    // With `Seeds::All`, report runs of other seeds that cannot share the figure too.
    let seeds = (wanted.seeds != Seeds::All).then_some(seeds);
    select_of(experiment, views, wanted, seeds)
}

fn select_of(
    experiment: &Experiment,
    views: &[RunView],
    wanted: &Wanted,
    seeds: Option<&[u64]>,
) -> Selection {
    let mut groups: BTreeMap<Group, Vec<&RunView>> = BTreeMap::new();
    for view in views {
        let plan = view.plan();
        let ours = experiment
            .network(&plan.network.name)
            .is_some_and(|entry| plan.belongs_to(entry));
        let seed = seeds.is_none_or(|seeds| seeds.contains(&plan.seed));
        let group = Group::of(view);
        if ours && seed && group.wanted(wanted) {
            groups.entry(group).or_default().push(view);
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
                group.origin,
                Reverse(networks(members)),
                wanted
                    .made_on
                    .as_ref()
                    .map(|(_, on)| *on != group.processor),
                Reverse(members.len()),
                *group,
            )
        })
        .map(|(group, _)| group.clone());
    let Some(best) = best else {
        return Selection::default();
    };
    // Each network's runs are of one kind of processor: the best group's, unless only another's are complete or it has none.
    let asked = seeds.map_or(experiment.seeds.len(), <[u64]>::len);
    let mut by_network: BTreeMap<&str, BTreeMap<&Group, Vec<&RunView>>> = BTreeMap::new();
    for (group, members) in &groups {
        if (group.origin, &group.data_digest) == (best.origin, &best.data_digest) {
            for &view in members {
                let of = by_network.entry(&view.plan().network.name).or_default();
                of.entry(group).or_default().push(view);
            }
        }
    }
    let group_of: BTreeMap<&str, &Group> = by_network
        .into_iter()
        .filter_map(|(network, of)| {
            let rank = |group: &Group, runs: &[&RunView]| {
                let finished = runs.iter().filter(|view| view.ending.is_final()).count();
                (
                    finished < asked,
                    finished == 0,
                    *group != best,
                    Reverse((finished, runs.len())),
                )
            };
            // The first of equals.
            let first = of.iter().min_by_key(|(group, runs)| rank(group, runs));
            first.map(|(group, _)| (network, *group))
        })
        .collect();
    let mut selection = Selection::default();
    let mut chosen = Vec::new();
    for (group, members) in &groups {
        let (ours, others): (Vec<&RunView>, Vec<&RunView>) = members
            .iter()
            .partition(|view| group_of.get(&*view.plan().network.name) == Some(&group));
        chosen.extend(ours);
        if !others.is_empty() {
            selection.left_out.push(format!(
                "left out {} on {}: {ONE_KIND}",
                counted(others.len(), "run"),
                group.text()
            ));
        }
    }
    selection.runs = once_each(experiment, chosen.into_iter());
    selection
}

/// Unused runs of the experiment's networks in its profile's folder with the reasons, in one line; none if all were
/// selected.
pub fn unused(
    experiment: &Experiment,
    views: &[RunView],
    wanted: &Wanted,
    seeds: &[u64],
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
        let newer = selected.iter().any(|run| {
            let run = run.plan();
            plan.belongs_to(entry)
                && run.network.name == plan.network.name
                && (run.seed, &run.data_digest) == (plan.seed, &plan.data_digest)
                && run.numerics_version > plan.numerics_version
        });
        let reason = if newer {
            "superseded by a newer version".into()
        } else if !plan.belongs_to(entry) {
            "of another recipe".into()
        } else if !wanted.data.admits(view.file.notes.data) {
            format!("on {}", Group::of(view).text())
        } else if !seeds.contains(&plan.seed) {
            format!("seed {} was not requested or is incomplete", plan.seed)
        } else {
            format!("on {}; {ONE_KIND}", Group::of(view).text())
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
    (!each.is_empty()).then(|| format!("unused runs: {}", each.join("; ")))
}

/// What runs of a network must share to be in the same figure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    origin: Origin,
    data_digest: String,
    processor: Processor,
}

impl Group {
    fn of(view: &RunView) -> Self {
        let plan = view.plan();
        Self {
            origin: view.file.notes.data,
            data_digest: plan.data_digest.clone(),
            processor: plan.processor,
        }
    }

    fn wanted(&self, wanted: &Wanted) -> bool {
        let made_on = wanted.made_on.as_ref();
        wanted.data.admits(self.origin)
            && made_on.is_none_or(|(digest, _)| *digest == self.data_digest)
    }

    fn text(&self) -> String {
        let digest = self.data_digest.get(..8).unwrap_or(&self.data_digest);
        format!("{} ({digest}), {}", self.origin.name(), self.processor)
    }
}

/// One run per network and seed, preferring finished runs, then newer numerics, then the experiment's own profile.
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
            !view.ending.is_final(),
            Reverse(plan.numerics_version),
            plan.identity().to_owned(),
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
