//! Folders that cannot be written, also by root: named with what to do about it, and nothing is lost. Images are read all the same.

use std::path::Path;
use std::process::Command;

use refig::run;

use super::common::cluster::{Cluster, succeeded};
use super::common::images::picture_set;
use super::common::program::silent;
use super::disk::read_only;
use super::pictures;
use super::scene::{
    assert_unwritable, ended_before, ends_well, files, kill, numbers, output, program, reproduce,
    undisturbed,
};

const REMEDY: &str = "name a writable folder with --results-dir";

#[test]
fn results_that_cannot_be_written_are_named_and_stay_as_they_are() {
    let place = tempfile::tempdir().unwrap();
    let results = place.path().join("results");
    std::fs::create_dir(&results).unwrap();
    // Without a run, and with one that was killed.
    for killed in [false, true] {
        if killed {
            let mut child = reproduce(place.path()).spawn().unwrap();
            ended_before(&mut child, undisturbed().1 / 4);
            kill(child);
        }
        let before = files(place.path());
        for more in [&[] as &[&str], &["--jobs", "2"]] {
            let mut command = reproduce(place.path());
            command.args(more);
            let Some(mut command) = read_only(&results, &command) else {
                return;
            };
            assert_unwritable(&output(&mut command), REMEDY);
            assert!(files(place.path()) == before, "{more:?}");
        }
    }
    ends_well(place.path(), "results that could not be written");
    // What only reads needs no more, and draws elsewhere.
    let out = place.path().join("out");
    let out = out.to_str().unwrap();
    for words in [
        &["status"][..],
        &["check", "tiny", "--profile", "tiny", "--write"],
        &["report", "--all"],
        &["export", "csv", "--out", out],
        &["watch", "--once"],
    ] {
        let mut command = program(place.path());
        command.args(words);
        if let Some(mut command) = read_only(&results, &command) {
            succeeded(output(&mut command));
        }
    }
}

#[test]
fn a_pack_is_not_unpacked_into_results_that_cannot_be_written() {
    let made = tempfile::tempdir().unwrap();
    assert!(reproduce(made.path()).status().unwrap().success());
    let runs = run::find(&made.path().join("results")).unwrap();
    let pack = made.path().join("run.tar");
    run::pack(&made.path().join("results"), &runs[0].folder, &pack).unwrap();
    let place = tempfile::tempdir().unwrap();
    let results = place.path().join("results");
    std::fs::create_dir(&results).unwrap();
    let mut command = program(place.path());
    command.args(["run", "unpack"]).arg(&pack);
    if let Some(mut refused) = read_only(&results, &command) {
        assert_unwritable(&output(&mut refused), REMEDY);
        assert!(files(place.path()).is_empty());
    }
    succeeded(output(&mut command));
}

#[test]
fn a_launch_submits_nothing_where_it_cannot_be_recorded() {
    let cluster = Cluster::new();
    let results = cluster.at("results");
    std::fs::create_dir(&results).unwrap();
    if let Some(mut refused) = read_only(&results, &cluster.launching()) {
        assert_unwritable(&output(&mut refused), REMEDY);
        assert_eq!(cluster.calls("sbatch"), 0);
    }
    succeeded(cluster.launch(&[]));
    cluster.assert_queued_once();
}

#[test]
fn reports_that_cannot_be_written_are_named_behind_the_verdict() {
    let place = tempfile::tempdir().unwrap();
    let reports = place.path().join("reports");
    std::fs::create_dir(&reports).unwrap();
    let Some(mut refused) = read_only(&reports, &reproduce(place.path())) else {
        return;
    };
    let refused = output(&mut refused);
    assert_unwritable(&refused, "choose a writable folder");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains(reports.to_str().unwrap()), "{said}");
    let verdict = String::from_utf8_lossy(&refused.stdout);
    assert!(verdict.starts_with("tiny: 1 of 1 claim"), "{verdict}");
    // The runs are there.
    assert!(numbers(place.path()) == undisturbed().0);
    ends_well(place.path(), "reports that could not be written");
}

#[test]
fn nothing_is_fetched_into_a_folder_that_cannot_be_written() {
    let place = tempfile::tempdir().unwrap();
    let cache = place.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let mut command = silent(&["data", "fetch", "cifar10", "--offline"], place.path());
    command.arg("--from").arg(place.path());
    if let Some(mut refused) = read_only(&cache, &command) {
        assert_unwritable(&output(&mut refused), "move the cache with REFIG_CACHE");
        assert!(files(place.path()).is_empty());
    }
}

/// One network on the pictures of `set`.
fn train(place: &Path, set: &Path) -> Command {
    let mut command = pictures::reproduce(place);
    command.args(["--networks", "plain-18"]);
    command.env("IMAGENET_DIR", set);
    command
}

#[test]
fn pictures_and_a_cache_that_cannot_be_written_change_nothing() {
    let made = tempfile::tempdir().unwrap();
    let set = made.path().join("set");
    picture_set(&set);
    let (whole, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = place.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let sealed = read_only(&cache, &train(place.path(), &set));
    let Some(mut sealed) = sealed.and_then(|command| read_only(&set, &command)) else {
        return;
    };
    pictures::assert_done(train(whole.path(), &set).status().unwrap());
    let done = output(&mut sealed);
    pictures::assert_done(done.status);
    assert!(numbers(place.path()) == numbers(whole.path()));
    assert!(files(&cache).is_empty());
}
