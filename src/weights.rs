//! Named tensors as plain data, and safetensors: checkpoints, exchanged weights, recorded steps.
//! The only place that knows the format. Metadata is kept under one key of the header, so that a file's bytes do not
//! depend on the order of a map.

use std::collections::BTreeMap;

/// A dense tensor of 32-bit floats in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

/// Tensors by name, with a JSON text that says what they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    pub tensors: BTreeMap<String, Tensor>,
    /// JSON, kept under the header's `refig` key (`spec` is read from recorded steps).
    pub metadata: String,
}
