//! The program's exit codes, and the error that carries one.

use std::fmt;

/// Exit codes for shells and CI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command succeeded, and all checks hold.
    Success = 0,
    /// A check ran and failed: an expectation or claim does not hold, or a comparison exceeds its tolerance.
    CheckFailed = 1,
    /// The command line or a manifest is invalid; nothing was done.
    Usage = 2,
    /// Data is missing, damaged, or cannot be downloaded.
    Data = 3,
    /// Run files are locked by another process, damaged or from a newer version, or the disk is full.
    Storage = 4,
    /// A check could not run, because results are missing or not comparable. Never a pass.
    Missing = 5,
    /// The requested device or instruction set is not available.
    Device = 6,
    /// Anything else: a bug or a hardware failure.
    Internal = 70,
    /// The terminal went away (SIGHUP). The state is saved; the same command resumes.
    HungUp = 129,
    /// Ctrl-C. The state is saved; the same command resumes.
    Interrupted = 130,
    /// SIGTERM. The state is saved; the same command resumes.
    Terminated = 143,
}

/// An error with an exit code. The code survives wrapping in context.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Exit {
    /// An error that exits with this code. The message is a lower-case fragment with the file, the value and the remedy.
    pub fn error(self, message: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Failure {
            exit: self,
            message: message.into(),
        })
    }

    /// The exit code of the first [`Failure`] in the error's chain, else [`Exit::Internal`].
    pub fn of(error: &anyhow::Error) -> Exit {
        error
            .chain()
            .find_map(|cause| cause.downcast_ref::<Failure>())
            .map_or(Exit::Internal, |failure| failure.exit)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}
