//! `refig data fetch|verify cifar10`: puts CIFAR-10 where runs find it, and says what data there is.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::data::{self, Dataset, Progress, Request};
use crate::exit::Exit;
use crate::origin::Origin;
use crate::train::{Signal, Stop};

/// What to do with the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Puts CIFAR-10 into the cache: from a file, a folder or an address, else from the mirrors and the official place.
    Fetch { from: Option<String> },
    /// Reads the data and tells its digests.
    Verify,
}

/// Runs `action`. `dir` is `--data-dir`: for `verify` the place that is read (else `CIFAR10_DIR`, else the cache), for
/// `fetch` the folder that CIFAR-10 is put into (else the cache).
///
/// # Errors
/// With [`Exit::Data`] when the data is not there, not to be had, or damaged; with [`Exit::Storage`] when it cannot be
/// written; with [`Exit::Interrupted`] or [`Exit::Terminated`] when `stop` was requested.
pub fn run(
    action: &Action,
    dir: Option<&Path>,
    mirrors: &[String],
    quiet: bool,
    stop: &Stop,
) -> Result<Exit> {
    let mut show = progress(quiet, stop);
    match action {
        Action::Fetch { from } => {
            let destination = dir.map_or_else(data::cache_folder, Path::to_path_buf);
            let dataset = data::fetch(from.as_deref(), &destination, mirrors, &mut show)?;
            drop(show);
            describe(&dataset);
            Ok(Exit::Success)
        }
        Action::Verify => {
            let mut request = Request::from_environment(dir.map(PathBuf::from));
            // Verifying looks and changes nothing.
            request.allow_download = false;
            let dataset = data::open(&request, &mut show)?;
            drop(show);
            describe(&dataset);
            match dataset.origin {
                Origin::Cifar10 => Ok(Exit::Success),
                _ => Err(Exit::Data.error(format!(
                    "{} holds other images than CIFAR-10: runs on them are not comparable with the paper; `refig data fetch cifar10` gets CIFAR-10",
                    dataset.source
                ))),
            }
        }
    }
}

/// Prints what was found.
fn describe(dataset: &Dataset) {
    println!("{} at {}", dataset.origin.name(), dataset.source);
    for (name, images) in [("training", &dataset.train), ("test", &dataset.test)] {
        println!(
            "{name:>8}: {} images, digest {}",
            images.len(),
            images.digest
        );
    }
}

/// Shows what `data::open` and `data::fetch` do: a bar on a terminal, a line each tenth into a pipe, only notes with
/// `quiet`; everything on standard error. A requested stop ends it with the signal's exit code.
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
        match stop.requested() {
            Some(Signal::Interrupt) => {
                return Err(Exit::Interrupted.error("stopped; the same command goes on from here"));
            }
            Some(Signal::Terminate) => {
                return Err(Exit::Terminated.error("stopped; the same command goes on from here"));
            }
            None => {}
        }
        let (what, done, total, bytes) = match progress {
            Progress::Note(note) => {
                match bar.length() {
                    Some(_) => bar.suspend(|| eprintln!("{note}")),
                    // There is no bar yet, and suspending would draw an empty one.
                    None => eprintln!("{note}"),
                }
                return Ok(());
            }
            Progress::Waiting => return Ok(()),
            Progress::Download { done, total } => ("downloading", done, total, true),
            Progress::Unpack { done, total } => ("unpacking", done, total, false),
        };
        if bar.length() != Some(total) {
            bar.set_length(total);
            // Neither template has a variable part that could be wrong.
            let template = if bytes {
                "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
            } else {
                "{msg} {wide_bar} {pos}/{len}"
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
            eprintln!("{what}: {} %", now * 10);
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

    #[test]
    fn a_requested_stop_ends_the_work_with_the_code_of_its_signal() {
        let stop = Stop::new();
        let mut show = progress(true, &stop);
        assert!(show(Progress::Download { done: 1, total: 2 }).is_ok());
        stop.request(Signal::Terminate);
        let error = show(Progress::Download { done: 2, total: 2 }).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Terminated);
    }
}
