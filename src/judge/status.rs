//! What became of an expectation, a claim, or a whole figure.

use serde::{Deserialize, Serialize};

/// A status as tables and `verdict.json` have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Pass,
    /// A claim that holds, with its margin inside the 95 % interval of the gap.
    PassWithinNoise,
    /// A claim that holds only because its margin allows some degradation: the 95 % interval of the gap lies on the other side.
    PassByMargin,
    Fail,
    /// A claim that does not hold, with its margin inside the 95 % interval of the gap.
    FailWithinNoise,
    /// Lower than expected by more than the tolerance.
    Better,
    /// A run or a record that it needs is missing.
    Missing,
    /// The runs are not of the recipe or the data that the value is of.
    NotComparable,
    /// Of a whole figure: it expects and claims nothing at this profile, and every run and record of it is there.
    NothingClaimed,
}

impl Status {
    /// The status of several together. A failure outweighs what is missing, which outweighs a pass; of passes the weakest
    /// counts. What is not comparable never makes a pass by itself and never undoes one. Nothing asked is nothing passed.
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

    /// Whether what was asked holds, surely or not.
    pub fn holds(self) -> bool {
        matches!(
            self,
            Status::Pass | Status::PassWithinNoise | Status::PassByMargin | Status::Better
        )
    }

    /// Whether what was asked does not hold, surely or not.
    pub fn fails(self) -> bool {
        matches!(self, Status::Fail | Status::FailWithinNoise)
    }

    /// As in tables and `verdict.json`.
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

/// How many of some expectations or claims ended in each status.
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
    /// Counts statuses; `fail` has those within the noise too.
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

    /// Those that hold, surely or not.
    pub fn hold(&self) -> usize {
        self.pass + self.pass_within_noise + self.pass_by_margin + self.better
    }

    /// Those that runs could be held against, were they there.
    pub fn asked(&self) -> usize {
        self.hold() + self.fail + self.missing
    }
}
