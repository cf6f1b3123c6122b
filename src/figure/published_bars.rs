//! Figures of reference data only: values from a file as bars.

use std::path::Path;

use anyhow::Result;

use crate::console::one_line;
use crate::exit::Exit;
use crate::manifest::Bars;

/// The header of a file of values.
const COLUMNS: &str = "panel,label,below,value,mark,source";

/// One value of a reference file.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The panel in the file.
    pub panel: String,
    /// Text below the bar.
    pub label: String,
    /// Text below the label: a year, a depth.
    pub below: String,
    pub value: f64,
    /// The value as in the file: `7.4`, `152`.
    pub text: String,
    pub whose: Whose,
    pub source: String,
}

/// Whose result a bar shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Cited by the paper.
    Cited,
    /// The paper's own.
    Paper,
    /// Measured here.
    Ours,
}

/// A plot of bars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarPlot {
    pub title: String,
    /// The label of the vertical axis.
    pub axis: String,
    pub bars: Vec<Bar>,
}

/// A figure of bars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarFigure {
    pub title: String,
    /// Profile, data, seeds; empty for published values.
    pub line: String,
    /// Large text across the plots.
    pub watermark: Option<String>,
    pub plots: Vec<BarPlot>,
    /// Below the plots: sources of the values.
    pub notes: Vec<String>,
}

/// Parses a file of values; `source` names it in errors.
///
/// # Errors
/// [`Exit::Storage`] with the number of an invalid line.
pub fn parse(text: &str, source: &str) -> Result<Vec<Bar>> {
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some(COLUMNS) {
        return Err(Exit::Storage.error(format!(
            "{source}:1: expected the header `{COLUMNS}`; restore the file"
        )));
    }
    let mut bars = Vec::new();
    for (line, number) in lines.zip(2..).filter(|(line, _)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.trim().splitn(6, ',').collect();
        let bar = match fields[..] {
            [panel, label, below, value, mark, source] => value
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite() && *number >= 0.0)
                .map(|number| Bar {
                    panel: panel.into(),
                    label: label.into(),
                    below: below.into(),
                    value: number,
                    text: value.into(),
                    whose: match mark {
                        "paper" => Whose::Paper,
                        _ => Whose::Cited,
                    },
                    source: source.into(),
                }),
            _ => None,
        };
        bars.push(bar.ok_or_else(|| {
            Exit::Storage.error(format!(
                "{source}:{number}: invalid value `{}`, expected {COLUMNS}; restore the file",
                one_line(line)
            ))
        })?);
    }
    Ok(bars)
}

fn read(path: &Path) -> Result<Vec<Bar>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Exit::Storage.error(format!(
            "cannot read the values from {}: {error}; restore the file",
            path.display()
        ))
    })?;
    parse(&text, &path.display().to_string())
}

/// Builds the figure of a manifest of bars from its files.
///
/// # Errors
/// [`Exit::Storage`] if a file cannot be read or is invalid; [`Exit::Usage`] if it has no values for a panel.
pub fn assemble(bars: &Bars) -> Result<BarFigure> {
    let mut figure = BarFigure {
        title: bars.title.clone(),
        ..BarFigure::default()
    };
    for panel in &bars.panels {
        let mut values = read(&panel.file)?;
        values.retain(|bar| panel.panels.contains(&bar.panel));
        if values.is_empty() {
            return Err(Exit::Usage.error(format!(
                "{}: no values for {}; name one of the file's panels",
                panel.file.display(),
                panel.panels.join(", ")
            )));
        }
        let mut sources: Vec<&str> = Vec::new();
        for bar in &values {
            if !sources.contains(&bar.source.as_str()) {
                sources.push(&bar.source);
            }
        }
        figure
            .notes
            .push(format!("{}: {}.", panel.title, sources.join("; ")));
        figure.plots.push(BarPlot {
            title: panel.title.clone(),
            axis: panel.axis.clone(),
            bars: values,
        });
    }
    figure
        .notes
        .push("Published values, none measured here; the paper's own results are dark.".into());
    Ok(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Bars {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/context.toml");
        Bars::load(&path).unwrap().unwrap()
    }

    #[test]
    fn context_figure_has_the_published_values() {
        let figure = assemble(&shipped()).unwrap();
        let values = |plot: usize| -> Vec<f64> {
            let bars = &figure.plots[plot].bars;
            bars.iter().map(|bar| bar.value).collect()
        };
        assert_eq!(values(0), [28.2, 25.8, 16.4, 11.7, 7.3, 6.7, 3.57]);
        assert_eq!(values(1), [8.0, 8.0, 19.0, 22.0, 152.0]);
        assert_eq!(values(2), [34.0, 58.0, 66.0, 86.0]);
        assert_eq!(values(3), [7.4, 6.7, 6.1, 5.7]);
        let whose = |bar: usize| figure.plots[0].bars[bar].whose;
        assert_eq!((whose(5), whose(6)), (Whose::Cited, Whose::Paper));
    }

    #[test]
    fn errors_name_the_damaged_line() {
        let text = format!("{COLUMNS}\na,b,c,tall,,d\n");
        let error = parse(&text, "context.csv").unwrap_err().to_string();
        assert!(error.starts_with("context.csv:2:"), "{error}");
    }
}
