//! The git repository of the program or of an experiment: its commit and uncommitted changes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::exit::Exit;

/// A repository's state, without the output of runs: `results/`, `reports/`, `experiments/baselines/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub commit: String,
    /// Paths that differ from the commit, relative to the repository; ignored files are left out.
    pub changed: Vec<String>,
    /// sha256 (hex) of the differences: the diff of tracked files, then names and contents of untracked ones. Empty if
    /// there are none.
    pub patch: String,
}

/// The bytes of an untracked file that are digested, and after them its size: a data set may lie in the repository.
const MOST_BYTES: u64 = 16 << 20;

/// Pathspecs for everything but the output of runs, from any folder of the repository.
const SOURCES: [&str; 5] = [
    "--",
    ":/",
    ":(top,exclude)results",
    ":(top,exclude)reports",
    ":(top,exclude)experiments/baselines",
];

impl Tree {
    /// The repository that contains `folder`, if any.
    pub fn of(folder: &Path) -> Option<Self> {
        let root = text(folder, &["rev-parse", "--show-toplevel"])?;
        let root = PathBuf::from(root);
        let commit = text(&root, &["rev-parse", "HEAD"]).unwrap_or_default();
        let lines = |arguments: &[&str]| -> Vec<String> {
            let arguments = [arguments, &SOURCES].concat();
            let bytes = bytes(&root, &arguments).unwrap_or_default();
            String::from_utf8_lossy(&bytes)
                .split('\0')
                .filter(|line| !line.is_empty())
                .map(String::from)
                .collect()
        };
        let tracked = lines(&["diff", "HEAD", "--name-only", "-z"]);
        let others = lines(&["ls-files", "--others", "--exclude-standard", "-z"]);
        let mut patch = String::new();
        if !tracked.is_empty() || !others.is_empty() {
            let mut digest = Sha256::new();
            let arguments = [&["diff", "HEAD", "--binary"][..], &SOURCES].concat();
            digest.update(bytes(&root, &arguments).unwrap_or_default());
            for name in &others {
                digest.update(name.as_bytes());
                let (beginning, size) = read(&root.join(name)).unwrap_or_default();
                digest.update(beginning);
                if size > MOST_BYTES {
                    digest.update(size.to_le_bytes());
                }
            }
            patch = hex(&digest.finalize());
        }
        Some(Self {
            commit,
            changed: [tracked, others].concat(),
            patch,
        })
    }

    /// The state of a program whose sources changed after it was built, so that they do not identify it.
    pub fn changed_since() -> Self {
        Self {
            changed: vec!["sources changed since the build".into()],
            ..Self::default()
        }
    }

    /// Whether anything differs from the commit.
    pub fn is_dirty(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Checks that `what`, whose repository is `tree`, is reproducible from a commit.
    ///
    /// # Errors
    /// [`Exit::Usage`] with the first files that differ, or if there is no repository or commit.
    pub fn require_clean(tree: Option<&Self>, what: &str) -> Result<()> {
        if tree == Some(&Self::changed_since()) {
            return Err(Exit::Usage.error(format!(
                "{what} was changed since it was built, so no commit identifies it; build it again"
            )));
        }
        let Some(tree) = tree.filter(|tree| !tree.commit.is_empty()) else {
            return Err(Exit::Usage.error(format!(
                "{what} is not in a git repository with a commit that identifies it; work in a clone"
            )));
        };
        if !tree.is_dirty() {
            return Ok(());
        }
        let first: Vec<&str> = tree.changed.iter().take(3).map(String::as_str).collect();
        let more = match tree.changed.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(Exit::Usage.error(format!(
            "{what} differs from commit {} in {}{more}; commit or stash that first",
            tree.commit.get(..12).unwrap_or(&tree.commit),
            first.join(", ")
        )))
    }
}

/// A file up to [`MOST_BYTES`], and its size.
fn read(path: &Path) -> std::io::Result<(Vec<u8>, u64)> {
    let about = std::fs::metadata(path)?;
    let mut bytes = Vec::new();
    // A pipe would be waited for.
    if about.is_file() {
        File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    }
    Ok((bytes, about.len()))
}

fn bytes(folder: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map(|output| output.stdout)
}

fn text(folder: &Path, arguments: &[&str]) -> Option<String> {
    bytes(folder, arguments).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        let arguments = [&identity[..], arguments].concat();
        assert!(bytes(folder, &arguments).is_some(), "git {arguments:?}");
    }

    #[test]
    fn changes_are_listed_and_digested_except_the_output_of_runs() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(Tree::require_clean(Tree::of(root).as_ref(), "it").is_err());
        git(root, &["init", "-q"]);
        std::fs::create_dir_all(root.join("src")).unwrap();
        std::fs::create_dir_all(root.join("results/quick")).unwrap();
        std::fs::write(root.join("src/main.rs"), "one").unwrap();
        std::fs::write(root.join(".gitignore"), "target\n").unwrap();
        git(root, &["add", "-A"]);
        git(root, &["commit", "-qm", "first"]);
        // From a subfolder, as for an experiment.
        let state = || Tree::of(&root.join("src")).unwrap();
        std::fs::write(root.join("results/quick/run.toml"), "made").unwrap();
        std::fs::write(root.join("target"), "built").unwrap();
        let clean = state();
        assert_eq!((clean.changed.len(), clean.patch.as_str()), (0, ""));
        assert_eq!(clean.commit.len(), 40);
        Tree::require_clean(Some(&clean), "it").unwrap();

        std::fs::write(root.join("src/main.rs"), "two").unwrap();
        let changed = state();
        assert_eq!(changed.changed, ["src/main.rs"]);
        let stale = Tree::require_clean(Some(&Tree::changed_since()), "the program").unwrap_err();
        assert!(stale.to_string().contains("build it again"), "{stale}");
        let error = Tree::require_clean(Some(&changed), "the program").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert!(error.to_string().contains("src/main.rs"), "{error}");
        std::fs::write(root.join("src/new.rs"), "new").unwrap();
        let more = state();
        assert_eq!(more.changed, ["src/main.rs", "src/new.rs"]);
        std::fs::write(root.join("src/new.rs"), "other").unwrap();
        let digests = [clean.patch, changed.patch, more.patch, state().patch];
        let different: std::collections::BTreeSet<&String> = digests.iter().collect();
        assert_eq!(different.len(), 4, "{digests:?}");
    }
}
