//! A few small images that can be learnt.

use std::sync::Arc;

use refig::data::{Dataset, ImageSet};
use refig::origin::Origin;
use refig::random::{Purpose, Stream};

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
