//! Device errors as [`anyhow::Error`].

use std::fmt::Display;

use anyhow::anyhow;

/// Keeps the text of one of dfdx's errors, which are not `Send` themselves.
pub(super) fn device_error(error: impl Display) -> anyhow::Error {
    anyhow!("device error: {error}")
}
