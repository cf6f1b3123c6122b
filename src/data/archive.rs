//! The official `.tar.gz`: read into memory, or unpacked into a folder.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use anyhow::Result;
use flate2::read::MultiGzDecoder;

use super::cifar::{self, Batches, TEST_FILE, TRAINING_FILES};
use super::install::storage_error;
use super::{Progress, Report};
use crate::exit::Exit;

/// Reads the six batches of an archive, in whatever order it holds them.
pub(super) fn read(path: &Path) -> Result<Batches> {
    let mut batches: [Vec<u8>; 6] = Default::default();
    for_each_batch(path, |index, name, reader| {
        cifar::append_batch(name, reader, &mut batches[index])
    })?;
    let [one, two, three, four, five, test] = batches;
    let mut train = one;
    train.reserve_exact(4 * cifar::BATCH_BYTES);
    for batch in [two, three, four, five] {
        train.extend_from_slice(&batch);
    }
    Ok(Batches { train, test })
}

/// Writes the six batches of an archive into `folder`, which exists. The caller removes the folder on an error.
pub(super) fn unpack(path: &Path, folder: &Path, progress: &mut Report) -> Result<()> {
    let total = (TRAINING_FILES.len() + 1) as u64;
    let mut done = 0;
    let mut records = Vec::new();
    for_each_batch(path, |index, name, reader| {
        records.clear();
        cifar::append_batch(name, reader, &mut records)?;
        let target = folder.join(cifar::files().nth(index).unwrap_or(TEST_FILE));
        write_synced(&target, &records).map_err(|error| storage_error(&target, &error))?;
        done += 1;
        progress(Progress::Unpack { done, total })
    })
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Calls `take(index, name, contents)` once for each of the six batches; other entries are passed over.
fn for_each_batch(
    path: &Path,
    mut take: impl FnMut(usize, &str, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let shown = path.display();
    let damaged = |error: std::io::Error| {
        Exit::Data.error(format!(
            "{shown} is no readable .tar.gz or is damaged: {error}; fetch it again with `refig data fetch cifar10`, or name another place with --data-dir"
        ))
    };
    let file = File::open(path).map_err(|error| {
        Exit::Data.error(format!(
            "cannot open {shown}: {error}; check the path and its permissions"
        ))
    })?;
    let mut tar = tar::Archive::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file)));
    let mut seen = [false; 6];
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let inner = entry.path().map_err(damaged)?.into_owned();
        let Some(index) =
            cifar::files().position(|name| inner.file_name().is_some_and(|own| own == name))
        else {
            continue;
        };
        let name = format!("{} in {shown}", inner.display());
        if std::mem::replace(&mut seen[index], true) {
            return Err(Exit::Data.error(format!(
                "{name} is there twice: this is not CIFAR-10's archive"
            )));
        }
        // The size in the header first: a wrong one is a clearer fault than what follows from it.
        cifar::check_length(&name, entry.size())?;
        take(index, &name, &mut entry)?;
    }
    let missing: Vec<&str> = cifar::files()
        .zip(seen)
        .filter_map(|(name, seen)| (!seen).then_some(name))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Exit::Data.error(format!(
            "{shown} lacks {} of CIFAR-10's six batches: it is not the binary version of the archive",
            missing.join(", ")
        )))
    }
}
