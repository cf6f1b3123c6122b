//! Judges the records of an experiment's runs. The verdict is plain data; nothing here trains or draws.
//!
//! - `selection.rs` picks the runs; `evidence.rs` reads them (`run_evidence.rs`) and the paper's files
//!   (`paper_files.rs`): its curves (`paper_curves.rs`) and layer responses (`paper_responses.rs`)
//! - `subject.rs` summarises a run; `recipe_faults.rs` finds records that deviate from the run's recipe
//! - `judgement.rs` judges the evidence under `circumstances.rs`: `comparable.rs` what may be compared, `expectations.rs`
//!   final errors, `claims.rs` orderings, `curve_distance.rs` and `distance.rs` curves,
//!   `response_distance.rs` layer responses, `unclaimed.rs` figures without
//!   claims, `baseline.rs` accepted errors
//! - `statistics.rs` and `significance.rs` compute statistics of a few seeds, with `student.rs` for Student's t
//! - `status.rs`, `rows.rs`, `headline.rs` and `verdict.rs` make up the verdict

mod baseline;
mod circumstances;
mod claims;
mod comparable;
mod curve_distance;
mod distance;
mod evidence;
mod expectations;
mod headline;
mod judgement;
mod paper_curves;
mod paper_files;
mod paper_responses;
mod recipe_faults;
mod response_distance;
mod rows;
mod run_evidence;
mod selection;
mod significance;
pub mod statistics;
mod status;
mod student;
mod subject;
mod unclaimed;
mod verdict;

pub use baseline::Baseline;
pub use circumstances::{Circumstances, Yardstick};
pub use distance::{CurveRow, FloorFrom, Phase, PhaseRow};
pub use evidence::{Evidence, PAPER};
pub use judgement::{judge, judge_values, subjects};
pub use paper_curves::{PaperCurve, PaperCurves};
pub use paper_files::by_file;
pub use paper_responses::PaperResponses;
pub use response_distance::ResponseRow;
pub use rows::{
    BaselineRow, BaselineStatus, ClaimRow, ComparisonRow, ExpectationRow, Gap, NetworkRow, RunRow,
    Test, TestMethod,
};
pub use run_evidence::RunEvidence;
pub use selection::{Seeds, Selection, Wanted, select, settled_seeds, unused};
pub use status::{Counts, Status};
pub use subject::Subject;
pub use verdict::{VERDICT_FORMAT, Verdict};
