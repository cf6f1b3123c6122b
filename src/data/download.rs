//! Downloads the official archive: resumable, verified by size and md5, renamed into place once complete.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::part::{self, Part};
use super::progress::{Progress, Report};
use crate::address::without_credentials;
use crate::exit::Exit;

/// Official address of CIFAR-10's binary version.
pub const OFFICIAL_URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";

/// Size and digest that a download must have.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    pub bytes: u64,
    /// Lower-case hex.
    pub md5: &'a str,
}

/// The official archive as published.
pub const OFFICIAL_ARCHIVE: Archive<'static> = Archive {
    bytes: 170_052_171,
    md5: "c32a1d4ab5d03f1284b67883e8d87530",
};

/// Together with [`CONNECT_TIMEOUT`] it bounds the time to notice a missing network to 10 s.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a connected server may stay silent.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Attempts per source. An attempt that gains no bytes is the last.
const ATTEMPTS: usize = 5;

/// Why a download failed.
#[derive(Debug)]
pub enum DownloadError {
    /// No source delivered the whole file. The bytes received so far stay in the `.part` file.
    Unreachable(anyhow::Error),
    /// A source delivered another file, a write failed, or the caller cancelled.
    Refused(anyhow::Error),
}

impl From<DownloadError> for anyhow::Error {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Unreachable(error) | DownloadError::Refused(error) => error,
        }
    }
}

/// Downloads the `expected` file to `target` from the first of `sources` that has it. If it ends early, a later call
/// resumes from `target.part`; `target` appears complete and verified, or not at all.
pub fn download(
    sources: &[String],
    expected: &Archive,
    target: &Path,
    progress: &mut Report,
) -> std::result::Result<(), DownloadError> {
    let mut part = Part::open(target).map_err(DownloadError::Refused)?;
    let mut unreachable = Vec::new();
    let mut wrong = Vec::new();
    for source in sources {
        match from_source(source, expected, &mut part, progress) {
            Ok(()) => return part.install(target).map_err(DownloadError::Refused),
            Err(Fault::Unreachable(why)) => unreachable.push(why),
            Err(Fault::Wrong(why)) => wrong.push(why),
            Err(Fault::End(error)) => return Err(DownloadError::Refused(error)),
        }
    }
    let reasons: Vec<String> = wrong.iter().chain(&unreachable).cloned().collect();
    let reasons = if reasons.is_empty() {
        "no sources".to_owned()
    } else {
        reasons.join("; ")
    };
    let error = Exit::Data.error(format!(
        "cannot download CIFAR-10: {reasons}. Get cifar-10-binary.tar.gz elsewhere and name it with --data-dir FILE or `refig data fetch cifar10 --from FILE|URL`"
    ));
    Err(if wrong.is_empty() {
        DownloadError::Unreachable(error)
    } else {
        DownloadError::Refused(error)
    })
}

/// Why one source failed.
enum Fault {
    Unreachable(String),
    /// It delivers another file.
    Wrong(String),
    /// Not the source's fault, so no other source is tried.
    End(anyhow::Error),
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Fault::End(error)
    }
}

/// Fills `part` from one source and verifies it.
fn from_source(
    source: &str,
    expected: &Archive,
    part: &mut Part,
    progress: &mut Report,
) -> std::result::Result<(), Fault> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(RESOLVE_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(READ_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT))
        .http_status_as_error(false)
        .user_agent(concat!("refig/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let shown = without_credentials(source);
    let mut resumed = false;
    let mut last = format!("{shown} did not deliver the file in {ATTEMPTS} attempts");
    for _ in 0..ATTEMPTS {
        let mut have = part.bytes()?;
        if have > expected.bytes {
            part.clear()?;
            have = 0;
        }
        if have < expected.bytes {
            resumed |= have > 0;
            match transfer(&agent, source, expected, part, have, progress)? {
                Transfer::Whole => {}
                Transfer::Cut(why) => {
                    let now = part.bytes()?;
                    last = format!(
                        "{shown} ended after {now} of {} bytes ({why})",
                        expected.bytes
                    );
                    if now > have {
                        continue;
                    }
                    return Err(Fault::Unreachable(last));
                }
                // The server rejected the range: start over.
                Transfer::Again => continue,
            }
        } else {
            resumed = true;
        }
        let found = part.md5()?;
        if found == expected.md5 {
            return Ok(());
        }
        part.clear()?;
        if !resumed {
            return Err(Fault::Wrong(format!(
                "{shown} delivers a file with md5 {found} instead of {}",
                expected.md5
            )));
        }
        // The part left by an earlier attempt or another source may have been damaged: try once from scratch.
        resumed = false;
    }
    Err(Fault::Unreachable(last))
}

enum Transfer {
    Whole,
    Cut(String),
    Again,
}

/// Sends one request, from byte `have` on, and appends the response to `part`.
fn transfer(
    agent: &ureq::Agent,
    source: &str,
    expected: &Archive,
    part: &mut Part,
    have: u64,
    progress: &mut Report,
) -> std::result::Result<Transfer, Fault> {
    let shown = without_credentials(source);
    let unreachable = |error: ureq::Error| {
        // A redirect may lead to an address with a signature.
        let why = without_credentials(&error.to_string());
        Fault::Unreachable(format!("{shown} cannot be reached ({why})"))
    };
    // No transfer compression: offsets and sizes are those of the file.
    let mut request = agent.get(source).header("accept-encoding", "identity");
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    let response = request.call().map_err(unreachable)?;
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let start = match response.status().as_u16() {
        200 => 0,
        206 if header("content-range")
            .is_some_and(|range| range.starts_with(&format!("bytes {have}-"))) =>
        {
            have
        }
        206 | 416 if have > 0 => {
            part.clear()?;
            return Ok(Transfer::Again);
        }
        status => {
            return Err(Fault::Unreachable(format!(
                "{shown} returned status {status}"
            )));
        }
    };
    if let Some(length) = header("content-length").and_then(|length| length.parse::<u64>().ok())
        && start.checked_add(length) != Some(expected.bytes)
    {
        return Err(Fault::Wrong(format!(
            "{shown} holds {} bytes instead of {}",
            start.saturating_add(length),
            expected.bytes
        )));
    }
    if start == 0 {
        part.clear()?;
    }
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0u8; 1 << 17];
    let mut done = start;
    let cut = loop {
        match body.read(&mut buffer) {
            Ok(0) => break "the connection was closed".to_owned(),
            Ok(count) => {
                part.append(&buffer[..count])?;
                done += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => break error.to_string(),
        }
        if done > expected.bytes {
            part.clear()?;
            return Err(Fault::Wrong(format!(
                "{shown} delivers more than the {} bytes of the archive",
                expected.bytes
            )));
        }
        progress(Progress::Download {
            done,
            total: expected.bytes,
        })?;
        if done == expected.bytes {
            break String::new();
        }
    };
    part.sync()?;
    Ok(if done == expected.bytes {
        Transfer::Whole
    } else {
        Transfer::Cut(cut)
    })
}

/// Whether `path` is the expected file.
pub(super) fn is_archive(path: &Path, expected: &Archive) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == expected.bytes)
        && File::open(path)
            .and_then(|mut file| part::md5(&mut file))
            .is_ok_and(|md5| md5 == expected.md5)
}

pub(super) fn is_address(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// The sources in the order they are tried: the user's mirrors, then the official one, unless the mirrors place it
/// with the word `official`.
///
/// # Errors
/// [`Exit::Usage`] if a mirror is not an http or https address.
pub(super) fn sources(mirrors: &[String]) -> Result<Vec<String>> {
    let mut sources = Vec::new();
    for mirror in mirrors {
        if mirror == "official" {
            sources.push(OFFICIAL_URL.to_owned());
        } else if is_address(mirror) {
            sources.push(mirror.clone());
        } else {
            return Err(Exit::Usage.error(format!(
                "mirror `{}` is not an http:// or https:// address of cifar-10-binary.tar.gz, nor the word `official`",
                without_credentials(mirror)
            )));
        }
    }
    if !sources.iter().any(|source| source == OFFICIAL_URL) {
        sources.push(OFFICIAL_URL.to_owned());
    }
    Ok(sources)
}
