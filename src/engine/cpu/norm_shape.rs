//! The shape of a batch normalisation, and how its sums are split.

use super::feature::Feature;

/// Parts that a group's images are split into for sums. Fixed, so that sums do not depend on the number of threads.
const PARTS: usize = 32;

/// The shape and constants of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormShape {
    pub feature: Feature,
    /// Images per group of statistics; 0 for all. The last group may be smaller.
    pub group: usize,
    pub epsilon: f32,
}

impl NormShape {
    /// Images of a full group.
    fn group_images(&self) -> usize {
        let images = self.feature.images.max(1);
        if self.group == 0 {
            images
        } else {
            self.group.min(images)
        }
    }

    /// The number of groups; means and variances are `[groups][channels]`.
    pub fn groups(&self) -> usize {
        self.feature.images.div_ceil(self.group_images())
    }

    /// The images of a group, as start and end.
    pub fn images_of(&self, group: usize) -> (usize, usize) {
        let first = group * self.group_images();
        (
            first,
            (first + self.group_images()).min(self.feature.images),
        )
    }

    /// Number of values that a group's mean is taken over.
    pub fn values(&self, group: usize) -> usize {
        let (first, last) = self.images_of(group);
        (last - first) * self.feature.height * self.feature.width
    }

    pub(super) fn group_of(&self, image: usize) -> usize {
        image / self.group_images()
    }

    /// The parts that sums are taken over, each within one group: `(group, start image, end image)`.
    pub(super) fn parts(&self) -> Vec<(usize, usize, usize)> {
        let mut parts = Vec::new();
        for group in 0..self.groups() {
            let (first, last) = self.images_of(group);
            let count = (last - first).min(PARTS);
            for part in 0..count {
                let cut = |part: usize| first + (last - first) * part / count;
                parts.push((group, cut(part), cut(part + 1)));
            }
        }
        parts
    }
}
