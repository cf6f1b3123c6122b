// The two products of convolution.cuh on tensor cores: operands of TF32 or bf16, sums of floats.
#pragma once
#include "convolution.cuh"
#include "tensor.cuh"

// Words of the depth that are held in shared memory at a time. With four more from row to row, the threads of a warp read
// different banks.
constexpr int WORDS = 16;
constexpr int PITCH = WORDS + 4;

template <typename Kind> DEVICE void pack_words(const Pack &a) {
    const unsigned index = blockIdx.x * 256 + threadIdx.x;
    const unsigned column = divide(index, a.by_step);
    if (column >= a.lines)
        return;
    const unsigned word = index - column * a.by_step.divisor;
    float numbers[Kind::PER_WORD];
    for (int i = 0; i < Kind::PER_WORD; ++i)
        numbers[i] = packed_weight(a, word * Kind::PER_WORD + i, column);
    static_cast<unsigned *>(a.packed)[index] = Kind::word(numbers);
}

KERNEL(pack_tf32, 256, Pack) { pack_words<Tf32>(a); }
KERNEL(pack_bf16, 256, Pack) { pack_words<Bf16>(a); }

// `packed` is [outputs][words of the depth], padded with zeros to whole tiles of columns and of WORDS words. A block makes ROWS
// pixels by COLUMNS channels; ACROSS of its warps lie side by side.
template <typename Kind, int ROWS, int COLUMNS, int THREADS, int ACROSS, bool QUADS>
DEVICE void sweep_tensor(const Sweep &a) {
    using T = typename Kind::Stored;
    constexpr int STAGE = WORDS * Kind::PER_WORD;
    constexpr int STAGE_QUADS = STAGE / 4;
    constexpr int LEFT = ROWS * STAGE_QUADS / THREADS;
    constexpr int RIGHT = (COLUMNS * (WORDS / 4) + THREADS - 1) / THREADS;
    constexpr int DOWN = THREADS / 32 / ACROSS;
    constexpr int TILES_DOWN = ROWS / DOWN / 16, TILES_ACROSS = COLUMNS / ACROSS / 8;
    static_assert(LEFT * THREADS == ROWS * STAGE_QUADS && THREADS % STAGE_QUADS == 0, "a thread keeps its quad");
    static_assert(TILES_DOWN * DOWN * 16 == ROWS && TILES_ACROSS * ACROSS * 8 == COLUMNS, "warps make all of the tile");
    __shared__ __align__(16) unsigned left[ROWS][PITCH];
    __shared__ __align__(16) unsigned right[COLUMNS][PITCH];

    const T *const source = static_cast<const T *>(a.from);
    const unsigned *const packed = static_cast<const unsigned *>(a.packed);
    const int thread = threadIdx.x;
    const unsigned first_column = blockIdx.y * COLUMNS;
    const int quad = thread % STAGE_QUADS;
    const T *pixels[LEFT];
    for (int i = 0; i < LEFT; ++i) {
        const unsigned pixel = blockIdx.x * ROWS + thread / STAGE_QUADS + i * (THREADS / STAGE_QUADS);
        pixels[i] = pixel < a.pixels ? source + place_on(a.from_at, a.by_plane, a.by_columns, pixel) : nullptr;
    }

    typename Kind::Quad next_left[LEFT];
    uint4 next_right[RIGHT];
    auto fetch = [&](unsigned depth) {
        const unsigned k = depth + 4 * quad;
        if (QUADS) {
            const bool inside = k < a.depth;
            const unsigned tap = divide(k, a.by_inputs);
            const int distance = inside ? a.offsets[tap] + int(k - tap * a.by_inputs.divisor) : 0;
            for (int i = 0; i < LEFT; ++i)
                next_left[i] = inside && pixels[i] != nullptr ? Kind::read(pixels[i] + distance) : Kind::none();
        } else {
            const Four taps = four_of(a, k);
            for (int i = 0; i < LEFT; ++i)
                next_left[i] = Kind::gather(gathered(pixels[i], taps, 0), gathered(pixels[i], taps, 1),
                                            gathered(pixels[i], taps, 2), gathered(pixels[i], taps, 3));
        }
        for (int i = 0; i < RIGHT; ++i) {
            const int index = thread + i * THREADS;
            const unsigned column = first_column + index / (WORDS / 4);
            const unsigned word = depth / Kind::PER_WORD + index % (WORDS / 4) * 4;
            if (index < COLUMNS * (WORDS / 4))
                next_right[i] = *reinterpret_cast<const uint4 *>(packed + column * a.packed_step + word);
        }
    };

    const int lane = thread % 32, g = lane / 4, t = lane % 4;
    const int first_down = thread / 32 / ACROSS * (ROWS / DOWN), first_across = thread / 32 % ACROSS * (COLUMNS / ACROSS);
    float sums[TILES_DOWN][TILES_ACROSS][4];
    for (int i = 0; i < TILES_DOWN; ++i)
        for (int j = 0; j < TILES_ACROSS; ++j)
            for (int l = 0; l < 4; ++l)
                sums[i][j][l] = 0.0f;

    if (a.depth > 0)
        fetch(0);
    for (unsigned depth = 0; depth < a.depth; depth += STAGE) {
        for (int i = 0; i < LEFT; ++i)
            Kind::put_channels(&left[thread / STAGE_QUADS + i * (THREADS / STAGE_QUADS)][quad * 4 / Kind::PER_WORD],
                               next_left[i]);
        for (int i = 0; i < RIGHT; ++i) {
            const int index = thread + i * THREADS;
            if (index < COLUMNS * (WORDS / 4))
                *reinterpret_cast<uint4 *>(&right[index / (WORDS / 4)][index % (WORDS / 4) * 4]) = next_right[i];
        }
        __syncthreads();
        if (depth + STAGE < a.depth)
            fetch(depth + STAGE);
#pragma unroll
        for (int word = 0; word < WORDS; word += 8) {
            unsigned x[TILES_DOWN][4], w[TILES_ACROSS][2];
#pragma unroll
            for (int i = 0; i < TILES_DOWN; ++i) {
                const unsigned *upper = &left[first_down + 16 * i + g][word + t], *lower = upper + 8 * PITCH;
                x[i][0] = upper[0], x[i][1] = lower[0], x[i][2] = upper[4], x[i][3] = lower[4];
            }
#pragma unroll
            for (int j = 0; j < TILES_ACROSS; ++j) {
                const unsigned *of = &right[first_across + 8 * j + g][word + t];
                w[j][0] = of[0], w[j][1] = of[4];
            }
#pragma unroll
            for (int i = 0; i < TILES_DOWN; ++i)
#pragma unroll
                for (int j = 0; j < TILES_ACROSS; ++j)
                    Kind::multiply_add(sums[i][j], x[i], w[j]);
        }
        __syncthreads();
    }

    const bool pairs = a.outputs % 2 == 0;
#pragma unroll
    for (int i = 0; i < 2 * TILES_DOWN; ++i) {
        const unsigned pixel = blockIdx.x * ROWS + first_down + 8 * i + g;
        if (pixel >= a.pixels)
            continue;
        T *to = static_cast<T *>(a.to) + place_on(a.to_at, a.by_plane, a.by_columns, pixel);
#pragma unroll
        for (int j = 0; j < TILES_ACROSS; ++j) {
            const unsigned channel = first_column + first_across + 8 * j + 2 * t;
            float2 two = make_float2(sums[i / 2][j][i % 2 * 2], sums[i / 2][j][i % 2 * 2 + 1]);
            if (pairs && channel < a.outputs) {
                if (a.accumulate) {
                    const float2 before = load2(to + channel);
                    two = make_float2(two.x + before.x, two.y + before.y);
                }
                store2(to + channel, two);
            } else if (!pairs) {
                const float numbers[2] = {two.x, two.y};
#pragma unroll
                for (int l = 0; l < 2; ++l)
                    if (channel + l < a.outputs)
                        to[channel + l] =
                            narrow<T>(a.accumulate ? widen(to[channel + l]) + numbers[l] : numbers[l]);
            }
        }
    }
    if (a.write_halo && blockIdx.y == 0)
        zero_halo(a.to_shape, static_cast<T *>(a.to), blockIdx.x * THREADS + thread, gridDim.x * THREADS);
}

#define SWEEPS(kind, Kind)                                                                                             \
    KERNEL(sweep_256x16_##kind, 128, Sweep) { sweep_tensor<Kind, 256, 16, 128, 1, true>(a); }                          \
    KERNEL(sweep_256x16_any_##kind, 128, Sweep) { sweep_tensor<Kind, 256, 16, 128, 1, false>(a); }                     \
    KERNEL(sweep_128x32_##kind, 128, Sweep) { sweep_tensor<Kind, 128, 32, 128, 1, true>(a); }                          \
    KERNEL(sweep_128x32_any_##kind, 128, Sweep) { sweep_tensor<Kind, 128, 32, 128, 1, false>(a); }                     \
    KERNEL(sweep_64x64_##kind, 128, Sweep) { sweep_tensor<Kind, 64, 64, 128, 2, true>(a); }                            \
    KERNEL(sweep_64x64_any_##kind, 128, Sweep) { sweep_tensor<Kind, 64, 64, 128, 2, false>(a); }                       \
    KERNEL(sweep_128x128_##kind, 256, Sweep) { sweep_tensor<Kind, 128, 128, 256, 2, true>(a); }

SWEEPS(tf32, Tf32)
SWEEPS(bf16, Bf16)

// Words of pixels by channels in shared memory: neighbours in a word are neighbouring pixels. Eight more from row to row keep
// the banks apart.
template <typename Kind, int COLUMNS, int THREADS, bool QUADS> DEVICE void weight_gradient_tensor(const WeightGradient &a) {
    using T = typename Kind::Stored;
    using Quad = typename Kind::Quad;
    constexpr int PIXELS = Kind::PER_WORD;
    constexpr int LEFT = TILE * WORDS / 4 / THREADS;
    constexpr int RIGHT = COLUMNS * WORDS / 4 / THREADS;
    constexpr int DOWN = THREADS / 32;
    constexpr int TILES_DOWN = TILE / DOWN / 16, TILES_ACROSS = COLUMNS / 8;
    static_assert(THREADS % (TILE / 4) == 0 && LEFT * THREADS * 4 == TILE * WORDS, "a thread keeps its quad");
    static_assert(RIGHT * THREADS * 4 == COLUMNS * WORDS && THREADS % (COLUMNS / 4) == 0, "a thread keeps its quad");
    static_assert(TILES_DOWN * DOWN * 16 == TILE, "warps make all of the tile");
    __shared__ __align__(16) unsigned left[WORDS][TILE + 8];
    __shared__ __align__(16) unsigned right[WORDS][COLUMNS + 8];

    const int thread = threadIdx.x;
    const unsigned first_row = blockIdx.x * TILE, first_column = blockIdx.y * COLUMNS;
    const unsigned begin = blockIdx.z * a.pixels_each;
    const unsigned end = begin + a.pixels_each < a.pixels ? begin + a.pixels_each : a.pixels;

    const int left_quad = thread % (TILE / 4), right_quad = thread % (COLUMNS / 4);
    const Four taps = four_of(a, first_row + 4 * left_quad);
    const unsigned channel = first_column + 4 * right_quad;

    Quad next_left[LEFT][PIXELS], next_right[RIGHT][PIXELS];
    auto fetch = [&](unsigned from) {
        for (int i = 0; i < LEFT * PIXELS; ++i) {
            const unsigned word = thread / (TILE / 4) + i / PIXELS * (THREADS / (TILE / 4));
            const unsigned pixel = from + word * PIXELS + i % PIXELS;
            Quad four = Kind::none();
            if (pixel < end) {
                const T *x = static_cast<const T *>(a.x) + place_on(a.x_at, a.by_plane, a.by_columns, pixel);
                if (QUADS) {
                    if (taps.inside[0])
                        four = Kind::read(x + taps.distance[0]);
                } else {
                    four = Kind::gather(gathered(x, taps, 0), gathered(x, taps, 1), gathered(x, taps, 2),
                                        gathered(x, taps, 3));
                }
            }
            next_left[i / PIXELS][i % PIXELS] = four;
        }
        for (int i = 0; i < RIGHT * PIXELS; ++i) {
            const unsigned word = thread / (COLUMNS / 4) + i / PIXELS * (THREADS / (COLUMNS / 4));
            const unsigned pixel = from + word * PIXELS + i % PIXELS;
            Quad four = Kind::none();
            if (pixel < end) {
                const T *dy = static_cast<const T *>(a.dy) + place_on(a.dy_at, a.by_plane, a.by_columns, pixel);
                if (QUADS) {
                    if (channel < a.outputs)
                        four = Kind::read(dy + channel);
                } else {
                    four = Kind::gather(channel < a.outputs ? dy[channel] : T{},
                                        channel + 1 < a.outputs ? dy[channel + 1] : T{},
                                        channel + 2 < a.outputs ? dy[channel + 2] : T{},
                                        channel + 3 < a.outputs ? dy[channel + 3] : T{});
                }
            }
            next_right[i / PIXELS][i % PIXELS] = four;
        }
    };

    const int lane = thread % 32, g = lane / 4, t = lane % 4;
    const int first_down = thread / 32 * (TILE / DOWN);
    float sums[TILES_DOWN][TILES_ACROSS][4];
    for (int i = 0; i < TILES_DOWN; ++i)
        for (int j = 0; j < TILES_ACROSS; ++j)
            for (int l = 0; l < 4; ++l)
                sums[i][j][l] = 0.0f;

    if (begin < end)
        fetch(begin);
    for (unsigned from = begin; from < end; from += WORDS * PIXELS) {
        for (int i = 0; i < LEFT; ++i)
            Kind::put_pixels(&left[thread / (TILE / 4) + i * (THREADS / (TILE / 4))][4 * left_quad], next_left[i]);
        for (int i = 0; i < RIGHT; ++i)
            Kind::put_pixels(&right[thread / (COLUMNS / 4) + i * (THREADS / (COLUMNS / 4))][4 * right_quad],
                             next_right[i]);
        __syncthreads();
        if (from + WORDS * PIXELS < end)
            fetch(from + WORDS * PIXELS);
#pragma unroll
        for (int word = 0; word < WORDS; word += 8) {
            unsigned x[TILES_DOWN][4], d[TILES_ACROSS][2];
#pragma unroll
            for (int i = 0; i < TILES_DOWN; ++i) {
                const int row = first_down + 16 * i + g;
                x[i][0] = left[word + t][row], x[i][1] = left[word + t][row + 8];
                x[i][2] = left[word + t + 4][row], x[i][3] = left[word + t + 4][row + 8];
            }
#pragma unroll
            for (int j = 0; j < TILES_ACROSS; ++j)
                d[j][0] = right[word + t][8 * j + g], d[j][1] = right[word + t + 4][8 * j + g];
#pragma unroll
            for (int i = 0; i < TILES_DOWN; ++i)
#pragma unroll
                for (int j = 0; j < TILES_ACROSS; ++j)
                    Kind::multiply_add(sums[i][j], x[i], d[j]);
        }
        __syncthreads();
    }

    float *partial = a.partial + size_t(blockIdx.z) * a.packed_depth * a.packed_columns;
#pragma unroll
    for (int i = 0; i < 2 * TILES_DOWN; ++i) {
        const unsigned row = first_row + first_down + 8 * i + g;
#pragma unroll
        for (int j = 0; j < TILES_ACROSS; ++j)
            store2(partial + row * a.packed_columns + first_column + 8 * j + 2 * t,
                   make_float2(sums[i / 2][j][i % 2 * 2], sums[i / 2][j][i % 2 * 2 + 1]));
    }
}

#define WEIGHT_GRADIENTS(kind, Kind)                                                                                   \
    KERNEL(weight_gradient_16_##kind, 32, WeightGradient) { weight_gradient_tensor<Kind, 16, 32, true>(a); }           \
    KERNEL(weight_gradient_16_any_##kind, 32, WeightGradient) { weight_gradient_tensor<Kind, 16, 32, false>(a); }      \
    KERNEL(weight_gradient_32_##kind, 64, WeightGradient) { weight_gradient_tensor<Kind, 32, 64, true>(a); }           \
    KERNEL(weight_gradient_32_any_##kind, 64, WeightGradient) { weight_gradient_tensor<Kind, 32, 64, false>(a); }      \
    KERNEL(weight_gradient_64_##kind, 128, WeightGradient) { weight_gradient_tensor<Kind, 64, 128, true>(a); }         \
    KERNEL(weight_gradient_64_any_##kind, 128, WeightGradient) { weight_gradient_tensor<Kind, 64, 128, false>(a); }

WEIGHT_GRADIENTS(tf32, Tf32)
WEIGHT_GRADIENTS(bf16, Bf16)
