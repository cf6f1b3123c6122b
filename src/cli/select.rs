//! Which runs of which experiment.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::origin::DataKind;

/// Which runs of which experiment.
#[derive(Clone, Debug, Args)]
pub struct SelectionArgs {
    /// Name of the experiment (see `refig list`), or path to a manifest.
    pub experiment: String,
    /// Scale of the experiment. Default: the only one; of several, `paper` with a usable GPU and CIFAR-10, otherwise `quick`; on
    /// ImageNet, `imagenette`.
    #[arg(long)]
    pub profile: Option<String>,
    /// Seeds, as a list (`0,2`) or an inclusive range (`0..4`). Default: the profile's.
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Option<String>,
    /// Use only these networks, comma-separated; may include optional ones.
    ///
    /// `reproduce` trains only these networks, but draws and checks all existing runs.
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    pub networks: Vec<String>,
    /// Override a field, e.g. `recipe.batch=64`; repeatable. Marks the runs as not the paper's recipe.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub overrides: Vec<String>,
    /// Use only runs on this data; `any` prefers CIFAR-10 to synthetic images. `reproduce` and `plan` use only such images.
    #[arg(long, value_parser = data_kind(), default_value = "any")]
    pub data: DataKind,
}

/// Parses a kind of images.
pub(super) fn data_kind() -> impl TypedValueParser<Value = DataKind> {
    PossibleValuesParser::new(DataKind::ALL.map(DataKind::name)).map(|name: String| {
        let kind = DataKind::ALL.into_iter().find(|kind| kind.name() == name);
        kind.unwrap_or_default()
    })
}
