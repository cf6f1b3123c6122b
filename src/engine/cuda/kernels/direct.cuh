// 3x3 convolutions of stride 1 on images of 32, 16 and 8 pixels a side, nearly all of those of section 4.2's networks: forward
// and the gradient of the input, which is the same with the taps turned round. A block keeps its pixels and their neighbours
// in shared memory, channel by channel, and the weights of a few channels. A thread makes four neighbours in a row by sixteen
// channels; from six numbers of a row come the products of three taps.
#pragma once
#include "number.cuh"

// Pixels in a row and channels that a thread makes.
constexpr int STRIP = 4;
constexpr int BUNDLE = 16;
// Channels that are held in shared memory at a time.
constexpr int CHUNK = 16;

struct Direct {
    // Activations read, from the pixel above and left of the first one, and written, from the first pixel.
    const float *from;
    float *to;
    // [outputs][inputs][3][3] forward, [inputs][outputs][3][3] for the gradient.
    const float *weights;
    unsigned images, height, inputs, outputs;
    // Numbers from one image to the next and from one row to the next.
    unsigned from_image, from_row, to_image, to_row;
    unsigned gradient, accumulate, write_halo;
    // Where the activation written begins, and its shape, for its halo.
    float *whole;
    Shape to_shape;
};

// IMAGES by ROWS by WIDTH pixels and GROUPS bundles of channels a block. SLICES teams of threads share the channels read. With
// AHEAD_OF_TIME, the next channels are read while these are multiplied; else other blocks compute meanwhile.
template <int WIDTH, int ROWS, int IMAGES, int GROUPS, int SLICES, bool AHEAD_OF_TIME> DEVICE void direct(const Direct &a) {
    constexpr int STRIPS = WIDTH / STRIP;
    constexpr int PLACES = IMAGES * ROWS * STRIPS;
    constexpr int TEAM = PLACES * GROUPS;
    constexpr int THREADS = TEAM * SLICES;
    constexpr int EACH = CHUNK / SLICES;
    static_assert(PLACES % 32 == 0 && EACH * SLICES == CHUNK && STRIP % SLICES == 0, "whole warps and shares");
    // In shared memory: rows four wider than the image, so that strips are aligned, an odd number of quads a plane and four
    // numbers more a line of weights, so that fewer threads write to a bank at the same time.
    constexpr int PITCH = WIDTH + 4;
    constexpr int PLANE = (IMAGES * (ROWS + 2) * PITCH / 4 | 1) * 4;
    constexpr int CHANNELS = GROUPS * BUNDLE;
    constexpr int LINE = CHANNELS + 4;
    constexpr int SHARED = CHUNK * PLANE + CHUNK * 9 * LINE;
    static_assert(2 * SLICES * BUNDLE * TEAM <= SHARED && SHARED * 4 <= 48 << 10, "fits into shared memory");
    __shared__ __align__(16) float shared[SHARED];
    float *const planes = shared, *const lines = shared + CHUNK * PLANE;

    const int thread = threadIdx.x;
    const int place = thread % PLACES, group = thread / PLACES % GROUPS, slice = thread / TEAM;
    const int strip = place % STRIPS, row = place / STRIPS % ROWS, image = place / (STRIPS * ROWS);
    const unsigned tiles = a.height / ROWS;
    const unsigned first_image = blockIdx.x / tiles * IMAGES, first_row = blockIdx.x % tiles * ROWS;
    const unsigned first_channel = blockIdx.y * CHANNELS;

    // Activations by quads of channels, and weights, both in the order in which they lie in memory.
    constexpr int QUADS = CHUNK / 4 * IMAGES * (ROWS + 2) * (WIDTH + 2);
    constexpr int WEIGHTS = CHUNK * CHANNELS * 9;
    auto quad_at = [&](unsigned chunk, int index) {
        const int quad = index % (CHUNK / 4), pixel = index / (CHUNK / 4);
        const int x = pixel % (WIDTH + 2), y = pixel / (WIDTH + 2) % (ROWS + 2), of = pixel / (WIDTH + 2) / (ROWS + 2);
        if (index >= QUADS || first_image + of >= a.images)
            return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        return load4(a.from + (first_image + of) * a.from_image + (first_row + y) * a.from_row + x * a.inputs + chunk + 4 * quad);
    };
    auto put_quad = [&](int index, float4 four) {
        const int quad = index % (CHUNK / 4), pixel = index / (CHUNK / 4);
        float *const to = planes + 4 * quad * PLANE + pixel / (WIDTH + 2) * PITCH + pixel % (WIDTH + 2);
        if (index < QUADS) {
            to[0] = four.x;
            to[PLANE] = four.y;
            to[2 * PLANE] = four.z;
            to[3 * PLANE] = four.w;
        }
    };
    auto weight_at = [&](unsigned chunk, int index) {
        const int tap = index % 9, rest = index / 9;
        if (a.gradient)
            return a.weights[((chunk + rest / CHANNELS) * a.outputs + first_channel + rest % CHANNELS) * 9 + tap];
        return a.weights[((first_channel + rest / CHUNK) * a.inputs + chunk + rest % CHUNK) * 9 + tap];
    };
    auto put_weight = [&](int index, float weight) {
        const int tap = index % 9, rest = index / 9;
        if (a.gradient)
            lines[(rest / CHANNELS * 9 + 8 - tap) * LINE + rest % CHANNELS] = weight;
        else
            lines[(rest % CHUNK * 9 + tap) * LINE + rest / CHUNK] = weight;
    };
    constexpr int LEFT = (QUADS + THREADS - 1) / THREADS;
    constexpr int RIGHT = WEIGHTS / THREADS;
    static_assert(RIGHT * THREADS == WEIGHTS, "every thread reads as many weights");
    float4 next[AHEAD_OF_TIME ? LEFT : 1];
    float next_weights[AHEAD_OF_TIME ? RIGHT : 1];
    auto fetch = [&](unsigned chunk) {
#pragma unroll
        for (int i = 0; i < LEFT; ++i)
            next[i] = quad_at(chunk, thread + i * THREADS);
#pragma unroll
        for (int i = 0; i < RIGHT; ++i)
            next_weights[i] = weight_at(chunk, thread + i * THREADS);
    };
    auto put = [&] {
#pragma unroll
        for (int i = 0; i < LEFT; ++i)
            put_quad(thread + i * THREADS, next[i]);
#pragma unroll
        for (int i = 0; i < RIGHT; ++i)
            put_weight(thread + i * THREADS, next_weights[i]);
    };
    auto copy = [&](unsigned chunk) {
#pragma unroll 3
        for (int index = thread; index < QUADS; index += THREADS)
            put_quad(index, quad_at(chunk, index));
#pragma unroll 3
        for (int index = thread; index < WEIGHTS; index += THREADS)
            put_weight(index, weight_at(chunk, index));
    };

    float sums[STRIP][BUNDLE];
#pragma unroll
    for (int i = 0; i < STRIP; ++i)
#pragma unroll
        for (int j = 0; j < BUNDLE; ++j)
            sums[i][j] = 0.0f;

    if (AHEAD_OF_TIME)
        fetch(0);
    for (unsigned chunk = 0; chunk < a.inputs; chunk += CHUNK) {
        if (AHEAD_OF_TIME)
            put();
        else
            copy(chunk);
        __syncthreads();
        if (AHEAD_OF_TIME && chunk + CHUNK < a.inputs)
            fetch(chunk + CHUNK);
        const float *strips = planes + slice * EACH * PLANE + (image * (ROWS + 2) + row) * PITCH + STRIP * strip;
        const float *line = lines + slice * EACH * 9 * LINE + group * BUNDLE;
#pragma unroll 1
        for (int k = 0; k < EACH; ++k, strips += PLANE, line += 9 * LINE) {
#pragma unroll
            for (int y = 0; y < 3; ++y) {
                const float4 four = load4(strips + y * PITCH);
                const float2 two = load2(strips + y * PITCH + 4);
                const float x[STRIP + 2] = {four.x, four.y, four.z, four.w, two.x, two.y};
#pragma unroll
                for (int tap = 0; tap < 3; ++tap) {
#pragma unroll
                    for (int j = 0; j < BUNDLE; j += 4) {
                        const float4 w = load4(line + (3 * y + tap) * LINE + j);
#pragma unroll
                        for (int i = 0; i < STRIP; ++i) {
                            sums[i][j] = fmaf(x[i + tap], w.x, sums[i][j]);
                            sums[i][j + 1] = fmaf(x[i + tap], w.y, sums[i][j + 1]);
                            sums[i][j + 2] = fmaf(x[i + tap], w.z, sums[i][j + 2]);
                            sums[i][j + 3] = fmaf(x[i + tap], w.w, sums[i][j + 3]);
                        }
                    }
                }
            }
        }
        __syncthreads();
    }

    // The teams' sums, in their order. Each team gets its share of the strip; two buffers take turns.
    const int member = thread % TEAM;
    if (SLICES > 1) {
#pragma unroll
        for (int i = 0; i < STRIP; ++i) {
            float *const buffer = shared + i % 2 * (SLICES * BUNDLE * TEAM);
#pragma unroll
            for (int j = 0; j < BUNDLE; ++j)
                buffer[(slice * BUNDLE + j) * TEAM + member] = sums[i][j];
            __syncthreads();
            if (i % SLICES == slice) {
#pragma unroll
                for (int j = 0; j < BUNDLE; ++j) {
                    float sum = buffer[j * TEAM + member];
#pragma unroll
                    for (int other = 1; other < SLICES; ++other)
                        sum += buffer[(other * BUNDLE + j) * TEAM + member];
                    sums[i][j] = sum;
                }
            }
        }
    }

    if (first_image + image < a.images) {
        float *const to = a.to + (first_image + image) * a.to_image + (first_row + row) * a.to_row + STRIP * strip * a.outputs +
                          first_channel + group * BUNDLE;
#pragma unroll
        for (int i = 0; i < STRIP; ++i) {
            if (i % SLICES != slice)
                continue;
#pragma unroll
            for (int j = 0; j < BUNDLE; j += 4) {
                float *const at = to + i * a.outputs + j;
                float4 four = make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]);
                if (a.accumulate) {
                    const float4 before = load4(at);
                    four = make_float4(four.x + before.x, four.y + before.y, four.z + before.z, four.w + before.w);
                }
                store4(at, four);
            }
        }
    }
    if (a.write_halo && blockIdx.y == 0)
        zero_halo(a.to_shape, a.whole, blockIdx.x * THREADS + thread, gridDim.x * THREADS);
}

KERNEL_SHARING(direct_32, 128, 4, Direct) { direct<32, 8, 1, 1, 2, false>(a); }
KERNEL_SHARING(direct_16, 256, 2, Direct) { direct<16, 8, 1, 2, 4, false>(a); }
KERNEL_SHARING(direct_8, 256, 1, Direct) { direct<8, 8, 2, 2, 4, true>(a); }

// The gradient of the weights of such a convolution of as many channels as it reads. A thread makes four channels read by four
// written of the three taps of a row, for some rows of pixels, and goes along each: of the numbers that it reads, two quads a
// pixel, a quad comes from the activation and serves three pixels. Rows are divided by the shape alone, and their sums are
// added in their order.
struct DirectGradient {
    // From the pixel above and left of the first one, and from the first pixel.
    const float *x;
    const float *dy;
    // [blocks][9][channels][channels], as weight_sum reads it.
    float *partial;
    // Rows of all images, and those of one part of a block.
    unsigned rows, rows_each;
    Divisor by_height;
    unsigned x_image, x_row, dy_image, dy_row;
};

// A block makes INPUTS channels read by all CHANNELS written, in PARTS parts.
template <int WIDTH, int CHANNELS, int INPUTS, int PARTS> DEVICE void direct_gradient(const DirectGradient &a) {
    constexpr int PAIRS = INPUTS / 4 * (CHANNELS / 4);
    constexpr int PART = 3 * PAIRS;
    // Pairs that are neighbours share what they read: four quads read by up to eight written.
    constexpr int WRITTEN = CHANNELS / 4 < 8 ? CHANNELS / 4 : 8;
    constexpr int BLOCK = 4 * WRITTEN;
    constexpr int SUMS = 48;
    static_assert(PARTS / 2 * PART * SUMS * 4 <= 48 << 10 && (PARTS & (PARTS - 1)) == 0, "fits into shared memory");
    __shared__ float shared[PARTS > 1 ? PARTS / 2 * PART * SUMS : 1];

    const int thread = threadIdx.x;
    const int pair = thread % PAIRS, y = thread / PAIRS % 3, part = thread / PART;
    const int in = 4 * (pair % 4 + 4 * (pair / BLOCK % (INPUTS / 16))) + blockIdx.y * INPUTS;
    const int out = 4 * (pair / 4 % WRITTEN + WRITTEN * (pair / BLOCK / (INPUTS / 16)));

    float sums[3][4][4];
#pragma unroll
    for (int tap = 0; tap < 3; ++tap)
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j)
                sums[tap][i][j] = 0.0f;

    const unsigned begin = (blockIdx.x * PARTS + part) * a.rows_each;
    const unsigned end = begin + a.rows_each < a.rows ? begin + a.rows_each : a.rows;
    for (unsigned line = begin; line < end; ++line) {
        const unsigned image = divide(line, a.by_height), row = line - image * a.by_height.divisor;
        const float *x = a.x + image * a.x_image + (row + y) * a.x_row + in;
        const float *dy = a.dy + image * a.dy_image + row * a.dy_row + out;
        float4 left = load4(x), middle = load4(x + CHANNELS);
#pragma unroll 8
        for (int column = 0; column < WIDTH; ++column) {
            const float4 right = load4(x + (column + 2) * CHANNELS);
            const float4 d = load4(dy + column * CHANNELS);
            const float of[3][4] = {{left.x, left.y, left.z, left.w},
                                    {middle.x, middle.y, middle.z, middle.w},
                                    {right.x, right.y, right.z, right.w}};
            const float by[4] = {d.x, d.y, d.z, d.w};
#pragma unroll
            for (int tap = 0; tap < 3; ++tap)
#pragma unroll
                for (int i = 0; i < 4; ++i)
#pragma unroll
                    for (int j = 0; j < 4; ++j)
                        sums[tap][i][j] = fmaf(of[tap][i], by[j], sums[tap][i][j]);
            left = middle;
            middle = right;
        }
    }

    // Half of the parts hand their sums to the other half, until there is one.
#pragma unroll
    for (int half = PARTS / 2; half >= 1; half /= 2) {
        const int across = half * PART;
        if (part >= half && part < 2 * half) {
#pragma unroll
            for (int k = 0; k < SUMS; ++k)
                shared[k * across + thread - across] = sums[k / 16][k / 4 % 4][k % 4];
        }
        __syncthreads();
        if (part < half) {
#pragma unroll
            for (int k = 0; k < SUMS; ++k)
                sums[k / 16][k / 4 % 4][k % 4] += shared[k * across + thread];
        }
        __syncthreads();
    }
    if (part != 0)
        return;
    float *const partial = a.partial + size_t(blockIdx.x) * 9 * CHANNELS * CHANNELS;
#pragma unroll
    for (int tap = 0; tap < 3; ++tap)
#pragma unroll
        for (int i = 0; i < 4; ++i)
            store4(partial + ((3 * y + tap) * CHANNELS + in + i) * CHANNELS + out,
                   make_float4(sums[tap][i][0], sums[tap][i][1], sums[tap][i][2], sums[tap][i][3]));
}

KERNEL(direct_gradient_16, 384, DirectGradient) { direct_gradient<32, 16, 16, 8>(a); }
KERNEL(direct_gradient_32, 384, DirectGradient) { direct_gradient<16, 32, 32, 2>(a); }
KERNEL(direct_gradient_64, 384, DirectGradient) { direct_gradient<8, 64, 32, 1>(a); }
