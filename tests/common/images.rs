//! A few small images that can be learnt, and pictures as files: made here, or a slice of Imagenette.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jpeg_encoder::{ColorType, Encoder};
use refig::data::{Dataset, ImageSet};
use refig::origin::Origin;
use refig::random::{Purpose, Stream};
use refig::recipe::{Crop, Recipe};

/// Classes of [`picture_set`].
const SYNSETS: [&str; 2] = ["n01440764", "n02102040"];

fn images(count: usize, stream: u64) -> ImageSet {
    let mut stream = Stream::new(5, Purpose::Synthetic, 0, stream);
    let labels: Vec<u16> = (0..count).map(|at| (at % 10) as u16).collect();
    // Each class has its own brightness, under noise.
    let pixels = labels
        .iter()
        .flat_map(|&label| [label as u8; 3 * 8 * 8])
        .map(|label| 12 * label + stream.below(100) as u8)
        .collect();
    ImageSet {
        size: 8,
        pixels,
        labels,
        digest: "tests".into(),
    }
}

/// 200 training and 50 test images of 8x8.
pub fn dataset() -> Dataset {
    Dataset {
        origin: Origin::Other,
        classes: 10,
        train: Arc::new(images(200, 0)),
        test: Arc::new(images(50, 1)),
        source: "a test".into(),
    }
}

/// A picture that no other `seed` has.
pub fn jpeg(width: u16, height: u16, seed: usize) -> Vec<u8> {
    let pixels = usize::from(width) * usize::from(height);
    let level = |at: usize| (at * (3 + seed) / 7 % 200 + seed) as u8;
    let pixels: Vec<u8> = (0..3 * pixels).map(level).collect();
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, 90)
        .encode(&pixels, width, height, ColorType::Rgb)
        .unwrap();
    bytes
}

/// Trains on pictures.
pub fn picture_recipe() -> Recipe {
    Recipe {
        image_size: 32,
        crop: Some(Crop {
            shorter_side: [36, 48],
            test_side: 36,
            ..Crop::default()
        }),
        ..Recipe::default()
    }
}

/// 200 training and 40 validation pictures in the class folders of two classes.
pub fn picture_set(root: &Path) {
    for (part, pictures) in [("train", 0..200), ("val", 200..240)] {
        for seed in pictures {
            let class = SYNSETS[seed % 2];
            let folder = root.join(part).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            let path = folder.join(format!("{class}_{seed}.JPEG"));
            std::fs::write(path, jpeg(60, 48, seed)).unwrap();
        }
    }
}

/// The slice of Imagenette, 2,000 training and 800 validation photographs of ten classes in an archive, where it is at hand:
/// `IMAGENET_SLICE` names it, or it lies beside the project.
pub fn slice() -> Option<PathBuf> {
    let named = std::env::var_os("IMAGENET_SLICE").filter(|path| !path.is_empty());
    let beside = PathBuf::from("../shared/data/imagenette-160-mini.tar");
    named
        .map(PathBuf::from)
        .or_else(|| beside.exists().then_some(beside))
}
