//! What was submitted, beside the frozen plan: written before a job is submitted, and again with its number. So a job
//! whose number was lost with the program is found by its name, and none is submitted twice.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Launcher;
use crate::exit::Exit;
use crate::run::disk::Disk;
use crate::run::{FORMAT, own_folder, read_toml, to_toml};

/// The folder of launches in a results folder, hidden as no run is.
const LAUNCHES: &str = ".launches";
const RECORD: &str = "launch.toml";
const PLAN: &str = "plan.toml";
/// Times that the lock is tried, for a program that still submits while the one that started it is gone.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(50);
/// What to do about a record that cannot be used.
const REMEDY: &str = "see which jobs are queued, cancel them, and remove the folder";

/// What was submitted of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub format: u32,
    pub launcher: Launcher,
    pub experiment: String,
    pub profile: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<Job>,
}

/// A job, which may be an array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name in the queue, which no other job has.
    pub name: String,
    /// Its number in the queue; none if it was about to be submitted when the program ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Whether it was seen to have left the queue, so that its number may be given again.
    #[serde(default)]
    pub ended: bool,
    /// The folders of its runs, with the numbers of their tasks; none of the job that draws and checks.
    #[serde(default)]
    pub runs: BTreeMap<String, u64>,
}

impl Job {
    /// Whether it draws and checks.
    pub fn is_report(&self) -> bool {
        self.runs.is_empty()
    }
}

impl Record {
    /// Nothing submitted yet.
    pub fn new(launcher: Launcher, experiment: &str, profile: &str) -> Self {
        Self {
            format: FORMAT,
            launcher,
            experiment: experiment.into(),
            profile: profile.into(),
            jobs: Vec::new(),
        }
    }
}

/// The launches of a results folder, locked for one process at a time.
#[derive(Debug)]
pub struct Launches {
    folder: PathBuf,
    lock: File,
}

impl Launches {
    /// Opens and locks the launches in a results folder.
    ///
    /// # Errors
    /// [`Exit::Busy`] if another process is submitting; [`Exit::Storage`] if the folder cannot be written.
    pub fn open(results_dir: &Path) -> Result<Self> {
        let path = results_dir.join(LAUNCHES).join("lock");
        let refuse = |error: std::io::Error| {
            Exit::Storage.error(format!(
                "{}: cannot write: {error}; make room, or name a writable folder with --results-dir",
                path.display()
            ))
        };
        let folder = own_folder::create(results_dir, LAUNCHES).map_err(refuse)?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(refuse)?;
        for _ in 0..TRIES {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { folder, lock }),
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(refuse(error)),
            }
        }
        Err(Exit::Busy.error(format!(
            "{}: another process is submitting runs of these results; wait for it, then run the same command again",
            path.display()
        )))
    }

    /// The standard input of a program that submits. It is empty, and the lock is held until that program has ended, too: killed
    /// meanwhile, this one leaves a job that the queue does not show yet, which the next start would submit again.
    ///
    /// # Errors
    /// [`Exit::Storage`] if the system has no more files.
    pub fn held(&self) -> Result<Stdio> {
        let lock = self.lock.try_clone();
        lock.map(Stdio::from).map_err(|error| {
            let folder = self.folder.display();
            Exit::Storage.error(format!(
                "{folder}: cannot keep the lock: {error}; raise the limit on open files (ulimit -n)"
            ))
        })
    }

    /// Makes the folder of a launch ready, without what a killed process was writing in it.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn prepare(&self, name: &str) -> Result<()> {
        let (disk, folder) = (Disk::default(), self.folder(name));
        disk.create_dir(&folder)?;
        disk.remove_temporaries(&folder)
    }

    /// The folder of a launch.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Every launch's folder name and record.
    ///
    /// # Errors
    /// [`Exit::Storage`] if one cannot be read: what it submitted would be submitted again.
    pub fn all(&self) -> Result<BTreeMap<String, Record>> {
        read_all(&self.folder)
    }

    /// Writes a launch's record atomically.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn save(&self, name: &str, record: &Record) -> Result<()> {
        let folder = self.folder(name);
        let disk = Disk::default();
        disk.create_dir(&folder)?;
        disk.replace(&folder.join(RECORD), &to_toml(record)?)
    }
}

/// The folder of a launch in a results folder.
pub fn launch_folder(results_dir: &Path, name: &str) -> PathBuf {
    results_dir.join(LAUNCHES).join(name)
}

/// The frozen plan in a launch's folder.
pub fn plan_in(folder: &Path) -> PathBuf {
    folder.join(PLAN)
}

/// Every launch's record of a results folder, without locking it.
///
/// # Errors
/// [`Exit::Storage`] if one cannot be read.
pub fn look(results_dir: &Path) -> Result<BTreeMap<String, Record>> {
    read_all(&results_dir.join(LAUNCHES))
}

fn read_all(launches: &Path) -> Result<BTreeMap<String, Record>> {
    let mut all = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(launches) else {
        return Ok(all);
    };
    for entry in entries.flatten() {
        if !entry.path().is_dir() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        // A folder without a record is of a launch that submitted nothing.
        if let Some(record) = read_toml::<Record>(&entry.path().join(RECORD), REMEDY)? {
            all.insert(name, record);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_and_the_folder_is_locked() {
        let results = tempfile::tempdir().unwrap();
        assert!(look(results.path()).unwrap().is_empty());
        let launches = Launches::open(results.path()).unwrap();
        let error = Launches::open(results.path()).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Busy);
        let mut record = Record::new(Launcher::Slurm, "fig6", "quick");
        launches.save("a", &record).unwrap();
        record.jobs.push(Job {
            name: "refig-fig6-1".into(),
            number: None,
            ended: false,
            runs: BTreeMap::from([("quick/plain-20-s1-0".to_string(), 3)]),
        });
        launches.save("a", &record).unwrap();
        record.jobs[0].number = Some(7);
        launches.save("b", &record).unwrap();
        let all = launches.all().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all["a"].jobs[0].number, None);
        assert_eq!(all["b"], record);
        drop(launches);
        assert_eq!(look(results.path()).unwrap(), all);
    }
}
