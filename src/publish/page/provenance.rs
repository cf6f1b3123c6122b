//! What the runs were made with: each fact once, and the runs where it differs.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::contents::{Cell, Section};
use crate::console::one_line;
use crate::counted::counted;
use crate::judge::RunEvidence;

/// Fields of a start that describe neither the machine nor the program, or that the plan has.
const PER_START: [&str; 3] = ["time", "iteration", "processor"];

/// The values of a fact, each with its runs.
type Values = Vec<(String, Vec<String>)>;

/// A table of facts; none without runs.
pub(super) fn section(runs: &[RunEvidence]) -> Result<Option<Section>> {
    // Facts in the order of `run.toml`, values in the order of the runs.
    let mut facts: Vec<(String, Values)> = Vec::new();
    let mut add = |name: &str, value: String, run: &RunEvidence| {
        let at = facts.iter().position(|(known, _)| known == name);
        let at = at.unwrap_or_else(|| {
            facts.push((name.into(), Vec::new()));
            facts.len() - 1
        });
        let values = &mut facts[at].1;
        let (value, run) = (one_line(&value), run.view.title());
        match values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, runs)) => runs.push(run),
            None => values.push((value, vec![run])),
        }
    };
    let mut times = BTreeMap::new();
    let mut restarts = 0;
    for run in runs {
        let (plan, file) = (run.plan(), &run.view.file);
        add("data", file.notes.data.key().into(), run);
        add("data digest", plan.data_digest.clone(), run);
        let (device, instructions) = (plan.processor.device(), plan.processor.instructions());
        add(
            "device",
            format!("{device} {instructions}").trim().into(),
            run,
        );
        add("precision", plan.recipe.precision.name().into(), run);
        add("numerics version", plan.numerics_version.to_string(), run);
        if let Value::Object(fields) = serde_json::to_value(&file.start)? {
            for (name, value) in fields {
                if !PER_START.contains(&name.as_str()) {
                    add(&name.replace('_', " "), value_text(&value), run);
                }
            }
        }
        for value in file.moves() {
            add("resumed elsewhere", value, run);
        }
        restarts += file.restarts.len();
        times.insert(file.start.time.clone(), ());
        if let Some(ended) = &run.view.ended {
            times.insert(one_line(ended), ());
        }
    }
    let mut rows: Vec<Vec<Cell>> = facts
        .into_iter()
        .filter(|(_, values)| values.iter().any(|(value, _)| !value.is_empty()))
        .map(|(name, values)| vec![Cell::text(name), Cell::text(with_runs(values, runs.len()))])
        .collect();
    if let (Some((first, ())), Some((last, ()))) = (times.first_key_value(), times.last_key_value())
    {
        rows.push(vec![
            Cell::text("made"),
            Cell::text(format!(
                "{first} to {last}, {}",
                counted(restarts, "restart")
            )),
        ]);
    }
    Ok(Section::table(
        "provenance",
        "Provenance",
        &["Where the runs differ, each value names its runs."],
        &["fact", "value"],
        rows,
    ))
}

fn with_runs(values: Vec<(String, Vec<String>)>, all: usize) -> String {
    if let [(value, runs)] = &values[..]
        && runs.len() == all
    {
        return value.clone();
    }
    let each: Vec<String> = values
        .into_iter()
        .map(|(value, runs)| {
            let value = if value.is_empty() { "unknown" } else { &value };
            match runs.len() {
                1..=4 => format!("{value} ({})", runs.join(", ")),
                count => format!("{value} ({count} of {all} runs)"),
            }
        })
        .collect();
    each.join("; ")
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(value_text).collect();
            items.join(", ")
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name}={}", value_text(value)))
                .collect();
            fields.join(", ")
        }
        Value::Number(number) => number.to_string(),
    }
}

/// The runs' commit, if they share one and every start had a clean tree.
pub(super) fn commit(runs: &[RunEvidence]) -> Option<String> {
    let first = &runs.first()?.view.file.start.commit;
    let same = runs.iter().all(|run| {
        let file = &run.view.file;
        let mut starts = std::iter::once(&file.start).chain(&file.restarts);
        starts.all(|start| start.commit == *first && !start.dirty)
    });
    (same && !first.is_empty()).then(|| first.clone())
}
