//! Builds the figure for an experiment's kind.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::curve_figure::Figure;
use super::draw;
use super::final_errors::{self, PaperTable, Table};
use super::published_bars::BarFigure;
use super::{curves, layer_responses, paired_bars};
use crate::exit::Exit;
use crate::judge::{Evidence, Verdict, by_file};
use crate::manifest::{Experiment, Kind};

/// A figure as plain data.
#[derive(Clone, Debug, PartialEq)]
pub enum Drawing {
    Curves(Figure),
    Table(Table),
    Bars(BarFigure),
}

impl Drawing {
    /// The figure of an experiment and warnings about missing runs; with `reference`, over the paper's curves and
    /// values. None if there is nothing to draw: no run, or none with measured layer responses.
    ///
    /// # Errors
    /// [`Exit::Storage`] if the paper's values cannot be read.
    pub fn of(
        evidence: &Evidence,
        verdict: &Verdict,
        reference: bool,
    ) -> Result<Option<(Self, Vec<String>)>> {
        let (experiment, runs) = (&evidence.experiment, &evidence.runs);
        if runs.is_empty() {
            return Ok(None);
        }
        if let Some(why) = evidence.without_paper.as_ref().filter(|_| reference) {
            return Err(Exit::Storage.error(why));
        }
        let (drawing, warnings) = match experiment.kind {
            Kind::Table => {
                let papers = tables(experiment, reference)?;
                let table = final_errors::assemble(experiment, verdict, &papers);
                (Drawing::Table(table), Vec::new())
            }
            Kind::Columns => {
                let papers = tables(experiment, reference)?;
                let bars = paired_bars::assemble(experiment, verdict, &papers);
                (Drawing::Bars(bars), Vec::new())
            }
            Kind::Responses => {
                let how = experiment.responses.as_ref();
                let how = how.context("an experiment of layer responses without `responses`")?;
                if runs.iter().all(|run| run.responses.is_none()) {
                    return Ok(None);
                }
                let none = BTreeMap::new();
                let papers = match reference {
                    true => &evidence.papers_responses,
                    false => &none,
                };
                let judged = (verdict, &runs[..]);
                let (figure, warnings) = layer_responses::assemble(experiment, how, judged, papers);
                (Drawing::Curves(figure), warnings)
            }
            Kind::Curves | Kind::Bars => {
                let none = BTreeMap::new();
                let papers = if reference { &evidence.paper } else { &none };
                let (figure, warnings) = curves::assemble(experiment, verdict, runs, papers);
                (Drawing::Curves(figure), warnings)
            }
        };
        Ok(Some((drawing, warnings)))
    }

    /// The SVG. The same figure gives the same text.
    ///
    /// # Errors
    /// If it cannot be drawn, which is a bug.
    pub fn svg(&self) -> Result<String> {
        match self {
            Drawing::Curves(figure) => draw::curves::svg(figure),
            Drawing::Table(table) => draw::table::table(table),
            Drawing::Bars(figure) => draw::bars::bars(figure),
        }
    }

    /// Whether it is a figure of curves without panels.
    pub fn is_empty(&self) -> bool {
        matches!(self, Drawing::Curves(figure) if figure.panels.is_empty())
    }
}

/// The paper's tables for every panel, by file.
fn tables(experiment: &Experiment, reference: bool) -> Result<BTreeMap<PathBuf, PaperTable>> {
    let panels = experiment.panels.iter().filter(|_| reference);
    let values = panels.filter_map(|panel| panel.values.as_ref());
    match by_file(values, PaperTable::read) {
        (_, Some(error)) => Err(error),
        (tables, None) => Ok(tables),
    }
}
