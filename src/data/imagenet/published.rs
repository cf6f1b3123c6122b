//! The archives of ILSVRC 2012 as they were published.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::Result;

use super::layout::{TEST_TAR, TRAIN_TAR};
use crate::data::download::Archive;
use crate::data::part::md5;
use crate::data::progress::{Progress, Report};
use crate::exit::Exit;

/// Names, sizes and md5s of the archives (torchvision's `datasets/imagenet.py` has the md5s).
pub(super) const ARCHIVES: [(&str, Archive<'static>); 2] = [
    (
        TRAIN_TAR,
        Archive {
            bytes: 147_897_477_120,
            md5: "1d675b47d978889d74fa0da5fadfb00e",
        },
    ),
    (
        TEST_TAR,
        Archive {
            bytes: 6_744_924_160,
            md5: "29b22e2961454d5413ddabcf34fc5622",
        },
    ),
];

/// Bytes of both.
pub(in crate::data) fn archives_bytes() -> u64 {
    ARCHIVES.iter().map(|(_, archive)| archive.bytes).sum()
}

/// Compares an archive with the one of its name among `published`, and reads it if it is as long; none if none has its name.
/// The images in it are judged themselves, so one of another size is no fault: who packs them anew gets such. One of the same
/// size and another md5 is.
///
/// # Errors
/// [`Exit::Data`] if it cannot be read; that of `progress`.
pub(super) fn compare(
    path: &Path,
    published: &[(&str, Archive<'_>)],
    progress: &mut Report,
) -> Result<Option<std::result::Result<String, String>>> {
    let own = path.file_name().and_then(|name| name.to_str());
    let known = published.iter().find(|(name, _)| own == Some(*name));
    let (Some((name, archive)), Ok(metadata)) = (known, path.metadata()) else {
        return Ok(None);
    };
    let (total, expected) = (archive.bytes, archive.md5);
    if metadata.len() != total {
        return Ok(Some(Ok(format!(
            "{name} has {} bytes, and the official archive {total} (md5 {expected}): it was repacked, or is a different archive",
            metadata.len()
        ))));
    }
    let unreadable = |error: io::Error| {
        Exit::Data.error(format!(
            "cannot read {}: {error}; check the file and its permissions",
            path.display()
        ))
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut done = 0;
    let found = md5(&mut file, |bytes| {
        done += bytes;
        progress(Progress::Digest { done, total })
    });
    let found = found.map_err(|error: anyhow::Error| match error.downcast::<io::Error>() {
        Ok(error) => unreadable(error),
        Err(error) => error,
    })?;
    Ok(Some(match found == expected {
        true => Ok(format!(
            "{name} is the official archive: it has the published md5, {expected}"
        )),
        false => Err(format!(
            "{name} has the published size and the md5 {found} instead of {expected}: it is damaged; get it again"
        )),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The md5 is that of "abc" in RFC 1321.
    const PUBLISHED: &[(&str, Archive<'static>)] = &[(
        "set.tar",
        Archive {
            bytes: 3,
            md5: "900150983cd24fb0d6963f7d28e17f72",
        },
    )];

    #[test]
    fn an_archive_as_long_as_the_published_one_is_told_from_it_by_its_md5() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.tar");
        let mut told = Vec::new();
        let mut compared = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            compare(&path, PUBLISHED, &mut |progress| {
                told.push(progress);
                Ok(())
            })
            .unwrap()
            .unwrap()
        };
        let same = compared(b"abc").unwrap();
        assert!(same.contains("is the official archive"), "{same}");
        let other = compared(b"abd").unwrap_err();
        // By `md5sum`.
        let digest = "4911e516e5aa21d327512e0c8b197616";
        assert!(other.contains(digest) && other.contains("900150983cd24fb0"));
        let longer = compared(b"abcd").unwrap();
        assert!(longer.contains("has 4 bytes") && longer.contains("900150983cd24fb0"));
        // Another size is known without reading.
        assert_eq!(
            told,
            [(); 2].map(|()| Progress::Digest { done: 3, total: 3 })
        );
        let unknown = folder.path().join("other.tar");
        std::fs::write(&unknown, "abc").unwrap();
        assert!(
            compare(&unknown, PUBLISHED, &mut |_| Ok(()))
                .unwrap()
                .is_none()
        );
        std::fs::write(&path, "abc").unwrap();
        let stop = compare(&path, PUBLISHED, &mut |_| {
            Err(Exit::Interrupted.error("stopped"))
        });
        assert_eq!(Exit::of(&stop.unwrap_err()), Exit::Interrupted);
    }
}
