//! Compares two runs: recipe, provenance, results and records.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use super::place::is_held_out;
use crate::console::one_line;
use crate::counted::counted;
use crate::recipe::TRAINING_WINDOW;
use crate::record::{Ending, Evaluation, Iteration, Split, Statistics, curve};
use crate::run::{Rows, RunView};

/// A fact that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub what: String,
    pub one: String,
    pub other: String,
}

/// The differences between two runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Network, recipe, evaluation, seed, data, device: what determines the numbers.
    pub recipe: Vec<Row>,
    /// Commit, machine, times: should not matter.
    pub provenance: Vec<Row>,
    /// State, final and best errors.
    pub numbers: Vec<Row>,
    /// How far the records are bit-identical, except for `seconds`.
    pub records: String,
    /// Whether all records are.
    pub same_records: bool,
}

impl Difference {
    /// Whether recipe, results and records are the same. Provenance does not count.
    pub fn is_none(&self) -> bool {
        self.recipe.is_empty() && self.numbers.is_empty() && self.same_records
    }

    /// `the same`, or `different: recipe, numbers, records`.
    pub fn verdict(&self) -> String {
        let parts = [
            ("recipe", self.recipe.is_empty()),
            ("numbers", self.numbers.is_empty()),
            ("records", self.same_records),
        ];
        let other = parts.into_iter().filter(|(_, same)| !same);
        let other: Vec<&str> = other.map(|(part, _)| part).collect();
        match other.is_empty() {
            true => "the same".into(),
            false => format!("different: {}", other.join(", ")),
        }
    }

    /// The differences as text, for the terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (heading, rows) in [
            ("recipe", &self.recipe),
            ("provenance", &self.provenance),
            ("numbers", &self.numbers),
        ] {
            if rows.is_empty() {
                let _ = writeln!(text, "{heading}: the same");
                continue;
            }
            let _ = writeln!(text, "{heading}:");
            let wide = |side: fn(&Row) -> &String| {
                let lengths = rows.iter().map(|row| side(row).chars().count());
                lengths.max().unwrap_or(0)
            };
            let (what, one) = (wide(|row| &row.what), wide(|row| &row.one));
            for row in rows {
                let _ = writeln!(
                    text,
                    "  {:<what$}  {:<one$}  {}",
                    row.what, row.one, row.other
                );
            }
        }
        let _ = writeln!(text, "records: {}", self.records);
        text
    }
}

/// Compares two runs.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] if records cannot be read.
pub fn difference(one: RunView, other: RunView) -> Result<Difference> {
    let mut difference = Difference::default();
    let ((one, rows), (other, other_rows)) = (one.read()?, other.read()?);
    let plans = [&one, &other].map(|run| serde_json::to_value(run.plan()));
    let [a, b] = plans;
    compare("", &a?, &b?, &mut difference.recipe);
    // Hashes of the other fields, and the folder.
    let derived = ["identity", "measured", "profile"];
    difference
        .recipe
        .retain(|row| !derived.contains(&row.what.as_str()));
    let starts = [&one, &other].map(|run| {
        serde_json::to_value(serde_json::json!({
            "data": run.file.notes.data,
            "overrides": run.file.notes.overrides,
            "threads": run.file.notes.threads,
            "profile": run.plan().profile,
            "start": run.file.start,
            "restarts": run.file.restarts.len(),
        }))
    });
    let [a, b] = starts;
    compare("", &a?, &b?, &mut difference.provenance);

    let held_out = [&one, &other].map(is_held_out);
    let a = numbers(&one, &rows, held_out == [true, true]);
    let b = numbers(&other, &other_rows, held_out == [true, true]);
    for ((what, one), (_, other)) in a.into_iter().zip(b) {
        if one != other {
            difference.numbers.push(Row { what, one, other });
        }
    }
    (difference.same_records, difference.records) = same_until(&rows, &other_rows);
    Ok(difference)
}

/// Collects leaves that differ, with their paths.
fn compare(path: &str, one: &Value, other: &Value, rows: &mut Vec<Row>) {
    let below = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                compare(&below(key), value, b.get(key).unwrap_or(&Value::Null), rows);
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                compare(&below(key), &Value::Null, value, rows);
            }
        }
        (a, b) if a == b => {}
        (a, b) => rows.push(Row {
            what: path.to_owned(),
            one: short(a),
            other: short(b),
        }),
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) if text.is_empty() => "–".into(),
        Value::String(text) => one_line(text),
        other => one_line(&other.to_string()),
    }
}

/// A run's results by name, with the same names for both runs. If `both_held_out`, neither is evaluated on the test set.
fn numbers(run: &RunView, rows: &Rows, both_held_out: bool) -> Vec<(String, String)> {
    let (iterations, evaluations) = (&rows.iterations, &rows.evaluations);
    let state = match run.ending {
        Ending::Partial => format!("unfinished at {}", run.iteration),
        ending => format!("{ending} at {}", run.iteration),
    };
    let percent = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.4} %"));
    let at = |row: Option<&Evaluation>| {
        row.map_or("–".into(), |row| {
            let images = match row.split {
                Split::Test if is_held_out(run) && !both_held_out => " (validation)",
                _ => "",
            };
            format!("{:.4} % at {}{images}", row.error, row.iteration)
        })
    };
    let last = |split, statistics| {
        let mut rows = evaluations.iter().rev();
        at(rows.find(|row| row.is_of(split, statistics)))
    };
    let best = evaluations
        .iter()
        .filter(|row| row.is_of(Split::Test, Statistics::Population))
        .filter(|row| row.error.is_finite())
        .min_by(|a, b| {
            a.error
                .total_cmp(&b.error)
                .then(a.iteration.cmp(&b.iteration))
        });
    let training = curve::training(iterations, TRAINING_WINDOW, u64::MAX);
    let test = match both_held_out {
        true => "validation error",
        false => "test error",
    };
    vec![
        ("state".into(), state),
        (
            format!("{test}, last"),
            last(Split::Test, Statistics::Population),
        ),
        (format!("{test}, best"), at(best)),
        (
            format!("{test}, moving average"),
            last(Split::Test, Statistics::Moving),
        ),
        (
            "training error".into(),
            percent(training.last().map(|point| point.error)),
        ),
        (
            "training error, clean pass".into(),
            last(Split::Train, Statistics::Population),
        ),
        (
            "training loss".into(),
            iterations
                .last()
                .map_or("–".into(), |row| format!("{:.6}", row.loss)),
        ),
    ]
}

/// Whether all rows are bit-identical, and how far they are.
fn same_until(rows: &Rows, other_rows: &Rows) -> (bool, String) {
    let (one, other) = (&rows.iterations, &other_rows.iterations);
    let (evaluated, evaluated_other) = (&rows.evaluations, &other_rows.evaluations);
    let bits = |row: &Iteration| {
        let floats = [row.epoch, row.learning_rate, row.loss, row.error];
        (row.iteration, floats.map(f64::to_bits))
    };
    let measured = |row: &Evaluation| {
        let floats = [row.loss, row.error, row.top5_error];
        let what = (
            row.iteration,
            row.split,
            row.statistics,
            row.views,
            row.images,
        );
        (what, floats.map(f64::to_bits))
    };
    let rows = one
        .iter()
        .zip(other)
        .take_while(|(a, b)| bits(a) == bits(b));
    let rows = rows.count();
    let iterations = counted(rows, "iteration");
    let evaluations = evaluated
        .iter()
        .zip(evaluated_other)
        .take_while(|(a, b)| measured(a) == measured(b))
        .count();
    if rows == one.len() && rows == other.len() {
        if evaluations == evaluated.len() && evaluations == evaluated_other.len() {
            let evaluations = counted(evaluations, "evaluation");
            return (
                true,
                format!("bit-identical, {iterations} and {evaluations}"),
            );
        }
        let at = evaluated
            .get(evaluations)
            .or(evaluated_other.get(evaluations));
        let at = at.map_or(0, |row| row.iteration);
        return (
            false,
            format!("bit-identical for {iterations}; evaluations differ from iteration {at} on"),
        );
    }
    let text = match (one.get(rows), other.get(rows)) {
        (Some(a), Some(b)) => format!(
            "bit-identical for {iterations}; losses at {} are {} and {}",
            a.iteration, a.loss, b.loss
        ),
        _ => format!(
            "bit-identical for {iterations}, where one ends; the runs have {} and {}",
            one.len(),
            other.len()
        ),
    };
    (false, text)
}
