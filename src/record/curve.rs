//! From the rows of runs to curves: pure functions, no files, no drawing.

use std::collections::BTreeMap;

use super::{Evaluation, Iteration, Split, Statistics};

/// A curve that is sampled at fewer points than this is sampled between evaluations too.
const FEWEST_POINTS: u64 = 40;
/// Points of a curve that is sampled between evaluations. Divides the usual numbers of iterations.
const USUAL_POINTS: u64 = 60;
/// More points than this cannot be told apart at the width of a panel and only make the file large.
const MOST_POINTS: u64 = 400;

/// One sample of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub iteration: u64,
    /// %.
    pub error: f64,
}

/// Lowest and highest error over the seeds at one iteration, %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub iteration: u64,
    pub low: f64,
    pub high: f64,
}

/// Iterations between two points of a training curve: the evaluation interval (the paper's curves have a point every
/// 1000 of 64,000), closer where that would leave a handful of points, wider where it would leave thousands.
pub fn sampling_step(iterations: u64, interval: u64) -> u64 {
    let interval = interval.max(1);
    let points = iterations / interval;
    if points < FEWEST_POINTS {
        (iterations / USUAL_POINTS).clamp(1, interval)
    } else if points > MOST_POINTS {
        interval * points.div_ceil(MOST_POINTS)
    } else {
        interval
    }
}

/// The training curve: at every `step` iterations, and at the last one, the mean error of the last `window`
/// mini-batches (of as many as there are before that). Ends where the loss stops being finite.
pub fn training(rows: &[Iteration], window: usize, step: u64) -> Vec<Point> {
    let finite = rows
        .iter()
        .position(|row| !row.loss.is_finite() || !row.error.is_finite())
        .unwrap_or(rows.len());
    let rows = &rows[..finite];
    let step = step.max(1);
    let mut points = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        if row.iteration.is_multiple_of(step) || index + 1 == rows.len() {
            let recent = &rows[(index + 1).saturating_sub(window.max(1))..=index];
            let sum: f64 = recent.iter().map(|row| row.error).sum();
            points.push(Point {
                iteration: row.iteration,
                error: sum / recent.len() as f64,
            });
        }
    }
    points
}

/// The errors of one kind of evaluation in the order of iterations, thinned to what can be seen; the last one stays.
pub fn evaluations(rows: &[Evaluation], split: Split, statistics: Statistics) -> Vec<Point> {
    let by_iteration: BTreeMap<u64, f64> = rows
        .iter()
        .filter(|row| row.is_of(split, statistics) && row.error.is_finite())
        .map(|row| (row.iteration, row.error))
        .collect();
    let every = (by_iteration.len() as u64).div_ceil(MOST_POINTS).max(1) as usize;
    let last = by_iteration.len().saturating_sub(1);
    by_iteration
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index.is_multiple_of(every) || *index == last)
        .map(|(_, (iteration, error))| Point { iteration, error })
        .collect()
}

/// The mean over seeds at the iterations that every curve has. It ends where the shortest curve ends, so that the
/// number of seeds is the same all along.
pub fn mean(curves: &[Vec<Point>]) -> Vec<Point> {
    shared(curves)
        .into_iter()
        .map(|(iteration, errors)| Point {
            iteration,
            error: errors.iter().sum::<f64>() / errors.len() as f64,
        })
        .collect()
}

/// Lowest and highest over seeds at the iterations that every curve has; nothing for a single curve.
pub fn range(curves: &[Vec<Point>]) -> Vec<Range> {
    if curves.len() < 2 {
        return Vec::new();
    }
    shared(curves)
        .into_iter()
        .map(|(iteration, errors)| Range {
            iteration,
            low: errors.iter().copied().fold(f64::INFINITY, f64::min),
            high: errors.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
        .collect()
}

/// The errors of all curves at each iteration that all of them have.
fn shared(curves: &[Vec<Point>]) -> BTreeMap<u64, Vec<f64>> {
    let mut all: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for point in curves.iter().flatten() {
        all.entry(point.iteration).or_default().push(point.error);
    }
    all.retain(|_, errors| errors.len() == curves.len());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(errors: &[f64]) -> Vec<Iteration> {
        errors
            .iter()
            .zip(1..)
            .map(|(&error, iteration)| Iteration {
                iteration,
                epoch: 0.0,
                learning_rate: 0.1,
                loss: 1.0,
                error,
                seconds: 0.0,
            })
            .collect()
    }

    fn curve(points: &[(u64, f64)]) -> Vec<Point> {
        points
            .iter()
            .map(|&(iteration, error)| Point { iteration, error })
            .collect()
    }

    #[test]
    fn training_error_is_the_mean_of_the_last_mini_batches() {
        let rows = rows(&[90.0, 80.0, 70.0, 60.0, 50.0]);
        assert_eq!(
            training(&rows, 3, 2),
            curve(&[(2, 85.0), (4, 70.0), (5, 60.0)])
        );
    }

    #[test]
    fn a_diverged_run_is_drawn_up_to_the_divergence() {
        let mut rows = rows(&[90.0, 80.0, 70.0, 90.0]);
        rows[3].loss = f64::NAN;
        assert_eq!(training(&rows, 1, 2), curve(&[(2, 80.0), (3, 70.0)]));
    }

    #[test]
    fn evaluations_are_told_apart_by_split_and_statistics() {
        let row = |iteration, split, statistics, error| Evaluation {
            iteration,
            split,
            statistics,
            views: Default::default(),
            images: 10_000,
            loss: 1.0,
            error,
            top5_error: 0.0,
        };
        let rows = [
            row(20, Split::Test, Statistics::Population, 30.0),
            row(10, Split::Test, Statistics::Population, 40.0),
            row(10, Split::Test, Statistics::Moving, 60.0),
            row(20, Split::Train, Statistics::Population, 20.0),
        ];
        assert_eq!(
            evaluations(&rows, Split::Test, Statistics::Population),
            curve(&[(10, 40.0), (20, 30.0)])
        );
    }

    #[test]
    fn the_mean_and_the_range_end_with_the_shortest_curve() {
        let curves = [
            curve(&[(10, 40.0), (20, 30.0)]),
            curve(&[(10, 50.0), (20, 34.0), (30, 20.0)]),
        ];
        assert_eq!(mean(&curves), curve(&[(10, 45.0), (20, 32.0)]));
        let expected = Range {
            iteration: 20,
            low: 30.0,
            high: 34.0,
        };
        assert_eq!(range(&curves)[1], expected);
        assert!(range(&curves[..1]).is_empty());
    }

    #[test]
    fn sampling_follows_the_evaluations_unless_they_are_few_or_thousands() {
        assert_eq!(sampling_step(64_000, 1000), 1000);
        assert_eq!(sampling_step(600, 200), 10);
        assert_eq!(sampling_step(30, 10), 1);
        assert_eq!(sampling_step(64_000, 10), 160);
    }
}
