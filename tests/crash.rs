//! A run stopped between any two operations on its directory and started again gives the records and weights of a run
//! that was never stopped, to the bit.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{LAST, plan, rows_of, same_but_seconds, train};
use refig::record::Ending;
use refig::run::disk::Disk;
use refig::run::fault::{Fault, Stop};
use refig::run::find;

/// Final records and weights of the run in `results`.
fn result_of(results: &Path) -> (refig::run::Rows, Vec<u8>) {
    let runs = find(results).unwrap();
    assert_eq!(runs.len(), 1);
    let ended = (runs[0].ending, runs[0].iteration);
    assert_eq!(ended, (Ending::Finished, LAST));
    let weights = std::fs::read(runs[0].weights().unwrap()).unwrap();
    let left: Vec<_> = std::fs::read_dir(&runs[0].folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("checkpoint") || name == "parts" || name.ends_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    (rows_of(&runs[0]), weights)
}

/// Stops after each number of operations, then goes on; returns how many stops there were.
fn stops(kind: Stop, fresh_over_a_finished_run: bool) -> u64 {
    let whole = tempfile::tempdir().unwrap();
    train(Disk::default(), whole.path(), false).unwrap();
    let (rows, weights) = result_of(whole.path());
    assert_eq!(rows.iterations.len() as u64, LAST);
    for after in 0.. {
        let folder = tempfile::tempdir().unwrap();
        if fresh_over_a_finished_run {
            train(Disk::default(), folder.path(), false).unwrap();
        }
        let fault = Arc::new(Fault::new(kind, after));
        let disk = Disk::with_fault(fault.clone());
        let stopped = train(disk, folder.path(), fresh_over_a_finished_run);
        assert_eq!(stopped.is_err(), fault.tripped(), "after {after}");
        if stopped.is_ok() {
            return after;
        }
        // A second stop soon after the first, at a place that changes with it.
        let fault = Arc::new(Fault::new(kind, after * 7 % 11));
        train(Disk::with_fault(fault), folder.path(), false).ok();
        train(Disk::default(), folder.path(), false)
            .unwrap_or_else(|error| panic!("{kind:?} after {after}: {error:#}"));
        let (again, weights_again) = result_of(folder.path());
        assert!(same_but_seconds(&rows, &again), "{kind:?} after {after}");
        assert_eq!(weights, weights_again, "{kind:?} after {after}");
    }
    unreachable!()
}

#[test]
fn a_kill_between_any_two_operations_changes_nothing() {
    let stops = stops(Stop::Kill, false);
    assert!(stops > 60, "only {stops} places to stop");
}

#[test]
fn a_power_cut_between_any_two_operations_changes_nothing() {
    let stops = stops(Stop::PowerCut, false);
    assert!(stops > 60, "only {stops} places to stop");
}

#[test]
fn a_fresh_start_can_be_stopped_anywhere_too() {
    stops(Stop::Kill, true);
}

#[test]
fn doing_the_end_twice_is_harmless() {
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    let before = result_of(results.path());
    train(Disk::default(), results.path(), false).unwrap();
    assert!(before == result_of(results.path()));
    assert_eq!(find(results.path()).unwrap()[0].plan(), &plan());
}
