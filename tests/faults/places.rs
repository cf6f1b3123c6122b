//! Full disks, folders that cannot be written, and two processes at once.

use std::fs::Permissions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use refig::exit::Exit;

use super::scene::{ended_before, ends_well, kills, moments, reproduce, undisturbed};

/// A small file system in memory, which goes away with it.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// None without the right to mount one.
    fn mount(at: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        let at = at.to_path_buf();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self { at })
    }

    /// Fills it to the last byte.
    fn fill(&self) -> PathBuf {
        let path = self.at.join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        let piece = vec![1; 64 << 10];
        for size in [piece.len(), 4096, 1] {
            let full = loop {
                match file.write(&piece[..size]) {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.at).status();
        unmounted.ok();
    }
}

#[test]
fn a_disk_that_fills_up_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        println!("skipped: no right to mount a file system");
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
        let ballast = disk.fill();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            failed += 1;
            assert_eq!(output.status.code(), Some(Exit::Storage as i32), "{said}");
            assert!(said.contains("room") || said.contains("full"), "{said}");
        }
        std::fs::remove_file(ballast).unwrap();
    }
    ends_well(&disk.at, "full disks");
    println!("{failed} of {all} starts ended with a full disk");
}

/// Whether permissions do not bind this process.
fn is_root(folder: &Path) -> bool {
    let locked = folder.join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, Permissions::from_mode(0o555)).unwrap();
    std::fs::write(locked.join("file"), "").is_ok()
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    if is_root(folder.path()) {
        println!("skipped: root may write everywhere");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let results = place.path().join("results");
    std::fs::create_dir(&results).unwrap();
    let mode = |mode| std::fs::set_permissions(&results, Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    let refused = reproduce(place.path())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    mode(0o755);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(Exit::Storage as i32), "{said}");
    assert!(said.contains("results"), "{said}");
    ends_well(place.path(), "a folder that could not be written");
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
