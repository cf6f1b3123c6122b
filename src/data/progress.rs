//! Progress of opening and downloading data.

/// What `open` and `fetch` are doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A sentence for the user.
    Note(String),
    /// Nothing to show: waiting for another process, or reading. Sent a few times a second.
    Waiting,
    /// Bytes of the archive on disk so far, out of `total`.
    Download { done: u64, total: u64 },
    /// Images decoded so far to find those that cannot be decoded, out of `total`.
    Decode { done: u64, total: u64 },
    /// Bytes of an archive digested so far, out of `total`.
    Digest { done: u64, total: u64 },
    /// Images summed for the mean image so far, out of `total`.
    Mean { done: u64, total: u64 },
    /// Bytes copied or unpacked so far, out of `total`.
    Unpack { done: u64, total: u64 },
    /// Bytes of images read so far, out of `total`.
    Read { done: u64, total: u64 },
    /// Bytes of images packed so far, out of `total`.
    Pack { done: u64, total: u64 },
}

/// Receives [`Progress`]. Returning an error cancels the work, and the error is passed on.
pub type Report<'a> = dyn FnMut(Progress) -> anyhow::Result<()> + 'a;
