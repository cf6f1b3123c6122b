//! A figure drawn once, for both the page and the image files.

use anyhow::Result;

use crate::figure::Drawing;

/// A figure and its SVG.
#[derive(Clone, Debug, PartialEq)]
pub struct Illustration {
    pub drawing: Drawing,
    pub svg: String,
}

impl Illustration {
    /// # Errors
    /// If it cannot be drawn, which is a bug.
    pub fn of(drawing: Drawing) -> Result<Self> {
        let svg = drawing.svg()?;
        Ok(Self { drawing, svg })
    }
}
