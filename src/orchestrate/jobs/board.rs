//! Shows runs that are made at the same time: a bar each and one for all on a terminal, plain lines otherwise, nothing
//! with `-q`.

use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

use crate::counted::counted;
use crate::duration::duration;
use crate::orchestrate::event::Event;
use crate::orchestrate::plan_file::FrozenPlan;
use crate::orchestrate::progress::{Together, bar_style};
use crate::orchestrate::{Progress, RunsObserver, Start, Style};
use crate::plan::RunPlan;
use crate::record::Ending;
use crate::train::Observer;

/// The progress of all runs of a plan.
pub struct Board {
    total: ProgressBar,
    runs: Vec<Shown>,
    done: usize,
    started: Instant,
}

/// A run.
struct Shown {
    plan: RunPlan,
    progress: Progress,
    /// What was left of it at the beginning, in any unit.
    cost: f64,
    /// The share of that which is done.
    share: f64,
    /// Iterations at the beginning, and in all.
    from: u64,
    iterations: u64,
}

impl Board {
    /// A board for the runs of `plan`, of which this much is `left` in any unit; 0 for those that are done.
    pub fn new(style: Style, plan: &FrozenPlan, left: &[f64]) -> Self {
        let bars = match style {
            Style::Bars => MultiProgress::new(),
            Style::Lines | Style::Quiet => {
                MultiProgress::with_draw_target(ProgressDrawTarget::hidden())
            }
        };
        let count = plan.runs.len();
        let total = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::hidden());
        let total = bars.add(total).with_style(bar_style()).with_prefix("runs");
        let together = Together {
            bars,
            total: total.clone(),
            runs: count,
        };
        let runs = plan.runs.iter().zip(left).map(|(run, &cost)| Shown {
            plan: run.plan.clone(),
            progress: Progress::among(style, together.clone()),
            cost,
            share: 0.0,
            from: 0,
            iterations: run.plan.recipe.iterations,
        });
        let mut board = Self {
            total,
            runs: runs.collect(),
            done: 0,
            started: Instant::now(),
        };
        for (place, run) in board.runs.iter_mut().enumerate() {
            if run.cost <= 0.0 {
                run.progress.skip(&run.plan, place, Ending::Finished);
                board.done += 1;
            }
        }
        board.show();
        board
    }

    /// A worker said something of its run.
    pub(super) fn event(&mut self, place: usize, event: &Event) {
        let Some(run) = self.runs.get_mut(place) else {
            return;
        };
        let (plan, progress) = (&run.plan, &mut run.progress);
        match event {
            Event::Started {
                iteration,
                iterations,
            } => {
                (run.from, run.iterations) = (*iteration, *iterations);
                let start = match *iteration {
                    0 => Start::New,
                    iteration => Start::At(iteration),
                };
                progress.begin(plan, place, start);
            }
            Event::Progress { iteration, .. } => {
                if let Some(row) = event.to_iteration() {
                    progress.updates(&row);
                }
                let done = iteration.saturating_sub(run.from) as f64;
                let all = run.iterations.saturating_sub(run.from).max(1) as f64;
                run.share = (done / all).min(1.0);
                self.show();
            }
            Event::Phase { phase, done, total } => progress.phase((*phase).into(), *done, *total),
            Event::Evaluation { .. } => {
                if let Some(row) = event.to_evaluation() {
                    progress.evaluation(&row);
                }
            }
            Event::Checkpoint { iteration } => progress.kept(*iteration),
            Event::Note { text } => progress.tell(text),
            Event::Warning { text } => progress.warn(text),
            Event::Finished {
                ending, trained, ..
            } => match *trained {
                true => progress.end(plan, place, *ending),
                false => progress.skip(plan, place, *ending),
            },
            // Its exit code tells as much.
            Event::Stopped { .. } | Event::Failed { .. } => {}
        }
    }

    /// A run is complete.
    pub(super) fn done(&mut self, place: usize) {
        self.done += 1;
        let (done, of) = (self.done, counted(self.runs.len(), "run"));
        if let Some(run) = self.runs.get_mut(place) {
            run.share = 1.0;
            run.progress.clear();
        }
        let left = self.left();
        if let Some(run) = self.runs.get_mut(place) {
            let title = title(&run.plan);
            run.progress
                .tell(&format!("{title}: done, {done} of {of}{left}"));
        }
        self.show();
    }

    /// A run was stopped, with its state saved.
    pub(super) fn stopped(&mut self, place: usize) {
        if let Some(run) = self.runs.get_mut(place) {
            run.progress.end(&run.plan, place, Ending::Partial);
        }
    }

    /// A run has failed.
    pub(super) fn failed(&mut self, place: usize, why: &str) {
        if let Some(run) = self.runs.get_mut(place) {
            run.progress.clear();
            let title = title(&run.plan);
            run.progress.tell(&format!("{title}: failed: {why}"));
        }
    }

    /// Removes the bar of all runs.
    pub(super) fn finish(&mut self) {
        self.total.finish_and_clear();
    }

    fn show(&self) {
        self.total.set_position(self.done as u64);
        self.total
            .set_message(self.left().trim_start_matches(", ").to_owned());
    }

    /// `, about 2 h left`; empty before any work is done or if none is left.
    fn left(&self) -> String {
        let runs = self.runs.iter();
        let worked: f64 = runs.map(|run| run.cost * run.share).sum();
        let runs = self.runs.iter();
        let left: f64 = runs.map(|run| run.cost * (1.0 - run.share)).sum();
        if worked <= 0.0 || left <= 0.0 {
            return String::new();
        }
        let seconds = self.started.elapsed().as_secs_f64() * left / worked;
        format!(", about {} left", duration(seconds))
    }
}

/// `plain-20 s1`.
fn title(run: &RunPlan) -> String {
    format!("{} s{}", run.network.name, run.seed)
}
