//! Colour along the principal components of ImageNet's pixels (AlexNet, section 4.1).

use crate::random::Stream;
use crate::recipe::{ColourKind, ColourRecipe, ColourScale};

/// The components, a column each; red, green and blue in the rows (fb.resnet.torch, from the training images).
const COMPONENTS: [[f64; 3]; 3] = [
    [-0.5675, 0.7192, 0.4009],
    [-0.5808, -0.0045, -0.8140],
    [-0.5836, -0.6948, 0.4203],
];

/// Their eigenvalues, for pixels from 0 to 1.
const EIGENVALUES: [f64; 3] = [0.2175, 0.0188, 0.0045];

/// How much of each principal component is added to an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour {
    /// In grey levels, 0 to 255.
    deviations: [f64; 3],
}

impl Colour {
    pub fn new(recipe: &ColourRecipe) -> Self {
        let deviation = match recipe.kind {
            ColourKind::None => 0.0,
            ColourKind::Alexnet => recipe.deviation,
        };
        let deviations = EIGENVALUES.map(|eigenvalue| {
            let scale = match recipe.scale {
                ColourScale::Eigenvalues => eigenvalue,
                ColourScale::SquareRoots => eigenvalue.sqrt(),
            };
            255.0 * deviation * scale
        });
        Self { deviations }
    }

    /// Draws what is added to red, green and blue of every pixel.
    pub(super) fn shift(&self, stream: &mut Stream) -> [f32; 3] {
        if self.deviations == [0.0; 3] {
            return [0.0; 3];
        }
        let parts = self.deviations.map(|deviation| deviation * stream.normal());
        COMPONENTS.map(|[first, second, third]| {
            (first * parts[0] + second * parts[1] + third * parts[2]) as f32
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    /// The deviations of the shifts of red, green and blue.
    fn deviations(recipe: &ColourRecipe) -> [f64; 3] {
        let colour = Colour::new(recipe);
        let mut stream = Stream::new(2, Purpose::Augment, 0, 0);
        let shifts: Vec<[f32; 3]> = (0..20_000).map(|_| colour.shift(&mut stream)).collect();
        [0, 1, 2].map(|channel| {
            let squares = shifts.iter().map(|shift| f64::from(shift[channel]).powi(2));
            (squares.sum::<f64>() / shifts.len() as f64).sqrt()
        })
    }

    #[test]
    fn both_published_scales() {
        let mut recipe = ColourRecipe::default();
        // By hand: 25.5 * sqrt(sum over components of (component * scale)^2).
        let expected = [3.167, 3.223, 3.254];
        for (found, expected) in deviations(&recipe).iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 0.03, "{found}, {expected}");
        }
        recipe.scale = ColourScale::SquareRoots;
        let expected = [7.235, 7.046, 7.388];
        for (found, expected) in deviations(&recipe).iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 0.03, "{found}, {expected}");
        }
        recipe.kind = ColourKind::None;
        assert_eq!(deviations(&recipe), [0.0; 3]);
    }

    #[test]
    fn components_are_orthonormal() {
        for first in 0..3 {
            for second in 0..3 {
                let product: f64 = COMPONENTS.iter().map(|row| row[first] * row[second]).sum();
                let expected = f64::from(u8::from(first == second));
                assert!(
                    (product - expected).abs() < 1e-3,
                    "{first}, {second}: {product}"
                );
            }
        }
    }
}
