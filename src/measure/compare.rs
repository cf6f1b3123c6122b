//! Compares training steps with PyTorch's: two processes take turns on the same machine and are compared pair by pair.
//!
//! Both speak the same protocol: for every line on standard input they take some steps and print a [`StepReport`] as one
//! line of JSON. PyTorch's side is `benches/pytorch_step.py`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use super::contender::{Contender, remedy};
use super::step::StepReport;
use super::{median, percent};
use crate::counted::counted;
use crate::engine::Device;
use crate::exit::Exit;
use crate::recipe::Precision;

/// PyTorch's side, embedded because an installed program has no source folder.
const SCRIPT: &str = include_str!("../../benches/pytorch_step.py");

/// How PyTorch takes its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Eager,
    /// The whole step as one CUDA graph.
    Graphs,
    /// The network through `torch.compile`; on a GPU, with CUDA graphs.
    Compile,
}

impl Mode {
    /// The name on the command line and in `pytorch_step.py`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eager => "eager",
            Self::Graphs => "graphs",
            Self::Compile => "compile",
        }
    }
}

/// What to compare, and how.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Names as on the command line.
    pub networks: Vec<String>,
    /// Device of both sides.
    pub device: Device,
    /// Precision of both sides; `fp32` excludes TF32.
    pub precision: Precision,
    /// PyTorch's modes, each compared separately.
    pub modes: Vec<Mode>,
    pub batch: usize,
    pub image_size: Option<usize>,
    pub shortcut: Option<String>,
    pub threads: usize,
    pub instructions: Option<String>,
    /// MiB of activations that a step of ours may keep.
    pub keep_memory: Option<usize>,
    pub pairs: usize,
    /// Steps per turn.
    pub steps: usize,
    /// Path of this program.
    pub own: PathBuf,
    /// Path of a Python that has PyTorch.
    pub python: PathBuf,
}

/// One network in one mode.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub network: String,
    /// PyTorch's [`Mode`].
    pub mode: String,
    /// Median over the turns.
    pub ours_ms: f64,
    pub pytorch_ms: f64,
    /// Our time divided by PyTorch's, pair by pair.
    pub ratios: Vec<f64>,
    /// Median of `ratios`.
    pub ratio: f64,
    /// [`StepReport::peak_share`] of our steps.
    pub peak_share: Option<f64>,
    pub ours_memory_mb: Option<f64>,
    pub pytorch_memory_mb: Option<f64>,
}

/// The results for all networks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompareReport {
    /// Name of the processor or GPU.
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

/// Takes one turn.
fn turn(contender: &mut Contender) -> Result<StepReport> {
    contender.turn("step")
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
        if let Some(mebibytes) = self.keep_memory {
            command.arg("--keep-memory").arg(mebibytes.to_string());
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

    /// Compares every network in every mode. `processor` is the name for the report; `progress` receives the network and
    /// mode, the number of the pair, and its ratio.
    ///
    /// # Errors
    /// [`Exit::Usage`] if there is nothing to compare; [`Exit::Missing`] if a side does not run, with what is missing.
    pub fn measure(
        &self,
        processor: &str,
        progress: &mut dyn FnMut(&str, usize, f64),
    ) -> Result<CompareReport> {
        let none = self.networks.is_empty() || self.modes.is_empty();
        if none || self.pairs == 0 || self.steps == 0 {
            return Err(Exit::Usage.error(format!(
                "{}, {}, {} of {} leave nothing to compare; each must be at least 1",
                counted(self.networks.len(), "network"),
                counted(self.modes.len(), "mode"),
                counted(self.pairs, "pair"),
                counted(self.steps, "step")
            )));
        }
        if self.device == Device::Cpu && self.modes.contains(&Mode::Graphs) {
            return Err(Exit::Usage.error(
                "--mode graphs: CUDA graphs need a GPU; name one with --device, or compare with eager and compile",
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
            turn(&mut ours)?;
            let started = self.pytorch(network, mode).and_then(|mut theirs| {
                turn(&mut theirs)?;
                Ok(theirs)
            });
            let mut theirs = started.map_err(|error| remedy(&error, &self.python))?;
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for pair in 1..=self.pairs {
                a.push(turn(&mut ours)?);
                b.push(turn(&mut theirs)?);
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
}

impl CompareReport {
    /// A Markdown table, as in the README.
    pub fn text(&self) -> String {
        // Steps on a GPU have no share of the processor's peak.
        let on_a_gpu = self.rows.iter().all(|row| row.peak_share.is_none());
        let threads = match on_a_gpu {
            true => String::new(),
            false => format!("{}, ", counted(self.threads, "thread")),
        };
        let mut text = format!(
            "{}, {threads}batch {}, {} against {}; medians of {} of {} in turn\n\n| network | PyTorch's mode | refig, ms | PyTorch, ms | ratio (lowest-highest) | share of peak | memory, MB (PyTorch) |\n|---|---|---|---|---|---|---|\n",
            self.processor,
            self.batch,
            self.instructions,
            self.pytorch,
            counted(self.pairs, "pair"),
            counted(self.steps, "step")
        );
        let share = |value: Option<f64>| value.map_or("-".into(), percent);
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
