//! Axes with round limits and ticks, and clipping of curves.

use crate::figure::curve_figure::{Figure, Limits, Quantity};

/// An axis: limits, labelled ticks, name.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<(f64, String)>,
    pub label: String,
}

impl Axis {
    /// Whether a value is within the limits.
    pub fn within(&self, value: f64) -> bool {
        self.low < value && value < self.high
    }
}

/// The horizontal axis of a panel that starts at `first`.
pub fn horizontal(figure: &Figure, first: u64) -> Axis {
    match figure.quantity {
        Quantity::Errors => iterations(first, figure.iterations),
        Quantity::Responses => values(first as f64, figure.iterations as f64, "layer"),
    }
}

/// The vertical axis of a figure.
pub fn vertical(figure: &Figure) -> Axis {
    match (figure.quantity, figure.limits) {
        (Quantity::Responses, Some(limits)) => {
            values(limits.low, limits.high, "standard deviation")
        }
        _ => errors(figure),
    }
}

/// Below this, iterations are counted one by one.
const FEWEST_IN_POWERS: f64 = 500.0;

/// A horizontal axis in powers of ten of iterations, like the paper's "iter. (1e4)".
pub fn iterations(first: u64, last: u64) -> Axis {
    let last = last.max(1) as f64;
    // Start at 0 if the start is after the end.
    let first = Some(first as f64)
        .filter(|first| *first < last)
        .unwrap_or(0.0);
    // At least two units: 1000 iterations are 10 times 1e2, not 1 times 1e3.
    let power = match last >= FEWEST_IN_POWERS {
        true => (last / 2.0).log10().floor(),
        false => 0.0,
    };
    let unit = 10f64.powf(power);
    let step = round_step((last - first) / unit, 7.0);
    // Iterations are integers.
    let step = if power == 0.0 { step.max(1.0) } else { step };
    Axis {
        low: first,
        high: last,
        ticks: ticks(first / unit, last / unit, step)
            .into_iter()
            .map(|(value, label)| (value * unit, label))
            .collect(),
        label: if power == 0.0 {
            "iteration".into()
        } else {
            format!("iter. (1e{power})")
        },
    }
}

/// A vertical axis of errors: the figure's limits, or fitted to the curves. Early training, far above the curves' ends,
/// may be clipped, as in the paper.
pub fn errors(figure: &Figure) -> Axis {
    let limits = figure.limits.unwrap_or_else(|| fitted(figure));
    let step = round_step(limits.high - limits.low, 6.0);
    Axis {
        low: limits.low,
        high: limits.high,
        ticks: ticks(limits.low, limits.high, step),
        label: "error (%)".into(),
    }
}

/// An axis between two limits.
pub fn values(low: f64, high: f64, label: &str) -> Axis {
    let high = if high > low { high } else { low + 1.0 };
    Axis {
        low,
        high,
        ticks: ticks(low, high, round_step(high - low, 6.0)),
        label: label.to_owned(),
    }
}

fn fitted(figure: &Figure) -> Limits {
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    let mut end = f64::NEG_INFINITY;
    for series in figure.panels.iter().flat_map(|panel| &panel.series) {
        let own = series.mean.iter().map(|point| point.error);
        let others = series.others.iter().flat_map(|(points, _)| points);
        let paper = series.reference.iter().map(|point| point.1);
        for error in own.chain(others.map(|point| point.error)).chain(paper) {
            low = low.min(error);
            high = high.max(error);
        }
        for last in [
            series.mean.last().map(|point| point.error),
            series.reference.last().map(|point| point.1),
        ] {
            end = last.map_or(end, |last| end.max(last));
        }
    }
    if !low.is_finite() {
        return Limits {
            low: 0.0,
            high: 100.0,
        };
    }
    // Twice the highest final error keeps the descent visible.
    let high = if end.is_finite() {
        high.min(2.2 * end).max(1.0)
    } else {
        high
    };
    let step = round_step(high, 6.0);
    let low = if low > 0.5 * high {
        (low / step).floor() * step
    } else {
        0.0
    };
    let step = round_step(high - low, 6.0);
    let mut high = (high / step).ceil() * step;
    // The line of chance shows only inside the frame.
    if figure.chance == Some(high) {
        high += step;
    }
    Limits {
        low: (low / step).floor() * step,
        high: high.clamp(low + step, 100f64.max(low + step)),
    }
}

/// The smallest step of 1, 2 or 5 times a power of ten that divides `span` into at most `most` parts.
fn round_step(span: f64, most: f64) -> f64 {
    let least = (span / most).max(1e-9);
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

fn ticks(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    let digits = (-step.log10().floor()).max(0.0) as usize;
    (first..=last)
        .map(|count| count as f64 * step)
        .map(|value| (value, format!("{value:.digits$}")))
        .collect()
}

/// The part of a polyline from `first` on the horizontal axis.
pub fn from(points: &[(f64, f64)], first: f64) -> Vec<(f64, f64)> {
    let begin = points.partition_point(|point| point.0 < first);
    let mut rest = points[begin..].to_vec();
    if let (Some(before), Some(&after)) = (
        begin.checked_sub(1).and_then(|i| points.get(i)),
        rest.first(),
    ) && after.0 > first
    {
        let t = (first - before.0) / (after.0 - before.0);
        rest.insert(0, (first, before.1 + t * (after.1 - before.1)));
    }
    rest
}

/// The parts of a polyline between two heights.
pub fn clipped(points: &[(f64, f64)], low: f64, high: f64) -> Vec<Vec<(f64, f64)>> {
    let inside = |y: f64| (low..=high).contains(&y);
    let mut pieces = Vec::new();
    let mut piece: Vec<(f64, f64)> = Vec::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        if let Some(&(px, py)) = index.checked_sub(1).and_then(|before| points.get(before)) {
            // The segment's crossings of the limits, in its direction.
            let mut cuts: Vec<f64> = [low, high]
                .into_iter()
                .map(|limit| (limit - py) / (y - py))
                .filter(|t| *t > 0.0 && *t < 1.0)
                .collect();
            cuts.sort_by(f64::total_cmp);
            for t in cuts {
                let height = (py + t * (y - py)).clamp(low, high);
                piece.push((px + t * (x - px), height));
                // A crossing either ends or starts a piece.
                if piece.len() > 1 {
                    pieces.push(std::mem::take(&mut piece));
                }
            }
        }
        if inside(y) {
            piece.push((x, y));
        } else if !piece.is_empty() {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::curve_figure::{Panel, Series};
    use crate::record::curve::Point;
    use crate::record::{Ending, Split};

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn iteration_units_suit_the_paper_and_short_profiles() {
        let axis = iterations(0, 64_000);
        assert_eq!(axis.label, "iter. (1e4)");
        assert_eq!(labels(&axis), ["0", "1", "2", "3", "4", "5", "6"]);
        assert_eq!(axis.ticks[6].0, 60_000.0);
        assert_eq!(iterations(0, 600).label, "iter. (1e2)");
        assert_eq!(
            labels(&iterations(0, 1000)),
            ["0", "2", "4", "6", "8", "10"]
        );
        assert_eq!(iterations(0, 12).label, "iteration");
        assert_eq!(
            labels(&iterations(35_000, 64_000)),
            ["3.5", "4.0", "4.5", "5.0", "5.5", "6.0"]
        );
    }

    fn figure(errors: &[f64]) -> Figure {
        let mean = errors
            .iter()
            .zip(1..)
            .map(|(&error, iteration)| Point { iteration, error })
            .collect();
        Figure {
            panels: vec![Panel {
                series: vec![Series {
                    network: "plain-20".into(),
                    colour: (0, 0, 0),
                    split: Split::Test,
                    mean,
                    range: vec![],
                    others: vec![],
                    ending: Some(Ending::Finished),
                    reference: vec![],
                }],
                ..Panel::default()
            }],
            ..Figure::default()
        }
    }

    #[test]
    fn limits_are_round_and_fit_the_curves() {
        let axis = errors(&figure(&[91.0, 80.0, 61.3]));
        assert_eq!((axis.low, axis.high), (60.0, 100.0));
        let axis = errors(&figure(&[88.0, 40.0, 16.0]));
        assert_eq!((axis.low, axis.high), (0.0, 40.0));
        let mut paper = figure(&[88.0, 40.0, 16.0]);
        paper.limits = Some(Limits {
            low: 0.0,
            high: 20.0,
        });
        assert_eq!(labels(&errors(&paper)), ["0", "5", "10", "15", "20"]);
        assert_eq!(errors(&Figure::default()).high, 100.0);
    }

    #[test]
    fn late_axis_start_clips_curves() {
        let curve = [(0.0, 40.0), (10.0, 20.0), (20.0, 10.0)];
        assert_eq!(from(&curve, 15.0), [(15.0, 15.0), (20.0, 10.0)]);
        assert_eq!(from(&curve, 0.0), curve);
        assert!(from(&curve, 30.0).is_empty());
    }

    #[test]
    fn curves_are_clipped_at_the_limits() {
        let curve = [
            (0.0, 40.0),
            (1.0, 20.0),
            (2.0, 10.0),
            (3.0, 30.0),
            (4.0, 10.0),
        ];
        assert_eq!(
            clipped(&curve, 0.0, 25.0),
            vec![
                vec![(0.75, 25.0), (1.0, 20.0), (2.0, 10.0), (2.75, 25.0)],
                vec![(3.25, 25.0), (4.0, 10.0)],
            ]
        );
        assert!(clipped(&[(0.0, 50.0), (1.0, 60.0)], 0.0, 20.0).is_empty());
        // Straight through both limits.
        assert_eq!(
            clipped(&[(0.0, 30.0), (4.0, -10.0)], 0.0, 20.0),
            vec![vec![(1.0, 20.0), (3.0, 0.0)]]
        );
    }
}
