//! The order of records by digest, which takes most of the time of loading, kept in the cache folder: files that have not
//! changed since are not digested again. Whether they have is told by their sizes, times and numbers on the disk.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::records::Sorted;
use crate::data::sealed::{self, Magic};
use crate::digest::sha256;

/// Begins every file; the last byte is the version of the format.
const MAGIC: &Magic = b"refig-cifar10-\0\x01";
/// The most bytes of a file.
const MOST_BYTES: u64 = 16 << 20;
/// Bytes of a digest.
const DIGEST: usize = 32;

/// Files, and the state in which they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Tells places apart.
    place: String,
    state: [u8; DIGEST],
}

impl Key {
    /// The state of `files`. None if one of them cannot be looked at.
    pub fn of(files: &[PathBuf]) -> Option<Self> {
        let mut names = Vec::new();
        let mut state = Sha256::new();
        for file in files {
            let path = std::path::absolute(file).ok()?;
            let path = path.as_os_str().as_encoded_bytes();
            for word in state_of(&std::fs::metadata(file).ok()?)? {
                state.update(word.to_le_bytes());
            }
            names.extend_from_slice(path);
            names.push(0);
        }
        Some(Self {
            place: sha256(&names)[..16].to_owned(),
            state: state.finalize().into(),
        })
    }

    /// Where the order is kept.
    fn path(&self, cache: &Path) -> PathBuf {
        cache.join("cifar10").join(format!("{}.order", self.place))
    }
}

/// What changes when a file is written or replaced.
fn state_of(metadata: &Metadata) -> Option<Vec<u64>> {
    let modified = metadata.modified().ok()?;
    let modified = modified.duration_since(UNIX_EPOCH).ok()?;
    let mut words = vec![
        metadata.len(),
        modified.as_secs(),
        u64::from(modified.subsec_nanos()),
    ];
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // The time of the last change of anything, which no program can set.
        let changed = [metadata.ctime(), metadata.ctime_nsec()];
        words.extend(changed.map(i64::cast_unsigned));
        words.extend([metadata.ino(), metadata.dev()]);
    }
    Some(words)
}

/// The order of the training and of the test records, if it is known for files in this state. What is damaged is as good as
/// missing.
pub(super) fn load(cache: &Path, key: &Key) -> Option<[Sorted; 2]> {
    let bytes = sealed::read(&key.path(cache), MAGIC, MOST_BYTES).ok()??;
    let (state, mut rest) = bytes.split_first_chunk::<DIGEST>()?;
    if *state != key.state {
        return None;
    }
    let sets = [take(&mut rest)?, take(&mut rest)?];
    rest.is_empty().then_some(sets)
}

/// Keeps an order. A failure costs time later and nothing else.
pub(super) fn save(cache: &Path, key: &Key, sets: [&Sorted; 2]) {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(key.state);
    for set in sets {
        bytes.extend(set.digest);
        bytes.extend((set.order.len() as u32).to_le_bytes());
        bytes.extend(set.order.iter().flat_map(|place| place.to_le_bytes()));
    }
    let path = key.path(cache);
    sealed::tidy(&path);
    sealed::write(&path, bytes).ok();
}

fn take(from: &mut &[u8]) -> Option<Sorted> {
    let (digest, rest) = from.split_first_chunk::<DIGEST>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let length = 4 * u32::from_le_bytes(*count) as usize;
    let (places, rest) = rest.split_at_checked(length)?;
    *from = rest;
    let places = places.as_chunks::<4>().0.iter();
    let order = places.map(|place| u32::from_le_bytes(*place)).collect();
    let sorted = Sorted {
        order,
        digest: *digest,
    };
    sorted.is_an_order().then_some(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: &[u32]) -> Sorted {
        Sorted {
            order: order.to_vec(),
            digest: [7; DIGEST],
        }
    }

    #[test]
    fn an_order_is_known_until_a_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("a"), folder.path().join("b")];
        assert_eq!(Key::of(&files), None, "they do not exist");
        for file in &files {
            std::fs::write(file, "old").unwrap();
        }
        let key = Key::of(&files).unwrap();
        let (train, test) = (sorted(&[2, 0, 1]), sorted(&[0]));
        assert!(load(folder.path(), &key).is_none());
        save(folder.path(), &key, [&train, &test]);
        assert_eq!(load(folder.path(), &key), Some([train, test]));
        // A file of the same size and time, in place of the old one.
        let time = std::fs::metadata(&files[1]).unwrap().modified().unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "new").unwrap();
        std::fs::File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(time)
            .unwrap();
        std::fs::rename(&other, &files[1]).unwrap();
        let changed = Key::of(&files).unwrap();
        assert_eq!(changed.place, key.place);
        assert!(load(folder.path(), &changed).is_none());
    }

    #[test]
    fn damage_is_as_good_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "").unwrap();
        let key = Key::of(&[file]).unwrap();
        save(folder.path(), &key, [&sorted(&[1, 0]), &sorted(&[0])]);
        let path = key.path(folder.path());
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert!(load(folder.path(), &key).is_none(), "{at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(load(folder.path(), &key).is_none(), "{at}");
        }
        // Not an order.
        save(folder.path(), &key, [&sorted(&[1, 1]), &sorted(&[0])]);
        assert!(load(folder.path(), &key).is_none());
    }
}
