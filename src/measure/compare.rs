//! A training step beside PyTorch's: two processes in turn on the same machine, compared pair by pair.
//!
//! Both answer the same protocol: for every line on their standard input they take some steps and print a [`StepReport`] as
//! one line of JSON. The other side is `benches/pytorch_step.py`.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::median;
use super::step::StepReport;
use crate::engine::Device;
use crate::exit::Exit;
use crate::manifest::Precision;

/// The other side, carried along: an installed program has no source folder.
const SCRIPT: &str = include_str!("../../benches/pytorch_step.py");

/// Between turns, until the other side's threads have gone to sleep.
const PAUSE: Duration = Duration::from_millis(50);

/// How PyTorch takes its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Eager,
    /// The whole step as one CUDA graph.
    Graphs,
    /// The network through `torch.compile`; on a GPU with CUDA graphs inside.
    Compile,
}

impl Mode {
    /// As `pytorch_step.py` and the command line have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eager => "eager",
            Self::Graphs => "graphs",
            Self::Compile => "compile",
        }
    }
}

/// What is compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// As on the command line.
    pub networks: Vec<String>,
    /// What both sides compute on.
    pub device: Device,
    /// And in; `fp32` without TF32.
    pub precision: Precision,
    /// PyTorch's ways, each a comparison of its own.
    pub modes: Vec<Mode>,
    pub batch: usize,
    pub image_size: Option<usize>,
    pub shortcut: Option<String>,
    pub threads: usize,
    pub instructions: Option<String>,
    pub pairs: usize,
    /// Of each turn.
    pub steps: usize,
    /// This program.
    pub own: PathBuf,
    /// A Python with PyTorch.
    pub python: PathBuf,
}

/// One network, both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub network: String,
    /// PyTorch's, see [`Mode`].
    pub mode: String,
    /// Medians over the turns.
    pub ours_ms: f64,
    pub pytorch_ms: f64,
    /// Our time over PyTorch's, pair by pair.
    pub ratios: Vec<f64>,
    /// The median of `ratios`.
    pub ratio: f64,
    /// Of our steps, see [`StepReport::peak_share`].
    pub peak_share: Option<f64>,
    pub ours_memory_mb: Option<f64>,
    pub pytorch_memory_mb: Option<f64>,
}

/// All networks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompareReport {
    /// What computed: the processor or the GPU, by its name.
    pub processor: String,
    pub batch: usize,
    pub threads: usize,
    pub pairs: usize,
    pub steps: usize,
    pub instructions: String,
    /// PyTorch's version and memory format.
    pub pytorch: String,
    pub rows: Vec<Row>,
}

/// A process that takes steps when asked.
struct Contender {
    who: String,
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Contender {
    fn start(who: &str, mut command: Command) -> Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| Exit::Missing.error(format!("{who} does not start: {error}")))?;
        let (Some(ask), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Exit::Internal.error(format!("{who} has no input or output")));
        };
        Ok(Self {
            who: who.into(),
            child,
            ask,
            answers: BufReader::new(answers),
        })
    }

    /// One turn.
    fn turn(&mut self) -> Result<StepReport> {
        thread::sleep(PAUSE);
        let mut line = String::new();
        let asked = writeln!(self.ask, "step").and_then(|()| self.ask.flush());
        if asked.is_err() || self.answers.read_line(&mut line)? == 0 {
            return Err(self.failed());
        }
        serde_json::from_str(&line).map_err(|error| {
            Exit::Missing.error(format!("{} answers {:?}: {error}", self.who, line.trim()))
        })
    }

    /// Why it no longer answers: the last line that it wrote to its standard error.
    fn failed(&mut self) -> anyhow::Error {
        let mut words = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            // What cannot be read is not said.
            stderr.read_to_string(&mut words).ok();
        }
        let last = words.lines().rfind(|line| !line.trim().is_empty());
        Exit::Missing.error(format!(
            "{}: {}",
            self.who,
            last.unwrap_or("ended without a word")
        ))
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // It ends by itself when its input closes; a hung one must not outlive this program.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Comparison {
    fn arguments(&self, command: &mut Command, network: &str) {
        command.args(["--network", network]);
        for (name, number) in [
            ("--batch", self.batch),
            ("--threads", self.threads),
            ("--steps", self.steps),
        ] {
            command.arg(name).arg(number.to_string());
        }
        if let Some(size) = self.image_size {
            command.arg("--image-size").arg(size.to_string());
        }
        if let Some(option) = &self.shortcut {
            command.arg("--shortcut").arg(option.to_ascii_uppercase());
        }
        command.args(["--device", &self.device.to_string(), "--serve"]);
        command.args(["--precision", self.precision.name()]);
    }

    fn ours(&self, network: &str) -> Result<Contender> {
        let mut command = Command::new(&self.own);
        command.args(["bench", "step"]);
        self.arguments(&mut command, network);
        if let Some(set) = &self.instructions {
            command.args(["--instructions", set]);
        }
        Contender::start("refig bench step", command)
    }

    fn pytorch(&self, network: &str, mode: Mode) -> Result<Contender> {
        let mut command = Command::new(&self.python);
        command.args(["-c", SCRIPT]);
        self.arguments(&mut command, network);
        command.args(["--mode", mode.name()]);
        Contender::start(&self.python.display().to_string(), command)
    }

    /// Measures every network beside every mode. `processor` is what the report says of the machine; `progress` is told each
    /// pair's ratio, with what it is of.
    ///
    /// # Errors
    /// [`Exit::Usage`] for nothing to measure; [`Exit::Missing`] where a side does not run, with what is missing.
    pub fn measure(
        &self,
        processor: &str,
        progress: &mut dyn FnMut(&str, usize, f64),
    ) -> Result<CompareReport> {
        let none = self.networks.is_empty() || self.modes.is_empty();
        if none || self.pairs == 0 || self.steps == 0 {
            return Err(Exit::Usage.error(format!(
                "{} networks, {} modes, {} pairs of {} steps leave nothing to compare; each is at least 1",
                self.networks.len(),
                self.modes.len(),
                self.pairs,
                self.steps
            )));
        }
        if self.device == Device::Cpu && self.modes.contains(&Mode::Graphs) {
            return Err(Exit::Usage.error(
                "--mode graphs: CUDA graphs are a GPU's; name one with --device, or compare with eager and compile",
            ));
        }
        let mut report = CompareReport {
            processor: processor.into(),
            batch: self.batch,
            threads: self.threads,
            pairs: self.pairs,
            steps: self.steps,
            instructions: String::new(),
            pytorch: String::new(),
            rows: Vec::new(),
        };
        let modes = |network| self.modes.iter().map(move |mode| (network, *mode));
        for (network, mode) in self.networks.iter().flat_map(modes) {
            let mut ours = self.ours(network)?;
            ours.turn()?;
            let started = self.pytorch(network, mode).and_then(|mut theirs| {
                theirs.turn()?;
                Ok(theirs)
            });
            let mut theirs = started.map_err(|error| self.remedy(&error))?;
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for pair in 1..=self.pairs {
                a.push(ours.turn()?);
                b.push(theirs.turn()?);
                let ratio = a[pair - 1].median_ms / b[pair - 1].median_ms;
                progress(&format!("{network} ({})", mode.name()), pair, ratio);
            }
            let of = |turns: &[StepReport], value: fn(&StepReport) -> f64| {
                median(&turns.iter().map(value).collect::<Vec<_>>())
            };
            let ratios: Vec<f64> = a
                .iter()
                .zip(&b)
                .map(|(ours, theirs)| ours.median_ms / theirs.median_ms)
                .collect();
            let shares: Vec<f64> = a.iter().filter_map(|turn| turn.peak_share).collect();
            let memory = |turns: &[StepReport]| turns.last().and_then(|turn| turn.peak_memory_mb);
            report.rows.push(Row {
                network: network.clone(),
                mode: mode.name().into(),
                ours_ms: of(&a, |turn| turn.median_ms),
                pytorch_ms: of(&b, |turn| turn.median_ms),
                ratio: median(&ratios),
                ratios,
                peak_share: (!shares.is_empty()).then(|| median(&shares)),
                ours_memory_mb: memory(&a),
                pytorch_memory_mb: memory(&b),
            });
            report.instructions.clone_from(&a[0].instructions);
            report.pytorch.clone_from(&b[0].instructions);
        }
        Ok(report)
    }

    fn remedy(&self, error: &anyhow::Error) -> anyhow::Error {
        let python = Path::new(&self.python).display();
        Exit::Missing.error(format!(
            "{error}; nothing to compare with: `{python} -m pip install -r benches/requirements.txt` installs PyTorch, or --python names a Python that has it"
        ))
    }
}

impl CompareReport {
    /// A table in Markdown, as the README has it.
    pub fn text(&self) -> String {
        // A step on a GPU has neither the processor's peak nor its memory beside it.
        let on_a_gpu = self.rows.iter().all(|row| row.peak_share.is_none());
        let threads = match on_a_gpu {
            true => String::new(),
            false => format!("{} threads, ", self.threads),
        };
        let mut text = format!(
            "{}, {threads}batch {}, {} against {}; medians of {} pairs of {} steps in turn\n\n| network | PyTorch's mode | refig, ms | PyTorch, ms | ratio (lowest-highest) | share of peak | memory, MB (PyTorch) |\n|---|---|---|---|---|---|---|\n",
            self.processor, self.batch, self.instructions, self.pytorch, self.pairs, self.steps
        );
        let share =
            |value: Option<f64>| value.map_or("-".into(), |v| format!("{:.0} %", 100.0 * v));
        let memory = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.0}"));
        let digits = if on_a_gpu { 3 } else { 1 };
        for row in &self.rows {
            let low = row.ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let high = row.ratios.iter().copied().fold(0.0, f64::max);
            text += &format!(
                "| {} | {} | {:.digits$} | {:.digits$} | {:.2} ({low:.2}-{high:.2}) | {} | {} ({}) |\n",
                row.network,
                row.mode,
                row.ours_ms,
                row.pytorch_ms,
                row.ratio,
                share(row.peak_share),
                memory(row.ours_memory_mb),
                memory(row.pytorch_memory_mb)
            );
        }
        text
    }
}
