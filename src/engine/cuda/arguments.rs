//! The arguments of kernels, laid out as `kernels/` declares them.

use super::index::{Divisor, size};
use crate::engine::cpu::Feature;

/// An address in a GPU's memory; what `kernels/` calls a pointer.
pub type Address = u64;

/// A feature's shape.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    images: u32,
    height: u32,
    width: u32,
    channels: u32,
    halo: u32,
    storage: u32,
    by_channels: Divisor,
    by_padded_width: Divisor,
    by_padded_image: Divisor,
    by_width: Divisor,
    by_image: Divisor,
    by_halo: Divisor,
}

impl Shape {
    pub fn new(feature: Feature) -> Self {
        let padded = (feature.height + 2 * feature.halo) * (feature.width + 2 * feature.halo);
        Self {
            images: size(feature.images),
            height: size(feature.height),
            width: size(feature.width),
            channels: size(feature.channels),
            halo: size(feature.halo),
            storage: size(feature.storage()),
            by_channels: Divisor::new(feature.channels),
            by_padded_width: Divisor::new(feature.width + 2 * feature.halo),
            by_padded_image: Divisor::new(padded),
            by_width: Divisor::new(feature.width),
            by_image: Divisor::new(feature.height * feature.width),
            by_halo: Divisor::new(padded - feature.height * feature.width),
        }
    }
}

/// Where pixels lie: the offset of the first one and the distances between neighbours, in numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Lattice {
    pub start: u32,
    pub image: u32,
    pub row: u32,
    pub column: u32,
}

/// Taps of the largest convolution kernel.
pub const TAPS: usize = 49;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sweep {
    pub from: Address,
    pub packed: Address,
    pub to: Address,
    pub pixels: u32,
    pub by_plane: Divisor,
    pub by_columns: Divisor,
    pub from_at: Lattice,
    pub to_at: Lattice,
    pub by_inputs: Divisor,
    pub outputs: u32,
    pub depth: u32,
    pub packed_step: u32,
    pub accumulate: u32,
    pub write_halo: u32,
    pub to_shape: Shape,
    pub offsets: [i32; TAPS],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Pack {
    pub weights: Address,
    pub packed: Address,
    pub depth: u32,
    pub outputs: u32,
    pub by_step: Divisor,
    pub lines: u32,
    pub by_inputs: Divisor,
    pub input_step: u32,
    pub output_step: u32,
    pub taps: [i32; TAPS],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct WeightGradient {
    pub x: Address,
    pub dy: Address,
    pub partial: Address,
    pub pixels: u32,
    pub pixels_each: u32,
    pub by_plane: Divisor,
    pub by_columns: Divisor,
    pub x_at: Lattice,
    pub dy_at: Lattice,
    pub by_inputs: Divisor,
    pub outputs: u32,
    pub depth: u32,
    pub packed_depth: u32,
    pub packed_columns: u32,
    pub offsets: [i32; TAPS],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct WeightSum {
    pub partial: Address,
    pub dweights: Address,
    pub parts: u32,
    pub packed_depth: u32,
    pub packed_columns: u32,
    pub outputs: u32,
    pub depth: u32,
    pub taps: u32,
    pub by_outputs: Divisor,
    pub by_inputs: Divisor,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Direct {
    pub from: Address,
    pub to: Address,
    pub weights: Address,
    pub images: u32,
    pub height: u32,
    pub inputs: u32,
    pub outputs: u32,
    pub from_image: u32,
    pub from_row: u32,
    pub to_image: u32,
    pub to_row: u32,
    pub gradient: u32,
    pub accumulate: u32,
    pub write_halo: u32,
    pub whole: Address,
    pub to_shape: Shape,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct DirectGradient {
    pub x: Address,
    pub dy: Address,
    pub partial: Address,
    pub rows: u32,
    pub rows_each: u32,
    pub by_height: Divisor,
    pub x_image: u32,
    pub x_row: u32,
    pub dy_image: u32,
    pub dy_row: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Norm {
    pub x: Address,
    pub scale: Address,
    pub shift: Address,
    pub mean: Address,
    pub variance: Address,
    pub lines: Address,
    pub partial: Address,
    pub counter: Address,
    pub shape: Shape,
    pub by_group: Divisor,
    pub group_pixels: u32,
    pub groups: u32,
    pub parts: u32,
    pub pixels: u32,
    pub by_lanes: Divisor,
    pub rows: u32,
    pub epsilon: f32,
    pub dy: Address,
    pub output: Address,
    pub dscale: Address,
    pub dshift: Address,
    pub gate: u32,
    pub apart: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct NormApply {
    pub x: Address,
    pub added: Address,
    pub y: Address,
    pub lines: Address,
    pub shape: Shape,
    pub source: Shape,
    pub stride: u32,
    pub add: u32,
    pub relu: u32,
    pub by_group: Divisor,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct NormGradientApply {
    pub x: Address,
    pub dy: Address,
    pub output: Address,
    pub dx: Address,
    pub lines: Address,
    pub mean: Address,
    pub shape: Shape,
    pub gate: u32,
    pub by_group: Divisor,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct PutImages {
    pub pixels: Address,
    pub feature: Address,
    pub shape: Shape,
}

/// Images per launch of a drawing.
pub const DRAWN: usize = 256;

/// One of the loader's decisions.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct DrawnImage {
    pub index: u32,
    pub top: u8,
    pub left: u8,
    pub flip: u8,
    pub unused: u8,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Drawing {
    pub bytes: Address,
    pub classes: Address,
    pub mean: Address,
    pub feature: Address,
    pub labels: Address,
    pub shape: Shape,
    pub inverse: [f32; 3],
    pub pad: u32,
    pub black: u32,
    pub first: u32,
    pub count: u32,
    pub drawn: [DrawnImage; DRAWN],
}

/// Images per launch of crops: a launch has 4096 bytes of arguments, and each shift takes 12.
pub const CROPS: usize = 256;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct PutCrops {
    pub bytes: Address,
    pub mean: Address,
    pub feature: Address,
    pub shape: Shape,
    pub inverse: [f32; 3],
    pub first: u32,
    pub count: u32,
    pub shifts: [[f32; 3]; CROPS],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Subsample {
    pub dy: Address,
    pub dx: Address,
    pub to: Shape,
    pub from: Shape,
    pub stride: u32,
    pub by_from_channels: Divisor,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Add {
    pub value: Address,
    pub sum: Address,
    pub count: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct MaxPool {
    pub from: Address,
    pub to: Address,
    pub places: Address,
    pub shape: Shape,
    pub pooled: Shape,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Pool {
    pub from: Address,
    pub to: Address,
    pub shape: Shape,
    pub scale: f32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Linear {
    pub x: Address,
    pub weight: Address,
    pub bias: Address,
    pub y: Address,
    pub dy: Address,
    pub dx: Address,
    pub dweight: Address,
    pub dbias: Address,
    pub images: u32,
    pub inputs: u32,
    pub outputs: u32,
    pub by_outputs: Divisor,
    pub by_inputs: Divisor,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct CrossEntropyArguments {
    pub logits: Address,
    pub labels: Address,
    pub sums: Address,
    pub gradient: Address,
    pub images: u32,
    pub classes: u32,
    pub of: u32,
}

/// Tensors per launch of an update.
pub const TENSORS: usize = 48;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Descent {
    pub weights: [Address; TENSORS],
    pub gradients: [Address; TENSORS],
    pub velocities: [Address; TENSORS],
    pub counts: [u32; TENSORS],
    pub decays: [f32; TENSORS],
    pub momentum: f32,
    pub inside: f32,
    pub outside: f32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Average {
    pub batch: [Address; TENSORS],
    pub running: [Address; TENSORS],
    pub channels: [u32; TENSORS],
    pub values: [u32; TENSORS],
    pub last_values: [u32; TENSORS],
    pub groups: [u32; TENSORS],
    pub unbiased: [u32; TENSORS],
    pub momentum: f32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Gather {
    pub from: [Address; TENSORS],
    pub to: Address,
    pub counts: [u32; TENSORS],
    pub offsets: [u32; TENSORS],
}
