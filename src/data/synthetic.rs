//! The built-in synthetic set: ten classes of textured shapes at 32x32, generated from a seed.
//!
//! A class is one of five shapes with one of two textures, in colours biased towards a tint. Position, size, rotation,
//! colours, texture period, background, distractors and noise vary per image, and some images carry a wrong label.
//! Only addition, multiplication, division and square roots are used. IEEE 754 defines their results exactly, so the
//! digest of the set is the same on every machine.

use std::sync::Arc;

use super::cifar10::{self, RECORD_BYTES};
use super::images::{Dataset, ImageSet};
use crate::origin::Origin;
use crate::random::{Purpose, Stream};

/// The seed that commands use.
pub const SYNTHETIC_SEED: u64 = 0;
/// Training images.
pub const SYNTHETIC_TRAIN: usize = 10_000;
/// Test images.
pub const SYNTHETIC_TEST: usize = 2_000;

const SIDE: usize = 32;
const CLASSES: usize = 10;
const SHAPES: usize = 5;
/// Standard deviation of the noise per pixel and channel, on the scale 0..255.
const NOISE: f64 = 12.0;
/// Small discs in random colours, unrelated to the class.
const DISTRACTORS: usize = 2;
/// How strongly a shape's colours are biased towards its class's tint. As in photographs, colour is a weak cue that is
/// learnt early. Without it the deepest networks do not start to learn within a short schedule.
const LEAN: f64 = 0.62;
/// Share of the images that show a random class instead of the labelled one. As in real data, this puts a floor under
/// the error.
const MISLABELLED: f64 = 0.15;
/// The tint of each class.
const TINTS: [Colour; CLASSES] = [
    [200.0, 70.0, 70.0],
    [70.0, 200.0, 70.0],
    [70.0, 70.0, 200.0],
    [190.0, 190.0, 70.0],
    [190.0, 70.0, 190.0],
    [70.0, 190.0, 190.0],
    [210.0, 130.0, 60.0],
    [60.0, 130.0, 210.0],
    [60.0, 60.0, 60.0],
    [200.0, 200.0, 200.0],
];

/// Generates the whole set. Classes are balanced; records are sorted by digest, as in any data set.
pub fn synthetic(seed: u64) -> Dataset {
    Dataset {
        origin: Origin::Synthetic,
        classes: CLASSES,
        train: Arc::new(draw_set(seed, 0, SYNTHETIC_TRAIN)),
        test: Arc::new(draw_set(seed, 1, SYNTHETIC_TEST)),
        source: format!("SYNTHETIC images from seed {seed}"),
    }
}

/// `part` is 0 for training and 1 for test images.
fn draw_set(seed: u64, part: u64, images: usize) -> ImageSet {
    let mut bytes = vec![0u8; images * RECORD_BYTES];
    let share = images.div_ceil(2).max(1);
    std::thread::scope(|scope| {
        for (worker, records) in bytes.chunks_mut(share * RECORD_BYTES).enumerate() {
            scope.spawn(move || {
                for (at, record) in records.chunks_exact_mut(RECORD_BYTES).enumerate() {
                    let index = worker * share + at;
                    let class = index % CLASSES;
                    let mut stream = Stream::new(seed, Purpose::Synthetic, part, index as u64);
                    record[0] = class as u8;
                    let shown = if stream.uniform() < MISLABELLED {
                        stream.below(CLASSES as u64) as usize
                    } else {
                        class
                    };
                    draw(&mut stream, shown, &mut record[1..]);
                }
            });
        }
    });
    cifar10::into_images(&bytes)
}

type Colour = [f64; 3];

/// Draws one image of `class` into `planes` (`[3][32][32]`).
fn draw(stream: &mut Stream, class: usize, planes: &mut [u8]) {
    let shape = class % SHAPES;
    let checked = class >= SHAPES;
    let centre = [between(stream, 13.0, 19.0), between(stream, 13.0, 19.0)];
    let radius = between(stream, 9.0, 13.0);
    let turn = direction(stream);
    let grain = direction(stream);
    let period = between(stream, 6.0, 9.0);
    let phase = [stream.uniform(), stream.uniform()];
    let (light, dark) = contrasting(stream);
    let light = mix(light, TINTS[class], LEAN);
    let dark = mix(dark, TINTS[class], LEAN);
    let background = Background::draw(stream);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (dx, dy) = (x as f64 + 0.5 - centre[0], y as f64 + 0.5 - centre[1]);
            let u = (dx * turn[0] + dy * turn[1]) / radius;
            let v = (dy * turn[0] - dx * turn[1]) / radius;
            let colour = if inside(shape, u, v) {
                let along = wave((dx * grain[0] + dy * grain[1]) / period + phase[0]);
                let across = wave((dy * grain[0] - dx * grain[1]) / period + phase[1]);
                let level = if checked { along * across } else { along };
                let share = 0.5 + 0.5 * (2.5 * level).clamp(-1.0, 1.0);
                mix(dark, light, share)
            } else {
                background.at(x, y)
            };
            for (channel, value) in colour.into_iter().enumerate() {
                let noisy = value + NOISE * bell(stream) + 0.5;
                planes[(channel * SIDE + y) * SIDE + x] = noisy.clamp(0.0, 255.0) as u8;
            }
        }
    }
}

/// Whether a point lies in a shape of radius 1: disc, square, triangle, cross, ring.
fn inside(shape: usize, u: f64, v: f64) -> bool {
    let (a, b) = (u.abs(), v.abs());
    let square = u * u + v * v;
    match shape {
        0 => square < 0.85,
        1 => a.max(b) < 0.82,
        // Three half planes at 120 degrees; 0.866... is half the square root of 3.
        2 => v < 0.55 && 0.866_025_403_784_438_6 * a - 0.5 * v < 0.55,
        3 => a.min(b) < 0.32 && a.max(b) < 1.05,
        _ => (0.3..1.0).contains(&square),
    }
}

/// A smooth two-colour gradient with discs on it.
struct Background {
    corners: [Colour; 2],
    slope: [f64; 2],
    discs: [([f64; 2], f64, Colour); DISTRACTORS],
}

impl Background {
    fn draw(stream: &mut Stream) -> Self {
        Self {
            corners: [colour(stream), colour(stream)],
            slope: direction(stream),
            discs: std::array::from_fn(|_| {
                let centre = [between(stream, 0.0, 32.0), between(stream, 0.0, 32.0)];
                (centre, between(stream, 1.5, 4.5), colour(stream))
            }),
        }
    }

    fn at(&self, x: usize, y: usize) -> Colour {
        let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
        for (centre, radius, colour) in &self.discs {
            let (dx, dy) = (x - centre[0], y - centre[1]);
            if dx * dx + dy * dy < radius * radius {
                return *colour;
            }
        }
        let share = 0.5 + ((x - 16.0) * self.slope[0] + (y - 16.0) * self.slope[1]) / 45.0;
        mix(self.corners[0], self.corners[1], share)
    }
}

/// Two colours far enough apart for a texture to be visible.
fn contrasting(stream: &mut Stream) -> (Colour, Colour) {
    loop {
        let (one, two) = (colour(stream), colour(stream));
        let apart: f64 = (0..3)
            .map(|channel| (one[channel] - two[channel]).abs())
            .sum();
        if apart > 150.0 {
            return (one, two);
        }
    }
}

fn colour(stream: &mut Stream) -> Colour {
    [(); 3].map(|()| between(stream, 30.0, 225.0))
}

fn mix(from: Colour, to: Colour, share: f64) -> Colour {
    std::array::from_fn(|channel| from[channel] + share * (to[channel] - from[channel]))
}

fn between(stream: &mut Stream, low: f64, high: f64) -> f64 {
    low + (high - low) * stream.uniform()
}

/// A random unit vector, without sines: a point in the unit disc, scaled to its rim.
fn direction(stream: &mut Stream) -> [f64; 2] {
    loop {
        let (x, y) = (between(stream, -1.0, 1.0), between(stream, -1.0, 1.0));
        let square = x * x + y * y;
        if (0.01..1.0).contains(&square) {
            let length = square.sqrt();
            return [x / length, y / length];
        }
    }
}

/// A triangle wave with period 1, between -1 and 1.
fn wave(at: f64) -> f64 {
    4.0 * (at - (at + 0.5).floor()).abs() - 1.0
}

/// Approximately standard normal: the scaled sum of four uniform 16-bit numbers.
fn bell(stream: &mut Stream) -> f64 {
    let bits = stream.next_u64();
    let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
    // The sum of four uniform numbers has mean 2 and variance 4/12.
    (sum as f64 / 65_536.0 - 2.0) * 1.732_050_807_568_877_2
}
