//! A figure drawn once, for the files beside the page and for the page.

use anyhow::Result;

use crate::figure::Drawing;

/// A figure and its SVG.
#[derive(Clone, Debug, PartialEq)]
pub struct Illustration {
    pub drawing: Drawing,
    pub svg: String,
}

impl Illustration {
    /// Draws it.
    ///
    /// # Errors
    /// If it cannot be drawn, which is a bug.
    pub fn of(drawing: Drawing) -> Result<Self> {
        let svg = drawing.svg()?;
        Ok(Self { drawing, svg })
    }
}
