//! Final errors as bars: of each network the paper's and ours, or that there is none.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::captions::{self, barely_learned, sentence};
use super::final_errors::{self, PaperTable};
use super::published_bars::{Bar, BarFigure, BarPlot, Whose};
use crate::judge::Verdict;
use crate::manifest::{Experiment, Metric, NetworkEntry, Panel};

/// The bars of a judged experiment: a plot for each panel and error.
pub(super) fn assemble(
    experiment: &Experiment,
    verdict: &Verdict,
    papers: &BTreeMap<PathBuf, PaperTable>,
) -> BarFigure {
    let mut plots = Vec::new();
    for panel in &experiment.panels {
        let paper = panel
            .values
            .as_ref()
            .and_then(|reference| papers.get(&reference.file));
        let shown = |metric: &Metric| panel.shows.is_empty() || panel.shows.contains(metric);
        for metric in experiment.listed().into_iter().filter(shown) {
            let networks = panel.networks.iter();
            let entries = networks.filter_map(|name| experiment.network(name));
            let bars = entries.flat_map(|entry| {
                let theirs = paper.and_then(|paper| theirs(paper, panel, entry, metric));
                theirs
                    .into_iter()
                    .chain([ours(verdict, panel, entry, metric)])
            });
            plots.push(BarPlot {
                title: panel.title.clone(),
                axis: format!("{} (%)", verdict.evaluated(|_| true).metric(metric)),
                bars: bars.collect(),
            });
        }
    }
    let mut notes = captions::errors(verdict);
    notes.push(sentence(
        "the paper's errors are blue, ours at the last iteration red: mean ± deviation (number of seeds)",
    ));
    notes.extend(barely_learned(verdict));
    BarFigure {
        title: verdict.title.clone(),
        line: final_errors::line(verdict),
        watermark: verdict.synthetic.then(|| "SYNTHETIC".to_owned()),
        plots,
        notes,
    }
}

fn theirs(paper: &PaperTable, panel: &Panel, entry: &NetworkEntry, metric: Metric) -> Option<Bar> {
    let mut values = paper.value.iter();
    let value = values.find(|value| value.network == entry.name)?;
    let error = final_errors::published(metric, value.test_error, &value.errors)?;
    Some(Bar {
        panel: panel.title.clone(),
        label: entry.label.clone(),
        below: "paper".into(),
        value: error,
        text: format!("{error:.2}"),
        whose: Whose::Paper,
        source: value.from.clone(),
    })
}

fn ours(verdict: &Verdict, panel: &Panel, entry: &NetworkEntry, metric: Metric) -> Bar {
    let (value, text) = match final_errors::measured(verdict, entry, metric) {
        Ok(measured) => (measured.mean, measured.text()),
        Err(why) => (0.0, why.to_owned()),
    };
    Bar {
        panel: panel.title.clone(),
        label: entry.label.clone(),
        below: "ours".into(),
        value,
        text,
        whose: Whose::Ours,
        source: String::new(),
    }
}
