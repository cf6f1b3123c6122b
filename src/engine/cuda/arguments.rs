//! What the host and the kernels agree on: the kernels' names, and their arguments as `kernels/` declares them.

use std::marker::PhantomData;

use super::gpu::Address;
use crate::engine::cpu::Feature;
use crate::manifest::Precision;

/// A kernel with arguments of type `A`.
pub struct Kernel<A> {
    pub name: &'static str,
    /// Of a block.
    pub threads: u32,
    arguments: PhantomData<fn(&A)>,
}

impl<A> Clone for Kernel<A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A> Copy for Kernel<A> {}

/// A kernel in each precision.
pub struct Kernels<A> {
    fp32: Kernel<A>,
    tf32: Kernel<A>,
    bf16: Kernel<A>,
}

impl<A> Kernels<A> {
    pub fn of(&self, precision: Precision) -> Kernel<A> {
        match precision {
            Precision::Fp32 => self.fp32,
            Precision::Tf32 => self.tf32,
            Precision::Bf16 => self.bf16,
        }
    }
}

macro_rules! kernel {
    ($name:expr, $threads:literal) => {
        Kernel {
            name: $name,
            threads: $threads,
            arguments: PhantomData,
        }
    };
}

/// `products` go through tensor cores in both of the lower precisions, `passes` over activations differ where these have 16
/// bits, `others` know no activations.
macro_rules! kernels {
    (
        products { $($product:ident: $of_product:ty = $product_name:literal, $product_threads:literal;)+ }
        passes { $($pass:ident: $of_pass:ty = $pass_name:literal, $pass_threads:literal;)+ }
        others { $($other:ident: $of_other:ty = $other_name:literal, $other_threads:literal;)+ }
    ) => {
        $(pub const $product: Kernels<$of_product> = Kernels {
            fp32: kernel!($product_name, $product_threads),
            tf32: kernel!(concat!($product_name, "_tf32"), $product_threads),
            bf16: kernel!(concat!($product_name, "_bf16"), $product_threads),
        };)+
        $(pub const $pass: Kernels<$of_pass> = Kernels {
            fp32: kernel!($pass_name, $pass_threads),
            tf32: kernel!($pass_name, $pass_threads),
            bf16: kernel!(concat!($pass_name, "_bf16"), $pass_threads),
        };)+
        $(pub const $other: Kernel<$of_other> = kernel!($other_name, $other_threads);)+
        /// Every kernel's name.
        #[cfg(any(feature = "cuda", test))]
        pub const NAMES: &[&str] = &[
            $($product_name, concat!($product_name, "_tf32"), concat!($product_name, "_bf16"),)+
            $($pass_name, concat!($pass_name, "_bf16"),)+
            $($other_name,)+
        ];
    };
}

kernels! {
    products {
        SWEEP_256X16: Sweep = "sweep_256x16", 128;
        SWEEP_256X16_ANY: Sweep = "sweep_256x16_any", 128;
        SWEEP_128X32: Sweep = "sweep_128x32", 128;
        SWEEP_128X32_ANY: Sweep = "sweep_128x32_any", 128;
        SWEEP_64X64: Sweep = "sweep_64x64", 128;
        SWEEP_64X64_ANY: Sweep = "sweep_64x64_any", 128;
        SWEEP_128X128: Sweep = "sweep_128x128", 256;
        PACK: Pack = "pack", 256;
        WEIGHT_GRADIENT_16: WeightGradient = "weight_gradient_16", 32;
        WEIGHT_GRADIENT_16_ANY: WeightGradient = "weight_gradient_16_any", 32;
        WEIGHT_GRADIENT_32: WeightGradient = "weight_gradient_32", 64;
        WEIGHT_GRADIENT_32_ANY: WeightGradient = "weight_gradient_32_any", 64;
        WEIGHT_GRADIENT_64: WeightGradient = "weight_gradient_64", 128;
        WEIGHT_GRADIENT_64_ANY: WeightGradient = "weight_gradient_64_any", 128;
    }
    passes {
        NORM_STATISTICS: Norm = "norm_statistics", 256;
        NORM_GRADIENT_SUMS: Norm = "norm_gradient_sums", 256;
        NORM_APPLY_4: NormApply = "norm_apply_4", 256;
        NORM_APPLY_1: NormApply = "norm_apply_1", 256;
        NORM_GRADIENT_APPLY_4: NormGradientApply = "norm_gradient_apply_4", 256;
        NORM_GRADIENT_APPLY_1: NormGradientApply = "norm_gradient_apply_1", 256;
        PUT_IMAGES: PutImages = "put_images", 256;
        DRAW_IMAGES: Drawing = "draw_images", 256;
        SUBSAMPLE_GRADIENT: Subsample = "subsample_gradient", 256;
        ADD: Add = "add", 256;
        MAX_POOL: MaxPool = "max_pool", 256;
        MAX_POOL_GRADIENT: MaxPool = "max_pool_gradient", 256;
        POOL: Pool = "pool", 256;
        POOL_GRADIENT: Pool = "pool_gradient", 256;
    }
    others {
        WEIGHT_SUM: WeightSum = "weight_sum", 256;
        NORM_LINES: Norm = "norm_lines", 256;
        LINEAR: Linear = "linear", 128;
        LINEAR_GRADIENT: Linear = "linear_gradient", 128;
        CROSS_ENTROPY: CrossEntropyArguments = "cross_entropy", 256;
        CROSS_ENTROPY_GRADIENT: CrossEntropyArguments = "cross_entropy_gradient", 64;
        DESCEND: Descent = "descend", 256;
        AVERAGE: Average = "average", 64;
        GATHER: Gather = "gather", 256;
    }
}

/// What indices and sizes stay below: kernels count in 32 bits and divide by multiplication.
const LIMIT: usize = 1 << 31;

/// A size as the kernels count it.
///
/// # Panics
/// It is 2^31 or more: a mini-batch too large for these kernels.
pub fn size(value: usize) -> u32 {
    assert!(
        value < LIMIT,
        "a tensor of {value} floats; a GPU's kernels count to 2^31: use a smaller mini-batch"
    );
    value as u32
}

/// Division by multiplication and shift, exact for dividends below 2^31 (Granlund and Montgomery 1994).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divisor {
    divisor: u32,
    multiplier: u32,
    shift: u32,
}

impl Divisor {
    pub fn new(divisor: usize) -> Self {
        let divisor = size(divisor.max(1));
        let shift = u64::BITS - u64::from(divisor - 1).leading_zeros();
        let wide = u64::from(divisor);
        let multiplier = (((1u64 << shift) - wide) << 32) / wide + 1;
        Self {
            divisor,
            multiplier: multiplier as u32,
            shift,
        }
    }

    /// As the kernels do it.
    #[cfg(test)]
    pub fn divide(self, n: u32) -> u32 {
        let high = (u64::from(n) * u64::from(self.multiplier)) >> 32;
        (high as u32 + n) >> self.shift
    }
}

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

/// Places of pixels: the first one and the distances of neighbours, in numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Lattice {
    pub start: u32,
    pub image: u32,
    pub row: u32,
    pub column: u32,
}

/// Taps of the largest kernel.
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

/// Images of one drawing.
pub const DRAWN: usize = 256;

/// A decision of the loader.
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
}

/// Tensors of one update.
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
