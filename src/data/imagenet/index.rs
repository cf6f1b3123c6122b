//! What was found in a place, kept in the cache folder so that images that have not changed are not read again. The file
//! is binary, has a version, and ends with the sha256 of what comes before.

use std::io;
use std::path::{Path, PathBuf};

use super::listing::{Container, Found, Kind, Listing};
use crate::data::sealed::{self, Magic};
use crate::digest::sha256;

/// Begins every index; the last byte is the version of the format.
const MAGIC: &Magic = b"refig-imagenet\0\x01";
/// The most bytes of an index. That of all of ImageNet takes about 150 MB.
const MOST_BYTES: u64 = 4 << 30;

/// What was found in a place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub train: Option<Listing>,
    pub test: Option<Listing>,
}

/// Where the index of `source` is kept.
pub(super) fn path(cache: &Path, source: &Path) -> PathBuf {
    let key = sha256(source.to_string_lossy().as_bytes());
    cache.join("imagenet").join(format!("{}.index", &key[..16]))
}

/// Reads an index. None if there is none.
///
/// # Errors
/// Of the system, or if the file is damaged or has another version.
pub(super) fn load(path: &Path) -> io::Result<Option<Index>> {
    let Some(bytes) = sealed::read(path, MAGIC, MOST_BYTES)? else {
        return Ok(None);
    };
    let mut fields = &bytes[..];
    let index = decode(&mut fields).filter(|_| fields.is_empty());
    index
        .map(Some)
        .ok_or_else(|| io::Error::other("it is damaged"))
}

/// Writes an index in place of an older one. After a crash there is either.
pub(super) fn save(path: &Path, index: &Index) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    encode(index, &mut bytes);
    // What a killed process left may be large.
    sealed::tidy(path);
    sealed::write(path, bytes)
}

fn encode(index: &Index, into: &mut Vec<u8>) {
    for listing in [&index.train, &index.test] {
        into.push(u8::from(listing.is_some()));
        if let Some(listing) = listing {
            encode_listing(listing, into);
        }
    }
}

fn encode_listing(listing: &Listing, into: &mut Vec<u8>) {
    into.push(match listing.kind {
        Kind::Files => 0,
        Kind::Archives => 1,
        Kind::Shards => 2,
    });
    number(listing.skipped, into);
    number(listing.containers.len() as u64, into);
    for container in &listing.containers {
        text(&container.path, into);
        number(container.size, into);
        into.extend(container.modified.to_le_bytes());
    }
    number(listing.groups.len() as u64, into);
    for group in &listing.groups {
        text(group, into);
    }
    // An image without digest was not read before an error.
    let read = || listing.images.iter().filter(|image| image.digest.is_some());
    number(read().count() as u64, into);
    for image in read() {
        text(&image.name, into);
        into.extend(image.group.to_le_bytes());
        into.extend(image.container.to_le_bytes());
        number(image.offset, into);
        number(image.size, into);
        into.extend(image.modified.to_le_bytes());
        into.extend(image.digest.unwrap_or_default());
    }
}

fn number(value: u64, into: &mut Vec<u8>) {
    into.extend(value.to_le_bytes());
}

fn text(value: &str, into: &mut Vec<u8>) {
    into.extend((value.len() as u32).to_le_bytes());
    into.extend(value.as_bytes());
}

fn decode(from: &mut &[u8]) -> Option<Index> {
    let mut listing = || match take::<1>(from)? {
        [0] => Some(None),
        [1] => decode_listing(from).map(Some),
        _ => None,
    };
    Some(Index {
        train: listing()?,
        test: listing()?,
    })
}

fn decode_listing(from: &mut &[u8]) -> Option<Listing> {
    let kind = match take::<1>(from)? {
        [0] => Kind::Files,
        [1] => Kind::Archives,
        [2] => Kind::Shards,
        _ => return None,
    };
    let mut listing = Listing::new(kind, Vec::new());
    listing.skipped = take_number(from)?;
    // Nothing is reserved for the counts, so absurd ones end where the bytes do.
    for _ in 0..take_number(from)? {
        listing.containers.push(Container {
            path: take_text(from)?,
            size: take_number(from)?,
            modified: i64::from_le_bytes(take(from)?),
        });
    }
    for _ in 0..take_number(from)? {
        listing.groups.push(take_text(from)?);
    }
    for _ in 0..take_number(from)? {
        listing.images.push(Found {
            name: take_text(from)?,
            group: u32::from_le_bytes(take(from)?),
            container: u32::from_le_bytes(take(from)?),
            offset: take_number(from)?,
            size: take_number(from)?,
            modified: i64::from_le_bytes(take(from)?),
            digest: Some(take(from)?),
        });
    }
    let containers = listing.containers.len();
    let inside = |image: &Found| kind == Kind::Files || (image.container as usize) < containers;
    listing.images.iter().all(inside).then_some(listing)
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*taken)
}

fn take_number(from: &mut &[u8]) -> Option<u64> {
    take(from).map(u64::from_le_bytes)
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    let length = u32::from_le_bytes(take(from)?) as usize;
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    String::from_utf8(taken.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn index() -> Index {
        let container = Container {
            path: "val.tar".into(),
            size: 7,
            modified: -5,
        };
        let mut listing = Listing::new(Kind::Archives, vec![container]);
        let group = listing.group("n01440764");
        for (name, digest) in [("é.JPEG", Some([3; 32])), ("unread.JPEG", None)] {
            listing.images.push(Found {
                name: name.into(),
                group,
                container: 0,
                offset: 1 << 40,
                size: 9,
                modified: 0,
                digest,
            });
        }
        Index {
            train: None,
            test: Some(listing),
        }
    }

    #[test]
    fn an_index_is_read_as_it_was_written_without_what_was_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), Path::new("/somewhere"));
        assert_eq!(load(&path).unwrap(), None);
        let mut expected = index();
        save(&path, &expected).unwrap();
        expected.test.as_mut().unwrap().images.pop();
        assert_eq!(load(&path).unwrap(), Some(expected));
    }

    #[test]
    fn damage_and_other_versions_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        save(&path, &index()).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(load(&path).is_err(), "{length}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(load(&path).is_err(), "{at}");
        }
        let mut newer = whole;
        newer[MAGIC.len() - 1] = 2;
        fs::write(&path, newer).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("version"), "{error}");
    }

    #[test]
    fn a_forged_index_does_no_worse_than_an_error() {
        use crate::random::{Purpose, Stream};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut body = MAGIC.to_vec();
        encode(&index(), &mut body);
        let mut stream = Stream::new(6, Purpose::Synthetic, 0, 0);
        for _ in 0..2000 {
            let mut forged = body.clone();
            for _ in 0..=stream.below(3) {
                let place = stream.below(forged.len() as u64) as usize;
                forged[place] = [0, 1, 0x7f, 0xff][stream.below(4) as usize];
            }
            if stream.below(4) == 0 {
                forged.truncate(stream.below(forged.len() as u64) as usize);
            }
            sealed::write(&path, forged).unwrap();
            let _ = load(&path);
        }
    }
}
