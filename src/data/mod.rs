//! CIFAR-10, the synthetic set, their download, and the loader of mini-batches.

/// Where the images come from, which decides what a run may be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The 60,000 images of CIFAR-10, known by their digest.
    Cifar10,
    /// Files in CIFAR-10's layout with other images.
    Other,
    /// Drawn from a seed by this program.
    Synthetic,
}

/// Images and their classes, in the order of the sha256 of their records.
#[derive(Clone, Debug)]
pub struct ImageSet {
    /// Side in pixels; images are square, three channels.
    pub size: usize,
    /// `[images][3][size][size]`, as in the files (red, green, blue planes).
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
    /// sha256 (hex) over the sorted digests of the records: the same whatever the order of the files.
    pub digest: String,
}

/// A training and a test set.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub origin: Origin,
    pub classes: usize,
    pub train: ImageSet,
    pub test: ImageSet,
}

/// What is drawn for one image of a mini-batch. `(4, 4, false)` with a padding of 4 is the image itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which image.
    pub index: u32,
    /// Offset of the crop in the padded image, 0..=2*pad.
    pub top: u8,
    pub left: u8,
    pub flip: bool,
}

/// A mini-batch, normalised, channels innermost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[images][size][size][3]`.
    pub pixels: Vec<f32>,
    pub labels: Vec<u8>,
    pub size: usize,
}
