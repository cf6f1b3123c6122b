//! A process that takes turns with this program: for every line on its standard input it measures something and prints a line
//! of JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::exit::Exit;

/// Pause before a turn, in which the other side's threads go to sleep.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A process that measures on request.
pub(super) struct Contender {
    name: String,
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Contender {
    pub(super) fn start(name: &str, mut command: Command) -> Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| Exit::Missing.error(format!("cannot start {name}: {error}")))?;
        let (Some(ask), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Exit::Internal.error(format!("{name} has no standard input or output")));
        };
        Ok(Self {
            name: name.into(),
            child,
            ask,
            answers: BufReader::new(answers),
        })
    }

    /// Asks for what `what` names and takes the answer.
    pub(super) fn turn<T: DeserializeOwned>(&mut self, what: &str) -> Result<T> {
        thread::sleep(PAUSE);
        let mut line = String::new();
        let asked = writeln!(self.ask, "{what}").and_then(|()| self.ask.flush());
        if asked.is_err() || self.answers.read_line(&mut line)? == 0 {
            return Err(self.failure());
        }
        serde_json::from_str(&line).map_err(|error| {
            Exit::Missing.error(format!("{} answered {:?}: {error}", self.name, line.trim()))
        })
    }

    /// The error of a process that no longer answers: the last line of its standard error.
    fn failure(&mut self) -> anyhow::Error {
        let mut text = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            // The text read before an error is still useful.
            stderr.read_to_string(&mut text).ok();
        }
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        Exit::Missing.error(format!(
            "{}: {}",
            self.name,
            last.unwrap_or("exited without an error message")
        ))
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // It exits when its input closes; a hung one must not outlive this program.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The error of a Python that cannot take part, with what it may lack.
pub(super) fn remedy(error: &anyhow::Error, python: &Path) -> anyhow::Error {
    let python = python.display();
    Exit::Missing.error(format!(
        "{error}; nothing to compare with: `{python} -m pip install -r benches/requirements.txt` installs PyTorch, or --python names a Python that has it"
    ))
}
