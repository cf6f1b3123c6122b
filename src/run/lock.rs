//! Locks a run for one process. The operating system releases the lock when its owner dies. The lock file stays, outside
//! the run's folder, so that the run can be removed and restarted while locked. Where the system's locks hold on one host only,
//! `heartbeat.rs` tells the hosts of each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::heartbeat::{self, Claim, Locking};
use super::own_folder;
use super::watch::Watcher;
use crate::exit::Exit;

/// A run's lock, released on drop.
#[derive(Debug)]
pub struct Lock {
    run: PathBuf,
    // Dropped before the file: who gets that next finds no record.
    claim: Claim,
    _file: File,
}

/// The folder of all lock files.
const LOCKS: &str = ".locks";
/// Bytes of the longest owner that is read.
const MOST_OWNER: u64 = 1000;
/// Times that a lock of this very process is tried again. A program that this process starts at the moment holds all its files
/// until it runs, also a lock that was just released.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(10);
/// Behind the owner in a lock file, if that writes a record, too. Earlier versions do not.
const HEARTBEAT: &str = " with a heartbeat";

/// The lock file of the run `folder`.
fn lock_path(results_dir: &Path, folder: &str) -> PathBuf {
    let name = own_folder::flat_name(folder);
    results_dir.join(LOCKS).join(name)
}

/// Opens a lock file, which may be new. A link would be followed to a file of somebody else, and a pipe would wait.
fn open(path: &Path) -> io::Result<File> {
    let created = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path);
    match created {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            match std::fs::symlink_metadata(path)?.is_file() {
                true => OpenOptions::new().read(true).write(true).open(path),
                false => Err(io::Error::other("it is not a regular file; remove it")),
            }
        }
        created => created,
    }
}

impl Lock {
    /// Locks the run `folder` (see [`crate::plan::RunPlan::folder`]) in `results_dir`.
    ///
    /// # Errors
    /// [`Exit::Busy`] if another process holds the lock, with its id and host; [`Exit::Storage`] if the file cannot be written.
    pub fn take(results_dir: &Path, folder: &str) -> Result<Self> {
        Self::take_as(&Locking::default(), results_dir, folder, &mut |_| Ok(()))
    }

    /// [`Lock::take`], which may take the run over, and whose watcher is told where that takes time.
    ///
    /// # Errors
    /// As for [`Lock::take`]; the watcher's.
    pub fn take_as(
        locking: &Locking,
        results_dir: &Path,
        folder: &str,
        watcher: &mut Watcher<'_>,
    ) -> Result<Self> {
        let path = lock_path(results_dir, folder);
        let run = results_dir.join(folder);
        let refuse = |doing: &str, error: &io::Error| {
            Exit::Storage.error(format!(
                "{}: cannot {doing} the run's lock: {error}; make room, or name a writable folder with --results-dir",
                path.display()
            ))
        };
        let prepared = || -> io::Result<File> {
            own_folder::create(results_dir, LOCKS)?;
            open(&path)
        };
        let mut file = prepared().map_err(|error| refuse("create", &error))?;
        let mut tries = 0;
        loop {
            let locked = match locking.flock {
                true => file.try_lock(),
                false => Ok(()),
            };
            match locked {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let owner = read_owner(&mut file);
                    if owner == locking.name() && tries < TRIES {
                        tries += 1;
                        std::thread::sleep(PAUSE);
                        continue;
                    }
                    let owner = match owner.as_str() {
                        "" => "another process",
                        known => known,
                    };
                    return Err(heartbeat::at_work(&run, owner));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(Exit::Storage.error(format!(
                        "{}: cannot lock the run: {error}; name a folder on a file system that supports locks with --results-dir",
                        path.display()
                    )));
                }
            }
        }
        let claim = Claim::take(&path, &run, locking, watcher)?;
        let owner = format!("{}{HEARTBEAT}\n", locking.name());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(owner.as_bytes()))
            .map_err(|error| refuse("write", &error))?;
        Ok(Self {
            run,
            claim,
            _file: file,
        })
    }

    /// Fails if another process has taken the run over.
    ///
    /// # Errors
    /// [`Exit::Busy`] with its id and host; [`Exit::Storage`] if it cannot be told.
    pub fn check(&self) -> Result<()> {
        self.claim.check(&self.run)
    }
}

/// The owner in a lock file, as one line. Some systems do not allow reading a locked file.
fn read_owner(file: &mut File) -> String {
    let mut owner = String::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(MOST_OWNER).read_to_string(&mut owner));
    match read {
        Ok(_) => {
            let owner = owner.split_whitespace().collect::<Vec<_>>().join(" ");
            owner.strip_suffix(HEARTBEAT).unwrap_or(&owner).to_owned()
        }
        Err(_) => String::new(),
    }
}

/// Who is working on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A process on this machine.
    AtWork,
    Nobody,
    /// The owner is a process on this other host, or was when that was killed: its processes are not visible here.
    Elsewhere(String),
}

/// Who is working on the run `folder` (see [`crate::plan::RunPlan::folder`]) in `results_dir`. Tries the lock only if the
/// process of its last owner exists, so that the check does not interfere with a run that is about to start.
pub(super) fn owner(results_dir: &Path, folder: &str) -> Owner {
    let path = lock_path(results_dir, folder);
    // A pipe would be waited for.
    if !std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
        return Owner::Nobody;
    }
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Owner::Nobody;
    };
    let here = Locking::default();
    let record = heartbeat::newest(&path);
    if let Some(record) = &record
        && !record.is_of_machine(&here)
        && record.host != here.host
    {
        return Owner::Elsewhere(record.host.clone());
    }
    let mut words = text.split_whitespace();
    if let (Some("process"), Some(process), Some("on"), Some(machine)) =
        (words.next(), words.next(), words.next(), words.next())
    {
        let processes = Path::new("/proc");
        if machine == here.host {
            if processes.join("self").exists() && !processes.join(process).exists() {
                return Owner::Nobody;
            }
        } else if !text.contains(HEARTBEAT) {
            return Owner::Elsewhere(machine.into());
        } else if record.is_none() {
            return Owner::Nobody;
        }
    }
    let Ok(file) = File::open(&path) else {
        return Owner::Nobody;
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Owner::AtWork,
        _ => Owner::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "quick/plain-20-s1-01234567";
    /// Between two signs of life of a process that hangs.
    const NEVER: Duration = Duration::from_secs(3600);

    /// A host that does not see the locks of others.
    fn on(host: &str, beat: Duration) -> Locking {
        Locking {
            take_over: false,
            host: host.into(),
            boot: format!("boot-of-{host}"),
            beat,
            flock: false,
        }
    }

    /// A host that soon loses its patience.
    fn hasty(host: &str) -> Locking {
        on(host, Duration::from_millis(10))
    }

    fn taking_over(locking: Locking) -> Locking {
        Locking {
            take_over: true,
            ..locking
        }
    }

    fn take(locking: &Locking, results: &Path, folder: &str) -> Result<Lock> {
        Lock::take_as(locking, results, folder, &mut |_| Ok(()))
    }

    fn refused<T: std::fmt::Debug>(result: Result<T>) -> String {
        let error = result.unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Busy, "{error:#}");
        error.to_string()
    }

    /// The files beside the lock.
    fn records(results: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(results.join(LOCKS)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.contains(".owner-")).collect();
        names.sort();
        names
    }

    #[test]
    fn a_living_owner_on_another_host_is_never_replaced() {
        let results = tempfile::tempdir().unwrap();
        let alive = on("one", Duration::from_millis(5));
        let first = take(&alive, results.path(), RUN).unwrap();
        let patient = on("two", Duration::from_secs(4));
        for locking in [patient.clone(), taking_over(patient.clone())] {
            let said = refused(take(&locking, results.path(), RUN));
            let name = format!("process {} on one is working", std::process::id());
            assert!(said.contains(&name) && said.contains(RUN), "{said}");
        }
        first.check().unwrap();
        drop(first);
        assert!(records(results.path()).is_empty());
        take(&patient, results.path(), RUN).unwrap();
    }

    #[test]
    fn an_owner_without_a_sign_of_life_is_replaced_when_asked_and_told() {
        let results = tempfile::tempdir().unwrap();
        let first = take(&on("one", NEVER), results.path(), RUN).unwrap();
        let said = refused(take(&hasty("two"), results.path(), RUN));
        for part in [" on one ", "no sign of life for", " ago)", "--take-over"] {
            assert!(said.contains(part), "{said}");
        }
        first.check().unwrap();
        let asked = taking_over(hasty("two"));
        let second = take(&asked, results.path(), RUN).unwrap();
        let said = refused(first.check());
        assert!(said.contains("taken over by process"), "{said}");
        assert!(said.contains("on two"), "{said}");
        drop(first);
        second.check().unwrap();
        refused(take(&hasty("three"), results.path(), RUN));
        drop(second);
        assert!(records(results.path()).is_empty());
        take(&hasty("three"), results.path(), RUN).unwrap();
    }

    #[test]
    fn a_dead_owner_on_this_machine_is_replaced_unasked() {
        let results = tempfile::tempdir().unwrap();
        // Killed: it removes nothing.
        let die = |locking: &Locking| {
            std::mem::forget(take(locking, results.path(), RUN).unwrap());
        };
        die(&on("one", NEVER));
        // By the lock, at once.
        die(&on("one", NEVER));
        // Another container of the machine.
        die(&Locking {
            host: "container".into(),
            ..on("one", NEVER)
        });
        // The machine, restarted.
        let again = Locking {
            boot: "another".into(),
            ..hasty("container")
        };
        die(&again);
        assert_eq!(records(results.path()).len(), 1);
        refused(take(&hasty("two"), results.path(), RUN));
    }

    #[test]
    fn what_was_cut_off_or_is_of_an_earlier_version_is_in_nobodys_way() {
        let results = tempfile::tempdir().unwrap();
        let lock = lock_path(results.path(), RUN);
        std::fs::create_dir(lock.parent().unwrap()).unwrap();
        std::fs::write(&lock, "process 17 on node-12\n").unwrap();
        assert_eq!(
            owner(results.path(), RUN),
            Owner::Elsewhere("node-12".into())
        );
        let here = hasty("one");
        drop(take(&here, results.path(), RUN).unwrap());
        let record = lock.with_file_name(format!("{}.owner-3", own_folder::flat_name(RUN)));
        std::fs::write(&record, "process 17 on no").unwrap();
        let held = take(&here, results.path(), RUN).unwrap();
        held.check().unwrap();
        assert!(!record.exists());
    }

    #[test]
    fn of_many_hosts_at_once_one_gets_the_run() {
        let results = tempfile::tempdir().unwrap();
        let start = std::sync::Barrier::new(8);
        let one = |host: usize| {
            let locking = on(&format!("host{host}"), Duration::from_millis(100));
            start.wait();
            take(&locking, results.path(), RUN).ok()
        };
        let one = &one;
        let taken: Vec<Option<Lock>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|host| scope.spawn(move || one(host))).collect();
            let ends = threads.into_iter().map(|thread| thread.join().unwrap());
            ends.collect()
        });
        let mut owners = taken.iter().flatten();
        owners.next().unwrap().check().unwrap();
        assert!(owners.next().is_none());
    }

    #[test]
    fn a_look_tells_the_owner_elsewhere_until_it_ends() {
        let results = tempfile::tempdir().unwrap();
        let first = take(&on("node-12", NEVER), results.path(), RUN).unwrap();
        assert_eq!(
            owner(results.path(), RUN),
            Owner::Elsewhere("node-12".into())
        );
        drop(first);
        assert_eq!(owner(results.path(), RUN), Owner::Nobody);
    }
}
