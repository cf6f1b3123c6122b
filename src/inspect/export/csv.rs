//! CSV (RFC 4180) with a header. Numbers round-trip bit for bit; missing numbers are empty. Texts that a spreadsheet would
//! take for a formula begin with `'`.

use crate::console::one_line;
use crate::inspect::is_held_out;
use crate::record::{Evaluation, Iteration, Split, Statistics, Views};
use crate::run::RunView;

/// The header of `runs.csv`.
pub(super) const RUNS: &str = "profile,network,seed,state,iteration,training_loss,test_error,moving_test_error,\
                               training_error_clean,data,data_digest,device,instructions,identity,commit,folder,split\n";

/// A run's row in `runs.csv`: its last results and provenance. `test_error` is on the images of `split`.
pub(super) fn run(
    folder: &str,
    run: &RunView,
    iterations: &[Iteration],
    evaluations: &[Evaluation],
) -> String {
    let plan = run.plan();
    let last = run.iteration;
    let error = |split, statistics| {
        let mut rows = evaluations.iter().rev();
        let row = rows.find(|row| row.iteration == last && row.is_of(split, statistics));
        row.map_or(String::new(), |row| row.error.to_string())
    };
    let loss = iterations.last().map(|row| row.loss.to_string());
    line(&[
        plan.profile.clone(),
        plan.network.name.clone(),
        plan.seed.to_string(),
        run.ending.to_string(),
        last.to_string(),
        loss.unwrap_or_default(),
        error(Split::Test, Statistics::Population),
        error(Split::Test, Statistics::Moving),
        error(Split::Train, Statistics::Population),
        run.file.notes.data.key().into(),
        one_line(&plan.data_digest),
        plan.processor.device().into(),
        plan.processor.instructions().into(),
        plan.identity().into(),
        run.file.start.commit.clone(),
        folder.into(),
        split_name(Split::Test, is_held_out(run)).into(),
    ])
}

/// The columns of `iterations.parquet`.
pub(super) fn iterations(rows: &[Iteration]) -> String {
    let mut text = String::from("iteration,epoch,learning_rate,loss,error,seconds\n");
    for row in rows {
        let floats = [
            row.epoch,
            row.learning_rate,
            row.loss,
            row.error,
            row.seconds,
        ];
        let mut fields = vec![row.iteration.to_string()];
        fields.extend(floats.iter().map(f64::to_string));
        text.push_str(&line(&fields));
    }
    text
}

/// `test`, `held-out` or `train`.
fn split_name(split: Split, held_out: bool) -> &'static str {
    match split {
        Split::Test if held_out => "held-out",
        other => other.name(),
    }
}

/// The columns of `evaluations.parquet`.
pub(super) fn evaluations(held_out: bool, rows: &[Evaluation]) -> String {
    let views = rows.iter().any(|row| row.views != Views::default());
    let mut text = String::from("iteration,split,statistics,images,loss,error,top5_error");
    text.push_str(if views { ",views\n" } else { "\n" });
    for row in rows {
        let mut fields = vec![
            row.iteration.to_string(),
            split_name(row.split, held_out).into(),
            row.statistics.name().into(),
            row.images.to_string(),
            row.loss.to_string(),
            row.error.to_string(),
            row.top5_error.to_string(),
        ];
        if views {
            fields.push(row.views.name().into());
        }
        text.push_str(&line(&fields));
    }
    text
}

fn line(fields: &[String]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| quoted(&inert(field))).collect();
    fields.join(",") + "\n"
}

/// The field as text for a spreadsheet, which would compute `=1+2` (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn inert(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula && field.parse::<f64>().is_err() {
        format!("'{field}")
    } else {
        field.into()
    }
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_separators_are_quoted() {
        let fields = ["a", "b,c", "say \"d\"", ""].map(String::from);
        assert_eq!(line(&fields), "a,\"b,c\",\"say \"\"d\"\"\",\n");
    }

    #[test]
    fn formulas_are_texts_and_numbers_stay() {
        let fields =
            ["=1+2", "+a", "-b", "@c", "\td", "\r", "-0.5", "-inf", "+2"].map(String::from);
        assert_eq!(
            line(&fields),
            "'=1+2,'+a,'-b,'@c,'\td,\"'\r\",-0.5,-inf,+2\n"
        );
    }

    #[test]
    fn numbers_round_trip() {
        let row = Iteration {
            iteration: 7,
            epoch: 0.1 + 0.2,
            learning_rate: 1e-7,
            loss: f64::NAN,
            error: 100.0 / 3.0,
            seconds: 1e300,
        };
        let text = iterations(std::slice::from_ref(&row));
        let fields: Vec<&str> = text.lines().nth(1).unwrap().split(',').collect();
        for (field, value) in fields[1..].iter().zip([
            row.epoch,
            row.learning_rate,
            row.loss,
            row.error,
            row.seconds,
        ]) {
            let read: f64 = field.parse().unwrap();
            assert!(read.to_bits() == value.to_bits() || read.is_nan() && value.is_nan());
        }
    }
}
