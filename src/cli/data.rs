//! Data sets: `data`, and where other commands find them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// CIFAR-10: its binary or Python batches, Hugging Face's Parquet files, or a `.tar.gz`. Default: $CIFAR10_DIR, the cache, or a
    /// download.
    #[arg(long, value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
    /// Download from this address of an archive, or of the folder of the Parquet files, before trying `huggingface` and
    /// `official`; repeatable.
    #[arg(long = "mirror", value_name = "URL")]
    pub mirrors: Vec<String>,
    /// Move on to the next address when a download is slower than this for 20 seconds; 0 to stay at any rate.
    #[arg(long, value_name = "KB/S", default_value_t = 200)]
    pub min_rate: u64,
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
        /// Use a local folder or file, or another address, instead of the known addresses.
        #[arg(long, value_name = "PATH|URL")]
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
