//! Which run is next: the longest, and none before the run from whose weights it starts.

use crate::orchestrate::plan_file::FrozenPlan;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Begun,
    Done,
    Failed,
}

/// The runs of a plan by their numbers, and how far each is.
#[derive(Clone, Debug)]
pub struct Order {
    states: Vec<State>,
    /// The run that has to be done before.
    after: Vec<Option<usize>>,
    /// What is left of each run and of the longest that waits for it.
    urgency: Vec<f64>,
}

impl Order {
    /// The runs of `plan`, of which this much is `left` in any unit; 0 for those that are done.
    pub fn new(plan: &FrozenPlan, left: &[f64]) -> Self {
        let place = |name: &String| plan.runs.iter().position(|run| run.name == *name);
        let after: Vec<Option<usize>> = plan
            .runs
            .iter()
            .map(|run| run.starts_from.as_ref().and_then(place))
            .collect();
        let own = |run: usize| left.get(run).copied().unwrap_or_default();
        let urgency = (0..plan.runs.len())
            .map(|run| {
                let waiting = (0..after.len()).filter(|&other| after[other] == Some(run));
                own(run) + waiting.map(own).fold(0.0, f64::max)
            })
            .collect();
        Self {
            states: (0..plan.runs.len())
                .map(|run| match own(run) > 0.0 {
                    true => State::Waiting,
                    false => State::Done,
                })
                .collect(),
            after,
            urgency,
        }
    }

    /// Begins the next run; none if all that wait do so for another.
    pub fn begin(&mut self) -> Option<usize> {
        let ready = |&run: &usize| {
            let after = self.after[run].map(|start| self.states[start]);
            self.states[run] == State::Waiting && after.is_none_or(|state| state == State::Done)
        };
        let all = 0..self.states.len();
        // The first of several that are as long.
        let next = all.filter(ready).max_by(|&one, &other| {
            let order = self.urgency[one].total_cmp(&self.urgency[other]);
            order.then(other.cmp(&one))
        })?;
        self.states[next] = State::Begun;
        Some(next)
    }

    /// A run is done.
    pub fn done(&mut self, run: usize) {
        self.states[run] = State::Done;
    }

    /// A run has failed. Gives the runs that cannot be made without it.
    pub fn failed(&mut self, run: usize) -> Vec<usize> {
        self.states[run] = State::Failed;
        let waiting: Vec<usize> = (0..self.states.len())
            .filter(|&other| self.after[other] == Some(run))
            .filter(|&other| self.states[other] == State::Waiting)
            .collect();
        for &other in &waiting {
            self.states[other] = State::Failed;
        }
        waiting
    }
}
