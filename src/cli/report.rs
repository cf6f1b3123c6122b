//! Verdicts, figures and reports from records: `check`, `render` and `report`.

use clap::{Args, ValueEnum};

use super::select::SelectionArgs;

#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Format to print.
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub format: CheckFormat,
    /// Also write figure, verdict and pages to the reports folder.
    #[arg(long, conflicts_with = "accept")]
    pub write: bool,
    /// Also fail if an error is below its expectation by more than the tolerance.
    #[arg(long)]
    pub strict: bool,
    /// Record the current errors as baseline NAME of the profile. Refused on CI and with uncommitted changes.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["against", "strict"])]
    pub accept: Option<String>,
    /// Accept a baseline of fewer than three seeds.
    #[arg(long, requires = "accept")]
    pub allow_few_seeds: bool,
    /// Also compare with baseline NAME of the profile.
    #[arg(long, value_name = "NAME")]
    pub against: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    Text,
    /// As in `verdict.json`.
    Json,
    /// As in `report.md`.
    Markdown,
    /// As in `junit.xml`.
    Junit,
    /// Annotations on the manifest's lines; appends the report to $GITHUB_STEP_SUMMARY.
    Github,
}

#[derive(Clone, Debug, Args)]
pub struct RenderArgs {
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Omit the paper's curves.
    #[arg(long)]
    pub no_reference: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Name of the experiment (see `refig list`), or path to a manifest.
    #[arg(required_unless_present = "all")]
    pub experiment: Option<String>,
    /// Report only this profile. Default: every profile with runs.
    #[arg(long)]
    pub profile: Option<String>,
    /// Report all experiments and write an index page.
    #[arg(long, conflicts_with = "experiment")]
    pub all: bool,
    /// Seeds, as for `reproduce`.
    ///
    /// Default: those of the existing report, else the profile's, plus any others that are complete.
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Option<String>,
    /// Omit the paper's curves.
    #[arg(long)]
    pub no_reference: bool,
}
