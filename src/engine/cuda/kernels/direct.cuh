// 3x3 convolutions of stride 1 on images of 32, 16 and 8 pixels a side, nearly all of those of section 4.2's networks: forward
// and the gradient of the input, which is the same with the taps turned round. A block keeps its pixels and their neighbours
// in shared memory, channel by channel, and the weights of a few channels. Shared memory gives a thread one number in the time
// of four multiplications, so a thread makes two rows of eight pixels by four channels: 76 numbers serve 576 multiplications.
#pragma once
#include "number.cuh"

// What a thread makes: rows, pixels of each, and channels.
constexpr int HIGH = 2;
constexpr int WIDE = 8;
constexpr int DEEP = 4;
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

// When the next CHUNK of channels is read: there is only one, after these were multiplied (other blocks compute meanwhile), or
// while they are.
enum class Next { NONE, AFTER, MEANWHILE };

// IMAGES by ROWS by WIDTH pixels and CHANNELS channels a block. SLICES teams of threads share the channels read.
template <int WIDTH, int ROWS, int IMAGES, int CHANNELS, int SLICES, Next NEXT> DEVICE void direct(const Direct &a) {
    constexpr int GROUPS = CHANNELS / DEEP;
    constexpr int STRIPS = WIDTH / WIDE;
    constexpr int PLACES = IMAGES * (ROWS / HIGH) * STRIPS;
    constexpr int TEAM = PLACES * GROUPS;
    constexpr int THREADS = TEAM * SLICES;
    constexpr int EACH = CHUNK / SLICES;
    static_assert(TEAM % 32 == 0 && EACH * SLICES == CHUNK, "whole warps and shares");
    // In shared memory: rows four wider than the image, so that strips are aligned; an odd number of quads a plane, and more
    // room for weights than they need, so that fewer threads write to a bank at the same time.
    constexpr int PITCH = WIDTH + 4;
    constexpr int PLANE = (IMAGES * (ROWS + 2) * PITCH / 4 | 1) * 4;
    constexpr int LINE = CHANNELS + 4;
    constexpr int TAPS_OF_ONE = 9 * LINE + 12;
    constexpr int SHARED = CHUNK * PLANE + CHUNK * TAPS_OF_ONE;
    // The sums of a quarter of what a thread makes, for the teams to add.
    constexpr int QUARTER = HIGH * WIDE * DEEP / 4;
    static_assert(4 % SLICES == 0 && 2 * SLICES * QUARTER * TEAM <= SHARED && SHARED * 4 <= 48 << 10, "fits into shared memory");
    __shared__ __align__(16) float shared[SHARED];
    float *const planes = shared, *const lines = shared + CHUNK * PLANE;

    const unsigned thread = threadIdx.x;
    const int slice = thread / TEAM, member = thread % TEAM;
    const int group = member % GROUPS, place = member / GROUPS;
    const int strip = place % STRIPS, row = place / STRIPS % (ROWS / HIGH) * HIGH, image = place / (STRIPS * (ROWS / HIGH));
    const unsigned tiles = a.height / ROWS;
    const unsigned first_image = blockIdx.x / tiles * IMAGES, first_row = blockIdx.x % tiles * ROWS;
    const unsigned first_channel = blockIdx.y * CHANNELS;

    // Activations are copied by quads of channels. A thread keeps its quad, and goes to the pixel that lies STEP further.
    constexpr unsigned LINES = IMAGES * (ROWS + 2), STEP = THREADS / (CHUNK / 4);
    constexpr int LEFT = (LINES * (WIDTH + 2) + STEP - 1) / STEP;
    const unsigned quad = thread % (CHUNK / 4);
    const unsigned x_of_first = thread / (CHUNK / 4) % (WIDTH + 2), line_of_first = thread / (CHUNK / 4) / (WIDTH + 2);
    auto next_pixel = [](unsigned &x, unsigned &line) {
        x += STEP % (WIDTH + 2);
        line += STEP / (WIDTH + 2);
        if (x >= WIDTH + 2) {
            x -= WIDTH + 2;
            ++line;
        }
    };
    auto quad_at = [&](unsigned chunk, unsigned x, unsigned line) {
        const unsigned of = IMAGES > 1 ? line / (ROWS + 2) : 0, y = line - of * (ROWS + 2);
        if (line >= LINES || first_image + of >= a.images)
            return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        return load4(a.from + (first_image + of) * a.from_image + (first_row + y) * a.from_row + x * a.inputs + chunk + 4 * quad);
    };
    auto put_quad = [&](unsigned x, unsigned line, float4 four) {
        float *const to = planes + 4 * quad * PLANE + line * PITCH + x;
        if (line < LINES) {
            to[0] = four.x;
            to[PLANE] = four.y;
            to[2 * PLANE] = four.z;
            to[3 * PLANE] = four.w;
        }
    };
    // Weights are copied by fours in the order in which they lie: forward, a channel written has all taps of the chunk's channels
    // together; of the gradient, a channel read has those of all channels written. So many threads take part that a thread's
    // next four are the same taps, of other channels.
    constexpr unsigned WEIGHTS = CHUNK * CHANNELS * 9 / 4;
    constexpr unsigned OF_WRITTEN = CHUNK * 9 / 4, OF_READ = CHANNELS * 9 / 4;
    constexpr unsigned PARTNERS = THREADS / OF_READ * OF_READ;
    constexpr int RIGHT = (WEIGHTS + PARTNERS - 1) / PARTNERS;
    static_assert(CHANNELS % CHUNK == 0 && PARTNERS > 0, "whole channels");
    int put_at[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const unsigned tap = (4 * thread + i) % 9, rest = (4 * thread + i) / 9;
        put_at[i] = a.gradient ? rest / CHANNELS * TAPS_OF_ONE + (8 - tap) * LINE + rest % CHANNELS
                               : rest % CHUNK * TAPS_OF_ONE + tap * LINE + rest / CHUNK;
    }
    const int put_step = a.gradient ? PARTNERS / OF_READ * TAPS_OF_ONE : PARTNERS / OF_WRITTEN;
    const float *const weights =
        a.gradient ? a.weights + (thread / OF_READ * a.outputs + first_channel) * 9 + thread % OF_READ * 4
                   : a.weights + (first_channel + thread / OF_WRITTEN) * a.inputs * 9 + thread % OF_WRITTEN * 4;
    const unsigned weights_step = a.gradient ? PARTNERS / OF_READ * a.outputs * 9 : PARTNERS / OF_WRITTEN * a.inputs * 9;
    const unsigned weights_chunk = a.gradient ? a.outputs * 9 : 9;
    auto has_weights = [&](unsigned i) { return thread < PARTNERS && thread + i * PARTNERS < WEIGHTS; };
    auto weights_at = [&](unsigned chunk, unsigned i) {
        return has_weights(i) ? load4(weights + chunk * weights_chunk + i * weights_step) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    };
    auto put_weights = [&](unsigned i, float4 four) {
        if (has_weights(i)) {
            float *const to = lines + i * put_step;
            to[put_at[0]] = four.x;
            to[put_at[1]] = four.y;
            to[put_at[2]] = four.z;
            to[put_at[3]] = four.w;
        }
    };
    float4 next[LEFT], next_weights[RIGHT];
    auto fetch_quads = [&](unsigned chunk) {
        unsigned x = x_of_first, line = line_of_first;
#pragma unroll
        for (int i = 0; i < LEFT; ++i, next_pixel(x, line))
            next[i] = quad_at(chunk, x, line);
    };
    auto fetch_weights = [&](unsigned chunk) {
#pragma unroll
        for (int i = 0; i < RIGHT; ++i)
            next_weights[i] = weights_at(chunk, i);
    };
    auto put_all_quads = [&] {
        unsigned x = x_of_first, line = line_of_first;
#pragma unroll
        for (int i = 0; i < LEFT; ++i, next_pixel(x, line))
            put_quad(x, line, next[i]);
    };
    auto put_all_weights = [&] {
#pragma unroll
        for (int i = 0; i < RIGHT; ++i)
            put_weights(i, next_weights[i]);
    };

    fetch_quads(0);
    fetch_weights(0);
    put_all_quads();
    put_all_weights();
    float sums[HIGH][WIDE][DEEP];
#pragma unroll
    for (int r = 0; r < HIGH; ++r)
#pragma unroll
        for (int i = 0; i < WIDE; ++i)
#pragma unroll
            for (int j = 0; j < DEEP; ++j)
                sums[r][i][j] = 0.0f;

    for (unsigned chunk = 0;; chunk += CHUNK) {
        const bool more = NEXT != Next::NONE && chunk + CHUNK < a.inputs;
        __syncthreads();
        if (NEXT == Next::MEANWHILE && more) {
            fetch_quads(chunk + CHUNK);
            fetch_weights(chunk + CHUNK);
        }
        const float *from = planes + slice * EACH * PLANE + (image * (ROWS + 2) + row) * PITCH + WIDE * strip;
        const float *line = lines + slice * EACH * TAPS_OF_ONE + group * DEEP;
#pragma unroll 1
        for (int k = 0; k < EACH; ++k, from += PLANE, line += TAPS_OF_ONE) {
#pragma unroll
            for (int y = 0; y < HIGH + 2; ++y) {
                const float4 first = load4(from + y * PITCH), second = load4(from + y * PITCH + 4);
                const float2 third = load2(from + y * PITCH + 8);
                const float x[WIDE + 2] = {first.x,  first.y,  first.z,  first.w, second.x,
                                           second.y, second.z, second.w, third.x, third.y};
#pragma unroll
                for (int r = 0; r < HIGH; ++r) {
                    if (y < r || y > r + 2)
                        continue;
#pragma unroll
                    for (int tap = 0; tap < 3; ++tap) {
                        const float4 w = load4(line + (3 * (y - r) + tap) * LINE);
#pragma unroll
                        for (int i = 0; i < WIDE; ++i) {
                            sums[r][i][0] = fmaf(x[i + tap], w.x, sums[r][i][0]);
                            sums[r][i][1] = fmaf(x[i + tap], w.y, sums[r][i][1]);
                            sums[r][i][2] = fmaf(x[i + tap], w.z, sums[r][i][2]);
                            sums[r][i][3] = fmaf(x[i + tap], w.w, sums[r][i][3]);
                        }
                    }
                }
            }
        }
        __syncthreads();
        if (!more)
            break;
        if (NEXT == Next::AFTER)
            fetch_quads(chunk + CHUNK);
        put_all_quads();
        if (NEXT == Next::AFTER)
            fetch_weights(chunk + CHUNK);
        put_all_weights();
    }

    // The teams' sums, in their order, a quarter at a time. Each team gets its share; two buffers take turns.
    if (SLICES > 1) {
#pragma unroll
        for (int quarter = 0; quarter < 4; ++quarter) {
            float *const buffer = shared + quarter % 2 * (SLICES * QUARTER * TEAM);
#pragma unroll
            for (int i = 0; i < QUARTER; ++i)
                buffer[(slice * QUARTER + i) * TEAM + member] = sums[quarter / 2][quarter % 2 * 4 + i / DEEP][i % DEEP];
            __syncthreads();
            if (quarter % SLICES == slice) {
#pragma unroll
                for (int i = 0; i < QUARTER; ++i) {
                    float sum = buffer[i * TEAM + member];
#pragma unroll
                    for (int other = 1; other < SLICES; ++other)
                        sum += buffer[(other * QUARTER + i) * TEAM + member];
                    sums[quarter / 2][quarter % 2 * 4 + i / DEEP][i % DEEP] = sum;
                }
            }
        }
    }

    if (first_image + image < a.images) {
        float *const to = a.to + (first_image + image) * a.to_image + (first_row + row) * a.to_row + WIDE * strip * a.outputs +
                          first_channel + group * DEEP;
#pragma unroll
        for (int r = 0; r < HIGH; ++r) {
#pragma unroll
            for (int i = 0; i < WIDE; ++i) {
                if ((2 * r + i / 4) % SLICES != slice)
                    continue;
                float *const at = to + r * a.to_row + i * a.outputs;
                float4 four = make_float4(sums[r][i][0], sums[r][i][1], sums[r][i][2], sums[r][i][3]);
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

KERNEL_SHARING(direct_32, 128, 4, Direct) { direct<32, 8, 1, 16, 2, Next::NONE>(a); }
KERNEL_SHARING(direct_16, 256, 2, Direct) { direct<16, 8, 1, 32, 4, Next::AFTER>(a); }
KERNEL_SHARING(direct_8, 256, 1, Direct) { direct<8, 8, 2, 32, 4, Next::MEANWHILE>(a); }

// The gradient of the weights of such a convolution of as many channels as it reads. A block copies four rows of gradients and the
// six rows of activations around them into shared memory while it multiplies the four before. A thread makes two channels read by
// four written of all nine taps, and goes along a row: a column of three pixels serves three columns of taps. Rows are divided
// by the shape alone, and their sums are added in their order.
struct DirectGradient {
    // From the pixel above and left of the first one, and from the first pixel.
    const float *x;
    const float *dy;
    // [blocks][9][channels][channels], as weight_sum reads it.
    float *partial;
    // Rows of all images, and those of one block: a multiple of UNIT_ROWS, as is an image's height.
    unsigned rows, rows_each;
    Divisor by_height;
    unsigned x_image, x_row, dy_image, dy_row;
};

// Rows that are copied at a time.
constexpr int UNIT_ROWS = 4;

// A block makes INPUTS channels read by all CHANNELS written, in PARTS parts, each with segments of LONG pixels of its own.
template <int WIDTH, int CHANNELS, int INPUTS, int PARTS, int LONG> DEVICE void direct_gradient(const DirectGradient &a) {
    constexpr int PAIRS = INPUTS / 2 * (CHANNELS / 4);
    constexpr int THREADS = PAIRS * PARTS;
    constexpr int SUMS = 72;
    constexpr int SEGMENTS = UNIT_ROWS * WIDTH / LONG / PARTS;
    static_assert(SEGMENTS * PARTS * LONG == UNIT_ROWS * WIDTH && WIDTH % LONG == 0, "parts are alike");
    constexpr int X = (UNIT_ROWS + 2) * (WIDTH + 2) * INPUTS, DY = UNIT_ROWS * WIDTH * CHANNELS;
    constexpr int HANDED_ON = PARTS / 2 * PAIRS * SUMS;
    constexpr int SHARED = 2 * (X + DY) > HANDED_ON ? 2 * (X + DY) : HANDED_ON;
    static_assert(SHARED * 4 <= 48 << 10 && (PARTS & (PARTS - 1)) == 0, "fits into shared memory");
    __shared__ __align__(16) float shared[SHARED];

    const unsigned thread = threadIdx.x;
    const unsigned pair = thread % PAIRS, part = thread / PAIRS;
    // Neighbours share what they read: a warp makes sixteen channels by sixteen.
    const unsigned in = 2 * (pair % 8 + 8 * (pair / 32 % (INPUTS / 16)));
    const unsigned out = 4 * (pair / 8 % 4 + 4 * (pair / 32 / (INPUTS / 16)));
    const unsigned first_in = blockIdx.y * INPUTS;

    const unsigned begin = blockIdx.x * a.rows_each;
    const unsigned end = begin + a.rows_each < a.rows ? begin + a.rows_each : a.rows;
    auto copy = [&](unsigned line, float *to) {
        const unsigned image = divide(line, a.by_height), row = line - image * a.by_height.divisor;
        const float *x = a.x + image * a.x_image + row * a.x_row + first_in;
        const float *dy = a.dy + image * a.dy_image + row * a.dy_row;
#pragma unroll
        for (unsigned index = thread; index < X / 4; index += THREADS) {
            const unsigned quad = index % (INPUTS / 4), pixel = index / (INPUTS / 4);
            const unsigned column = pixel % (WIDTH + 2), down = pixel / (WIDTH + 2);
            copy_quad(to + 4 * index, x + down * a.x_row + column * CHANNELS + 4 * quad);
        }
#pragma unroll
        for (unsigned index = thread; index < DY / 4; index += THREADS) {
            const unsigned of_row = index % (WIDTH * CHANNELS / 4), down = index / (WIDTH * CHANNELS / 4);
            copy_quad(to + X + 4 * index, dy + down * a.dy_row + 4 * of_row);
        }
    };

    if (begin < end)
        copy(begin, shared);
    float sums[9][2][4];
#pragma unroll
    for (int tap = 0; tap < 9; ++tap)
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j)
                sums[tap][i][j] = 0.0f;

    unsigned turn = 0;
    for (unsigned line = begin; line < end; line += UNIT_ROWS, turn ^= 1) {
        wait_for_copies();
        __syncthreads();
        if (line + UNIT_ROWS < end)
            copy(line + UNIT_ROWS, shared + (turn ^ 1) * (X + DY));
#pragma unroll 1
        for (int segment = 0; segment < SEGMENTS; ++segment) {
            const unsigned place = (part * SEGMENTS + segment) * LONG, row = place / WIDTH, column = place % WIDTH;
            const float *x = shared + turn * (X + DY) + (row * (WIDTH + 2) + column) * INPUTS + in;
            const float *dy = shared + turn * (X + DY) + X + place * CHANNELS + out;
            float2 left[3], middle[3];
#pragma unroll
            for (int y = 0; y < 3; ++y) {
                left[y] = load2(x + y * (WIDTH + 2) * INPUTS);
                middle[y] = load2(x + (y * (WIDTH + 2) + 1) * INPUTS);
            }
#pragma unroll 8
            for (int i = 0; i < LONG; ++i) {
                const float4 four = load4(dy + i * CHANNELS);
                const float d[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
                for (int y = 0; y < 3; ++y) {
                    const float2 right = load2(x + (y * (WIDTH + 2) + i + 2) * INPUTS);
                    const float2 columns[3] = {left[y], middle[y], right};
#pragma unroll
                    for (int tap = 0; tap < 3; ++tap)
#pragma unroll
                        for (int j = 0; j < 4; ++j) {
                            sums[3 * y + tap][0][j] = fmaf(columns[tap].x, d[j], sums[3 * y + tap][0][j]);
                            sums[3 * y + tap][1][j] = fmaf(columns[tap].y, d[j], sums[3 * y + tap][1][j]);
                        }
                    left[y] = middle[y];
                    middle[y] = right;
                }
            }
        }
    }
    __syncthreads();

    // Half of the parts hand their sums to the other half, until there is one.
#pragma unroll
    for (unsigned half = PARTS / 2; half >= 1; half /= 2) {
        const unsigned across = half * PAIRS;
        if (part >= half && part < 2 * half) {
#pragma unroll
            for (int k = 0; k < SUMS; ++k)
                shared[k * across + thread - across] = sums[k / 8][k / 4 % 2][k % 4];
        }
        __syncthreads();
        if (part < half) {
#pragma unroll
            for (int k = 0; k < SUMS; ++k)
                sums[k / 8][k / 4 % 2][k % 4] += shared[k * across + thread];
        }
        __syncthreads();
    }
    if (part != 0)
        return;
    float *const partial = a.partial + size_t(blockIdx.x) * 9 * CHANNELS * CHANNELS;
#pragma unroll
    for (int tap = 0; tap < 9; ++tap)
#pragma unroll
        for (int i = 0; i < 2; ++i)
            store4(partial + (tap * CHANNELS + first_in + in + i) * CHANNELS + out,
                   make_float4(sums[tap][i][0], sums[tap][i][1], sums[tap][i][2], sums[tap][i][3]));
}

KERNEL_SHARING(direct_gradient_16, 256, 1, DirectGradient) { direct_gradient<32, 16, 16, 8, 16>(a); }
KERNEL_SHARING(direct_gradient_32, 256, 1, DirectGradient) { direct_gradient<16, 32, 32, 2, 16>(a); }
KERNEL_SHARING(direct_gradient_64, 256, 1, DirectGradient) { direct_gradient<8, 64, 32, 1, 8>(a); }
