//! Opens the data given on the command line.

use anyhow::Result;

use super::data::progress;
use crate::cli::DataArgs;
use crate::data::{self, DataSet, Dataset, Pace, PictureRequest, Progress, Request};
use crate::origin::DataName;
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

/// The pictures that options and environment ask for. Synthetic ones are refused unless the caller allows them.
pub fn pictures(args: &DataArgs) -> PictureRequest {
    let mut request = PictureRequest::new(args.data_dir.as_deref(), &data::cache_folder());
    request.skip_unreadable = args.skip_unreadable;
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

/// Opens the data that runs are trained on; SYNTHETIC images where none are named and the profile allows it.
pub fn to_train_on(
    (name, synthetic): (DataName, bool),
    args: &DataArgs,
    quiet: bool,
    stop: &Stop,
) -> Result<DataSet> {
    match name {
        DataName::Cifar10 => {
            let mut request = request(args);
            request.allow_synthetic = synthetic && request.dir.is_none();
            Ok(open(&request, quiet, stop)?.into())
        }
        DataName::Imagenet => {
            let mut request = pictures(args);
            request.allow_synthetic = synthetic && !args.require_official;
            data::open_pictures(&request, &mut progress(quiet, stop))
        }
    }
}
