//! Random streams keyed by purpose, so that there is no generator state to save. A key gives the same numbers on every
//! machine and thread, whatever was drawn before.

/// What a stream is used for. The discriminants are part of the key and must never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights; `index` is the parameter's position in `Network::parameters()`.
    Initialise = 1,
    /// The order of the images in a pass; `epoch` is the pass.
    Shuffle = 2,
    /// Crop offset and flip; `epoch` is the pass, `index` the position in the pass.
    Augment = 3,
    /// The training images over which population statistics are pooled.
    Statistics = 4,
    /// The training images of the final clean pass.
    CleanPass = 5,
    /// The synthetic data set; `index` is the image.
    Synthetic = 6,
    /// The images held out by the 45k/5k split.
    Split = 7,
    /// Bootstrap resamples in reports; not used by runs.
    Bootstrap = 8,
    /// Crop, flip and colour of an image behind the population statistics; `index` is the image.
    StatisticsAugment = 9,
}

/// A stream of pseudo-random numbers: SplitMix64 (Steele, Lea, Flood 2014) from a hashed key.
#[derive(Clone, Debug)]
pub struct Stream {
    state: u64,
}

impl Stream {
    /// The stream of `(seed, purpose, epoch, index)`.
    pub fn new(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> Self {
        let mut state = 0x7265_6669_6773_7472;
        for word in [seed, purpose as u64, epoch, index] {
            state = mix(state ^ mix(word.wrapping_add(0x9e37_79b9_7f4a_7c15)));
        }
        Self { state }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A uniform number below `bound`, without bias (Lemire 2019).
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "the bound must be above 0");
        let reject = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(bound);
            if wide as u64 >= reject {
                return (wide >> 64) as u64;
            }
        }
    }

    /// A uniform number in [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A standard normal number (Box-Muller, cosine half only).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A random permutation of `0..len` (Fisher-Yates).
    pub fn permutation(&mut self, len: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..len).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, self.below(last as u64 + 1) as usize);
        }
        order
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_determines_the_stream() {
        let draw =
            |seed, epoch, index| Stream::new(seed, Purpose::Augment, epoch, index).next_u64();
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        assert_ne!(draw(1, 2, 3), draw(1, 3, 2));
        assert_ne!(draw(0, 0, 1), draw(1, 0, 0));
    }

    #[test]
    fn a_permutation_contains_every_index_once() {
        let mut order = Stream::new(7, Purpose::Shuffle, 0, 0).permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut stream = Stream::new(3, Purpose::Initialise, 0, 0);
        let drawn: Vec<f64> = (0..100_000).map(|_| stream.normal()).collect();
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1e5;
        // Five standard errors.
        assert!(mean.abs() < 0.016, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.023, "variance {variance}");
    }
}
