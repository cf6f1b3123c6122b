//! Opening the data that a command line names.

use anyhow::Result;

use super::data::progress;
use crate::cli::DataArgs;
use crate::data::{self, Dataset, Request};
use crate::train::Stop;

/// What the options and the environment ask for. The synthetic set is refused unless the caller allows it.
pub fn request(args: &DataArgs) -> Request {
    let mut request = Request::from_environment(args.data_dir.clone());
    request.mirrors.clone_from(&args.mirrors);
    request.allow_download = !args.offline;
    request
}

/// Opens the data, telling on standard error what is downloaded or put in its place. A signal ends it.
pub fn open(request: &Request, quiet: bool, stop: &Stop) -> Result<Dataset> {
    let mut show = progress(quiet, stop);
    data::open(request, &mut show)
}
