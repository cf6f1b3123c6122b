//! The paper's curves, from `experiments/reference/<figure>.csv`. They were extracted from the vector graphics of
//! arXiv:1512.03385v1, one vertex every 1000 iterations, to within 0.03 % (CIFAR-10).

use std::path::Path;

use anyhow::Result;

use crate::console::one_line;
use crate::exit::Exit;
use crate::record::Split;

/// The header of a file of curves.
const COLUMNS: &str = "figure,panel,network,split,iteration,error_percent,note";
/// The last iteration that a curve may have.
const MOST_ITERATIONS: f64 = 1e7;

/// A curve as drawn in the paper, without points above the upper limit of its axis.
#[derive(Clone, Debug, PartialEq)]
pub struct PaperCurve {
    /// The paper's panel: `left_plain`, `middle_resnet`.
    pub panel: String,
    /// Lower-case, as networks are named here: `resnet-110`.
    pub network: String,
    pub split: Split,
    /// Iteration and error (%), by iteration.
    pub points: Vec<(f64, f64)>,
}

/// The curves of a figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PaperCurves {
    pub curves: Vec<PaperCurve>,
}

impl PaperCurves {
    /// Reads a file of curves.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be read; with the number of an invalid line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Exit::Storage.error(format!(
                "cannot read the paper's curves from {}: {error}; restore the file, or draw without it with --no-reference",
                path.display()
            ))
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses a file's text; `source` names it in errors.
    pub fn parse(text: &str, source: &str) -> Result<Self> {
        let mut lines = text.lines();
        if lines.next().map(str::trim) != Some(COLUMNS) {
            return Err(Exit::Storage.error(format!(
                "{source}:1: expected the header `{COLUMNS}`; restore the file, or draw without it with --no-reference"
            )));
        }
        let mut curves: Vec<PaperCurve> = Vec::new();
        for (line, number) in lines.zip(2..).filter(|(line, _)| !line.trim().is_empty()) {
            let fields: Vec<&str> = line.trim().split(',').collect();
            let parsed = match fields[..] {
                [_, panel, network, split, iteration, error, _] => parse_split(split)
                    .zip(parse_point(iteration, error))
                    .map(|(split, point)| (panel, network.to_ascii_lowercase(), split, point)),
                _ => None,
            };
            let Some((panel, network, split, point)) = parsed else {
                return Err(Exit::Storage.error(format!(
                    "{source}:{number}: invalid point `{}`, expected {COLUMNS}; restore the file, or draw without it with --no-reference",
                    one_line(line)
                )));
            };
            let same = |curve: &&mut PaperCurve| {
                curve.panel == panel && curve.network == network && curve.split == split
            };
            match curves.iter_mut().find(same) {
                Some(curve) => curve.points.push(point),
                None => curves.push(PaperCurve {
                    panel: panel.to_owned(),
                    network,
                    split,
                    points: vec![point],
                }),
            }
        }
        for curve in &mut curves {
            curve.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        Ok(Self { curves })
    }

    /// The curve of a network (lower-case) in one of these panels.
    pub fn curve(&self, panels: &[String], network: &str, split: Split) -> Option<&PaperCurve> {
        self.curves.iter().find(|curve| {
            curve.network == network && curve.split == split && panels.contains(&curve.panel)
        })
    }

    /// Iterations between sampling points: the smallest step in the file.
    pub fn sampling(&self) -> f64 {
        self.curves
            .iter()
            .flat_map(|curve| curve.points.windows(2))
            .map(|pair| pair[1].0 - pair[0].0)
            .filter(|&step| step > 0.0)
            .fold(f64::INFINITY, f64::min)
    }

    /// The upper end of the axis, %: the highest point, rounded up. Points above it are not in the file.
    pub fn limit(&self) -> f64 {
        self.curves
            .iter()
            .flat_map(|curve| &curve.points)
            .map(|point| point.1)
            .fold(0.0, f64::max)
            .ceil()
    }
}

fn parse_split(text: &str) -> Option<Split> {
    match text {
        "train" => Some(Split::Train),
        "test" | "val" => Some(Split::Test),
        _ => None,
    }
}

fn parse_point(iteration: &str, error: &str) -> Option<(f64, f64)> {
    let iteration: f64 = iteration.parse().ok()?;
    let error: f64 = error.parse().ok()?;
    // Curves are compared at every step between the points, so there must not be absurdly many.
    let possible = iteration.fract() == 0.0 && (0.0..=MOST_ITERATIONS).contains(&iteration);
    // Rounding in the drawing puts a few zeros slightly below the axis.
    (possible && error.is_finite() && error <= 100.0).then(|| (iteration, error.max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(name: &str) -> PaperCurves {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/reference");
        PaperCurves::read(&folder.join(name)).unwrap()
    }

    #[test]
    fn shipped_curves_end_as_in_the_paper() {
        let reference = shipped("fig6.csv");
        let panels = ["left_plain".to_owned(), "middle_resnet".to_owned()];
        let end = |network: &str| {
            let curve = reference.curve(&panels, network, Split::Test).unwrap();
            *curve.points.last().unwrap()
        };
        assert_eq!(reference.sampling(), 1000.0);
        assert_eq!(reference.limit(), 20.0);
        for (network, error) in [
            ("plain-20", 9.68),
            ("plain-56", 13.25),
            ("resnet-110", 6.55),
        ] {
            let (iteration, read) = end(network);
            assert_eq!(iteration, 64_000.0, "{network}");
            assert!((read - error).abs() < 0.01, "{network} ends at {read}");
        }
    }

    #[test]
    fn impossible_points_are_refused_in_one_line() {
        for point in [
            "0.5,9",
            "-1,9",
            "1e300,9",
            "nan,9",
            "1000,inf",
            "1000,101",
            "1000,\x1b",
        ] {
            let text = format!("{COLUMNS}\nfig6,left_plain,plain-20,test,{point},\n");
            let error = PaperCurves::parse(&text, "fig6.csv")
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("fig6.csv:2: invalid point"), "{error}");
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn repeated_curve_is_taken_from_the_given_panel() {
        let reference = shipped("fig6.csv");
        for (panel, first) in [("middle_resnet", 3_000.0), ("right_110_1202", 35_000.0)] {
            let curve = reference
                .curve(&[panel.into()], "resnet-110", Split::Test)
                .unwrap();
            assert_eq!(curve.points[0].0, first, "{panel}");
        }
    }

    #[test]
    fn figure_1_has_both_splits() {
        let reference = shipped("fig1.csv");
        for (panel, split) in [("left_train", Split::Train), ("right_test", Split::Test)] {
            let panels = [panel.to_owned()];
            assert!(reference.curve(&panels, "plain-56", split).is_some());
        }
    }

    #[test]
    fn errors_name_the_damaged_line() {
        let text = format!("{COLUMNS}\nfig6,left_plain,plain-20,test,4000,abc,vertex\n");
        let error = PaperCurves::parse(&text, "fig6.csv").unwrap_err();
        assert!(error.to_string().starts_with("fig6.csv:2:"), "{error}");
        let error = PaperCurves::parse("a,b\n", "x.csv").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Storage);
    }
}
