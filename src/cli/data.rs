//! Data sets: `data`, and where other commands find them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// CIFAR-10: its binary or Python batches, Hugging Face's Parquet files, or a `.tar.gz`. Default: $CIFAR10_DIR, the cache, or a
    /// download. ImageNet in any of its layouts. Default: $IMAGENET_DIR.
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
    Imagenet,
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
    /// Read a whole data set and compare it with the published one.
    ///
    /// CIFAR-10 is compared by its digests; ImageNet by its classes, counts, and image-label pairs that are known.
    Verify {
        /// Data set.
        #[arg(value_enum)]
        name: DataName,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Pack the images of a data set into a few large files, for disks that are slow with many small ones.
    ///
    /// The images stay as they are: runs on the packed set are the same runs.
    Prepare {
        /// Data set.
        #[arg(value_enum)]
        name: DataName,
        #[command(flatten)]
        data: DataArgs,
        /// Folder for the packed set, new or left by an interrupted packing.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
}
