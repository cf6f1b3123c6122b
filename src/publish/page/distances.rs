//! A page's sections on distances: from the paper's curves and from its layer responses.

use super::contents::{Body, Cell, Section};
use crate::judge::{FloorFrom, Verdict};
use crate::publish::cells::{curves_apart, named, phase_cells, response_cells, responses_apart};

/// Identifier and heading of a section.
type Name = (&'static str, &'static str);

const CURVES: Name = ("distances", "Distance to the paper's curves");
const RESPONSES: Name = ("responses", "Distance to the paper's layer responses");

/// Distances to the paper's curves by phase of the schedule, or why they are not comparable.
pub(super) fn of_curves(verdict: &Verdict) -> Option<Section> {
    let mut rows = Vec::new();
    for row in &verdict.curves {
        for phase in row.phases.iter().filter(|_| row.comparable) {
            let [mean, largest, floor, band] = phase_cells(phase);
            rows.push(vec![
                Cell::text(named(verdict, row.metric, &row.network)),
                Cell::text(phase.phase.text()),
                Cell::text(phase.points.to_string()),
                Cell::text(mean),
                Cell::text(largest),
                Cell::text(floor),
                Cell::text(band),
            ]);
        }
    }
    let mut about = "Ours minus the paper's at the paper's sampling points, in points. Run-to-run noise is the mean / \
                     largest difference to expect of one more run of our recipe from the mean of ours. Within band is the share \
                     of the paper's points between our lowest and highest seed."
        .to_owned();
    if estimated_from_images(verdict) {
        about.push_str(
            " With one seed, the noise is that of the number of images behind a point, which is too high for errors that \
             both runs have on the same images.",
        );
    }
    let columns = [
        "curve",
        "phase",
        "#points",
        "#mean |difference|",
        "#largest",
        "#run-to-run noise",
        "#within band",
    ];
    with_reasons(
        CURVES,
        &about,
        &columns,
        rows,
        &curves_apart(&verdict.curves),
    )
}

/// Distances to the paper's layer responses, or why they are not comparable.
pub(super) fn of_responses(verdict: &Verdict) -> Option<Section> {
    let comparable = verdict.responses.iter().filter(|row| row.comparable);
    let rows = comparable
        .map(|row| {
            let [ours, papers, mean, farthest] = response_cells(row);
            let cells = [row.network.clone(), row.layers.to_string(), ours, papers];
            let cells = cells.into_iter().chain([mean, farthest]);
            cells.map(Cell::text).collect()
        })
        .collect();
    let about = "Ours, the mean over seeds, and the paper's, layer by layer: both as means over the layers; the mean over the layers of \
                 the distance between them, in % of the paper's; and the layer, counted from the input, where they are farthest apart.";
    let columns = [
        "network",
        "#layers",
        "#ours",
        "#the paper's",
        "#mean distance",
        "#farthest, at layer",
    ];
    let reasons = responses_apart(&verdict.responses);
    with_reasons(RESPONSES, about, &columns, rows, &reasons)
}

/// A section of distances with the reasons why others are not comparable, which may be all that there is to say.
fn with_reasons(
    (id, heading): Name,
    about: &str,
    columns: &[&str],
    rows: Vec<Vec<Cell>>,
    reasons: &[String],
) -> Option<Section> {
    let none = || {
        (!reasons.is_empty()).then(|| Section {
            id,
            heading,
            about: Vec::new(),
            body: Body::List(Vec::new()),
        })
    };
    let mut section = Section::table(id, heading, &[about], columns, rows).or_else(none)?;
    let sentence = |reason: &String| {
        let (first, rest) = reason.split_at(1);
        format!("{}{rest}.", first.to_uppercase())
    };
    section.about.extend(reasons.iter().map(sentence));
    Some(section)
}

/// Whether the noise of a curve that is compared is not that of several seeds.
fn estimated_from_images(verdict: &Verdict) -> bool {
    let compared = verdict.curves.iter().filter(|row| row.comparable);
    let mut phases = compared.flat_map(|row| &row.phases);
    phases.any(|phase| phase.floor_from == FloorFrom::Images)
}
