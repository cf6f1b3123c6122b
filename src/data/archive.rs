//! Reads the official `.tar.gz` into memory or unpacks it into a folder.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use anyhow::Result;
use flate2::read::MultiGzDecoder;

use super::error::storage_error;
use super::layout::{self, BATCH_BYTES, Batches, TEST_FILE, TRAINING_FILES};
use super::progress::{Progress, Report};
use crate::exit::Exit;

/// Reads the six batches of an archive, whatever their order in it.
pub(super) fn read(path: &Path) -> Result<Batches> {
    let mut batches: [Vec<u8>; 6] = Default::default();
    for_each_batch(path, |index, name, reader| {
        layout::append_batch(name, reader, &mut batches[index])
    })?;
    let [one, two, three, four, five, test] = batches;
    let mut train = one;
    train.reserve_exact(4 * BATCH_BYTES);
    for batch in [two, three, four, five] {
        train.extend_from_slice(&batch);
    }
    Ok(Batches { train, test })
}

/// Unpacks the six batches of an archive into the existing `folder`. On an error the caller removes the folder.
pub(super) fn unpack(path: &Path, folder: &Path, progress: &mut Report) -> Result<()> {
    let total = (TRAINING_FILES.len() + 1) as u64;
    let mut done = 0;
    let mut records = Vec::new();
    for_each_batch(path, |index, name, reader| {
        records.clear();
        layout::append_batch(name, reader, &mut records)?;
        let target = folder.join(layout::files().nth(index).unwrap_or(TEST_FILE));
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

/// Calls `take(index, name, contents)` once for each of the six batches and skips other entries.
fn for_each_batch(
    path: &Path,
    mut take: impl FnMut(usize, &str, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let shown = path.display();
    let damaged = |error: std::io::Error| {
        Exit::Data.error(format!(
            "{shown} is damaged or not a readable .tar.gz: {error}; fetch it again with `refig data fetch cifar10`, or name another place with --data-dir"
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
            layout::files().position(|name| inner.file_name().is_some_and(|own| own == name))
        else {
            continue;
        };
        let name = format!("{} in {shown}", inner.display());
        if std::mem::replace(&mut seen[index], true) {
            return Err(Exit::Data.error(format!(
                "{name} occurs twice: not CIFAR-10's archive; fetch it with `refig data fetch cifar10`"
            )));
        }
        // A wrong size in the header is the clearest error, so check it before the contents.
        layout::check_length(&name, entry.size())?;
        take(index, &name, &mut entry)?;
    }
    let missing: Vec<&str> = layout::files()
        .zip(seen)
        .filter_map(|(name, seen)| (!seen).then_some(name))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Exit::Data.error(format!(
            "{shown} lacks {} of CIFAR-10's six batches: not the binary version of the archive; fetch it with `refig data fetch cifar10`",
            missing.join(", ")
        )))
    }
}
