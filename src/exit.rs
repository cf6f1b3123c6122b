//! The exit codes, in their one place, and the error that carries one.

use std::fmt;

/// What the program's end means to a shell or to CI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done, and what was checked holds.
    Success = 0,
    /// The check ran and an expectation or a claim does not hold, or a comparison passed its tolerance.
    CheckFailed = 1,
    /// The command line or a manifest is not right; nothing was done.
    Usage = 2,
    /// Data: not there, damaged, or not to be downloaded.
    Data = 3,
    /// Files of runs: locked by another process, damaged, made by a newer version, or no space left.
    Storage = 4,
    /// A check could not be made: results are missing or not comparable. Never a pass.
    Missing = 5,
    /// A device or an instruction set that was asked for is not there.
    Device = 6,
    /// Anything else: a bug or a machine that failed.
    Internal = 70,
    /// Ctrl-C: state was saved, the same command goes on from there.
    Interrupted = 130,
    /// SIGTERM: state was saved, the same command goes on from there.
    Terminated = 143,
}

/// An error whose exit code is known. Wrap it in context as needed: the code is found down the chain.
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
    /// An error that ends the program with this code. The message is a lower-case fragment with the file, the value and the remedy.
    pub fn error(self, message: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Failure {
            exit: self,
            message: message.into(),
        })
    }

    /// The code that an error asks for: that of the `Failure` in its chain, else [`Exit::Internal`].
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
