//! `refig data fetch|verify cifar10`: downloads CIFAR-10 to the cache, and verifies data. `refig data verify|prepare
//! imagenet`: compares ImageNet with what was published, and packs it.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::DataArgs;
use crate::counted::counted;
use crate::data::imagenet::{self, Packing};
use crate::data::{self, Dataset, Pace, PictureRequest, Progress, Request};
use crate::exit::Exit;
use crate::origin::treated;
use crate::train::Stop;
use crate::{note, outln};

/// An action of `refig data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Copies CIFAR-10 to the cache from a file, a folder or a URL; by default from the mirrors and the known addresses.
    Fetch { from: Option<String> },
    /// Reads the data and prints its digests; with `decode`, decodes ImageNet's images.
    Verify { decode: bool },
    /// Packs ImageNet into the folder `out`; with `shrink`, with a shorter side of at most so many pixels.
    Prepare { out: PathBuf, shrink: Option<u32> },
}

/// Runs `action` on CIFAR-10. `--data-dir` is the place to read for `verify` (default `CIFAR10_DIR`, then the cache), or the
/// destination for `fetch` (default the cache).
///
/// # Errors
/// [`Exit::Data`] if the data is missing, unavailable or damaged; [`Exit::Storage`] if it cannot be written;
/// [`Exit::Interrupted`] or [`Exit::Terminated`] if `stop` was requested.
pub fn run(action: &Action, args: &DataArgs, quiet: bool, stop: &Stop) -> Result<Exit> {
    let mut show = progress(quiet, stop);
    let dir = args.data_dir.clone();
    match action {
        Action::Fetch { from } => {
            let destination = dir.unwrap_or_else(data::cache_folder);
            let pace = Pace::kilobytes(args.min_rate);
            let from = from.as_deref();
            let elsewhere = from.is_none_or(|from| from.contains("://"));
            if args.offline && elsewhere {
                return Err(Exit::Usage.error(
                    "--offline: nothing to fetch from without the network; name a file or folder with --from",
                ));
            }
            let dataset = data::fetch(from, &destination, &args.mirrors, pace, &mut show)?;
            drop(show);
            if let Some(doubt) = dataset.doubt().filter(|_| args.require_official) {
                return Err(Exit::Data.error(format!("--require-official: {doubt}")));
            }
            if !quiet {
                describe(&dataset);
            }
            Ok(Exit::Success)
        }
        Action::Verify { .. } => {
            let mut request = Request::from_environment(dir);
            // Verifying changes nothing.
            request.allow_download = false;
            let dataset = data::open_whole(&request, &mut show)?;
            drop(show);
            describe(&dataset);
            match dataset.doubt() {
                None => Ok(Exit::Success),
                Some(doubt) => Err(Exit::Data.error(format!(
                    "{doubt}, so runs on it are not comparable with the paper; get CIFAR-10 with `refig data fetch cifar10`"
                ))),
            }
        }
        Action::Prepare { .. } => Err(Exit::Usage.error(
            "CIFAR-10 needs no packing: it is six files; `refig data prepare` is for imagenet",
        )),
    }
}

/// Runs `action` on ImageNet at `--data-dir`, by default `IMAGENET_DIR`.
///
/// # Errors
/// As [`run`]; [`Exit::Data`] too if the images are not all of ImageNet-1k as published.
pub fn imagenet(action: &Action, args: &DataArgs, quiet: bool, stop: &Stop) -> Result<Exit> {
    let PictureRequest { dir, cache, .. } =
        PictureRequest::new(args.data_dir.as_deref(), &data::cache_folder());
    let place = || {
        dir.as_deref().ok_or_else(|| {
            Exit::Data.error(
                "no ImageNet named: name its folder or archive with --data-dir or IMAGENET_DIR",
            )
        })
    };
    let mut show = progress(quiet, stop);
    match action {
        Action::Fetch { .. } => Err(Exit::Usage.error(
            "ImageNet cannot be fetched without an account: download it from https://image-net.org (ILSVRC 2012), Kaggle or Hugging Face, and name its folder with --data-dir",
        )),
        Action::Verify { decode } => {
            let findings = imagenet::verify(place()?, &cache, *decode, &mut show)?;
            drop(show);
            for line in &findings.lines {
                outln!("{line}");
            }
            match findings.verdict {
                Ok(what) => {
                    outln!("{what}");
                    Ok(Exit::Success)
                }
                Err(why) => Err(Exit::Data.error(format!(
                    "{why}; runs on it are not comparable with the paper"
                ))),
            }
        }
        Action::Prepare { out, shrink } => {
            let packing = Packing {
                shrink: *shrink,
                skip_unreadable: args.skip_unreadable,
                ..Packing::default()
            };
            let packed = imagenet::pack(place()?, out, &cache, packing, &mut show)?;
            drop(show);
            if !quiet {
                let images = match shrink {
                    Some(_) => "other images with another digest, not comparable with the paper's",
                    None => "the same images with the same digest",
                };
                outln!(
                    "packed {} into {} in {}{}: {images}; use it with --data-dir {2}",
                    counted(packed.images, "image"),
                    counted(packed.archives, "archive"),
                    out.display(),
                    treated(packed.shrunk, packed.unreadable)
                );
            }
            Ok(Exit::Success)
        }
    }
}

/// Prints what the data is, where it is, and its digests.
fn describe(dataset: &Dataset) {
    outln!("{}", dataset.description());
    for (name, images) in [("training", &dataset.train), ("test", &dataset.test)] {
        outln!(
            "{name:>8}: {}, digest {}",
            counted(images.len(), "image"),
            images.digest
        );
    }
}

/// Shows the progress of `data::open` and `data::fetch` on standard error: a bar on a terminal, else a line per 10 %;
/// nothing if `quiet`. A requested stop ends the work with the signal's exit code.
pub fn progress(quiet: bool, stop: &Stop) -> impl FnMut(Progress) -> Result<()> + use<> {
    let stop = stop.clone();
    let terminal = std::io::stderr().is_terminal() && !quiet;
    let bar = ProgressBar::with_draw_target(
        None,
        if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        },
    );
    let mut tenths = 0;
    move |progress| {
        if let Some(signal) = stop.requested() {
            return Err(signal.stopped());
        }
        // The others count bytes.
        let images = matches!(progress, Progress::Mean { .. } | Progress::Decode { .. });
        let (what, done, total) = match progress {
            Progress::Note(note) => {
                match bar.length() {
                    _ if quiet => {}
                    Some(_) => bar.suspend(|| note!("{note}")),
                    // Without a bar yet, suspending would draw an empty one.
                    None => note!("{note}"),
                }
                return Ok(());
            }
            Progress::Waiting => return Ok(()),
            Progress::Download { done, total } => ("downloading", done, total),
            Progress::Unpack { done, total } => ("unpacking", done, total),
            Progress::Read { done, total } => ("reading images", done, total),
            Progress::Pack { done, total } => ("packing", done, total),
            Progress::Mean { done, total } => ("mean image", done, total),
            Progress::Decode { done, total } => ("decoding images", done, total),
            Progress::Digest { done, total } => ("md5 of the archive", done, total),
        };
        if bar.length() != Some(total) {
            bar.set_length(total);
            // Constant templates, so this cannot fail.
            let template = match images {
                true => "{msg} {wide_bar} {pos}/{len} {per_sec} {eta}",
                false => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(what);
            bar.reset();
            tenths = 0;
        }
        bar.set_position(done);
        let now = done * 10 / total.max(1);
        if !terminal && !quiet && now > tenths {
            tenths = now;
            note!("{what}: {} %", now * 10);
        }
        if done == total {
            bar.finish_and_clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Signal;

    #[test]
    fn requested_stop_returns_the_signals_exit_code() {
        let stop = Stop::new();
        let mut show = progress(true, &stop);
        assert!(show(Progress::Download { done: 1, total: 2 }).is_ok());
        stop.request(Signal::Terminate);
        let error = show(Progress::Download { done: 2, total: 2 }).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Terminated);
    }
}
