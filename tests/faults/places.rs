//! A disk that fills up while runs are trained, and two processes at once.

use std::process::Stdio;
use std::time::Duration;

use refig::exit::Exit;

use super::disk::SmallDisk;
use super::scene::{ended_before, ends_well, kills, moments, reproduce, undisturbed};

#[test]
fn a_disk_that_fills_up_loses_nothing() {
    let Some(disk) = SmallDisk::new(24) else {
        return;
    };
    let took = undisturbed().1;
    let mut moments = moments("filling");
    let mut failed = 0;
    let all = kills(20, 3);
    for _ in 0..all {
        let mut child = reproduce(&disk.at).stderr(Stdio::piped()).spawn().unwrap();
        let moment = Duration::from_micros(moments.below(took.as_micros() as u64));
        ended_before(&mut child, moment);
        disk.fill(0);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            failed += 1;
            assert_eq!(output.status.code(), Some(Exit::Storage as i32), "{said}");
            assert!(said.contains("room") || said.contains("full"), "{said}");
        }
        disk.free();
    }
    ends_well(&disk.at, "full disks");
    println!("{failed} of {all} starts ended with a full disk");
}

#[test]
fn of_two_processes_on_a_run_one_works_and_the_other_says_so() {
    let place = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = reproduce(place.path());
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let children = [start(), start(), start()];
    let mut worked = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            worked += 1;
        } else {
            assert_eq!(output.status.code(), Some(Exit::Busy as i32), "{said}");
            assert!(said.contains("is working on this run"), "{said}");
        }
    }
    assert!(worked > 0);
    ends_well(place.path(), "two processes at once");
}
