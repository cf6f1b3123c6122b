//! Activations and the loops over their pixels.

use crate::data::ImageSize;
use crate::network::Convolution;

/// An activation, `[images][height][width][channels]`.
#[derive(Clone, Debug)]
pub struct Map {
    pub images: usize,
    pub size: ImageSize,
    pub channels: usize,
    pub data: Vec<f64>,
}

impl Map {
    pub fn zeros(images: usize, size: ImageSize, channels: usize) -> Self {
        Self {
            images,
            size,
            channels,
            data: vec![0.0f64; images * size.pixels() * channels],
        }
    }

    /// The index of a pixel's first channel.
    fn at(&self, image: usize, y: usize, x: usize) -> usize {
        ((image * self.size.height + y) * self.size.width + x) * self.channels
    }

    pub fn add(&mut self, other: &Self) {
        for (sum, value) in self.data.iter_mut().zip(&other.data) {
            *sum += value;
        }
    }
}

/// Mean and biased variance of each channel.
pub fn moments(x: &Map) -> (Vec<f64>, Vec<f64>) {
    let count = (x.data.len() / x.channels) as f64;
    let mut mean = vec![0.0f64; x.channels];
    for (place, value) in x.data.iter().enumerate() {
        mean[place % x.channels] += value / count;
    }
    let mut variance = vec![0.0f64; x.channels];
    for (place, value) in x.data.iter().enumerate() {
        let channel = place % x.channels;
        variance[channel] += (value - mean[channel]).powi(2) / count;
    }
    (mean, variance)
}

/// Calls `each` with the first index of an output pixel, of the input pixel under a place of the kernel, and that place.
fn windows(x: &Map, y: &Map, convolution: &Convolution, mut each: impl FnMut(usize, usize, usize)) {
    let (kernel, stride) = (convolution.kernel, convolution.stride);
    let inside = |at: usize, place: usize, length: usize| {
        let padded = (at * stride + place).checked_sub(kernel / 2);
        padded.filter(|&at| at < length)
    };
    for image in 0..y.images {
        for row in 0..y.size.height {
            for column in 0..y.size.width {
                for place in 0..kernel * kernel {
                    let down = inside(row, place / kernel, x.size.height);
                    let across = inside(column, place % kernel, x.size.width);
                    if let Some((down, across)) = down.zip(across) {
                        each(y.at(image, row, column), x.at(image, down, across), place);
                    }
                }
            }
        }
    }
}

/// What a stride leaves of a size.
fn strided(size: ImageSize, stride: usize) -> ImageSize {
    ImageSize {
        height: size.height.div_ceil(stride),
        width: size.width.div_ceil(stride),
    }
}

/// From `[outputs][inputs][places]` to `[places][inputs][outputs]`.
fn transposed(weight: &[f64], convolution: &Convolution) -> Vec<f64> {
    let (inputs, outputs) = (convolution.inputs, convolution.outputs);
    let places = convolution.kernel * convolution.kernel;
    let mut turned = vec![0.0f64; weight.len()];
    for (at, &value) in weight.iter().enumerate() {
        let (output, input, place) = (at / places / inputs, at / places % inputs, at % places);
        turned[(place * inputs + input) * outputs + output] = value;
    }
    turned
}

pub fn convolve(x: &Map, weight: &[f64], convolution: &Convolution) -> Map {
    let (inputs, outputs) = (convolution.inputs, convolution.outputs);
    let weight = transposed(weight, convolution);
    let mut y = Map::zeros(x.images, strided(x.size, convolution.stride), outputs);
    let mut data = std::mem::take(&mut y.data);
    windows(x, &y, convolution, |to, from, place| {
        let sums = &mut data[to..to + outputs];
        for (input, value) in x.data[from..from + inputs].iter().enumerate() {
            let row = &weight[(place * inputs + input) * outputs..][..outputs];
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += value * weight;
            }
        }
    });
    y.data = data;
    y
}

/// The gradients of weight and input.
pub fn convolve_backward(
    x: &Map,
    weight: &[f64],
    convolution: &Convolution,
    dy: &Map,
) -> (Vec<f64>, Map) {
    let (inputs, outputs) = (convolution.inputs, convolution.outputs);
    let weight = transposed(weight, convolution);
    let mut turned = vec![0.0f64; weight.len()];
    let mut dx = Map::zeros(x.images, x.size, x.channels);
    windows(x, dy, convolution, |to, from, place| {
        let slopes = &dy.data[to..to + outputs];
        for input in 0..inputs {
            let row = (place * inputs + input) * outputs;
            let value = x.data[from + input];
            let mut sum = 0.0;
            for (output, slope) in slopes.iter().enumerate() {
                turned[row + output] += slope * value;
                sum += slope * weight[row + output];
            }
            dx.data[from + input] += sum;
        }
    });
    let places = convolution.kernel * convolution.kernel;
    let mut dweight = vec![0.0f64; turned.len()];
    for (at, value) in dweight.iter_mut().enumerate() {
        let (output, input, place) = (at / places / inputs, at / places % inputs, at % places);
        *value = turned[(place * inputs + input) * outputs + output];
    }
    (dweight, dx)
}

/// The ImageNet stem's pooling, 3x3 with stride 2, and the index that each maximum came from, the first one of a tie.
pub fn max_pool(x: &Map) -> (Map, Vec<usize>) {
    let mut y = Map::zeros(x.images, strided(x.size, 2), x.channels);
    y.data.fill(f64::NEG_INFINITY);
    let mut places = vec![0; y.data.len()];
    let window = Convolution {
        name: String::new(),
        norm: String::new(),
        kernel: 3,
        stride: 2,
        inputs: x.channels,
        outputs: x.channels,
    };
    let mut data = std::mem::take(&mut y.data);
    windows(x, &y, &window, |to, from, _| {
        for channel in 0..x.channels {
            if x.data[from + channel] > data[to + channel] {
                data[to + channel] = x.data[from + channel];
                places[to + channel] = from + channel;
            }
        }
    });
    y.data = data;
    (y, places)
}

/// Calls `each` with the first indices of a pixel after option A's subsampling and of the pixel that it takes.
fn subsampled(from: &Map, to: &Map, mut each: impl FnMut(usize, usize)) {
    let stride = |from: usize, to: usize| from.div_ceil(to);
    let down = stride(from.size.height, to.size.height);
    // A single row does not tell the stride.
    let stride = down.max(stride(from.size.width, to.size.width));
    for image in 0..to.images {
        for row in 0..to.size.height {
            for column in 0..to.size.width {
                let pixel = from.at(image, row * stride, column * stride);
                each(to.at(image, row, column), pixel);
            }
        }
    }
}

/// Adds every second pixel of `x` to `y`, which has more channels.
pub fn subsample(x: &Map, y: &mut Map) {
    let mut data = std::mem::take(&mut y.data);
    subsampled(x, y, |to, from| {
        for channel in 0..x.channels {
            data[to + channel] += x.data[from + channel];
        }
    });
    y.data = data;
}

pub fn subsample_backward(dy: &Map, dx: &mut Map) {
    let mut data = std::mem::take(&mut dx.data);
    let channels = dx.channels;
    subsampled(dx, dy, |to, from| {
        for channel in 0..channels {
            data[from + channel] += dy.data[to + channel];
        }
    });
    dx.data = data;
}
