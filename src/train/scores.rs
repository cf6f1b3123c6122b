//! Scores of images averaged over several views: ten crops, several scales.

use anyhow::Result;

use crate::engine::Tally;
use crate::engine::cpu::{log_sum, rank};
use crate::exit::Exit;
use crate::recipe::ViewAverage;

/// Sums over the views of each image, in double precision and in the order in which the views are added.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    average: ViewAverage,
    classes: usize,
    /// `[images][classes]`: sums of logits, or logarithms of sums of probabilities, of which the smallest would be zero.
    sums: Vec<f64>,
    /// Views of each image.
    views: Vec<u32>,
}

impl Scores {
    /// No views yet, of `images` images.
    pub fn new(average: ViewAverage, images: usize, classes: usize) -> Self {
        let zero = match average {
            ViewAverage::Logits => 0.0,
            ViewAverage::Softmax => f64::NEG_INFINITY,
        };
        Self {
            average,
            classes,
            sums: vec![zero; images * classes],
            views: vec![0; images],
        }
    }

    /// Adds a view of the images from `first` on, as logits, `[images][classes]`.
    ///
    /// # Errors
    /// [`Exit::Internal`] if these are not whole rows of images that exist.
    pub fn add(&mut self, first: usize, logits: &[f32]) -> Result<()> {
        let rows = logits.chunks_exact(self.classes.max(1));
        let end = first.saturating_add(rows.len());
        if !rows.remainder().is_empty() || end > self.views.len() {
            return Err(Exit::Internal.error(format!(
                "{} logits of {} classes for the images from {first} on, of {}; please report this",
                logits.len(),
                self.classes,
                self.views.len()
            )));
        }
        for (image, row) in (first..end).zip(rows) {
            let sums = &mut self.sums[image * self.classes..][..self.classes];
            let row = row.iter().map(|&logit| f64::from(logit));
            match self.average {
                ViewAverage::Logits => {
                    for (sum, logit) in sums.iter_mut().zip(row) {
                        *sum += logit;
                    }
                }
                ViewAverage::Softmax => {
                    let row: Vec<f64> = row.collect();
                    let whole = log_sum(&row);
                    for (sum, logit) in sums.iter_mut().zip(row) {
                        *sum = log_add(*sum, logit - whole);
                    }
                }
            }
            self.views[image] += 1;
        }
        Ok(())
    }

    /// Sums over the images, in their order, of what [`Scores::tallies`] gives.
    ///
    /// # Errors
    /// As [`Scores::tallies`].
    pub fn tally(&self, labels: &[u16]) -> Result<Tally> {
        let mut sum = Tally::default();
        for tally in self.tallies(labels)? {
            sum += tally;
        }
        Ok(sum)
    }

    /// The loss of each image's averages, and whether they are wrong. The class with the highest average is the answer; in case
    /// of a tie the first one, as for a single view.
    ///
    /// # Errors
    /// [`Exit::Internal`] if the labels are not those of the images, or if some images have fewer views than others.
    pub fn tallies(&self, labels: &[u16]) -> Result<Vec<Tally>> {
        let views = self.views.first().copied().unwrap_or(0);
        let uneven = self.views.iter().any(|&count| count != views || count == 0);
        let misfit = labels
            .iter()
            .any(|&label| usize::from(label) >= self.classes);
        if uneven || misfit || labels.len() != self.views.len() {
            return Err(Exit::Internal.error(format!(
                "{} labels for the scores of {} images with {} to {} views each; please report this",
                labels.len(),
                self.views.len(),
                self.views.iter().min().unwrap_or(&0),
                self.views.iter().max().unwrap_or(&0)
            )));
        }
        let rows = self.sums.chunks_exact(self.classes.max(1)).zip(labels);
        let tallies = rows.map(|(sums, &label)| {
            let label = usize::from(label);
            let count = f64::from(views);
            // Logarithms are in the order of what they are of.
            let means: Vec<f64> = match self.average {
                ViewAverage::Logits => sums.iter().map(|sum| sum / count).collect(),
                ViewAverage::Softmax => sums.iter().map(|sum| sum - count.ln()).collect(),
            };
            let rank = rank(&means, label);
            Tally {
                images: 1,
                loss: match self.average {
                    ViewAverage::Logits => log_sum(&means) - means[label],
                    ViewAverage::Softmax => -means[label],
                },
                wrong: u64::from(rank >= 1),
                wrong_top5: u64::from(rank >= 5),
            }
        });
        Ok(tallies.collect())
    }
}

/// `ln(exp a + exp b)`, without overflow or underflow.
fn log_add(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY {
        return b;
    }
    let larger = if a > b { a } else { b };
    larger + (-(a - b).abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(average: ViewAverage, views: &[&[f32]], labels: &[u16], classes: usize) -> Tally {
        let mut scores = Scores::new(average, labels.len(), classes);
        for view in views {
            scores.add(0, view).unwrap();
        }
        scores.tally(labels).unwrap()
    }

    #[test]
    fn one_confident_view_outvotes_two_by_its_logits_but_not_by_its_probabilities() {
        // By hand: probabilities of class 1 are 1 / (1 + e^10) and twice e^2 / (1 + e^2), in the mean 0.587; logits are 10 / 3
        // and 4 / 3 in the mean.
        let views: [&[f32]; 3] = [&[10.0, 0.0], &[0.0, 2.0], &[0.0, 2.0]];
        let softmax = tally(ViewAverage::Softmax, &views, &[1], 2);
        assert_eq!(
            (softmax.images, softmax.wrong, softmax.wrong_top5),
            (1, 0, 0)
        );
        let square = 2f64.exp();
        let mean = (1.0 / (1.0 + 10f64.exp()) + 2.0 * square / (1.0 + square)) / 3.0;
        assert!((softmax.loss + mean.ln()).abs() < 1e-12);
        assert!((mean - 0.587).abs() < 1e-3);
        let logits = tally(ViewAverage::Logits, &views, &[1], 2);
        assert_eq!((logits.wrong, logits.wrong_top5), (1, 0));
        let expected = ((10.0f64 / 3.0).exp() + (4.0f64 / 3.0).exp()).ln() - 4.0 / 3.0;
        assert!((logits.loss - expected).abs() < 1e-12);
    }

    #[test]
    fn the_loss_is_finite_where_probabilities_are_smaller_than_the_smallest_number() {
        let views: [&[f32]; 2] = [&[0.0, 1000.0, 2000.0], &[0.0, 900.0, 1000.0]];
        let found = tally(ViewAverage::Softmax, &views, &[0], 3);
        assert!((found.loss - 1000.0 - 2f64.ln()).abs() < 1e-12);
        // Both are zero as numbers, and still one is more probable than the other.
        let views: [&[f32]; 1] = [&[0.0, 100.0, 2000.0, 2000.0, 2000.0, 2000.0]];
        let found = tally(ViewAverage::Softmax, &views, &[1], 6);
        assert_eq!((found.wrong, found.wrong_top5), (1, 0));
        let found = tally(ViewAverage::Softmax, &views, &[0], 6);
        assert_eq!((found.wrong, found.wrong_top5), (1, 1));
    }

    #[test]
    fn a_class_that_a_view_rules_out_has_the_probability_that_the_others_give_it() {
        // By hand: class 0 has probability 1 in one view and 1 / 2 in the other.
        let views: [&[f32]; 2] = [&[0.0, f32::NEG_INFINITY], &[0.0, 0.0]];
        for views in [views, [views[1], views[0]]] {
            let right = tally(ViewAverage::Softmax, &views, &[0], 2);
            assert_eq!((right.wrong, right.wrong_top5), (0, 0));
            assert!((right.loss + 0.75f64.ln()).abs() < 1e-12);
            let wrong = tally(ViewAverage::Softmax, &views, &[1], 2);
            assert_eq!((wrong.wrong, wrong.wrong_top5), (1, 0));
            assert!((wrong.loss + 0.25f64.ln()).abs() < 1e-12);
        }
        // Ruled out in every view.
        let never = tally(ViewAverage::Softmax, &[views[0]; 2], &[0], 2);
        assert_eq!((never.loss, never.wrong), (0.0, 0));
        let never = tally(ViewAverage::Softmax, &[views[0]; 2], &[1], 2);
        assert_eq!((never.loss, never.wrong), (f64::INFINITY, 1));
    }

    #[test]
    fn the_first_of_equal_classes_is_the_answer_and_nan_is_wrong() {
        for average in [ViewAverage::Softmax, ViewAverage::Logits] {
            // Seven equal classes: the first is right, the fifth among five, the sixth is not.
            let equal = [0.0; 21];
            let found = tally(average, &[&equal, &equal], &[0, 4, 5], 7);
            assert_eq!((found.wrong, found.wrong_top5), (2, 1), "{average:?}");
            assert!((found.loss - 3.0 * 7f64.ln()).abs() < 1e-12);
            let broken = tally(average, &[&[f32::NAN, 1.0]], &[0], 2);
            assert!(broken.loss.is_nan() && broken.wrong == 1 && broken.wrong_top5 == 1);
        }
    }

    #[test]
    fn a_single_view_gives_what_the_engine_counts() {
        let logits = [
            2.0, 1.0, 0.0, -1.0, -2.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 4.0, 3.0, 2.0, 1.0,
            9.0,
        ];
        let labels = [1, 5, 5];
        let engine = crate::engine::cpu::cross_entropy(&logits, &labels, 6);
        let plain = tally(ViewAverage::Logits, &[&logits], &labels, 6);
        assert_eq!(plain.loss, engine.loss);
        for average in [ViewAverage::Softmax, ViewAverage::Logits] {
            let found = tally(average, &[&logits], &labels, 6);
            let counts = (u64::from(engine.wrong), u64::from(engine.wrong_top5));
            assert_eq!((found.wrong, found.wrong_top5), counts, "{average:?}");
            assert!((found.loss - engine.loss).abs() < 1e-12);
        }
    }

    #[test]
    fn images_with_fewer_views_and_foreign_rows_are_refused() {
        let mut scores = Scores::new(ViewAverage::Softmax, 3, 2);
        scores.add(0, &[1.0, 0.0, 0.0, 1.0]).unwrap();
        assert!(scores.tally(&[0, 1, 0]).is_err(), "the last has no view");
        scores.add(2, &[1.0, 0.0]).unwrap();
        assert_eq!(scores.tally(&[0, 1, 0]).unwrap().wrong, 0);
        assert!(scores.tally(&[0, 1]).is_err());
        assert!(scores.tally(&[0, 1, 2]).is_err(), "a label of no class");
        let before = scores.clone();
        assert!(scores.add(2, &[0.0; 4]).is_err(), "past the end");
        assert!(scores.add(0, &[0.0; 3]).is_err(), "half an image");
        assert_eq!(scores, before);
    }
}
