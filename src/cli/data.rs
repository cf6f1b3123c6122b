//! Data sets: `data`, and where other commands find them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// CIFAR-10: its binary or Python batches, Hugging Face's Parquet files, or a `.tar.gz`. Default: $CIFAR10_DIR, the cache, or a
    /// download. ImageNet in any of its layouts. Default: $IMAGENET_DIR.
    #[arg(long, value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
    /// Download from this address of an archive, or of the folder of the Parquet files, before trying `huggingface` and
    /// `official`; repeatable.
    #[arg(long = "mirror", value_name = "URL", value_parser = Place::Mirror)]
    pub mirrors: Vec<String>,
    /// Move on to the next address when a download is slower than this for 20 seconds; 0 to stay at any rate.
    #[arg(long, value_name = "KB/S", default_value_t = 200)]
    pub min_rate: u64,
    /// Do not use the network.
    #[arg(long)]
    pub offline: bool,
    /// Refuse data other than CIFAR-10 as published, by its digest, and parts of ImageNet.
    #[arg(long)]
    pub require_official: bool,
    /// Leave out the images of ImageNet that cannot be decoded, and say which. All images are decoded once to find them. The runs
    /// are then different ones, and not comparable with the paper.
    #[arg(long)]
    pub skip_unreadable: bool,
}

/// A place to get data from. A mistyped address may hold a password, so it is refused before it is used or recorded, in words
/// that do not repeat it, as clap's own would.
#[derive(Clone, Copy, Debug)]
enum Place {
    Mirror,
    From,
}

impl TypedValueParser for Place {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        let text = value.to_str().unwrap_or_default();
        let address = text.starts_with("http://") || text.starts_with("https://");
        let known = match self {
            Place::Mirror => ["official", "huggingface"].contains(&text),
            Place::From => !text.is_empty() && Path::new(text).exists(),
        };
        if known || address {
            return Ok(text.to_owned());
        }
        let shown = match text.contains(['@', '?']) {
            true => "this value".to_owned(),
            false => format!("`{}`", value.to_string_lossy()),
        };
        let message = match self {
            Place::Mirror => format!(
                "--mirror: {shown} is neither an address that begins with http:// or https:// nor the word `huggingface` or `official`\n"
            ),
            Place::From => format!(
                "--from: {shown} is neither a file or folder that exists nor an address that begins with http:// or https://\n"
            ),
        };
        Err(clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command))
    }
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
        #[arg(long, value_name = "PATH|URL", value_parser = Place::From)]
        from: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Read a whole data set and compare it with the published one.
    ///
    /// CIFAR-10 is compared by its digests; ImageNet by its official archives' md5s, where it is read from them, its classes, counts,
    /// and image-label pairs that are known.
    Verify {
        /// Data set.
        #[arg(value_enum)]
        name: DataName,
        /// ImageNet: also decode every image, and name those that cannot be decoded.
        #[arg(long)]
        decode: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Pack the images of a data set into a few large files, for disks that are slow with many small ones.
    ///
    /// The images stay as they are, and runs on the packed set are the same runs, unless --shrink makes other images of them.
    Prepare {
        /// Data set.
        #[arg(value_enum)]
        name: DataName,
        #[command(flatten)]
        data: DataArgs,
        /// Folder for the packed set, new or left by an interrupted packing.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Scale pictures whose shorter side is longer than this down to it, and encode them again. These are other images, with
        /// another digest, and not comparable with the paper's.
        #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(32..=4096))]
        shrink: Option<u32>,
    },
}
