//! Other programs read, filter and join the records: pyarrow, DuckDB and pandas, where a Python has them.

mod common;

use std::collections::BTreeMap;
use std::process::Command;

use common::python;
use refig::record::parquet::{write_evaluations, write_iterations};
use refig::record::{Evaluation, Iteration, Split, Statistics, Views};

const SCRIPT: &str = r#"
import sys
import pyarrow.parquet as pq, pyarrow.compute as pc
folder = sys.argv[1]
table = pq.read_table(f"{folder}/evaluations.parquet")
assert "view" not in str(table.schema), table.schema
test = table.filter(pc.equal(table["split"], "test"))
assert test.num_rows == 2 and set(test["network"].to_pylist()) == {"plain-20"}, test
rows = pq.read_table(f"{folder}/iterations.parquet").to_pydict()
assert rows["iteration"] == [1, 2, 3] and rows["seed"] == [7, 7, 7], rows
import pandas
frame = pandas.read_parquet(f"{folder}/evaluations.parquet")
assert list(frame[frame.statistics == "population"].error) == [30.5, 20.5], frame
import duckdb
found = duckdb.sql(f"""select network, seed, statistics, min(error) from '{folder}/evaluations.parquet'
    where split = 'test' group by all order by statistics""").fetchall()
assert found == [("plain-20", 7, "moving", 31.5), ("plain-20", 7, "population", 30.5)], found
"#;

#[test]
fn the_usual_readers_filter_the_records() {
    let Some(python) = python::with("pyarrow, duckdb, pandas") else {
        println!(
            "SKIPPED: no pyarrow, DuckDB and pandas here; `pip install pyarrow duckdb pandas`, or name a Python that has them with PYTHON"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let provenance = BTreeMap::from([
        ("network".to_string(), "plain-20".to_string()),
        ("seed".to_string(), "7".to_string()),
    ]);
    let iterations: Vec<Iteration> = (1..=3)
        .map(|iteration| Iteration {
            iteration,
            epoch: 0.1,
            learning_rate: 0.1,
            loss: 2.0,
            error: 90.0,
            seconds: 1.0,
        })
        .collect();
    let evaluation = |split, statistics, error| Evaluation {
        views: Views::Centre,
        iteration: 3,
        split,
        statistics,
        images: 10,
        loss: 1.0,
        error,
        top5_error: 0.0,
    };
    let evaluations = [
        evaluation(Split::Test, Statistics::Population, 30.5),
        evaluation(Split::Test, Statistics::Moving, 31.5),
        evaluation(Split::Train, Statistics::Population, 20.5),
    ];
    let path = |name: &str| folder.path().join(name);
    write_iterations(&path("iterations.parquet"), &iterations, &provenance).unwrap();
    write_evaluations(&path("evaluations.parquet"), &evaluations, &provenance).unwrap();
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
