//! Sums over the outputs of layers, from which the standard deviations of layer responses are computed.

/// Sums over the values of each channel of a layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Values per channel: images times pixels.
    pub values: u64,
    /// `[channels]`.
    pub sum: Vec<f64>,
    /// Sums of squares, `[channels]`.
    pub squares: Vec<f64>,
}

/// The response of one layer, a convolution and the batch normalisation after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// After the normalisation, before addition and ReLU: the responses of the paper's Fig. 7.
    pub normalised: Sums,
    /// After addition and ReLU.
    pub output: Sums,
}

impl Sums {
    /// Sums over an activation with channels innermost and `values` values per channel; all other values in `data` must be
    /// zero (a halo).
    pub(super) fn of(values: u64, channels: usize, data: &[f32]) -> Self {
        let mut sum = vec![0.0; channels];
        let mut squares = vec![0.0; channels];
        for pixel in data.chunks_exact(channels) {
            for ((sum, square), &value) in sum.iter_mut().zip(&mut squares).zip(pixel) {
                let value = f64::from(value);
                *sum += value;
                *square += value * value;
            }
        }
        Self {
            values,
            sum,
            squares,
        }
    }

    /// Adds the sums over other images.
    pub fn add(&mut self, other: &Self) {
        self.values += other.values;
        for (mine, theirs) in [
            (&mut self.sum, &other.sum),
            (&mut self.squares, &other.squares),
        ] {
            mine.resize(theirs.len(), 0.0);
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += theirs;
            }
        }
    }

    /// Mean and biased variance of each channel.
    pub fn channels(&self) -> Vec<(f64, f64)> {
        let count = self.values.max(1) as f64;
        let pairs = self.sum.iter().zip(&self.squares);
        pairs
            .map(|(sum, square)| {
                let mean = sum / count;
                (mean, (square / count - mean * mean).max(0.0))
            })
            .collect()
    }

    /// Mean and biased variance over all values of the layer.
    pub fn layer(&self) -> (f64, f64) {
        let count = (self.values.max(1) * self.sum.len().max(1) as u64) as f64;
        let mean = self.sum.iter().sum::<f64>() / count;
        let square = self.squares.iter().sum::<f64>() / count;
        (mean, (square - mean * mean).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_two_batches_give_the_moments_of_all_values() {
        // Two channels, with a halo of zeros.
        let mut sums = Sums::of(2, 2, &[0.0, 0.0, 1.0, 10.0, 3.0, 20.0, 0.0, 0.0]);
        sums.add(&Sums::of(1, 2, &[5.0, 60.0]));
        let [first, second] = sums.channels()[..] else {
            panic!("two channels")
        };
        assert!((first.0 - 3.0).abs() < 1e-12 && (first.1 - 8.0 / 3.0).abs() < 1e-12);
        assert!((second.0 - 30.0).abs() < 1e-12 && (second.1 - 1400.0 / 3.0).abs() < 1e-9);
        let (mean, variance) = sums.layer();
        let all = [1.0f64, 10.0, 3.0, 20.0, 5.0, 60.0];
        let expected = all.iter().map(|v| (v - 16.5).powi(2)).sum::<f64>() / 6.0;
        assert!((mean - 16.5).abs() < 1e-12 && (variance - expected).abs() < 1e-9);
    }
}
