//! What is recorded is read back to the bit, with its provenance, and damage is named.

use std::collections::BTreeMap;

use refig::exit::Exit;
use refig::record::parquet::{
    evaluations_from, iterations_from, iterations_to_bytes, read_evaluations, read_iterations,
    read_provenance, write_evaluations, write_iterations,
};
use refig::record::{Evaluation, Iteration, Split, Statistics, Views};

fn iterations(count: u64) -> Vec<Iteration> {
    (1..=count)
        .map(|iteration| Iteration {
            iteration,
            epoch: iteration as f64 * 128.0 / 50_000.0,
            learning_rate: 0.1,
            loss: 2.3 / iteration as f64,
            error: 100.0 / 3.0,
            seconds: iteration as f64 * 0.26,
        })
        .collect()
}

fn provenance() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("identity".to_string(), "abc".to_string()),
        ("overrides".to_string(), String::new()),
    ])
}

#[test]
fn iterations_come_back_to_the_bit_even_where_training_diverged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("iterations.parquet");
    for count in [0, 1, 64_000] {
        let mut rows = iterations(count);
        if let Some(last) = rows.last_mut() {
            last.loss = f64::NAN;
            last.error = f64::INFINITY;
        }
        write_iterations(&path, &rows, &provenance()).unwrap();
        let read = read_iterations(&path).unwrap();
        assert_eq!(read.len(), rows.len());
        for (read, row) in read.iter().zip(&rows) {
            let bits = |row: &Iteration| {
                [
                    row.epoch,
                    row.learning_rate,
                    row.loss,
                    row.error,
                    row.seconds,
                ]
                .map(f64::to_bits)
            };
            assert_eq!((read.iteration, bits(read)), (row.iteration, bits(row)));
        }
    }
}

#[test]
fn evaluations_come_back_with_their_split_and_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evaluations.parquet");
    let rows: Vec<Evaluation> = [Split::Test, Split::Train]
        .into_iter()
        .flat_map(|split| [(split, Statistics::Population), (split, Statistics::Moving)])
        .map(|(split, statistics)| Evaluation {
            iteration: 64_000,
            split,
            statistics,
            views: Views::default(),
            images: 10_000,
            loss: 0.1 + 0.2,
            error: 8.75,
            top5_error: 0.3,
        })
        .collect();
    write_evaluations(&path, &rows, &provenance()).unwrap();
    assert_eq!(read_evaluations(&path).unwrap(), rows);
    write_evaluations(&path, &[], &provenance()).unwrap();
    assert_eq!(read_evaluations(&path).unwrap(), []);
}

#[test]
fn views_are_a_column_only_where_some_are_not_of_the_centre() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evaluations.parquet");
    let row = |views| Evaluation {
        iteration: 1,
        split: Split::Test,
        statistics: Statistics::Population,
        views,
        images: 10,
        loss: 1.0,
        error: 2.0,
        top5_error: 3.0,
    };
    let column = || {
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(5).any(|window| window == b"views")
    };
    write_evaluations(&path, &[row(Views::Centre)], &provenance()).unwrap();
    assert!(!column());
    let rows = [
        Views::Centre,
        Views::TenCrop,
        Views::MultiScale,
        Views::SquareScales,
    ]
    .map(row);
    write_evaluations(&path, &rows, &provenance()).unwrap();
    assert!(column());
    assert_eq!(read_evaluations(&path).unwrap(), rows);
    assert!(rows[0].is_of(Split::Test, Statistics::Population));
    assert!(!rows[1].is_of(Split::Test, Statistics::Population));
    // What earlier versions wrote under this name was of squares.
    assert_eq!(Views::parse("multi-scale"), Some(Views::SquareScales));
    assert_ne!(Views::MultiScale.name(), "multi-scale");
}

#[test]
fn provenance_is_inside_and_the_bytes_follow_from_rows_and_provenance() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("iterations.parquet");
    write_iterations(&path, &iterations(3), &provenance()).unwrap();
    assert_eq!(read_provenance(&path).unwrap(), provenance());
    assert_eq!(
        std::fs::read(&path).unwrap(),
        iterations_to_bytes(&iterations(3), &provenance()).unwrap()
    );
}

#[test]
fn a_damaged_or_foreign_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("iterations.parquet");
    let bytes = iterations_to_bytes(&iterations(500), &provenance()).unwrap();
    for cut in [0, 3, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let error = read_iterations(&path).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Storage, "cut at {cut}");
        assert!(error.to_string().contains("iterations.parquet"), "{error}");
    }
    std::fs::write(&path, &bytes).unwrap();
    let error = read_evaluations(&path).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
}

#[test]
fn a_footer_that_asks_for_memory_gets_none() {
    // A version, then a list of two thousand million columns; as a list, and as the text that a reader may take for one.
    for head in [b"\x15\x02\x19\xfc", b"\x15\x02\x18\x05"] {
        let mut footer = head.to_vec();
        footer.extend(b"\xff\xff\xff\xff\x07");
        footer.extend([0u8; 20]);
        let mut bytes = b"PAR1".to_vec();
        bytes.extend(&footer);
        bytes.extend((footer.len() as u32).to_le_bytes());
        bytes.extend(b"PAR1");
        let path = std::path::Path::new("forged.parquet");
        let refused = [
            iterations_from(path, bytes.clone()).err(),
            evaluations_from(path, bytes.clone()).err(),
        ];
        for error in refused {
            let error = error.unwrap();
            assert_eq!(Exit::of(&error), Exit::Storage);
            assert!(error.to_string().contains("forged.parquet"), "{error}");
        }
    }
}
