//! Choices for pictures of many sizes: how they are scaled, cropped and coloured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Size;

/// Section 3.4: scale a picture to a random size and take a random crop of it or its mirror image, `image_size` pixels wide
/// and high.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Crop {
    /// Smallest and largest shorter side of the scaled picture, in pixels (section 3.4: 256 and 480).
    pub shorter_side: [u32; 2],
    /// Shorter side of the pictures that the mean image and tests of one size are cropped from (AlexNet: 256).
    pub test_side: u32,
    pub colour: ColourRecipe,
    pub resize: Resize,
}

/// Random colour along the principal components of ImageNet's pixels (section 3.4: "the standard color augmentation" of
/// AlexNet, Krizhevsky et al. 2012, section 4.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColourRecipe {
    pub kind: ColourKind,
    /// Deviation of the normal factor of each component (AlexNet: 0.1).
    pub deviation: f64,
    pub scale: ColourScale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColourKind {
    None,
    Alexnet,
}

/// What multiplies the factor of a component. The published programs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ColourScale {
    /// The eigenvalue of the covariance, as AlexNet's paper says.
    Eigenvalues,
    /// Its square root, the deviation along the component, as AlexNet's own program has it: about twice as much.
    SquareRoots,
}

/// The filter that scales pictures. Not given in the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Bilinear, widened when a picture shrinks (Pillow and torchvision).
    BilinearAntialiased,
}

/// The largest crop and the largest side that a picture is scaled to: far above the paper's, and small enough to allocate.
pub const MOST_CROP: u64 = 1024;
pub const MOST_SIDE: u64 = 4096;

impl Crop {
    /// The sizes that pictures are scaled to, with their limits for crops of `side` pixels.
    pub(super) fn sizes(&self, side: u64) -> [Size; 3] {
        let scaled = |field, to: u32| Size {
            field,
            value: u64::from(to),
            least: side,
            most: MOST_SIDE,
        };
        let [smallest, largest] = self.shorter_side;
        [
            scaled("crop.shorter_side", smallest),
            scaled("crop.shorter_side", largest),
            scaled("crop.test_side", self.test_side),
        ]
    }
}

impl Default for Crop {
    fn default() -> Self {
        Self {
            shorter_side: [256, 480],
            test_side: 256,
            colour: ColourRecipe::default(),
            resize: Resize::BilinearAntialiased,
        }
    }
}

impl Default for ColourRecipe {
    fn default() -> Self {
        Self {
            kind: ColourKind::Alexnet,
            deviation: 0.1,
            scale: ColourScale::Eigenvalues,
        }
    }
}
