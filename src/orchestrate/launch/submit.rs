//! Submits the runs of a plan that are neither complete nor queued. The run directories say what is complete, the queue says
//! what is queued, and the records of launches say which job is which run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::record::{Job, Launches, Record};
use super::{InQueue, Launch, Launcher, Submission, Work, arrays, in_queue};
use crate::digest::sha256;
use crate::orchestrate::plan_file::FrozenPlan;
use crate::plan::RunPlan;
use crate::run::RunView;

/// What became of a plan's runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Runs that are complete.
    pub complete: usize,
    /// Runs that were queued or running already, by folder.
    pub queued: BTreeMap<String, InQueue>,
    /// Numbers of the jobs that were submitted, with the number of their runs.
    pub submitted: Vec<(u64, usize)>,
    /// Runs that cannot be submitted before those that they start from are complete.
    pub later: usize,
    /// Number of the job that draws and checks, if it was submitted.
    pub report: Option<u64>,
}

/// The name of a plan's launch in a results folder, which begins the names of its jobs. The same runs in the same
/// folder and queue have the same name.
///
/// # Errors
/// As [`super::path_word`].
pub fn prefix(plan: &FrozenPlan, launcher: Launcher, results_dir: &Path) -> Result<String> {
    let mut whole = format!("{}\n{}", launcher.name(), super::path_word(results_dir)?);
    for run in &plan.runs {
        whole.push('\n');
        whole.push_str(run.plan.identity());
    }
    let digest = sha256(whole.as_bytes());
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || "-_".contains(*letter);
    let experiment: String = plan.experiment.chars().filter(plain).take(15).collect();
    Ok(format!("refig-{experiment}-{}", &digest[..8]))
}

/// Submits what is left of `plan` as jobs whose names begin with `name`, see [`prefix`]. Every job is recorded before it is
/// submitted, and its number after.
///
/// # Errors
/// If the queue does not answer, a job is not accepted, or a file cannot be read or written. The same command then goes on.
pub fn submit(
    plan: &FrozenPlan,
    launch: &Launch,
    launcher: Launcher,
    (launches, name): (&Launches, &str),
    results_dir: &Path,
) -> Result<Outcome> {
    let mut records = launches.all()?;
    // First, since a run may end and leave the queue meanwhile: then it is complete below.
    let all_queued = refresh(launches, &mut records)?;
    let mut record = records
        .remove(name)
        .unwrap_or_else(|| Record::new(launcher, &plan.experiment, &plan.profile));

    let mut outcome = Outcome::default();
    let mut left = BTreeSet::new();
    for (index, run) in plan.runs.iter().enumerate() {
        let folder = run.plan.folder();
        if is_complete(&run.plan, results_dir)? {
            outcome.complete += 1;
        } else if let Some(queued) = all_queued.get(&folder) {
            outcome.queued.insert(folder, queued.clone());
        } else {
            left.insert(index);
        }
    }
    let starts = starts(plan);
    if !launcher.can_wait() {
        let waits = |index: &usize| match starts[*index] {
            Some(start) => {
                left.contains(&start)
                    || outcome.queued.contains_key(&plan.runs[start].plan.folder())
            }
            None => false,
        };
        let later: BTreeSet<usize> = left.iter().copied().filter(waits).collect();
        outcome.later = later.len();
        left = left.difference(&later).copied().collect();
    }

    // The jobs that make the runs which are not complete.
    let mut jobs: BTreeMap<String, u64> = outcome
        .queued
        .iter()
        .filter(|(_, queued)| queued.launcher == launcher)
        .map(|(run, queued)| (run.clone(), queued.number))
        .collect();
    for array in arrays(&starts, &left, launch.site.array_limit as usize) {
        let after = array
            .iter()
            .filter_map(|&index| jobs.get(&plan.runs[starts[index]?].plan.folder()).copied())
            .collect();
        let (work, runs) = array_work(plan, launch, &array);
        let submission = Submission {
            name: next_name(name, &record),
            work,
            after,
        };
        let folders: Vec<String> = runs.keys().cloned().collect();
        let number = recorded(
            launch,
            launcher,
            (launches, name),
            &mut record,
            &submission,
            runs,
        )?;
        outcome.submitted.push((number, folders.len()));
        jobs.extend(folders.into_iter().map(|run| (run, number)));
    }

    let reports = record.jobs.iter().any(|job| job.is_report() && !job.ended);
    if launcher.can_wait() && !jobs.is_empty() && !(reports && outcome.submitted.is_empty()) {
        let submission = Submission {
            name: next_name(name, &record),
            work: Work::Report,
            after: jobs.into_values().collect(),
        };
        let runs = BTreeMap::new();
        let number = recorded(
            launch,
            launcher,
            (launches, name),
            &mut record,
            &submission,
            runs,
        )?;
        outcome.report = Some(number);
    }
    Ok(outcome)
}

/// What [`submit`] would submit if nothing was queued, for people to read.
///
/// # Errors
/// If a path cannot be part of it, or a run cannot be read.
pub fn preview(
    plan: &FrozenPlan,
    launch: &Launch,
    launcher: Launcher,
    name: &str,
    results_dir: &Path,
) -> Result<String> {
    let mut left = BTreeSet::new();
    for (index, run) in plan.runs.iter().enumerate() {
        if !is_complete(&run.plan, results_dir)? {
            left.insert(index);
        }
    }
    let arrays = arrays(&starts(plan), &left, launch.site.array_limit as usize);
    let mut works: Vec<Work> = arrays
        .iter()
        .map(|array| array_work(plan, launch, array).0)
        .collect();
    if launcher.can_wait() && !works.is_empty() {
        works.push(Work::Report);
    }
    let mut text = String::new();
    for (place, work) in works.into_iter().enumerate() {
        let submission = Submission {
            name: format!("{name}-{}", place + 1),
            work,
            after: BTreeSet::new(),
        };
        if place > 0 {
            text.push('\n');
        }
        text.push_str(&launcher.text(launch, &submission)?);
    }
    Ok(text)
}

/// Asks the queues about every job that may be in one, and records numbers that were lost and jobs that have left. Returns
/// the runs that are queued or running, by folder.
fn refresh(
    launches: &Launches,
    records: &mut BTreeMap<String, Record>,
) -> Result<BTreeMap<String, InQueue>> {
    let mut all = BTreeMap::new();
    for (name, record) in records {
        let before = record.clone();
        let launcher = record.launcher;
        let about = || {
            let folder = launches.folder(name);
            format!(
                "cannot ask {} about earlier jobs; once none of them is queued any more, remove {}",
                launcher.name(),
                folder.display()
            )
        };
        for job in &mut record.jobs {
            if !job.ended && job.number.is_none() {
                job.number = launcher.find(&job.name).with_context(about)?;
                job.ended = job.number.is_none();
            }
        }
        let queued = launcher.queued(&record.jobs).with_context(about)?;
        for job in &mut record.jobs {
            job.ended |= !queued.iter().any(|row| Some(row.number) == job.number);
        }
        in_queue::add(record, &queued, &mut all);
        if *record != before {
            launches.save(name, record)?;
        }
    }
    Ok(all)
}

/// Records a job, submits it, and records its number.
fn recorded(
    launch: &Launch,
    launcher: Launcher,
    (launches, name): (&Launches, &str),
    record: &mut Record,
    submission: &Submission,
    runs: BTreeMap<String, u64>,
) -> Result<u64> {
    // Otherwise the record would tell of a job that was never submitted, about which nobody can be asked here.
    launcher.require()?;
    record.jobs.push(Job {
        name: submission.name.clone(),
        number: None,
        ended: false,
        runs,
    });
    launches.save(name, record)?;
    let number = launcher.submit(launch, submission, launches.held()?)?;
    if let Some(job) = record.jobs.last_mut() {
        job.number = Some(number);
    }
    launches.save(name, record)?;
    Ok(number)
}

fn next_name(name: &str, record: &Record) -> String {
    format!("{name}-{}", record.jobs.len() + 1)
}

/// The work of an array, and its runs' folders with the numbers of their tasks.
fn array_work(
    plan: &FrozenPlan,
    launch: &Launch,
    array: &[usize],
) -> (Work, BTreeMap<String, u64>) {
    let most = (launch.site.array_limit as usize).max(1);
    let first = array.first().map_or(0, |index| index / most * most);
    let runs: BTreeMap<String, u64> = array
        .iter()
        .map(|&index| (plan.runs[index].plan.folder(), (index - first) as u64))
        .collect();
    let work = Work::Runs {
        first: first as u64,
        tasks: runs.values().copied().collect(),
    };
    (work, runs)
}

/// The number of the run that each run starts from.
fn starts(plan: &FrozenPlan) -> Vec<Option<usize>> {
    let place = |name: &String| plan.runs.iter().position(|run| run.name == *name);
    let of = plan.runs.iter();
    of.map(|run| run.starts_from.as_ref().and_then(place))
        .collect()
}

/// Whether the run's directory says that nothing is left of it.
fn is_complete(run: &RunPlan, results_dir: &Path) -> Result<bool> {
    let view = RunView::look(&results_dir.join(run.folder()))?;
    Ok(view.is_some_and(|view| view.plan().same_run(run) && view.ending.is_final()))
}
