//! Distance of a curve from the paper's, at the paper's sampling points and by phase of the schedule, with the
//! difference to expect of one more run of our recipe. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::student;
use crate::manifest::Metric;
use crate::record::curve::{self, Point};

/// A phase of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Up to and including the first drop of the learning rate.
    BeforeFirstDrop,
    BetweenDrops,
    AfterLastDrop,
}

impl Phase {
    const ALL: [Phase; 3] = [
        Phase::BeforeFirstDrop,
        Phase::BetweenDrops,
        Phase::AfterLastDrop,
    ];

    /// `before the first drop`.
    pub fn text(self) -> &'static str {
        match self {
            Phase::BeforeFirstDrop => "before the first drop",
            Phase::BetweenDrops => "between the drops",
            Phase::AfterLastDrop => "after the last drop",
        }
    }

    fn of(iteration: u64, drops: &[u64]) -> Self {
        let passed = drops.iter().filter(|&&drop| drop < iteration).count();
        match passed {
            0 => Phase::BeforeFirstDrop,
            some if some == drops.len() => Phase::AfterLastDrop,
            _ => Phase::BetweenDrops,
        }
    }
}

/// A network's curve compared with the paper's. Shown, never judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurveRow {
    pub network: String,
    pub metric: Metric,
    /// The file of the paper's curve and its panel.
    pub source: String,
    /// Number of finished runs in the mean.
    pub seeds: usize,
    /// Whether recipe and images are the paper's; otherwise a distance means nothing.
    pub comparable: bool,
    /// Why it is not comparable, and how our schedule scales to the paper's.
    pub note: String,
    /// Phases with points; empty if the schedules differ in proportion.
    pub phases: Vec<PhaseRow>,
}

/// The distance in one phase. Differences are ours minus the paper's, points.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseRow {
    pub phase: Phase,
    /// First and last of our iterations compared.
    pub first: u64,
    pub last: u64,
    /// Number of the paper's points compared by value.
    pub points: usize,
    /// Mean difference.
    pub mean_signed: Option<f64>,
    /// Mean absolute difference.
    pub mean_difference: Option<f64>,
    pub largest_difference: Option<f64>,
    /// Our iteration of the largest difference.
    pub largest_at: Option<u64>,
    /// The `mean_difference` to expect of one more run of our recipe from the mean of ours.
    pub floor_mean: Option<f64>,
    /// The median of its `largest_difference`.
    pub floor_largest: Option<f64>,
    pub floor_from: FloorFrom,
    /// Share of points between our lowest and highest seed, 0 to 1; none for one seed.
    pub inside_band: Option<f64>,
    /// Number of sampling points where the paper's curve is above its axis, and of those where ours is too.
    pub above: usize,
    pub above_too: usize,
}

/// What the noise floor is estimated from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FloorFrom {
    /// The number of images per point, as if errors were independent. Too high for the test error, since both runs are
    /// evaluated on the same images.
    Images,
    /// The scatter of our seeds, which includes that of the images.
    Seeds,
}

/// The paper's curve at one of its sampling points, in our iterations; none if it is above the axis.
pub type Sample = (u64, Option<f64>);

/// The paper's curve to compare with.
#[derive(Clone, Debug, PartialEq)]
pub struct Paper {
    pub samples: Vec<Sample>,
    /// Upper end of the paper's axis, %.
    pub limit: f64,
    /// Number of images per point.
    pub images: f64,
}

/// The distance in each phase with sampling points. `ours` has a curve per seed, `images` is the number of images per
/// point.
pub fn phases(ours: &[Vec<Point>], images: f64, paper: &Paper, drops: &[u64]) -> Vec<PhaseRow> {
    let mean: BTreeMap<u64, f64> = curve::mean(ours)
        .iter()
        .map(|point| (point.iteration, point.error))
        .collect();
    Phase::ALL
        .into_iter()
        .filter_map(|phase| {
            let samples = paper
                .samples
                .iter()
                .filter(|(iteration, _)| Phase::of(*iteration, drops) == phase)
                .filter_map(|&(iteration, theirs)| {
                    let ours = *mean.get(&iteration)?;
                    Some((iteration, ours, theirs))
                });
            let samples: Vec<(u64, f64, Option<f64>)> = samples.collect();
            (!samples.is_empty()).then(|| phase_row(phase, &samples, ours, images, paper))
        })
        .collect()
}

fn phase_row(
    phase: Phase,
    samples: &[(u64, f64, Option<f64>)],
    ours: &[Vec<Point>],
    images: f64,
    paper: &Paper,
) -> PhaseRow {
    let above: Vec<f64> = samples
        .iter()
        .filter(|(_, _, theirs)| theirs.is_none())
        .map(|(_, ours, _)| *ours)
        .collect();
    let pairs: Vec<(u64, f64, f64)> = samples
        .iter()
        .filter_map(|&(iteration, ours, theirs)| theirs.map(|theirs| (iteration, ours, theirs)))
        .collect();
    let mut row = PhaseRow {
        phase,
        first: samples.first().map_or(0, |sample| sample.0),
        last: samples.last().map_or(0, |sample| sample.0),
        points: pairs.len(),
        mean_signed: None,
        mean_difference: None,
        largest_difference: None,
        largest_at: None,
        floor_mean: None,
        floor_largest: None,
        floor_from: FloorFrom::Images,
        inside_band: None,
        above: above.len(),
        above_too: above.iter().filter(|&&ours| ours > paper.limit).count(),
    };
    if pairs.is_empty() {
        return row;
    }
    let count = pairs.len() as f64;
    let differences = pairs.iter().map(|(at, ours, theirs)| (*at, ours - theirs));
    row.mean_signed = Some(differences.clone().map(|(_, by)| by).sum::<f64>() / count);
    row.mean_difference = Some(differences.clone().map(|(_, by)| by.abs()).sum::<f64>() / count);
    let largest = differences.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    row.largest_difference = largest.map(|(_, by)| by);
    row.largest_at = largest.map(|(at, _)| at);

    let (variance, from) = noise(&pairs, ours, images, paper.images);
    row.floor_mean = Some((variance * 2.0 / std::f64::consts::PI).sqrt());
    row.floor_largest = Some(variance.sqrt() * median_of_largest(count));
    row.floor_from = from;
    let band: BTreeMap<u64, (f64, f64)> = curve::range(ours)
        .iter()
        .map(|range| (range.iteration, (range.low, range.high)))
        .collect();
    if !band.is_empty() {
        let inside = pairs.iter().filter(|(at, _, theirs)| {
            band.get(at)
                .is_some_and(|(low, high)| (low..=high).contains(&theirs))
        });
        row.inside_band = Some(inside.count() as f64 / count);
    }
    row
}

/// The variance of the difference between our mean and another independent run, averaged over the points.
fn noise(
    pairs: &[(u64, f64, f64)],
    ours: &[Vec<Point>],
    images: f64,
    papers_images: f64,
) -> (f64, FloorFrom) {
    let runs = ours.len() as f64;
    let count = pairs.len() as f64;
    let of_images = pairs
        .iter()
        .map(|(_, ours, theirs)| {
            let share = ((ours + theirs) / 200.0).clamp(0.0, 1.0);
            1e4 * share * (1.0 - share) * (1.0 / (runs * images) + 1.0 / papers_images)
        })
        .sum::<f64>()
        / count;
    if ours.len() < 2 {
        return (of_images, FloorFrom::Images);
    }
    let mut at_point: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for point in ours.iter().flatten() {
        at_point
            .entry(point.iteration)
            .or_default()
            .push(point.error);
    }
    let of_seeds = pairs
        .iter()
        .filter_map(|(at, _, _)| at_point.get(at))
        .map(|errors| {
            let mean = errors.iter().sum::<f64>() / runs;
            let squares: f64 = errors.iter().map(|error| (error - mean).powi(2)).sum();
            squares / (runs - 1.0)
        })
        .sum::<f64>()
        / count
        * (1.0 + 1.0 / runs);
    (of_seeds, FloorFrom::Seeds)
}

/// The median of the largest of `count` independent standard normal variables in absolute value.
fn median_of_largest(count: f64) -> f64 {
    // With this many degrees of freedom, Student's t is normal to four digits.
    const NORMAL: f64 = 1e4;
    let each = 0.5f64.powf(1.0 / count);
    student::quantile(0.5 + each / 2.0, NORMAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(u64, f64)]) -> Vec<Point> {
        points
            .iter()
            .map(|&(iteration, error)| Point { iteration, error })
            .collect()
    }

    fn paper(samples: &[Sample]) -> Paper {
        Paper {
            samples: samples.to_vec(),
            limit: 20.0,
            images: 2560.0,
        }
    }

    #[test]
    fn phases_end_at_drops_and_have_separate_distances() {
        let ours = [curve(&[
            (1000, 25.0),
            (2000, 19.0),
            (3000, 12.0),
            (4000, 6.0),
            (5000, 5.0),
            (6000, 5.0),
        ])];
        let theirs = paper(&[
            (1000, None),
            (2000, None),
            (3000, Some(10.0)),
            (4000, Some(7.0)),
            (5000, Some(5.5)),
            (6000, Some(4.0)),
        ]);
        let rows = phases(&ours, 2560.0, &theirs, &[3000, 5000]);
        assert_eq!(rows.len(), 3);
        let first = &rows[0];
        assert_eq!((first.first, first.last, first.points), (1000, 3000, 1));
        assert_eq!(first.mean_difference, Some(2.0));
        // Ours is above the axis at one of the two points where the paper's is.
        assert_eq!((first.above, first.above_too), (2, 1));
        let between = &rows[1];
        assert_eq!(between.phase, Phase::BetweenDrops);
        assert_eq!(between.mean_difference, Some(0.75));
        assert_eq!(between.mean_signed, Some(-0.75));
        assert_eq!(
            (between.largest_difference, between.largest_at),
            (Some(-1.0), Some(4000))
        );
        assert_eq!(rows[2].largest_difference, Some(1.0));
        assert_eq!(rows[2].inside_band, None);
    }

    #[test]
    fn noise_floor_of_one_run_comes_from_the_images() {
        // At 10 %: 0.1 * 0.9 * (1/2560 + 1/2560) = 7.03125e-5, a deviation of 0.8385 points; mean absolute value 0.7979
        // of it.
        let ours = [curve(&[(1, 10.0), (2, 10.0)])];
        let rows = phases(&ours, 2560.0, &paper(&[(1, Some(10.0))]), &[5, 6]);
        assert!((rows[0].floor_mean.unwrap() - 0.669_05).abs() < 1e-4);
        // The largest of one is one: its median is 0.6745 deviations.
        assert!((rows[0].floor_largest.unwrap() - 0.565_58).abs() < 1e-4);
        assert_eq!(rows[0].floor_from, FloorFrom::Images);
    }

    #[test]
    fn noise_floor_and_band_of_several_seeds() {
        // Variances 2 and 8 around means 10 and 20: 5 on average, times 1.5.
        let ours = [
            curve(&[(1, 9.0), (2, 18.0)]),
            curve(&[(1, 11.0), (2, 22.0)]),
        ];
        let theirs = paper(&[(1, Some(11.0)), (2, Some(17.0))]);
        let row = &phases(&ours, 2560.0, &theirs, &[5, 6])[0];
        let expected = (7.5 * 2.0 / std::f64::consts::PI).sqrt();
        assert!((row.floor_mean.unwrap() - expected).abs() < 1e-12);
        assert_eq!(row.floor_from, FloorFrom::Seeds);
        assert_eq!(row.inside_band, Some(0.5));
        assert_eq!(row.mean_difference, Some(2.0));
        // Iterations missing from a seed are left out.
        let short = [ours[0].clone(), curve(&[(1, 11.0)])];
        assert_eq!(phases(&short, 2560.0, &theirs, &[5, 6])[0].points, 1);
    }
}
