//! Opens the data given on the command line.

use anyhow::Result;

use super::data::progress;
use crate::cli::DataArgs;
use crate::data::{self, Dataset, Pace, Progress, Request};
use crate::train::Stop;

/// The request from options and environment. Synthetic images are refused unless the caller allows them.
pub fn request(args: &DataArgs) -> Request {
    let mut request = Request::from_environment(args.data_dir.clone());
    request.mirrors.clone_from(&args.mirrors);
    request.pace = Pace::kilobytes(args.min_rate);
    request.allow_download = !args.offline;
    request.require_official = args.require_official;
    request
}

/// Opens the data, showing downloads, substitutions and doubts on standard error. A signal stops it.
pub fn open(request: &Request, quiet: bool, stop: &Stop) -> Result<Dataset> {
    let mut show = progress(quiet, stop);
    let dataset = data::open(request, &mut show)?;
    if let Some(doubt) = dataset.doubt() {
        show(Progress::Note(format!(
            "note: {doubt}; check it with `refig data verify cifar10`, or fetch it again with `refig data fetch cifar10`"
        )))?;
    }
    Ok(dataset)
}
