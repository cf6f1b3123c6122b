//! The record of a run's owner, for hosts that do not see each other's locks: who it is, and a count that it raises while it
//! lives.
//!
//! A record is a file beside the lock, `<lock>.owner-<number>`, which is created exclusively. The one with the highest number
//! counts. A run is taken over by creating the next number, so that of several processes only one does, and by removing the
//! older records, which tells their owner. A process writes no record but its own. Whether a count still moves is seen by the
//! clock of whoever looks, since clocks of hosts differ.

use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::Result;

use super::provenance::host;
use super::watch::Watcher;
use crate::exit::Exit;
use crate::regular;

/// Time between two counts.
const BEAT: Duration = Duration::from_secs(2);
/// How often a run is tried for when other processes take it or end at the same moment.
const TRIES: usize = 5;
/// Bytes of the longest record that is read.
const MOST_BYTES: u64 = 1000;
/// In place of a name that the system does not tell.
const UNKNOWN: &str = "unknown";

/// How a run is locked.
#[derive(Clone, Debug)]
pub struct Locking {
    /// Take the run over from a process on another host that gives no sign of life.
    pub take_over: bool,
    /// The name of this host. This and the following differ from their defaults only in tests.
    pub host: String,
    /// Tells a start of the host's kernel from all others; containers share it.
    pub boot: String,
    /// Time between two signs of life.
    pub beat: Duration,
    /// Whether the system's lock is taken, too.
    pub flock: bool,
}

impl Default for Locking {
    fn default() -> Self {
        let known = |name: String| match name.trim() {
            "" => UNKNOWN.to_owned(),
            name => name.to_owned(),
        };
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Self {
            take_over: false,
            host: known(host()),
            boot: known(boot.unwrap_or_default()),
            beat: BEAT,
            flock: true,
        }
    }
}

impl Locking {
    /// `process 4711 on node7`: this process.
    pub(super) fn name(&self) -> String {
        format!("process {} on {}", std::process::id(), self.host)
    }
}

/// Who owns a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    process: String,
    pub host: String,
    boot: String,
    /// Of this owner alone.
    token: String,
}

impl Record {
    fn new(locking: &Locking) -> Self {
        // The keys of its hashes are drawn by the system.
        let random = RandomState::new();
        let token = random.hash_one((std::process::id(), SystemTime::now()));
        Self {
            process: std::process::id().to_string(),
            host: locking.host.clone(),
            boot: locking.boot.clone(),
            token: format!("{token:016x}"),
        }
    }

    /// Of the same length for each count, so that it is written over the one before.
    fn text(&self, count: u64) -> String {
        format!(
            "process {} on {}\nboot {}\ntoken {}\nbeat {count:020}\n",
            self.process, self.host, self.boot, self.token
        )
    }

    /// What a record's file says, if it is whole.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            [
                "process",
                process,
                "on",
                host,
                "boot",
                boot,
                "token",
                token,
                "beat",
                _,
            ] => Some(Self {
                process: process.into(),
                host: host.into(),
                boot: boot.into(),
                token: token.into(),
            }),
            _ => None,
        }
    }

    /// `process 4711 on node7`.
    pub fn name(&self) -> String {
        format!("process {} on {}", self.process, self.host)
    }

    /// Whether it is of this machine as it runs now, where the system's lock says who lives.
    pub fn is_of_machine(&self, locking: &Locking) -> bool {
        if self.boot == UNKNOWN || locking.boot == UNKNOWN {
            return self.host == locking.host;
        }
        self.boot == locking.boot
    }
}

/// The newest record beside a lock, if there is one that can be read.
pub(super) fn newest(lock: &Path) -> Option<Record> {
    let (_, text) = Records::new(lock).newest().ok()??;
    Record::parse(&text)
}

/// A run that another process is working on.
pub(super) fn at_work(run: &Path, owner: &str) -> anyhow::Error {
    Exit::Busy.error(format!(
        "{}: {owner} is working on this run; wait for it or stop it, then run the same command again",
        run.display()
    ))
}

/// The records beside a lock.
#[derive(Clone, Debug)]
pub(super) struct Records {
    folder: PathBuf,
    /// How their names begin.
    stem: String,
}

impl Records {
    fn new(lock: &Path) -> Self {
        let name = lock.file_name().unwrap_or_default().to_string_lossy();
        Self {
            folder: lock.parent().unwrap_or(Path::new(".")).into(),
            stem: format!("{name}.owner-"),
        }
    }

    /// The file of a record.
    pub fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}{number}", self.stem))
    }

    /// The numbers of all records, in order.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers: Vec<u64> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&self.stem));
            if let Some(Ok(number)) = number.map(str::parse::<u64>) {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The record that counts: its number and text.
    fn newest(&self) -> io::Result<Option<(u64, String)>> {
        for number in self.numbers()?.into_iter().rev() {
            if let Some(text) = read(&self.path(number))? {
                return Ok(Some((number, text)));
            }
        }
        Ok(None)
    }

    /// Creates a record. False if it is there.
    fn create(&self, number: u64, text: &str) -> io::Result<bool> {
        let path = self.path(number);
        let created = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = match created {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        };
        // A network file system may say only now that there is no room.
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map(|()| true)
    }
}

/// The text of a record's file, if it is there.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = regular::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::StaleNetworkFileHandle
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether a file is this record, with whatever count.
fn is_record(path: &Path, record: &Record) -> io::Result<bool> {
    let there = read(path)?.and_then(|text| Record::parse(&text));
    Ok(there.is_some_and(|there| there.token == record.token))
}

/// The error of a record that cannot be read or written.
pub(super) fn refuse(path: &Path, error: &io::Error) -> anyhow::Error {
    Exit::Storage.error(format!(
        "{}: cannot record the run's owner: {error}; make room, or name a writable folder with --results-dir",
        path.display()
    ))
}

/// This process's record of a run, which is removed on drop.
#[derive(Debug)]
pub(super) struct Claim {
    records: Records,
    number: u64,
    record: Record,
    /// The thread that counts. It ends when the sender is dropped.
    beating: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Claim {
    /// Records this process as the owner of `run`, whose lock it holds. If another host's process is recorded, it is
    /// watched for some seconds.
    ///
    /// # Errors
    /// [`Exit::Busy`] if that lives, or was not to be taken over; [`Exit::Storage`] if the record cannot be written; the
    /// watcher's.
    pub fn take(
        lock: &Path,
        run: &Path,
        locking: &Locking,
        watcher: &mut Watcher<'_>,
    ) -> Result<Self> {
        let records = Records::new(lock);
        let refuse = |error: io::Error| refuse(lock, &error);
        for _ in 0..TRIES {
            let before = records.newest().map_err(refuse)?;
            if let Some((number, text)) = &before
                && !records.is_free((*number, text), run, locking, watcher)?
            {
                continue;
            }
            let number = before
                .as_ref()
                .map_or(1, |(number, _)| number.saturating_add(1));
            let record = Record::new(locking);
            if !records.create(number, &record.text(0)).map_err(refuse)? {
                std::thread::sleep(locking.beat / 4);
                continue;
            }
            let mut claim = Self {
                records: records.clone(),
                number,
                record,
                beating: None,
            };
            if claim.follows(before.as_ref()).map_err(refuse)? {
                claim.remove_older();
                claim.beat(locking.beat)?;
                return Ok(claim);
            }
        }
        Err(Exit::Busy.error(format!(
            "{}: other processes take this run at the same time; run the same command again",
            run.display()
        )))
    }

    fn path(&self) -> PathBuf {
        self.records.path(self.number)
    }

    /// Whether the record counts, and the one before has not stirred meanwhile.
    fn follows(&self, before: Option<&(u64, String)>) -> io::Result<bool> {
        if let Some((number, text)) = before
            && read(&self.records.path(*number))?.as_ref() != Some(text)
        {
            return Ok(false);
        }
        Ok(self.records.numbers()?.last() == Some(&self.number))
    }

    fn remove_older(&self) {
        for number in self.records.numbers().unwrap_or_default() {
            if number < self.number {
                // The new record tells the old owner, too.
                let _ = fs::remove_file(self.records.path(number));
            }
        }
    }

    fn beat(&mut self, every: Duration) -> Result<()> {
        let (stop, stopped) = mpsc::channel();
        let (path, record) = (self.path(), self.record.clone());
        let thread = std::thread::Builder::new()
            .name("heartbeat".into())
            .spawn(move || keep_beating(&path, &record, every, &stopped));
        let thread = thread.map_err(|error| {
            Exit::Internal.error(format!(
                "cannot start the thread that keeps the run's lock: {error}; raise the limit on processes (ulimit -u)"
            ))
        })?;
        self.beating = Some((stop, thread));
        Ok(())
    }

    /// Fails if this process does not own `run` any more.
    ///
    /// # Errors
    /// [`Exit::Busy`] with the new owner; [`Exit::Storage`] if the record cannot be read.
    pub fn check(&self, run: &Path) -> Result<()> {
        let newest = self.records.newest();
        let newest = newest.map_err(|error| refuse(&self.path(), &error))?;
        let owner = newest.and_then(|(_, text)| Record::parse(&text));
        if owner.as_ref() == Some(&self.record) {
            return Ok(());
        }
        let by = owner.map_or("another process".into(), |owner| owner.name());
        Err(Exit::Busy.error(format!(
            "{}: this run was taken over by {by}, and its files are left to that",
            run.display()
        )))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.beating.take() {
            drop(stop);
            let _ = thread.join();
        }
        let path = self.path();
        if is_record(&path, &self.record).unwrap_or(false) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Raises the count of a record until its owner ends, or another takes over.
fn keep_beating(path: &Path, record: &Record, every: Duration, stopped: &Receiver<()>) {
    let mut count = 0;
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        count += 1;
        // What cannot be written now may be at the next count.
        if let Ok(false) = raise(path, record, count) {
            return;
        }
    }
}

/// Writes a count into a record. False if that is another's or gone.
fn raise(path: &Path, record: &Record, count: u64) -> io::Result<bool> {
    if !is_record(path, record)? {
        return Ok(false);
    }
    // Opened and closed each time: a network file system then sends it.
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(record.text(count).as_bytes())?;
    Ok(true)
}
