// Convolution forward and the gradient of its input, as one matrix product: pixels times output channels over (tap, input
// channel). The matrix of pixels is never made: its rows are read where they lie, at a distance from the pixel that depends
// on the tap alone, because the halo holds the padding. A stride's input gradient is one product a parity.
#pragma once
#include "number.cuh"

// Taps of the largest kernel, 7x7.
constexpr int TAPS = 49;
// Depth that is held in shared memory at a time.
constexpr int DEPTH = 16;

// Places of pixels: the first one, and distances between neighbours, in numbers.
struct Lattice {
    unsigned start, image, row, column;
};

DEVICE unsigned place_on(const Lattice &lattice, const Divisor &by_plane, const Divisor &by_columns, unsigned pixel) {
    const unsigned image = divide(pixel, by_plane);
    const unsigned rest = pixel - image * by_plane.divisor;
    const unsigned row = divide(rest, by_columns);
    return lattice.start + image * lattice.image + row * lattice.row +
           (rest - row * by_columns.divisor) * lattice.column;
}

struct Sweep {
    // Activations.
    const void *from;
    // [depth][outputs], padded with zeros to whole tiles of `packed_columns` and of DEPTH rows; for tensor cores see
    // convolution_tensor.cuh.
    const void *packed;
    void *to;
    // Pixels written, and how they are counted.
    unsigned pixels;
    Divisor by_plane, by_columns;
    Lattice from_at, to_at;
    // Channels read and written, and taps times channels read.
    Divisor by_inputs;
    unsigned outputs, depth;
    // Numbers from one row of `packed` to the next; for tensor cores words from one column to the next.
    unsigned packed_step;
    unsigned accumulate, write_halo;
    // Of `to`, for its halo.
    Shape to_shape;
    int offsets[TAPS];
};

// Row or column of a register in a tile: quads that lie `PITCH` apart, so that neighbours read neighbouring banks.
template <int TILE, int EACH> DEVICE int spread(int thread, int index) {
    return (index / 4) * (TILE / (EACH / 4)) + thread * 4 + index % 4;
}

// Where four neighbours in the depth lie from a pixel's first tap, and which of them there are.
struct Four {
    int distance[4];
    bool inside[4];
};

template <typename Product> DEVICE Four four_of(const Product &a, unsigned k) {
    Four four;
    for (int j = 0; j < 4; ++j) {
        four.inside[j] = k + j < a.depth;
        const unsigned tap = divide(k + j, a.by_inputs);
        four.distance[j] = four.inside[j] ? a.offsets[tap] + int(k + j - tap * a.by_inputs.divisor) : 0;
    }
    return four;
}

template <typename T> DEVICE T gathered(const T *pixel, const Four &four, int j) {
    return pixel != nullptr && four.inside[j] ? pixel[four.distance[j]] : T{};
}

// A block makes ROWS pixels by COLUMNS channels, a thread EACH_ROW by EACH_COLUMN of them, a multiple of four. With QUADS,
// channels are read four at a time.
template <int ROWS, int COLUMNS, int EACH_ROW, int EACH_COLUMN, bool QUADS> DEVICE void sweep(const Sweep &a) {
    constexpr int THREADS = (ROWS / EACH_ROW) * (COLUMNS / EACH_COLUMN);
    constexpr int LEFT = ROWS * DEPTH / 4 / THREADS;
    constexpr int RIGHT = (COLUMNS * DEPTH / 4 + THREADS - 1) / THREADS;
    static_assert(LEFT * THREADS * 4 == ROWS * DEPTH && THREADS % 4 == 0, "every thread reads whole quads");
    __shared__ __align__(16) float left[DEPTH][ROWS + 4];
    __shared__ __align__(16) float right[DEPTH][COLUMNS];

    const float *const source = static_cast<const float *>(a.from);
    const float *const packed = static_cast<const float *>(a.packed);
    const int thread = threadIdx.x;
    const unsigned first_column = blockIdx.y * COLUMNS;
    // The quad of the depth that this thread reads, and where its pixels lie.
    const int quad = thread % 4;
    const float *pixels[LEFT];
    for (int i = 0; i < LEFT; ++i) {
        const unsigned pixel = blockIdx.x * ROWS + thread / 4 + i * (THREADS / 4);
        pixels[i] = pixel < a.pixels ? source + place_on(a.from_at, a.by_plane, a.by_columns, pixel) : nullptr;
    }

    float4 next_left[LEFT], next_right[RIGHT];
    auto fetch = [&](unsigned depth) {
        const unsigned k = depth + 4 * quad;
        if (QUADS) {
            const unsigned tap = divide(k, a.by_inputs);
            const bool inside = k < a.depth;
            const int distance = inside ? a.offsets[tap] + int(k - tap * a.by_inputs.divisor) : 0;
            for (int i = 0; i < LEFT; ++i)
                next_left[i] =
                    inside && pixels[i] != nullptr ? load4(pixels[i] + distance) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        } else {
            const Four taps = four_of(a, k);
            for (int i = 0; i < LEFT; ++i)
                next_left[i] = make_float4(gathered(pixels[i], taps, 0), gathered(pixels[i], taps, 1),
                                           gathered(pixels[i], taps, 2), gathered(pixels[i], taps, 3));
        }
        for (int i = 0; i < RIGHT; ++i) {
            const int index = thread + i * THREADS;
            const int row = index / (COLUMNS / 4), column = index % (COLUMNS / 4) * 4;
            if (index < COLUMNS * DEPTH / 4)
                next_right[i] = load4(packed + (depth + row) * a.packed_step + first_column + column);
        }
    };

    const int across = thread % (COLUMNS / EACH_COLUMN), down = thread / (COLUMNS / EACH_COLUMN);
    float sums[EACH_ROW][EACH_COLUMN];
    for (int i = 0; i < EACH_ROW; ++i)
        for (int j = 0; j < EACH_COLUMN; ++j)
            sums[i][j] = 0.0f;

    if (a.depth > 0)
        fetch(0);
    for (unsigned depth = 0; depth < a.depth; depth += DEPTH) {
        for (int i = 0; i < LEFT; ++i) {
            const int row = thread / 4 + i * (THREADS / 4);
            left[4 * quad][row] = next_left[i].x;
            left[4 * quad + 1][row] = next_left[i].y;
            left[4 * quad + 2][row] = next_left[i].z;
            left[4 * quad + 3][row] = next_left[i].w;
        }
        for (int i = 0; i < RIGHT; ++i) {
            const int index = thread + i * THREADS;
            if (index < COLUMNS * DEPTH / 4)
                store4(&right[index / (COLUMNS / 4)][index % (COLUMNS / 4) * 4], next_right[i]);
        }
        __syncthreads();
        if (depth + DEPTH < a.depth)
            fetch(depth + DEPTH);
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            float x[EACH_ROW], w[EACH_COLUMN];
#pragma unroll
            for (int i = 0; i < EACH_ROW; i += 4) {
                const float4 four = load4(&left[k][spread<ROWS, EACH_ROW>(down, i)]);
                x[i] = four.x, x[i + 1] = four.y, x[i + 2] = four.z, x[i + 3] = four.w;
            }
#pragma unroll
            for (int j = 0; j < EACH_COLUMN; j += 4) {
                const float4 four = load4(&right[k][spread<COLUMNS, EACH_COLUMN>(across, j)]);
                w[j] = four.x, w[j + 1] = four.y, w[j + 2] = four.z, w[j + 3] = four.w;
            }
#pragma unroll
            for (int i = 0; i < EACH_ROW; ++i)
#pragma unroll
                for (int j = 0; j < EACH_COLUMN; ++j)
                    sums[i][j] = fmaf(x[i], w[j], sums[i][j]);
        }
        __syncthreads();
    }

    const bool whole = a.outputs % 4 == 0;
#pragma unroll
    for (int i = 0; i < EACH_ROW; ++i) {
        const unsigned pixel = blockIdx.x * ROWS + spread<ROWS, EACH_ROW>(down, i);
        if (pixel >= a.pixels)
            continue;
        float *to = static_cast<float *>(a.to) + place_on(a.to_at, a.by_plane, a.by_columns, pixel);
#pragma unroll
        for (int j = 0; j < EACH_COLUMN; j += 4) {
            const unsigned channel = first_column + spread<COLUMNS, EACH_COLUMN>(across, j);
            if (whole && channel < a.outputs) {
                float4 four = make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]);
                if (a.accumulate) {
                    const float4 before = load4(to + channel);
                    four = make_float4(four.x + before.x, four.y + before.y, four.z + before.z, four.w + before.w);
                }
                store4(to + channel, four);
            } else if (!whole) {
#pragma unroll
                for (int l = 0; l < 4; ++l)
                    if (channel + l < a.outputs)
                        to[channel + l] = a.accumulate ? to[channel + l] + sums[i][j + l] : sums[i][j + l];
            }
        }
    }
    if (a.write_halo && blockIdx.y == 0)
        zero_halo(a.to_shape, static_cast<float *>(a.to), blockIdx.x * THREADS + thread, gridDim.x * THREADS);
}

KERNEL(sweep_256x16, 128, Sweep) { sweep<256, 16, 8, 4, true>(a); }
KERNEL(sweep_256x16_any, 128, Sweep) { sweep<256, 16, 8, 4, false>(a); }
KERNEL(sweep_128x32, 128, Sweep) { sweep<128, 32, 8, 4, true>(a); }
KERNEL(sweep_128x32_any, 128, Sweep) { sweep<128, 32, 8, 4, false>(a); }
KERNEL(sweep_64x64, 128, Sweep) { sweep<64, 64, 8, 4, true>(a); }
KERNEL(sweep_64x64_any, 128, Sweep) { sweep<64, 64, 8, 4, false>(a); }
KERNEL(sweep_128x128, 256, Sweep) { sweep<128, 128, 8, 8, true>(a); }

// Weights [outputs][inputs][kernel][kernel] in the order in which a sweep reads them, padded with zeros.
struct Pack {
    const float *weights;
    void *packed;
    // Taps times channels read, and channels written.
    unsigned depth, outputs;
    // Numbers, or words, from one line to the next, and lines: rows of the depth, or for tensor cores columns.
    Divisor by_step;
    unsigned lines;
    Divisor by_inputs;
    // Distance in the weights from one input channel of the sweep to the next, and from one output channel.
    unsigned input_step, output_step;
    int taps[TAPS];
};

DEVICE float packed_weight(const Pack &a, unsigned k, unsigned output) {
    if (k >= a.depth || output >= a.outputs)
        return 0.0f;
    const unsigned tap = divide(k, a.by_inputs);
    const unsigned input = k - tap * a.by_inputs.divisor;
    return a.weights[input * a.input_step + output * a.output_step + a.taps[tap]];
}

KERNEL(pack, 256, Pack) {
    const unsigned index = blockIdx.x * 256 + threadIdx.x;
    const unsigned k = divide(index, a.by_step);
    if (k < a.lines)
        static_cast<float *>(a.packed)[index] = packed_weight(a, k, index - k * a.by_step.divisor);
}

// The gradient of the weights: (tap, input channel) times output channel over pixels. Pixels are divided into parts by the
// shape alone, whose sums are added in their order: the result does not depend on which block is faster.
struct WeightGradient {
    // Activations and their gradients.
    const void *x;
    const void *dy;
    // [parts][packed_depth][packed_columns]
    float *partial;
    unsigned pixels, pixels_each;
    Divisor by_plane, by_columns;
    Lattice x_at, dy_at;
    Divisor by_inputs;
    unsigned outputs, depth, packed_depth, packed_columns;
    int offsets[TAPS];
};

// Pixels that are held in shared memory at a time, and the depth that a block makes.
constexpr int STRETCH = 16;
constexpr int TILE = 64;

template <int COLUMNS, int EACH_ROW, int EACH_COLUMN, bool QUADS> DEVICE void weight_gradient(const WeightGradient &a) {
    constexpr int THREADS = (TILE / EACH_ROW) * (COLUMNS / EACH_COLUMN);
    constexpr int LEFT = TILE * STRETCH / 4 / THREADS;
    constexpr int RIGHT = COLUMNS * STRETCH / 4 / THREADS;
    static_assert(THREADS % (TILE / 4) == 0 && LEFT * THREADS * 4 == TILE * STRETCH, "a thread keeps its quad");
    static_assert(RIGHT * THREADS * 4 == COLUMNS * STRETCH && THREADS % (COLUMNS / 4) == 0, "a thread keeps its quad");
    __shared__ __align__(16) float left[STRETCH][TILE];
    __shared__ __align__(16) float right[STRETCH][COLUMNS];

    const int thread = threadIdx.x;
    const unsigned first_row = blockIdx.x * TILE, first_column = blockIdx.y * COLUMNS;
    const unsigned begin = blockIdx.z * a.pixels_each;
    const unsigned end = begin + a.pixels_each < a.pixels ? begin + a.pixels_each : a.pixels;

    const int left_quad = thread % (TILE / 4), right_quad = thread % (COLUMNS / 4);
    const Four taps = four_of(a, first_row + 4 * left_quad);
    const unsigned channel = first_column + 4 * right_quad;

    float4 next_left[LEFT], next_right[RIGHT];
    auto fetch = [&](unsigned from) {
        for (int i = 0; i < LEFT; ++i) {
            const unsigned pixel = from + thread / (TILE / 4) + i * (THREADS / (TILE / 4));
            float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (pixel < end) {
                const float *x = static_cast<const float *>(a.x) + place_on(a.x_at, a.by_plane, a.by_columns, pixel);
                if (QUADS) {
                    if (taps.inside[0])
                        four = load4(x + taps.distance[0]);
                } else {
                    four = make_float4(gathered(x, taps, 0), gathered(x, taps, 1), gathered(x, taps, 2),
                                       gathered(x, taps, 3));
                }
            }
            next_left[i] = four;
        }
        for (int i = 0; i < RIGHT; ++i) {
            const unsigned pixel = from + thread / (COLUMNS / 4) + i * (THREADS / (COLUMNS / 4));
            float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (pixel < end) {
                const float *dy = static_cast<const float *>(a.dy) + place_on(a.dy_at, a.by_plane, a.by_columns, pixel);
                if (QUADS) {
                    if (channel < a.outputs)
                        four = load4(dy + channel);
                } else {
                    four = make_float4(channel < a.outputs ? dy[channel] : 0.0f,
                                       channel + 1 < a.outputs ? dy[channel + 1] : 0.0f,
                                       channel + 2 < a.outputs ? dy[channel + 2] : 0.0f,
                                       channel + 3 < a.outputs ? dy[channel + 3] : 0.0f);
                }
            }
            next_right[i] = four;
        }
    };

    const int across = thread % (COLUMNS / EACH_COLUMN), down = thread / (COLUMNS / EACH_COLUMN);
    float sums[EACH_ROW][EACH_COLUMN];
    for (int i = 0; i < EACH_ROW; ++i)
        for (int j = 0; j < EACH_COLUMN; ++j)
            sums[i][j] = 0.0f;

    if (begin < end)
        fetch(begin);
    for (unsigned from = begin; from < end; from += STRETCH) {
        for (int i = 0; i < LEFT; ++i)
            store4(&left[thread / (TILE / 4) + i * (THREADS / (TILE / 4))][4 * left_quad], next_left[i]);
        for (int i = 0; i < RIGHT; ++i)
            store4(&right[thread / (COLUMNS / 4) + i * (THREADS / (COLUMNS / 4))][4 * right_quad], next_right[i]);
        __syncthreads();
        if (from + STRETCH < end)
            fetch(from + STRETCH);
#pragma unroll
        for (int p = 0; p < STRETCH; ++p) {
            float x[EACH_ROW], d[EACH_COLUMN];
#pragma unroll
            for (int i = 0; i < EACH_ROW; i += 4) {
                const float4 four = load4(&left[p][spread<TILE, EACH_ROW>(down, i)]);
                x[i] = four.x, x[i + 1] = four.y, x[i + 2] = four.z, x[i + 3] = four.w;
            }
#pragma unroll
            for (int j = 0; j < EACH_COLUMN; j += 4) {
                const float4 four = load4(&right[p][spread<COLUMNS, EACH_COLUMN>(across, j)]);
                d[j] = four.x, d[j + 1] = four.y, d[j + 2] = four.z, d[j + 3] = four.w;
            }
#pragma unroll
            for (int i = 0; i < EACH_ROW; ++i)
#pragma unroll
                for (int j = 0; j < EACH_COLUMN; ++j)
                    sums[i][j] = fmaf(x[i], d[j], sums[i][j]);
        }
        __syncthreads();
    }

    float *partial = a.partial + size_t(blockIdx.z) * a.packed_depth * a.packed_columns;
#pragma unroll
    for (int i = 0; i < EACH_ROW; ++i) {
        const unsigned row = first_row + spread<TILE, EACH_ROW>(down, i);
#pragma unroll
        for (int j = 0; j < EACH_COLUMN; j += 4)
            store4(partial + row * a.packed_columns + first_column + spread<COLUMNS, EACH_COLUMN>(across, j),
                   make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]));
    }
}

KERNEL(weight_gradient_16, 32, WeightGradient) { weight_gradient<16, 8, 4, true>(a); }
KERNEL(weight_gradient_16_any, 32, WeightGradient) { weight_gradient<16, 8, 4, false>(a); }
KERNEL(weight_gradient_32, 64, WeightGradient) { weight_gradient<32, 8, 4, true>(a); }
KERNEL(weight_gradient_32_any, 64, WeightGradient) { weight_gradient<32, 8, 4, false>(a); }
KERNEL(weight_gradient_64, 128, WeightGradient) { weight_gradient<64, 8, 4, true>(a); }
KERNEL(weight_gradient_64_any, 128, WeightGradient) { weight_gradient<64, 8, 4, false>(a); }

struct WeightSum {
    const float *partial;
    float *dweights;
    unsigned parts, packed_depth, packed_columns;
    unsigned outputs, depth, taps;
    Divisor by_outputs, by_inputs;
};

// 16 neighbouring places a block, 16 threads each.
KERNEL(weight_sum, 256, WeightSum) {
    __shared__ double sums[16][16];
    const unsigned lane = threadIdx.x / 16;
    const unsigned index = blockIdx.x * 16 + threadIdx.x % 16;
    const unsigned k = divide(index, a.by_outputs);
    const unsigned output = index - k * a.outputs;
    const bool inside = k < a.depth;
    double sum = 0.0;
    if (inside) {
        const size_t step = size_t(a.packed_depth) * a.packed_columns;
        const float *from = a.partial + k * a.packed_columns + output;
        for (unsigned part = lane; part < a.parts; part += AHEAD * 16) {
            float next[AHEAD];
#pragma unroll
            for (unsigned i = 0; i < AHEAD; ++i)
                next[i] = part + i * 16 < a.parts ? from[(part + i * 16) * step] : 0.0f;
#pragma unroll
            for (unsigned i = 0; i < AHEAD; ++i)
                sum += next[i];
        }
    }
    sums[lane][threadIdx.x % 16] = sum;
    __syncthreads();
    if (lane == 0 && inside) {
        for (int other = 1; other < 16; ++other)
            sum += sums[other][threadIdx.x];
        const unsigned tap = divide(k, a.by_inputs);
        const unsigned input = k - tap * a.by_inputs.divisor;
        a.dweights[(output * a.by_inputs.divisor + input) * a.taps + tap] = float(sum);
    }
}
