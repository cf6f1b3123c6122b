//! The outcome of an expectation, a claim or a whole figure.

use serde::{Deserialize, Serialize};

/// An outcome, as shown in tables and `verdict.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Pass,
    /// A claim that holds, but whose margin is within the 95 % interval of the gap.
    PassWithinNoise,
    /// A claim that holds only because its margin allows some degradation: the 95 % interval of the gap is on the other
    /// side of zero.
    PassByMargin,
    Fail,
    /// A claim that does not hold, but whose margin is within the 95 % interval of the gap.
    FailWithinNoise,
    /// Lower than expected by more than the tolerance.
    Better,
    /// A required run or record is missing.
    Missing,
    /// The runs' recipe or data differ from the value's.
    NotComparable,
    /// A figure without expectations and claims at this profile whose runs and records are complete.
    NothingClaimed,
}

impl Status {
    /// Combines statuses. A failure outweighs a missing run, which outweighs a pass; the weakest pass counts. Values
    /// that are not comparable neither make nor undo a pass. No statuses at all are `Missing`.
    pub fn of_all(statuses: impl IntoIterator<Item = Status>) -> Status {
        let all: Vec<Status> = statuses.into_iter().collect();
        [
            Status::Fail,
            Status::FailWithinNoise,
            Status::Missing,
            Status::Better,
            Status::PassByMargin,
            Status::PassWithinNoise,
            Status::Pass,
            Status::NotComparable,
        ]
        .into_iter()
        .find(|status| all.contains(status))
        .unwrap_or(Status::Missing)
    }

    /// Combines the comparisons of one claim, which holds only if all of them do: one that is not comparable undoes a pass.
    pub fn of_claim(comparisons: impl IntoIterator<Item = Status>) -> Status {
        let all: Vec<Status> = comparisons.into_iter().collect();
        match Status::of_all(all.iter().copied()) {
            status if status.holds() && all.contains(&Status::NotComparable) => {
                Status::NotComparable
            }
            status => status,
        }
    }

    /// Whether it holds, with or without doubt.
    pub fn holds(self) -> bool {
        matches!(
            self,
            Status::Pass | Status::PassWithinNoise | Status::PassByMargin | Status::Better
        )
    }

    /// Whether it does not hold, with or without doubt.
    pub fn fails(self) -> bool {
        matches!(self, Status::Fail | Status::FailWithinNoise)
    }

    /// The name in tables and `verdict.json`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::PassWithinNoise => "pass-within-noise",
            Status::PassByMargin => "pass-by-margin",
            Status::Fail => "fail",
            Status::FailWithinNoise => "fail-within-noise",
            Status::Better => "better",
            Status::Missing => "missing",
            Status::NotComparable => "not-comparable",
            Status::NothingClaimed => "nothing-claimed",
        }
    }
}

/// The number of expectations or claims with each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counts {
    pub pass: usize,
    pub pass_within_noise: usize,
    pub pass_by_margin: usize,
    pub better: usize,
    pub fail: usize,
    pub missing: usize,
    pub not_comparable: usize,
}

impl Counts {
    /// Counts statuses; `fail` includes those within the noise.
    pub fn of(statuses: impl IntoIterator<Item = Status>) -> Self {
        let mut counts = Self::default();
        for status in statuses {
            let count = match status {
                Status::Pass => &mut counts.pass,
                Status::PassWithinNoise => &mut counts.pass_within_noise,
                Status::PassByMargin => &mut counts.pass_by_margin,
                Status::Better => &mut counts.better,
                Status::Fail | Status::FailWithinNoise => &mut counts.fail,
                Status::Missing => &mut counts.missing,
                Status::NotComparable => &mut counts.not_comparable,
                Status::NothingClaimed => continue,
            };
            *count += 1;
        }
        counts
    }

    /// The number that hold, with or without doubt.
    pub fn hold(&self) -> usize {
        self.pass + self.pass_within_noise + self.pass_by_margin + self.better
    }

    /// The number that are comparable, including those that lack runs.
    pub fn asked(&self) -> usize {
        self.hold() + self.fail + self.missing
    }
}
