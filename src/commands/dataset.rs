//! Opening the data that a command line names, with what happens meanwhile on the terminal.

use std::io::IsTerminal;

use anyhow::Result;

use crate::cli::DataArgs;
use crate::data::{self, Dataset, Progress, Request};
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
    let mut report = reporter(quiet, stop);
    data::open(request, &mut report)
}

/// A receiver of [`Progress`] that prints and heeds signals.
pub fn reporter(quiet: bool, stop: &Stop) -> impl FnMut(Progress) -> Result<()> + use<'_> {
    let terminal = std::io::stderr().is_terminal();
    let mut last_tenth = None;
    move |progress| {
        if let Some(signal) = stop.requested() {
            return Err(signal.exit().error("stopped while fetching data; the same command goes on from there"));
        }
        match progress {
            // A stand-in for the data is never silent.
            Progress::Note(note) => eprintln!("{note}"),
            Progress::Download { done, total } if !quiet => {
                let tenth = done * 10 / total.max(1);
                if terminal {
                    eprint!("\rdownloading {:>6.1} of {:.1} MB", done as f64 / 1e6, total as f64 / 1e6);
                    if done >= total {
                        eprintln!();
                    }
                } else if last_tenth != Some(tenth) {
                    last_tenth = Some(tenth);
                    eprintln!("downloading {} %", tenth * 10);
                }
            }
            Progress::Unpack { done, total } if !quiet && done == total => {
                eprintln!("unpacked {total} files");
            }
            _ => {}
        }
        Ok(())
    }
}
