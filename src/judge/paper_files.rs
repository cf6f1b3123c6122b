//! Files of the paper's curves and values, which several panels may share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Error, Result};

use crate::manifest::Reference;

/// What the files of `references` hold, each read once, and why one cannot be read, if so.
pub fn by_file<'a, T>(
    references: impl Iterator<Item = &'a Reference>,
    read: impl Fn(&Path) -> Result<T>,
) -> (BTreeMap<PathBuf, T>, Option<Error>) {
    let mut files = BTreeMap::new();
    let mut unread = None;
    for Reference { file, .. } in references {
        if !files.contains_key(file) {
            match read(file) {
                Ok(held) => {
                    files.insert(file.clone(), held);
                }
                Err(error) => unread = Some(error),
            }
        }
    }
    (files, unread)
}
