//! One worker: a child process that makes one run.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use anyhow::{Context, Result};

use super::Slot;
use crate::console::one_line;
use crate::engine::Device;
use crate::exit::Exit;
use crate::orchestrate::event::{Event, Line};
use crate::orchestrate::plan_file::{self, FrozenPlan, FrozenRun};
use crate::run::{own_folder, provenance};

/// The folder of logs and plans in the results folder.
const JOBS: &str = ".jobs";
/// Which GPUs a process sees, by the driver's numbers or names.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
/// Bytes at the end of a log in which the last lines are looked for.
const TAIL: u64 = 4096;
/// The last lines of a log that are shown where a worker did not say why it failed.
const LAST_LINES: usize = 3;

/// How workers are started.
#[derive(Clone, Debug)]
pub struct Workers {
    /// This program.
    program: PathBuf,
    plan: PathBuf,
    /// Arguments that all of them get: folders, and where the data is.
    arguments: Vec<OsString>,
    results: PathBuf,
    logs: PathBuf,
}

/// A worker at work. Dropped, it is asked to stop.
pub(super) struct Worker {
    process: Child,
    /// Its end tells the worker to stop.
    stdin: Option<ChildStdin>,
    log: PathBuf,
    /// Bytes of the log before this worker.
    before: u64,
}

/// What became of a worker.
pub(super) struct Ended {
    /// What its exit code means; none if a signal killed it.
    pub exit: Option<Exit>,
    /// In words, if it did not end well.
    pub why: String,
}

/// Something from the worker of a run: an event, or nothing if it has ended.
pub(super) type Said = (usize, Option<Event>);

impl Workers {
    /// Workers of this program on a plan, which is written beside their logs in `results_dir`.
    ///
    /// # Errors
    /// If this program's file is unknown; [`Exit::Storage`] if the folder of logs cannot be created or the plan be written.
    pub fn new(results_dir: &Path, plan: &FrozenPlan, arguments: Vec<OsString>) -> Result<Self> {
        let logs = own_folder::create(results_dir, JOBS).map_err(|error| {
            Exit::Storage.error(format!(
                "{}: cannot create it: {error}; make room, or name a writable folder with --results-dir",
                results_dir.join(JOBS).display()
            ))
        })?;
        Ok(Self {
            program: own_file()?,
            plan: plan_file::write_in(&logs, plan)?,
            arguments,
            results: results_dir.into(),
            logs,
        })
    }

    /// Starts the worker of a run. What it says goes to `sender`, with the run's number.
    ///
    /// # Errors
    /// [`Exit::Storage`] if its log cannot be written; that of the system if it cannot be started.
    pub(super) fn start(
        &self,
        (number, run): (usize, &FrozenRun),
        slot: Slot,
        sender: Sender<Said>,
    ) -> Result<Worker> {
        let path = self.log(run);
        let unwritable = |error: std::io::Error| {
            Exit::Storage.error(format!(
                "{}: cannot write: {error}; make room, or name a writable folder with --results-dir",
                path.display()
            ))
        };
        let mut log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(unwritable)?;
        let before = log.metadata().map_err(unwritable)?.len();
        let device = match slot.device {
            Device::Cpu => "cpu",
            Device::Cuda(_) => "cuda",
        };
        let mut command = Command::new(&self.program);
        command
            .arg("run")
            .arg(option("--plan", &self.plan))
            .arg(option("--run", &run.name))
            .arg(option("--device", device))
            .arg(option("--threads", slot.threads.to_string()))
            .args(["--format", "json", "--stop-with-parent"])
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // Its runs say which command made them, as if there was no worker.
        command.env(provenance::COMMAND, provenance::command_line());
        if let Device::Cuda(ordinal) = slot.device {
            command.env(VISIBLE, visible(std::env::var(VISIBLE).ok(), ordinal));
        }
        // Ctrl-C in a terminal reaches this process alone, which then stops its workers.
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            command.process_group(0).arg0("refig");
        }
        writeln!(log, "worker of {} on {}", run.name, slot.device).map_err(unwritable)?;
        command.stderr(log);
        let mut process = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take();
        let worker = Worker {
            process,
            stdin,
            log: path,
            before,
        };
        thread::Builder::new()
            .name(format!("worker {number}"))
            .spawn(move || {
                let lines = stdout.map(BufReader::new).into_iter();
                for line in lines.flat_map(|reader| reader.lines().map_while(Result::ok)) {
                    if let Ok(said) = serde_json::from_str::<Line>(&line) {
                        // Nobody listens any more only if this process is ending.
                        let _ = sender.send((number, Some(said.event)));
                    }
                }
                let _ = sender.send((number, None));
            })
            .context("cannot start the thread that listens to a worker")?;
        Ok(worker)
    }

    /// The log of a run's workers.
    pub fn log(&self, run: &FrozenRun) -> PathBuf {
        let name = own_folder::flat_name(&run.plan.folder());
        self.logs.join(format!("{name}.log"))
    }

    /// An error of a run without the run's folder at its beginning, for where the run is named anyway.
    pub(super) fn without_folder<'a>(&self, run: &FrozenRun, error: &'a str) -> &'a str {
        let folder = self.results.join(run.plan.folder());
        let begin = format!("{}: ", folder.display());
        // The worker says which run it was making, too.
        let error = error
            .strip_prefix(&format!("run {}: ", run.plan.folder()))
            .unwrap_or(error);
        error.strip_prefix(&begin).unwrap_or(error)
    }
}

impl Worker {
    /// Asks it to save its state and end, as SIGTERM would.
    pub fn stop(&mut self) {
        self.stdin = None;
    }

    /// Kills it.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
    }

    /// Waits for its end, which is near once its standard output has ended. `said` is the error that it told, if any.
    pub fn wait(mut self, said: Option<String>) -> Ended {
        let status = match self.process.wait() {
            Ok(status) => status,
            Err(error) => {
                return Ended {
                    exit: None,
                    why: format!("cannot wait for its worker: {error}"),
                };
            }
        };
        let exit = status.code().map(Exit::of_code);
        if exit == Some(Exit::Success) {
            let why = String::new();
            return Ended { exit, why };
        }
        let why = match (said, last_lines(&self.log, self.before)) {
            (Some(said), _) => one_line(&said),
            // What it said before has nothing to do with a signal from outside.
            _ if exit.is_some_and(Exit::is_stopped) => {
                "stopped by a signal from outside, with its state saved".into()
            }
            _ if exit.is_none() => death(status),
            (None, lines) if lines.is_empty() => death(status),
            (None, lines) => format!("{}: {lines}", death(status)),
        };
        Ended { exit, why }
    }
}

/// This program, also after its file was replaced by a newer build: all runs are to be made by the same one.
fn own_file() -> Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_path_buf());
    }
    std::env::current_exe().context("cannot find this program's own file")
}

/// `--name=value` in one word, so that no value is taken for a flag.
pub fn option(name: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut word = OsString::from(name);
    word.push("=");
    word.push(value);
    word
}

/// How a process ended, in words.
fn death(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return match signal {
            9 => "killed (signal 9), perhaps for want of memory".into(),
            signal => format!("killed by signal {signal}"),
        };
    }
    match status.code() {
        Some(code) => format!("ended with code {code}"),
        None => "ended without a code".into(),
    }
}

/// The last lines of a log after its first `before` bytes and the line that begins it, in one line.
fn last_lines(log: &Path, before: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let end = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(before.max(end.saturating_sub(TAIL))))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .collect();
    let first = lines.len().saturating_sub(LAST_LINES);
    one_line(&lines[first..].join("; "))
}

/// The name of GPU `ordinal` of those that this process sees.
fn visible(mine: Option<String>, ordinal: usize) -> String {
    let named = mine.as_deref().unwrap_or_default().split(',').nth(ordinal);
    match named.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => ordinal.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_sees_one_of_the_gpus_that_its_parent_sees() {
        assert_eq!(visible(None, 1), "1");
        assert_eq!(visible(Some(String::new()), 1), "1");
        assert_eq!(visible(Some("4, GPU-8a,6".into()), 1), "GPU-8a");
        assert_eq!(visible(Some("4".into()), 1), "1");
    }

    #[test]
    fn the_last_lines_are_those_of_the_last_worker() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let old = "worker of a\nold\n";
        std::fs::write(&log, format!("{old}worker of a\n")).unwrap();
        assert_eq!(last_lines(&log, old.len() as u64), "");
        std::fs::write(&log, format!("{old}worker of a\n1\n2\n\n3\n4\n")).unwrap();
        assert_eq!(last_lines(&log, old.len() as u64), "2; 3; 4");
    }
}
