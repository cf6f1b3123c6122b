//! What is downloaded, and how its download ends.

use std::path::Path;

use md5::{Digest, Md5};
use refig::data::{Archive, DownloadError, Pace, download};
use refig::exit::Exit;

pub fn content() -> Vec<u8> {
    (0..1_000_003u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

pub fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Downloads into `folder/archive`; what was there already is gone on with.
pub fn fetch(sources: &[String], content: &[u8], folder: &Path) -> Result<(), DownloadError> {
    let md5 = md5(content);
    let expected = Archive {
        bytes: content.len() as u64,
        md5: &md5,
    };
    let (target, pace) = (folder.join("archive"), Pace::default());
    download(sources, &expected, &target, pace, &mut |_| Ok(()))
}

pub fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The error of sources that deliver something wrong.
pub fn refused(result: Result<(), DownloadError>) -> anyhow::Error {
    match result {
        Err(DownloadError::Refused(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

pub fn unreachable(result: Result<(), DownloadError>) -> String {
    match result {
        Err(DownloadError::Unreachable(error)) => {
            assert_eq!(Exit::of(&error), Exit::Data);
            error.to_string()
        }
        other => panic!("expected no source to be reachable, got {other:?}"),
    }
}
