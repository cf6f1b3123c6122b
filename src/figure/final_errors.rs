//! A table of final errors (Table 6): cited methods, then the experiment's networks with the paper's value and ours.
//! [`Table`] is plain data, drawn here and written as Markdown by `publish`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Deserialize;

use crate::exit::Exit;
use crate::judge::Verdict;
use crate::manifest::{Experiment, Metric, NetworkEntry};
use crate::network::grouped;

/// The values of a table in the paper, `experiments/reference/table6.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaperTable {
    /// Rows of other authors.
    pub method: Vec<Method>,
    /// Rows of networks that can be trained here.
    pub value: Vec<PaperValue>,
}

/// A method that the paper cites.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    pub name: String,
    pub layers: Option<u32>,
    /// As printed: `2.5M`.
    pub parameters: Option<String>,
    /// %.
    pub test_error: f64,
    /// If `test_error` is the best of several runs: their mean, %, and deviation, points.
    pub mean: Option<f64>,
    pub deviation: Option<f64>,
}

/// The paper's values for a network.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperValue {
    pub network: String,
    /// As printed: `0.27M`.
    pub parameters: Option<String>,
    /// %; the mean if there are several runs.
    pub test_error: f64,
    /// Points.
    pub deviation: Option<f64>,
    /// %.
    pub best_of_five: Option<f64>,
    /// `table`, or `read-off` from a figure.
    pub from: String,
}

impl PaperTable {
    /// Reads a file of values.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be read, [`Exit::Usage`] if it is not such a table.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Exit::Storage.error(format!(
                "cannot read the paper's values from {}: {error}; restore the file",
                path.display()
            ))
        })?;
        toml::from_str(&text).map_err(|error| {
            Exit::Usage.error(format!(
                "{}: invalid table of values: {}; restore the file",
                path.display(),
                error.message()
            ))
        })
    }
}

/// A table as shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub title: String,
    /// Profile, data, seeds.
    pub line: String,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    /// Caveats for comparisons.
    pub notes: Vec<String>,
    /// Large text across the table.
    pub watermark: Option<String>,
}

/// A row with a cell per column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub cells: Vec<String>,
    /// Measured here, rather than cited or missing.
    pub ours: bool,
}

/// The text of an empty cell.
const NONE: &str = "–";

/// The table of a judged experiment.
pub fn assemble(
    experiment: &Experiment,
    verdict: &Verdict,
    papers: &BTreeMap<PathBuf, PaperTable>,
) -> Table {
    let columns = ["method", "layers", "parameters", "paper, %", "ours, %"];
    let mut rows = Vec::new();
    for method in papers.values().flat_map(|paper| &paper.method) {
        rows.push(Row {
            cells: vec![
                method.name.clone(),
                method
                    .layers
                    .map_or(NONE.into(), |layers| layers.to_string()),
                method.parameters.clone().unwrap_or_else(|| NONE.into()),
                cited(method),
                "cited".into(),
            ],
            ours: false,
        });
    }
    for panel in &experiment.panels {
        let paper = panel
            .values
            .as_ref()
            .and_then(|reference| papers.get(&reference.file));
        for name in &panel.networks {
            if let Some(entry) = experiment.network(name) {
                let value = paper
                    .and_then(|paper| paper.value.iter().find(|value| value.network == entry.name));
                rows.push(network(&panel.title, entry, value, verdict));
            }
        }
    }
    Table {
        title: verdict.title.clone(),
        line: line(verdict),
        columns: columns.map(String::from).to_vec(),
        rows,
        notes: notes(verdict),
        watermark: verdict.synthetic.then(|| "SYNTHETIC".to_owned()),
    }
}

fn cited(method: &Method) -> String {
    let best = format!("{:.2}", method.test_error);
    match (method.mean, method.deviation) {
        (Some(mean), Some(deviation)) => format!("{best} ({mean:.2} ± {deviation:.2})"),
        _ => best,
    }
}

fn network(
    family: &str,
    entry: &NetworkEntry,
    paper: Option<&PaperValue>,
    verdict: &Verdict,
) -> Row {
    let measured = verdict
        .networks
        .iter()
        .find(|row| row.network == entry.name)
        .and_then(|row| row.test_error.as_ref());
    let parameters = grouped(entry.network.parameter_count());
    let theirs = paper.map(|value| {
        let mut text = match value.best_of_five {
            Some(best) => format!("{best:.2} ({:.2}", value.test_error),
            None => format!("{:.2}", value.test_error),
        };
        if let Some(deviation) = value.deviation {
            let _ = write!(text, " ± {deviation:.2}");
        }
        if value.best_of_five.is_some() {
            text.push(')');
        }
        if value.from == "read-off" {
            text.push_str(", read off");
        }
        text
    });
    let ours = match (measured, entry.optional) {
        (Some(measured), _) => measured.text(),
        (None, true) => "not trained by default".into(),
        (None, false) => "no finished run".into(),
    };
    Row {
        cells: vec![
            family.to_owned(),
            entry.network.depth().to_string(),
            match paper.and_then(|value| value.parameters.as_ref()) {
                Some(printed) => format!("{parameters} ({printed})"),
                None => parameters,
            },
            theirs.unwrap_or_else(|| NONE.into()),
            ours,
        ],
        ours: measured.is_some(),
    }
}

fn line(verdict: &Verdict) -> String {
    let seeds: Vec<String> = verdict.seeds.iter().map(u64::to_string).collect();
    let noun = if seeds.len() == 1 { "seed" } else { "seeds" };
    format!(
        "profile {} · {} · {noun} {}",
        verdict.profile,
        verdict.data,
        seeds.join(", ")
    )
}

fn notes(verdict: &Verdict) -> Vec<String> {
    let mut notes = Vec::new();
    if !verdict.differences.is_empty() {
        notes.push(format!(
            "Not the paper's recipe on the paper's data: {}. The columns are not comparable.",
            verdict.differences.join(", ")
        ));
    }
    let metric = verdict.evaluated(|_| true).metric(Metric::TestError);
    notes.push(format!(
        "Paper: best (mean ± deviation) if it reports several runs. Ours: mean ± deviation of the {metric} at the last \
         iteration, with batch-norm statistics of training images (number of seeds)."
    ));
    notes
}
