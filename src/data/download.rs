//! Downloads files: resumable, verified as far as they are known, renamed into place once complete. A place that is slower
//! than wanted gives way to the next one.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use super::pace::{Meter, Pace};
use super::part::{self, Part};
use super::progress::{Progress, Report};
use crate::address::without_credentials;
use crate::exit::Exit;

/// Size and digest that a download must have.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    pub bytes: u64,
    /// Lower-case hex.
    pub md5: &'a str,
}

/// What a file must be, as far as it is known before the download.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub bytes: Option<u64>,
    /// Lower-case hex.
    pub md5: Option<&'a str>,
    /// The size to show, if the server does not tell it.
    pub likely: u64,
}

impl<'a> From<Archive<'a>> for Wanted<'a> {
    fn from(archive: Archive<'a>) -> Self {
        Self {
            bytes: Some(archive.bytes),
            md5: Some(archive.md5),
            likely: archive.bytes,
        }
    }
}

/// Together with [`CONNECT_TIMEOUT`] it bounds the time to notice a missing network to 10 s.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a connected server may stay silent.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Attempts per source. An attempt that gains no bytes is the last.
const ATTEMPTS: usize = 5;
/// The most bytes of a file of unknown size.
const MOST_BYTES: u64 = 1 << 30;

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

/// Downloads the `expected` file to `target` from the first of `sources` that has it and keeps the `pace`. If it ends early,
/// a later call resumes from `target.part`; `target` appears complete and verified, or not at all.
pub fn download(
    sources: &[String],
    expected: &Archive,
    target: &Path,
    pace: Pace,
    progress: &mut Report,
) -> std::result::Result<(), DownloadError> {
    let wanted = Wanted::from(*expected);
    let shown = |source: &String| without_credentials(source);
    from_first(sources, shown, pace, progress, |source, pace, progress| {
        file(source, &wanted, target, pace, progress).map(|_| ())
    })
}

/// Tries `places` one after the other. One that is slower than `pace` gives way to the next; when all have been tried, the
/// fastest of these goes on at its rate.
pub(super) fn from_first<P, T>(
    places: &[P],
    shown: impl Fn(&P) -> String,
    pace: Pace,
    progress: &mut Report,
    mut attempt: impl FnMut(&P, Pace, &mut Report<'_>) -> std::result::Result<T, Fault>,
) -> std::result::Result<T, DownloadError> {
    let mut unreachable = Vec::new();
    let mut wrong = Vec::new();
    let mut slow: Vec<(u64, &P)> = Vec::new();
    let mut turns: Vec<&P> = places.iter().rev().collect();
    let mut last_resort = false;
    while let Some(place) = turns.pop() {
        let fastest = slow.iter().map(|&(rate, _)| rate).max();
        let pace = match turns.last() {
            _ if last_resort => pace.at_most(0),
            Some(_) => pace,
            // Nothing is gained by leaving the last place for a slower one.
            None => pace.at_most(fastest.unwrap_or(0)),
        };
        let next = turns.last().map(|next| shown(next));
        let trying = |why: &str| next.as_ref().map(|next| format!("{why}; trying {next}"));
        let note = match attempt(place, pace, progress) {
            Ok(done) => return Ok(done),
            Err(Fault::End(error)) => return Err(DownloadError::Refused(error)),
            Err(Fault::Unreachable(why)) => {
                unreachable.push(why);
                None
            }
            Err(Fault::Wrong(why)) => {
                let note = trying(&why);
                wrong.push(why);
                note
            }
            Err(Fault::Slow { rate, why }) => {
                slow.push((rate, place));
                trying(&why).or(Some(why))
            }
        };
        if let Some(note) = note {
            progress(Progress::Note(note)).map_err(DownloadError::Refused)?;
        }
        if turns.is_empty() && !last_resort && !slow.is_empty() {
            last_resort = true;
            slow.sort_by_key(|&(rate, _)| rate);
            turns = slow.iter().map(|&(_, place)| place).collect();
            if let Some(place) = turns.last() {
                let note = format!("going on with {}, the fastest", shown(place));
                progress(Progress::Note(note)).map_err(DownloadError::Refused)?;
            }
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
pub(super) enum Fault {
    Unreachable(String),
    /// It delivers another file.
    Wrong(String),
    /// It delivers fewer bytes per second than wanted.
    Slow {
        rate: u64,
        why: String,
    },
    /// Not the source's fault, so no other source is tried.
    End(anyhow::Error),
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Fault::End(error)
    }
}

/// Downloads the wanted file from one source to `target`, or leaves what has come in `target.part`. Says whether some of it
/// had been there before, and thus may be of another file.
pub(super) fn file(
    source: &str,
    wanted: &Wanted,
    target: &Path,
    pace: Pace,
    progress: &mut Report,
) -> std::result::Result<bool, Fault> {
    let mut part = Part::open(target)?;
    let resumed = fill(source, wanted, &mut part, pace, progress)?;
    part.install(target)?;
    Ok(resumed)
}

/// A client for one source. A source with TLS may not lead to an address without.
fn agent(source: &str) -> ureq::Agent {
    ureq::Agent::config_builder()
        .https_only(has_tls(source))
        .timeout_resolve(Some(RESOLVE_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(READ_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT))
        .http_status_as_error(false)
        .user_agent(concat!("refig/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// Fills `part` from one source and verifies it.
fn fill(
    source: &str,
    wanted: &Wanted,
    part: &mut Part,
    pace: Pace,
    progress: &mut Report,
) -> std::result::Result<bool, Fault> {
    let agent = agent(source);
    let shown = without_credentials(source);
    let mut meter = Meter::new(pace);
    let mut resumed = false;
    let mut last = format!("{shown} did not deliver the file in {ATTEMPTS} attempts");
    for _ in 0..ATTEMPTS {
        let mut have = part.bytes()?;
        if have > wanted.bytes.unwrap_or(MOST_BYTES) {
            part.clear()?;
            have = 0;
        }
        resumed |= have > 0;
        if wanted.bytes != Some(have) {
            match transfer(&agent, source, wanted, part, have, &mut meter, progress)? {
                Transfer::Whole => {}
                Transfer::Cut(why) => {
                    let now = part.bytes()?;
                    let of = wanted.bytes.unwrap_or(wanted.likely);
                    last = format!("{shown} ended after {now} of {of} bytes ({why})");
                    if now > have {
                        continue;
                    }
                    return Err(Fault::Unreachable(last));
                }
                Transfer::Slow(rate) => {
                    return Err(Fault::Slow {
                        rate,
                        why: format!(
                            "{shown} delivers {} kB/s, less than {} kB/s (see --min-rate)",
                            rate / 1000,
                            pace.bytes_per_second / 1000
                        ),
                    });
                }
                // The server rejected the range: start over.
                Transfer::Again => {
                    resumed = false;
                    continue;
                }
            }
        }
        let Some(md5) = wanted.md5 else {
            return Ok(resumed);
        };
        let found = part.md5()?;
        if found == md5 {
            return Ok(resumed);
        }
        part.clear()?;
        if !resumed {
            return Err(Fault::Wrong(format!(
                "{shown} delivers a file with md5 {found} instead of {md5}"
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
    /// At this many bytes per second.
    Slow(u64),
    Again,
}

/// Sends one request, from byte `have` on, and appends the response to `part`.
fn transfer(
    agent: &ureq::Agent,
    source: &str,
    wanted: &Wanted,
    part: &mut Part,
    have: u64,
    meter: &mut Meter,
    progress: &mut Report,
) -> std::result::Result<Transfer, Fault> {
    let shown = without_credentials(source);
    // No transfer compression: offsets and sizes are those of the file.
    let mut request = agent.get(source).header("accept-encoding", "identity");
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    let response = request
        .call()
        .map_err(|error| Fault::Unreachable(unreachable(&shown, error)))?;
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
        // Only the end of it was missing: that there is no more.
        416 if have > 0 && header("content-range") == Some(format!("bytes */{have}")) => {
            return Ok(Transfer::Whole);
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
    let length = header("content-length").and_then(|length| length.parse::<u64>().ok());
    let stated = length.map(|length| start.saturating_add(length));
    match (stated, wanted.bytes) {
        (Some(stated), Some(bytes)) if stated != bytes => {
            return Err(Fault::Wrong(format!(
                "{shown} holds {stated} bytes instead of {bytes}"
            )));
        }
        (Some(stated), None) if stated > MOST_BYTES => {
            return Err(Fault::Wrong(format!(
                "{shown} holds {stated} bytes, more than {MOST_BYTES}"
            )));
        }
        _ => {}
    }
    let expected = wanted.bytes.or(stated);
    let most = expected.unwrap_or(MOST_BYTES);
    if start == 0 {
        part.clear()?;
    }
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0u8; 1 << 17];
    let mut done = start;
    let mut counted = start;
    let cut = loop {
        match body.read(&mut buffer) {
            // Without a stated size, the end is where the connection ends.
            Ok(0) if expected.is_none() => break None,
            Ok(0) => break Some("the connection was closed".to_owned()),
            Ok(count) => {
                part.append(&buffer[..count])?;
                done += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => break Some(error.to_string()),
        }
        if done > most {
            part.clear()?;
            return Err(Fault::Wrong(format!(
                "{shown} delivers more than the {most} bytes of the file"
            )));
        }
        progress(Progress::Download {
            done,
            total: expected.unwrap_or(wanted.likely).max(done),
        })?;
        if expected == Some(done) {
            break None;
        }
        if let Some(rate) = meter.add(done - counted) {
            part.sync()?;
            return Ok(Transfer::Slow(rate));
        }
        counted = done;
    };
    part.sync()?;
    Ok(cut.map_or(Transfer::Whole, Transfer::Cut))
}

/// What is said of a source whose request failed. A redirect may lead to an address with a signature.
fn unreachable(shown: &str, error: ureq::Error) -> String {
    match error {
        ureq::Error::RequireHttpsOnly(to) => format!(
            "{shown} redirects to {}, which is not https:// and is not followed",
            without_credentials(&to)
        ),
        error => {
            let why = without_credentials(&error.to_string());
            format!("{shown} cannot be reached ({why})")
        }
    }
}

/// Whether `path` is the expected file.
pub(super) fn is_archive(path: &Path, expected: &Archive) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == expected.bytes)
        && File::open(path)
            .and_then(|mut file| part::md5(&mut file, |_| Ok(())))
            .is_ok_and(|md5| md5 == expected.md5)
}

pub(super) fn is_address(source: &str) -> bool {
    source.starts_with("http://") || has_tls(source)
}

pub(super) fn has_tls(address: &str) -> bool {
    address.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_with_tls_leads_to_no_address_without() {
        // ureq asks for the address of a redirect as it does for the first.
        let to = "http://user:hunter2@127.0.0.1:9/x?token=hunter2";
        let source = "https://host/x";
        let error = agent(source).get(to).call().unwrap_err();
        assert_eq!(
            unreachable(source, error),
            "https://host/x redirects to http://127.0.0.1:9/x, which is not https:// and is not followed"
        );
        assert!(!agent("http://host/x").config().https_only());
    }
}
