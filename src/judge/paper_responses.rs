//! The paper's layer responses, from `experiments/reference/fig7.csv`, extracted from the vector graphics of arXiv:1512.03385v1.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::console::one_line;
use crate::exit::Exit;

/// The header of a file of the paper's responses.
const COLUMNS: &str = "figure,panel,network,layer_index,std,note";

/// The paper's responses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PaperResponses {
    /// Layer number and standard deviation, by panel and network (lower-case).
    lines: BTreeMap<(String, String), Vec<(f64, f64)>>,
}

impl PaperResponses {
    /// Reads a file of the paper's responses.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be read, with the line number of an invalid point.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Exit::Storage.error(format!(
                "cannot read the paper's responses from {}: {error}; restore the file, or draw without it with --no-reference",
                path.display()
            ))
        })?;
        let refuse = |number: usize, line: &str| {
            Exit::Storage.error(format!(
                "{}:{number}: invalid point `{}`, expected {COLUMNS}; restore the file, or draw without it with --no-reference",
                path.display(),
                one_line(line)
            ))
        };
        let mut lines = text.lines();
        match lines.next().map(str::trim) {
            Some(COLUMNS) => {}
            other => return Err(refuse(1, other.unwrap_or(""))),
        }
        let mut points = BTreeMap::<_, Vec<_>>::new();
        for (line, number) in lines.zip(2..).filter(|(line, _)| !line.trim().is_empty()) {
            let fields: Vec<&str> = line.trim().split(',').collect();
            let [_, panel, network, layer, deviation, _] = fields[..] else {
                return Err(refuse(number, line));
            };
            let (Ok(layer), Ok(deviation)) = (layer.parse::<f64>(), deviation.parse::<f64>())
            else {
                return Err(refuse(number, line));
            };
            if !(layer.is_finite() && deviation.is_finite()) {
                return Err(refuse(number, line));
            }
            let key = (panel.to_owned(), network.to_ascii_lowercase());
            points.entry(key).or_default().push((layer, deviation));
        }
        Ok(Self { lines: points })
    }

    /// The line of a network (lower-case) in one of these panels: layer number and standard deviation.
    pub fn line(&self, panels: &[String], network: &str) -> Option<&[(f64, f64)]> {
        let of_panel = |panel: &String| self.lines.get(&(panel.clone(), network.to_owned()));
        panels.iter().find_map(of_panel).map(Vec::as_slice)
    }
}
