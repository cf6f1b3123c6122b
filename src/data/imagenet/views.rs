//! Which part of a picture a network sees: drawn while training, listed for a test.

use super::colour::Colour;
use crate::data::image_size::ImageSize;
use crate::random::{Purpose, Stream};
use crate::recipe::Crop;

/// How training images are scaled, cropped, mirrored and coloured.
#[derive(Clone, Debug, PartialEq)]
pub struct Framing {
    /// Smallest and largest shorter side.
    pub shorter_side: [u32; 2],
    /// Width and height of the crop.
    pub size: usize,
    /// Whether half of the crops are mirrored.
    pub flip: bool,
    pub colour: Colour,
}

impl Framing {
    /// Crops of `size` x `size` pixels.
    pub fn new(crop: &Crop, size: usize, flip: bool) -> Self {
        Self {
            shorter_side: crop.shorter_side,
            size,
            flip,
            colour: Colour::new(&crop.colour),
        }
    }
}

/// What is done to image `index`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    pub index: u32,
    /// The shorter side that the picture is scaled to.
    pub shorter_side: u32,
    /// Where the crop lies in the room that it leaves, as a fraction of 2^32: 0 is at the top, and `u32::MAX` at the bottom.
    pub down: u32,
    /// Likewise from left to right.
    pub across: u32,
    /// Whether the crop is mirrored.
    pub flip: bool,
    /// Grey levels that are added to red, green and blue.
    pub shift: [f32; 3],
}

/// Draws what is done to image `index` at `position` of pass `pass`. The result depends only on the arguments, not on the
/// picture, and a part of it only on its part of the framing.
pub fn draw(framing: &Framing, seed: u64, pass: u64, position: u64, index: u32) -> Draw {
    drawn_from(
        Stream::new(seed, Purpose::Augment, pass, position),
        framing,
        index,
    )
}

/// As [`draw`], for an image behind the population statistics: the same at every evaluation of a run.
pub fn draw_for_statistics(framing: &Framing, seed: u64, index: u32) -> Draw {
    drawn_from(
        Stream::new(seed, Purpose::StatisticsAugment, 0, index.into()),
        framing,
        index,
    )
}

fn drawn_from(mut stream: Stream, framing: &Framing, index: u32) -> Draw {
    let [smallest, largest] = framing.shorter_side;
    let sides = u64::from(largest.saturating_sub(smallest)) + 1;
    let shorter_side = smallest + stream.below(sides) as u32;
    let mut fraction = || (stream.next_u64() >> 32) as u32;
    let (down, across) = (fraction(), fraction());
    let flip = stream.below(2) == 1;
    Draw {
        index,
        shorter_side,
        down,
        across,
        flip: framing.flip && flip,
        shift: framing.colour.shift(&mut stream),
    }
}

/// A part of a test image. A network's answers may be averaged over several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// As in [`Draw`].
    pub shorter_side: u32,
    pub down: u32,
    pub across: u32,
    pub flip: bool,
    /// Of the crop.
    pub size: ImageSize,
}

/// The centre, rounded up and left like Caffe's.
const CENTRE: u32 = (1 << 31) - 1;

/// How many times as long as its shorter side a picture is seen. One of 640 x 7680 pixels takes the memory of about a hundred
/// crops of 224 x 224, which every evaluation takes; what is longer is cut off at both ends.
const LONGEST: usize = 12;

impl View {
    /// A crop from the centre.
    pub fn centre(shorter_side: u32, size: ImageSize) -> Self {
        Self {
            shorter_side,
            down: CENTRE,
            across: CENTRE,
            flip: false,
            size,
        }
    }

    /// All of a picture of the size `picture`, which is scaled so that its shorter side is `shorter_side`; of one more than
    /// twelve times as long as that, the middle.
    pub fn whole(shorter_side: u32, picture: ImageSize) -> Self {
        let scaled = scaled(picture, shorter_side);
        let most = LONGEST * shorter_side as usize;
        let size = ImageSize {
            height: scaled.height.min(most),
            width: scaled.width.min(most),
        };
        Self::centre(shorter_side, size)
    }

    /// Crops from the four corners and the centre, and their mirror images (AlexNet, section 4.1): top left, top right, bottom
    /// left, bottom right, centre, and the mirror images in this order.
    pub fn ten_crops(shorter_side: u32, size: ImageSize) -> [Self; 10] {
        let most = u32::MAX;
        let places = [(0, 0), (0, most), (most, 0), (most, most), (CENTRE, CENTRE)];
        std::array::from_fn(|number| {
            let (down, across) = places[number % 5];
            Self {
                shorter_side,
                down,
                across,
                flip: number >= 5,
                size,
            }
        })
    }

    /// What is done to image `index`.
    pub fn draw(&self, index: u32) -> Draw {
        Draw {
            index,
            shorter_side: self.shorter_side,
            down: self.down,
            across: self.across,
            flip: self.flip,
            shift: [0.0; 3],
        }
    }
}

/// A size with the shorter side at `side`, and the longer side rounded down, as torchvision does.
pub(super) fn scaled(size: ImageSize, side: u32) -> ImageSize {
    let longer =
        |long: usize, short: usize| (u64::from(side) * long as u64 / short as u64) as usize;
    match size.width <= size.height {
        true => ImageSize {
            width: side as usize,
            height: longer(size.height, size.width),
        },
        false => ImageSize {
            width: longer(size.width, size.height),
            height: side as usize,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{ColourKind, ColourRecipe};

    #[test]
    fn sides_places_and_flips_are_uniform() {
        let framing = Framing::new(&Crop::default(), 224, true);
        assert_eq!(framing.shorter_side, [256, 480]);
        let drawn: Vec<Draw> = (0..22_500)
            .map(|at| draw(&framing, 3, at / 500, at % 500, 8))
            .collect();
        let mean =
            |of: &dyn Fn(&Draw) -> f64| drawn.iter().map(of).sum::<f64>() / drawn.len() as f64;
        // Five standard errors each.
        let side = mean(&|draw| f64::from(draw.shorter_side));
        assert!((side - 368.0).abs() < 2.2, "shorter side {side}");
        let ends = drawn.iter().map(|draw| draw.shorter_side);
        assert_eq!((ends.clone().min(), ends.max()), (Some(256), Some(480)));
        let of_room = f64::from(u32::MAX);
        let down = mean(&|draw| f64::from(draw.down) / of_room);
        let across = mean(&|draw| f64::from(draw.across) / of_room);
        let flips = mean(&|draw| f64::from(u8::from(draw.flip)));
        assert!((down - 0.5).abs() < 0.01, "down {down}");
        assert!((across - 0.5).abs() < 0.01, "across {across}");
        assert!((flips - 0.5).abs() < 0.017, "flips {flips}");
        assert_eq!(draw(&framing, 3, 1, 2, 8), drawn[502]);
        assert_ne!(draw(&framing, 4, 1, 2, 8), drawn[502]);
        let statistics = draw_for_statistics(&framing, 3, 8);
        assert_eq!(draw_for_statistics(&framing, 3, 8), statistics);
        assert_ne!(draw_for_statistics(&framing, 3, 9), statistics);
        assert_ne!(draw_for_statistics(&framing, 4, 8), statistics);
    }

    #[test]
    fn a_part_of_the_framing_changes_its_part_of_the_draw() {
        let whole = draw(&Framing::new(&Crop::default(), 224, true), 1, 0, 4, 2);
        let grey = ColourRecipe {
            kind: ColourKind::None,
            ..ColourRecipe::default()
        };
        let crop = Crop {
            colour: grey,
            ..Crop::default()
        };
        let plain = draw(&Framing::new(&crop, 224, false), 1, 0, 4, 2);
        assert_ne!(whole.shift, [0.0; 3]);
        let expected = Draw {
            flip: false,
            shift: [0.0; 3],
            ..whole
        };
        assert_eq!(plain, expected);
    }

    #[test]
    fn ten_crops_are_corners_centre_and_their_mirror_images() {
        let size = ImageSize::square(224);
        let views = View::ten_crops(256, size);
        let most = u32::MAX;
        let places = views.map(|view| (view.down, view.across, view.flip));
        for (half, flip) in places.chunks(5).zip([false, true]) {
            assert_eq!(
                half,
                [
                    (0, 0, flip),
                    (0, most, flip),
                    (most, 0, flip),
                    (most, most, flip),
                    (CENTRE, CENTRE, flip)
                ]
            );
        }
        let as_told = |view: &View| (view.shorter_side, view.size) == (256, size);
        assert!(views.iter().all(as_told));
        assert_eq!(View::centre(256, size), views[4]);
        let expected = Draw {
            index: 7,
            shorter_side: 256,
            down: most,
            across: 0,
            flip: true,
            shift: [0.0; 3],
        };
        assert_eq!(views[7].draw(7), expected);
    }

    #[test]
    fn a_whole_picture_is_a_rectangle_of_at_most_twelve_to_one() {
        let size = |width, height| ImageSize { height, width };
        for (side, picture, expected) in [
            (224, size(500, 375), size(298, 224)),
            (640, size(500, 375), size(853, 640)),
            (640, size(375, 500), size(640, 853)),
            (256, size(400, 400), size(256, 256)),
            (64, size(100, 1199), size(64, 767)),
            (64, size(100, 1200), size(64, 768)),
            (64, size(100, 1201), size(64, 768)),
            (32, size(5000, 2), size(384, 32)),
        ] {
            let view = View::whole(side, picture);
            assert_eq!(view, View::centre(side, expected), "{picture} at {side}");
        }
    }
}
