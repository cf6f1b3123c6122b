//! What names curves beside a plot, in the drawn figure and on the page.

use super::curve_figure::{Panel, Quantity, Series};
use super::draw::axes::Axis;
use crate::record::curve::Point;
use crate::record::{Ending, Split};

/// Errors from here on have one decimal, so that their labels are no wider.
const TWO_DIGITS: f64 = 19.995;

/// A curve's name beside the plot, and what stands beside the name.
pub struct EndLabel<'a> {
    pub series: &'a Series,
    /// The curve's end.
    pub last: &'a Point,
    /// Where the label belongs on the vertical axis: the last error, or the mean response.
    pub number: f64,
}

impl EndLabel<'_> {
    /// Whether the curve ends so near the plot's right edge that a line leads from there to the label.
    pub fn meets_edge(&self, x: &Axis) -> bool {
        self.last.iteration as f64 > x.low + 0.9 * (x.high - x.low)
    }

    /// That number, or how the run ended.
    pub fn value(&self) -> String {
        match (self.series.mean.is_empty(), self.series.ending) {
            (_, Some(Ending::Diverged)) => "diverged".into(),
            (true, _) | (_, Some(Ending::Partial)) => "unfinished".into(),
            _ if self.number < TWO_DIGITS => format!("{:.2}", self.number),
            _ => format!("{:.1}", self.number),
        }
    }
}

impl Panel {
    /// Labels of the curves that are named: the test curves where both splits are drawn.
    pub fn end_labels(&self, quantity: Quantity) -> Vec<EndLabel<'_>> {
        self.series
            .iter()
            .filter(|series| !self.is_mixed() || series.split == Split::Test)
            .filter_map(|series| {
                // A network without a finished run has its curves among the others.
                let own = series.mean.last();
                let last = own.or_else(|| series.others.first()?.0.last())?;
                let number = match quantity {
                    Quantity::Errors => last.error,
                    Quantity::Responses => series.means()[0].unwrap_or(last.error),
                };
                Some(EndLabel {
                    series,
                    last,
                    number,
                })
            })
            .collect()
    }
}
