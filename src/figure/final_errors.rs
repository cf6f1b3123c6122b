//! A table of final errors (Tables 2 to 4 and 6): cited methods, then the experiment's networks with the paper's values and
//! ours. [`Table`] is plain data, drawn here and written as Markdown by `publish`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::captions::{self, barely_learned};
use crate::console::one_line;
use crate::exit::Exit;
use crate::judge::Verdict;
use crate::judge::statistics::Measured;
use crate::manifest::{Experiment, Metric, NetworkEntry};
use crate::network::grouped;

/// The values of a table in the paper, such as `experiments/reference/table6.toml`.
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
    #[serde(default)]
    pub test_error: Option<f64>,
    /// Other errors, %, by metric.
    #[serde(default)]
    pub errors: BTreeMap<Metric, f64>,
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
    #[serde(default)]
    pub test_error: Option<f64>,
    /// Other errors, %, by metric.
    #[serde(default)]
    pub errors: BTreeMap<Metric, f64>,
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
    /// [`Exit::Storage`] if it cannot be read or is not such a table.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Exit::Storage.error(format!(
                "cannot read the paper's values from {}: {error}; restore the file, or draw without it with --no-reference",
                path.display()
            ))
        })?;
        toml::from_str(&text).map_err(|error| {
            Exit::Storage.error(format!(
                "{}: invalid table of values: {}; restore the file, or draw without it with --no-reference",
                path.display(),
                one_line(error.message())
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
    let metrics = experiment.listed();
    let mut columns = ["method", "layers", "parameters"]
        .map(String::from)
        .to_vec();
    for &metric in &metrics {
        let of = match metrics.len() {
            1 => String::new(),
            _ => format!(" {}", verdict.evaluated(|_| true).metric(metric)),
        };
        columns.extend(["paper", "ours"].map(|whose| format!("{whose}{of}, %")));
    }
    let mut rows = Vec::new();
    for method in papers.values().flat_map(|paper| &paper.method) {
        let mut cells = vec![
            method.name.clone(),
            method
                .layers
                .map_or(NONE.into(), |layers| layers.to_string()),
            method.parameters.clone().unwrap_or_else(|| NONE.into()),
        ];
        for &metric in &metrics {
            cells.extend(match cited(method, metric) {
                Some(error) => [error, "cited".into()],
                None => [NONE, NONE].map(String::from),
            });
        }
        rows.push(Row { cells, ours: false });
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
                // A variant is told from its base by its label.
                let family = match entry.variant_of {
                    Some(_) => &entry.label,
                    None => &panel.title,
                };
                rows.push(network(family, entry, value, verdict, &metrics));
            }
        }
    }
    Table {
        title: verdict.title.clone(),
        line: line(verdict),
        columns,
        rows,
        notes: notes(verdict, &metrics),
        watermark: verdict.synthetic.then(|| "SYNTHETIC".to_owned()),
    }
}

fn cited(method: &Method, metric: Metric) -> Option<String> {
    let best = published(metric, method.test_error, &method.errors)?;
    Some(match (method.mean, method.deviation) {
        (Some(mean), Some(deviation)) => format!("{best:.2} ({mean:.2} ± {deviation:.2})"),
        _ => format!("{best:.2}"),
    })
}

/// A published error by its metric.
pub(super) fn published(
    metric: Metric,
    test: Option<f64>,
    others: &BTreeMap<Metric, f64>,
) -> Option<f64> {
    match metric {
        Metric::TestError => test,
        other => others.get(&other).copied(),
    }
}

fn network(
    family: &str,
    entry: &NetworkEntry,
    paper: Option<&PaperValue>,
    verdict: &Verdict,
    metrics: &[Metric],
) -> Row {
    let parameters = grouped(entry.network.parameter_count());
    let mut cells = vec![
        family.to_owned(),
        entry.network.depth().to_string(),
        match paper.and_then(|value| value.parameters.as_ref()) {
            Some(printed) => format!("{parameters} ({printed})"),
            None => parameters,
        },
    ];
    let mut any = false;
    for &metric in metrics {
        let measured = measured(verdict, entry, metric);
        any |= measured.is_ok();
        let ours = measured.map_or_else(str::to_owned, Measured::text);
        cells.extend([theirs(paper, metric), ours]);
    }
    Row { cells, ours: any }
}

/// Our error of a network, or why there is none.
pub(super) fn measured<'a>(
    verdict: &'a Verdict,
    entry: &NetworkEntry,
    metric: Metric,
) -> Result<&'a Measured, &'static str> {
    let mut rows = verdict.networks.iter();
    let row = rows.find(|row| row.network == entry.name);
    let measured = row.and_then(|row| match metric {
        Metric::TestError => row.test_error.as_ref(),
        other => row.others.get(&other),
    });
    let finished = row.is_some_and(|row| row.seeds_finished > 0);
    measured.ok_or(match entry.optional {
        _ if finished => "not measured",
        true => "not trained by default",
        false => "no finished run",
    })
}

/// The paper's cell of a network.
fn theirs(paper: Option<&PaperValue>, metric: Metric) -> String {
    let text = paper.and_then(|value| {
        let error = published(metric, value.test_error, &value.errors)?;
        let mut text = match value.best_of_five {
            Some(best) => format!("{best:.2} ({error:.2}"),
            None => format!("{error:.2}"),
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
        Some(text)
    });
    text.unwrap_or_else(|| NONE.into())
}

/// Profile, data, seeds.
pub(super) fn line(verdict: &Verdict) -> String {
    let seeds: Vec<String> = verdict.seeds.iter().map(u64::to_string).collect();
    let noun = if seeds.len() == 1 { "seed" } else { "seeds" };
    format!(
        "profile {} · {} · {noun} {}",
        verdict.profile,
        verdict.data,
        seeds.join(", ")
    )
}

fn notes(verdict: &Verdict, metrics: &[Metric]) -> Vec<String> {
    let mut notes = captions::errors(verdict);
    let evaluated = verdict.evaluated(|_| true);
    let names: Vec<&str> = metrics
        .iter()
        .map(|&metric| evaluated.metric(metric))
        .collect();
    let metric = names.join(" and the ");
    notes.push(format!(
        "Paper: best (mean ± deviation) if it reports several runs. Ours: mean ± deviation of the {metric} at the last \
         iteration, with batch-norm statistics of training images (number of seeds)."
    ));
    notes.extend(barely_learned(verdict));
    notes
}
