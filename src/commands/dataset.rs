//! Opens the data given on the command line.

use anyhow::Result;

use super::data::progress;
use crate::cli::DataArgs;
use crate::data::{self, DataSet, Dataset, Pace, PictureRequest, Progress, Prospect, Request};
use crate::exit::Exit;
use crate::manifest::Experiment;
use crate::origin::{DataKind, DataName, Origin};
use crate::train::Stop;

/// The images that runs are to be trained on.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub set: DataName,
    /// Whether SYNTHETIC images may stand in where none are named.
    pub synthetic: bool,
    /// The only kind of images to use (`--data`).
    pub kind: DataKind,
}

impl Source {
    /// The images of an experiment, of this kind only.
    pub fn of(experiment: &Experiment, kind: DataKind) -> Self {
        Self {
            set: experiment.data,
            synthetic: experiment.synthetic,
            kind,
        }
    }

    /// Refuses a kind that contradicts the experiment or another flag.
    fn check(self, args: &DataArgs) -> Result<()> {
        let of_set = match self.kind {
            DataKind::Any => true,
            DataKind::Cifar10 => self.set == DataName::Cifar10,
            DataKind::Imagenet | DataKind::ImagenetPart => self.set == DataName::Imagenet,
            DataKind::Synthetic => self.synthetic,
        };
        let kind = self.kind.name();
        if !of_set && self.kind == DataKind::Synthetic {
            return Err(Exit::Usage.error(format!(
                "--data {kind}: this profile is not for generated images; use one that is, such as smoke"
            )));
        }
        if !of_set {
            return Err(Exit::Usage.error(format!(
                "--data {kind}: the experiment is on {}; leave the flag out",
                self.set.origin().name()
            )));
        }
        if self.is_made() && (args.data_dir.is_some() || args.require_official) {
            return Err(Exit::Usage.error(format!(
                "--data {kind} contradicts --data-dir and --require-official; leave the one or the other out"
            )));
        }
        Ok(())
    }

    /// Whether only SYNTHETIC images will do.
    fn is_made(self) -> bool {
        self.kind == DataKind::Synthetic
    }

    /// Whether SYNTHETIC images will do.
    fn may_be_made(self) -> bool {
        self.synthetic && self.kind.admits(Origin::Synthetic)
    }

    fn images(self, args: &DataArgs) -> Request {
        let mut request = request(args);
        request.allow_synthetic = self.may_be_made() && request.dir.is_none();
        request
    }

    fn pictures(self, args: &DataArgs) -> PictureRequest {
        let mut request = pictures(args);
        if self.is_made() {
            // Whatever `IMAGENET_DIR` names.
            request.dir = None;
        }
        request.allow_synthetic = self.may_be_made() && !args.require_official;
        request
    }

    /// Refuses images of another origin than those that were asked for.
    fn admit(self, args: &DataArgs, origin: Origin, description: &str) -> Result<()> {
        if !self.kind.admits(origin) {
            return Err(Exit::Data.error(format!(
                "--data {}: found {description}; name others with --data-dir, or leave the flag out",
                self.kind.name()
            )));
        }
        if args.require_official && origin != self.set.origin() {
            return Err(Exit::Data.error(format!(
                "--require-official: found {description}; name others with --data-dir, or drop the flag"
            )));
        }
        Ok(())
    }
}

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

/// Opens the data that runs are trained on; SYNTHETIC images where they are asked for, or where none are named and the profile
/// allows it.
pub fn to_train_on(source: Source, args: &DataArgs, quiet: bool, stop: &Stop) -> Result<DataSet> {
    source.check(args)?;
    let opened: DataSet = match source.set {
        DataName::Cifar10 if source.is_made() => data::synthetic(data::SYNTHETIC_SEED).into(),
        DataName::Cifar10 => open(&source.images(args), quiet, stop)?.into(),
        DataName::Imagenet => {
            // No reason has to be given for images that were asked for.
            let mut show = progress(quiet || source.is_made(), stop);
            data::open_pictures(&source.pictures(args), &mut show)?
        }
    };
    source.admit(args, opened.origin(), &opened.description())?;
    Ok(opened)
}

/// The data that training would use. Downloads nothing.
pub fn foresee(source: Source, args: &DataArgs, quiet: bool, stop: &Stop) -> Result<Prospect> {
    source.check(args)?;
    let prospect = match source.set {
        DataName::Cifar10 if source.is_made() => {
            Prospect::from(&data::synthetic(data::SYNTHETIC_SEED).into())
        }
        DataName::Cifar10 => data::foresee(&source.images(args))?,
        DataName::Imagenet => {
            let mut show = progress(quiet || source.is_made(), stop);
            data::foresee_pictures(&source.pictures(args), &mut show)?
        }
    };
    source.admit(args, prospect.origin, &prospect.description)?;
    Ok(prospect)
}
