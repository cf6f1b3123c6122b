//! Fault injection for tests: stops a run between two disk operations, as if the process were killed or the power cut.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The kind of stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process dies; all its writes survive.
    Kill,
    /// Everything not synced is lost: files are truncated, renames and removals undone.
    PowerCut,
}

/// Lets a number of operations succeed and fails all later ones.
#[derive(Debug)]
pub struct Fault {
    kind: Stop,
    after: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    passed: u64,
    tripped: bool,
    unsynced: Vec<PathBuf>,
    /// Renames and removals not yet synced in their folder, oldest first.
    pending: Vec<Change>,
}

#[derive(Debug)]
struct Change {
    /// The file's path before the change.
    from: PathBuf,
    /// The target of a rename and the contents it replaced; `None` for a removal.
    to: Option<(PathBuf, Option<Vec<u8>>)>,
    /// The contents of a removed file.
    removed: Option<Vec<u8>>,
}

impl Fault {
    /// A fault after `after` successful operations.
    pub fn new(kind: Stop, after: u64) -> Self {
        Self {
            kind,
            after,
            state: Mutex::default(),
        }
    }

    /// Whether the fault has occurred.
    pub fn tripped(&self) -> bool {
        self.state().tripped
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn step(&self) -> io::Result<()> {
        let mut state = self.state();
        if !state.tripped && state.passed < self.after {
            state.passed += 1;
            return Ok(());
        }
        if !state.tripped {
            state.tripped = true;
            if self.kind == Stop::PowerCut {
                state.lose()?;
            }
        }
        Err(io::Error::other("stopped by a test"))
    }

    pub(super) fn wrote(&self, path: &Path) {
        self.state().unsynced.push(path.into());
    }

    pub(super) fn synced(&self, path: &Path) {
        self.state().unsynced.retain(|other| other != path);
    }

    pub(super) fn renaming(&self, from: &Path, to: &Path) {
        let mut state = self.state();
        for path in &mut state.unsynced {
            if path == from {
                *path = to.into();
            }
        }
        state.pending.push(Change {
            from: from.into(),
            to: Some((to.into(), std::fs::read(to).ok())),
            removed: None,
        });
    }

    pub(super) fn removing(&self, path: &Path) {
        let removed = std::fs::read(path).ok();
        self.state().pending.push(Change {
            from: path.into(),
            to: None,
            removed,
        });
    }

    pub(super) fn synced_dir(&self, folder: &Path) {
        self.state()
            .pending
            .retain(|change| change.from.parent() != Some(folder));
    }
}

impl State {
    fn lose(&mut self) -> io::Result<()> {
        for path in &self.unsynced {
            if path.exists() {
                let file = std::fs::OpenOptions::new().write(true).open(path)?;
                file.set_len(file.metadata()?.len() / 2)?;
            }
        }
        while let Some(change) = self.pending.pop() {
            if let Some((to, before)) = change.to
                && to.exists()
            {
                std::fs::rename(&to, &change.from)?;
                if let Some(bytes) = before {
                    std::fs::write(&to, bytes)?;
                }
            }
            if let Some(bytes) = change.removed {
                // Fails if its folder has been removed too.
                std::fs::write(&change.from, bytes).ok();
            }
        }
        Ok(())
    }
}
