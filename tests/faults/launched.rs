//! Launches that are killed with SIGKILL at random moments, or whose record is damaged: the next start submits nothing twice.

use std::process::Stdio;

use refig::random::{Purpose, Stream};

use super::common::cluster::{Cluster, succeeded};
use super::files::damaged;
use super::scene::{assert_unwritable, files, kill_at_random, kills};

#[test]
fn a_launch_that_is_killed_submits_nothing_twice() {
    kill_at_random(
        "launching",
        || {
            let cluster = Cluster::new();
            cluster.set("slow");
            cluster
        },
        |cluster| {
            let mut command = cluster.launching();
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        },
        |cluster| {
            succeeded(cluster.launch_at_last());
            cluster.assert_queued_once();
        },
    );
}

#[test]
fn a_damaged_record_of_a_launch_is_named_and_the_other_files_are_written_again() {
    let cluster = Cluster::new();
    succeeded(cluster.launch(&[]));
    let launches = cluster.at("results/.launches");
    let queue = cluster.queue();
    let mut random = Stream::new(17, Purpose::Shuffle, 0, 0);
    for (name, bytes) in files(&launches) {
        if bytes.is_empty() {
            continue;
        }
        let path = launches.join(&name);
        for _ in 0..kills(10, 1) {
            std::fs::write(&path, damaged(&bytes, &mut random)).unwrap();
            let output = cluster.launch(&[]);
            if name.ends_with("launch.toml") {
                assert_unwritable(&output, "see which jobs are queued, cancel them");
                std::fs::write(&path, &bytes).unwrap();
            } else {
                succeeded(output);
            }
            assert_eq!(cluster.queue(), queue, "{name:?}");
        }
    }
    cluster.assert_queued_once();
}
