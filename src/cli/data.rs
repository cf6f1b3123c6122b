//! Data sets: `data`, and where other commands find them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// CIFAR-10 in its binary format: a folder or the `.tar.gz`. Default: $CIFAR10_DIR, the cache, or a download.
    #[arg(long, value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
    /// Download from this address before trying the official one; repeatable.
    #[arg(long = "mirror", value_name = "URL")]
    pub mirrors: Vec<String>,
    /// Do not use the network.
    #[arg(long)]
    pub offline: bool,
    /// Refuse data other than CIFAR-10 as published, by its digest.
    #[arg(long)]
    pub require_official: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataName {
    Cifar10,
}

#[derive(Clone, Debug, Subcommand)]
pub enum DataAction {
    /// Put a data set into the cache folder, or into --data-dir.
    Fetch {
        /// Data set.
        #[arg(value_enum)]
        name: DataName,
        /// Use a local `.tar.gz` or another address instead of the official one.
        #[arg(long, value_name = "FILE|URL")]
        from: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Read a whole data set and compare its digests.
    Verify {
        /// Data set.
        #[arg(value_enum)]
        name: DataName,
        #[command(flatten)]
        data: DataArgs,
    },
}
