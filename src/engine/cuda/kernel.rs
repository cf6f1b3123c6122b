//! The kernels of `kernels/`: names, block sizes, argument types.

use std::marker::PhantomData;

use super::arguments::{
    Add, Average, CrossEntropyArguments, Descent, Direct, DirectGradient, Drawing, Gather, Linear,
    MaxPool, Norm, NormApply, NormGradientApply, Pack, Pool, PutCrops, PutImages, Subsample, Sweep,
    WeightGradient, WeightSum,
};
use crate::recipe::Precision;

/// A kernel with arguments of type `A`.
pub struct Kernel<A> {
    pub name: &'static str,
    /// Per block.
    pub threads: u32,
    arguments: PhantomData<fn(&A)>,
}

impl<A> Clone for Kernel<A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A> Copy for Kernel<A> {}

/// A kernel in every precision.
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

/// `products` use tensor cores in both lower precisions, `passes` over activations differ only if activations have 16 bits,
/// `others` do not touch activations.
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
        /// The names of all kernels.
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
        NORM_STATISTICS_4: Norm = "norm_statistics_4", 256;
        NORM_STATISTICS_1: Norm = "norm_statistics_1", 256;
        NORM_GRADIENT_SUMS_4: Norm = "norm_gradient_sums_4", 256;
        NORM_GRADIENT_SUMS_1: Norm = "norm_gradient_sums_1", 256;
        NORM_APPLY_4: NormApply = "norm_apply_4", 256;
        NORM_APPLY_1: NormApply = "norm_apply_1", 256;
        NORM_GRADIENT_APPLY_4: NormGradientApply = "norm_gradient_apply_4", 256;
        NORM_GRADIENT_APPLY_1: NormGradientApply = "norm_gradient_apply_1", 256;
        PUT_IMAGES: PutImages = "put_images", 256;
        DRAW_IMAGES: Drawing = "draw_images", 256;
        PUT_CROPS: PutCrops = "put_crops", 256;
        SUBSAMPLE_GRADIENT: Subsample = "subsample_gradient", 256;
        ADD: Add = "add", 256;
        MAX_POOL: MaxPool = "max_pool", 256;
        MAX_POOL_GRADIENT: MaxPool = "max_pool_gradient", 256;
        POOL: Pool = "pool", 256;
        POOL_GRADIENT: Pool = "pool_gradient", 256;
    }
    others {
        DIRECT_32: Direct = "direct_32", 128;
        DIRECT_16: Direct = "direct_16", 256;
        DIRECT_8: Direct = "direct_8", 256;
        DIRECT_GRADIENT_16: DirectGradient = "direct_gradient_16", 256;
        DIRECT_GRADIENT_32: DirectGradient = "direct_gradient_32", 256;
        DIRECT_GRADIENT_64: DirectGradient = "direct_gradient_64", 256;
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
