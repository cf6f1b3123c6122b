//! Hosts that do not see each other's locks: one works on a run, and is told when another has taken it over.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{notes, plan, rows_of, same_but_seconds, train, train_in};
use refig::exit::Exit;
use refig::run::disk::Disk;
use refig::run::{Locking, RunDirectory, Watching, find};

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
        (&plan(), plan().processor),
        &notes(),
        fresh,
        &mut |_| Ok(()),
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

#[test]
fn whoever_waits_for_another_host_is_told_of_it_once() {
    let results = tempfile::tempdir().unwrap();
    let _first = open(&hanging(), results.path(), false).unwrap();
    let mut told = Vec::new();
    let mut looks = 0;
    let mut watcher = |watching: Watching<'_>| -> anyhow::Result<()> {
        match watching {
            Watching::Begins(what) => told.push(what.to_owned()),
            Watching::GoesOn => looks += 1,
        }
        Ok(())
    };
    let how = (Disk::default(), &other(false));
    let refused = RunDirectory::open_as(
        how,
        results.path(),
        (&plan(), plan().processor),
        &notes(),
        false,
        &mut watcher,
    );
    busy(refused);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(" on one; "), "{told:?}");
    assert!(looks > 1);
}

#[cfg(unix)]
mod processes {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::{Child, Command, Stdio};

    use refig::exit::Exit;
    use refig::orchestrate::plan_file;
    use refig::run::disk::Disk;
    use refig::run::{Notes, RunDirectory};

    use super::common::tiny::{freeze, refig};
    use super::hanging;

    /// Whether this process, and so those that it starts, ignores SIGHUP, as under `nohup`.
    fn ignores_hangups() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 1 != 0)
    }

    #[test]
    fn a_signal_ends_the_wait_for_another_host() {
        let folder = tempfile::tempdir().unwrap();
        let file = freeze(folder.path());
        let plan = plan_file::read(&file).unwrap();
        let results = folder.path().join("results");
        let held: Vec<RunDirectory> = plan
            .runs
            .iter()
            .map(|run| {
                let how = (Disk::default(), &hanging());
                let notes = Notes::default();
                RunDirectory::open_as(
                    how,
                    &results,
                    (&run.plan, run.plan.processor),
                    &notes,
                    false,
                    &mut |_| Ok(()),
                )
                .unwrap()
            })
            .collect();
        let worker = |index: &str, more: &[&str]| -> Child {
            let mut command = refig(folder.path(), "run");
            command.arg("--plan").arg(&file).args(["--index", index]);
            command.args(["--offline", "--threads", "1"]).args(more);
            command.stderr(Stdio::piped()).spawn().unwrap()
        };
        // It waits to the end meanwhile, without a word before its error.
        let quiet = worker("1", &["--quiet"]);

        let hang_up = ("-HUP", Exit::HungUp);
        for (signal, exit) in [
            ("-INT", Exit::Interrupted),
            ("-TERM", Exit::Terminated),
            hang_up,
        ] {
            if signal == hang_up.0 && ignores_hangups() {
                println!("skipped: SIGHUP, which this process ignores");
                continue;
            }
            let mut child = worker("0", &[]);
            let mut said = BufReader::new(child.stderr.take().unwrap());
            let mut line = String::new();
            while !line.contains(" on one; watching for up to 10 s") {
                line.clear();
                assert_ne!(said.read_line(&mut line).unwrap(), 0, "it did not wait");
            }
            let sent = Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status();
            assert!(sent.unwrap().success());
            let mut rest = String::new();
            said.read_to_string(&mut rest).unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(exit as i32), "{rest}");
            assert!(!rest.contains("watching"), "{rest}");
            assert!(rest.contains("run the same command again"), "{rest}");
        }

        let output = quiet.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(Exit::Busy as i32), "{said}");
        assert!(said.contains("gave no sign of life"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        // Nothing was taken from the owners, who can leave the runs to others.
        drop(held);
        assert!(worker("0", &[]).wait().unwrap().success());
    }
}
