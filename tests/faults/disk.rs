//! A file system that is small, and folders that nobody can write, not even root.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::scene::files;

/// Bytes that such a file system gives at a time.
pub const PAGE: u64 = 4096;
/// What fills it.
const BALLAST: &str = "ballast";

/// A small file system in memory, which goes away with it.
pub struct SmallDisk {
    pub at: PathBuf,
    /// The folder that it is mounted on, where that is its own; removed after it.
    _own: Option<TempDir>,
}

impl SmallDisk {
    /// One of so many MiB, in a folder of its own. None without the right to mount it, which is said.
    pub fn new(megabytes: u32) -> Option<Self> {
        let own = tempfile::tempdir().unwrap();
        let mut disk = Self::mount(own.path(), megabytes)?;
        disk._own = Some(own);
        Some(disk)
    }

    /// As [`SmallDisk::new`], in a folder that is there.
    pub fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            println!("skipped: no right to mount a file system");
            return None;
        }
        let at = at.to_path_buf();
        Some(Self { at, _own: None })
    }

    /// Fills it up to so many pages.
    pub fn fill(&self, free: u64) {
        let mut file = File::create(self.at.join(BALLAST)).unwrap();
        let piece = vec![1; 64 << 10];
        for size in [piece.len(), PAGE as usize, 1] {
            let full = loop {
                if let Err(error) = file.write_all(&piece[..size]) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        }
        let size = file.metadata().unwrap().len();
        file.set_len(size.saturating_sub(free * PAGE)).unwrap();
    }

    /// Makes room again.
    pub fn free(&self) {
        std::fs::remove_file(self.at.join(BALLAST)).unwrap();
    }

    /// Removes everything.
    pub fn clear(&self) {
        for entry in std::fs::read_dir(&self.at).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => std::fs::remove_dir_all(path).unwrap(),
                false => std::fs::remove_file(path).unwrap(),
            }
        }
    }

    /// What was written.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = files(&self.at);
        all.remove(Path::new(BALLAST));
        all
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.at).status();
        unmounted.ok();
    }
}

/// The pages that files take.
pub fn pages(files: &BTreeMap<PathBuf, Vec<u8>>) -> u64 {
    let sizes = files.values().map(|bytes| bytes.len() as u64);
    sizes.map(|size| size.div_ceil(PAGE)).sum()
}

/// The ways to get a world of mounts of one's own: with the right to it, and without.
const WAYS: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
/// Makes a folder read-only, and becomes the command that follows.
const SCRIPT: &str =
    r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@""#;

fn sealed(way: &[&str], folder: &Path) -> Command {
    let mut command = Command::new("unshare");
    let shell = ["sh", "-c", SCRIPT, "sh"];
    command.args(way).args(shell).arg(folder);
    command
}

/// The way that works here. None is said.
fn way() -> Option<&'static [&'static str]> {
    static WAY: OnceLock<Option<&[&str]>> = OnceLock::new();
    let found = *WAY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        WAYS.into_iter().find(|way| {
            // That nothing can be written is what it is for.
            let mut test = sealed(way, folder.path());
            test.args(["sh", "-c", r#"! touch "$1""#, "sh"]).arg(&file);
            let tested = test.stdout(Stdio::null()).stderr(Stdio::null()).status();
            tested.is_ok_and(|status| status.success())
        })
    });
    if found.is_none() {
        println!("skipped: no right to mount a folder read-only");
    }
    found
}

/// The same command where `folder` cannot be written. None if this system does not allow that, which is said.
pub fn read_only(folder: &Path, command: &Command) -> Option<Command> {
    let mut inside = sealed(way()?, folder);
    inside.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    Some(inside)
}
