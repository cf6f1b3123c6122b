//! Batch-norm statistics pooled over many mini-batches, which the authors normalise with at test time.

use crate::recipe::Pooling;

/// One normalisation's sums over mini-batches (or their batch-norm groups), each weighted by its number of values.
#[derive(Clone, Debug, Default)]
pub struct PopulationSums {
    weight: f64,
    mean: Vec<f64>,
    mean_square: Vec<f64>,
    variance: Vec<f64>,
}

impl PopulationSums {
    /// Adds means and biased variances, `[channels]`, each over `values` values.
    pub fn add(&mut self, values: usize, mean: &[f32], variance: &[f32]) {
        let weight = values as f64;
        self.weight += weight;
        for sums in [&mut self.mean, &mut self.mean_square, &mut self.variance] {
            sums.resize(mean.len(), 0.0);
        }
        for (channel, (&mean, &variance)) in mean.iter().zip(variance).enumerate() {
            let (mean, variance) = (f64::from(mean), f64::from(variance));
            self.mean[channel] += weight * mean;
            self.mean_square[channel] += weight * mean * mean;
            self.variance[channel] += weight * variance;
        }
    }

    /// Mean and variance of the population; `None` if nothing was added.
    pub fn finish(&self, pooling: Pooling) -> Option<(Vec<f32>, Vec<f32>)> {
        if self.weight == 0.0 {
            return None;
        }
        let mean: Vec<f64> = self.mean.iter().map(|sum| sum / self.weight).collect();
        let variance = mean.iter().enumerate().map(|(channel, mean)| {
            let within = self.variance[channel] / self.weight;
            let between = (self.mean_square[channel] / self.weight - mean * mean).max(0.0);
            match pooling {
                Pooling::Average => within as f32,
                // The law of total variance.
                Pooling::Total => (within + between) as f32,
            }
        });
        let variance = variance.collect();
        Some((mean.into_iter().map(|mean| mean as f32).collect(), variance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_is_the_variance_of_all_values_together() {
        let batches: [&[f32]; 2] = [&[1.0, 2.0, 6.0], &[-4.0, 0.5]];
        let moments = |values: &[f32]| {
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>();
            (mean, square / values.len() as f32)
        };
        let mut sums = PopulationSums::default();
        assert!(sums.finish(Pooling::Total).is_none());
        for batch in batches {
            let (mean, variance) = moments(batch);
            sums.add(batch.len(), &[mean], &[variance]);
        }
        let (mean, variance) = moments(&batches.concat());
        let (total_mean, total) = sums.finish(Pooling::Total).unwrap();
        assert!((total_mean[0] - mean).abs() < 1e-6);
        assert!((total[0] - variance).abs() < 1e-5);
        let (_, average) = sums.finish(Pooling::Average).unwrap();
        let expected = 0.6 * moments(batches[0]).1 + 0.4 * moments(batches[1]).1;
        assert!((average[0] - expected).abs() < 1e-5);
    }
}
