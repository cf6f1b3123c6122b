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
    /// Files of runs or plans are damaged or from a newer version, or the disk is full.
    Storage = 4,
    /// A check could not run, because results are missing or not comparable. Never a pass.
    Missing = 5,
    /// The requested device or instruction set is not available.
    Device = 6,
    /// Another process is working on the run, or has taken it over.
    Busy = 7,
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
    const ALL: [Exit; 12] = [
        Exit::Success,
        Exit::CheckFailed,
        Exit::Usage,
        Exit::Data,
        Exit::Storage,
        Exit::Missing,
        Exit::Device,
        Exit::Busy,
        Exit::Internal,
        Exit::HungUp,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    /// The meaning of the exit code of another process of this program; [`Exit::Internal`] for any other code.
    pub fn of_code(code: i32) -> Exit {
        Self::ALL
            .into_iter()
            .find(|exit| *exit as i32 == code)
            .unwrap_or(Exit::Internal)
    }

    /// Whether it says that the work was stopped by a signal, and can be resumed.
    pub fn is_stopped(self) -> bool {
        matches!(self, Exit::HungUp | Exit::Interrupted | Exit::Terminated)
    }

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
