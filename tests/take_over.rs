//! Hosts that do not see each other's locks: one works on a run, and is told when another has taken it over.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{notes, plan, rows_of, same_but_seconds, train, train_in};
use refig::exit::Exit;
use refig::run::disk::Disk;
use refig::run::{Locking, RunDirectory, find};

/// A host without the system's locks.
fn on(host: &str, beat: Duration, take_over: bool) -> Locking {
    Locking {
        take_over,
        host: host.into(),
        boot: format!("boot-of-{host}"),
        beat,
        flock: false,
    }
}

/// A process that hangs, as others see it.
fn hanging() -> Locking {
    on("one", Duration::from_secs(3600), false)
}

/// Another host that soon loses its patience.
fn other(take_over: bool) -> Locking {
    on("two", Duration::from_millis(10), take_over)
}

fn open(locking: &Locking, results: &Path, fresh: bool) -> anyhow::Result<RunDirectory> {
    RunDirectory::open_as(
        (Disk::default(), locking),
        results,
        &plan(),
        &notes(),
        fresh,
    )
}

/// The message of a process that may not work on the run.
fn busy<T>(result: anyhow::Result<T>) -> String {
    let Err(error) = result else {
        panic!("it went on");
    };
    assert_eq!(Exit::of(&error), Exit::Busy, "{error:#}");
    format!("{error:#}")
}

#[test]
fn an_owner_that_was_thought_dead_leaves_the_run_to_the_next() {
    let undisturbed = tempfile::tempdir().unwrap();
    train(Disk::default(), undisturbed.path(), false).unwrap();
    let expected = find(undisturbed.path()).unwrap().remove(0);
    let last = common::LAST;
    for (fresh, taken_at) in [(false, 1), (false, 4), (false, last), (true, 4)] {
        let results = tempfile::tempdir().unwrap();
        let mut first = open(&hanging(), results.path(), false).unwrap();
        let mut second = None;
        let said = busy(train_in(&mut first, |iteration| {
            if iteration == taken_at {
                let refused = busy(open(&other(false), results.path(), fresh));
                assert!(refused.contains("--take-over"), "{refused}");
                let taken = open(&other(true), results.path(), fresh).unwrap();
                second = Some(taken);
            }
        }));
        assert!(said.contains("taken over by process"), "{said}");
        assert!(said.contains("on two"), "{said}");
        // Whatever it was about to write.
        busy(first.finish(refig::record::Ending::Finished, &common::weights(9.0)));
        drop(first);
        let mut second = second.unwrap();
        train_in(&mut second, |_| {}).unwrap();
        drop(second);
        let run = find(results.path()).unwrap().remove(0);
        assert!(run.ending.is_final());
        assert!(same_but_seconds(&rows_of(&run), &rows_of(&expected)));
        let tensors = |run: &refig::run::RunView| run.load_weights().unwrap().unwrap().tensors;
        assert_eq!(tensors(&run), tensors(&expected));
        // Nothing is left that would be in anyone's way.
        drop(
            open(
                &on("three", Duration::from_secs(1), false),
                results.path(),
                false,
            )
            .unwrap(),
        );
    }
}

#[test]
fn an_owner_that_lives_keeps_the_run() {
    let results = tempfile::tempdir().unwrap();
    let alive = on("one", Duration::from_millis(5), false);
    let mut first = open(&alive, results.path(), false).unwrap();
    train_in(&mut first, |iteration| {
        if iteration == 3 {
            let patient = on("two", Duration::from_secs(4), true);
            let said = busy(open(&patient, results.path(), false));
            assert!(said.contains("on one is working on this run"), "{said}");
        }
    })
    .unwrap();
}
