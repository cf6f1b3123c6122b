// Batch normalisation with the addition of a shortcut and the ReLU fused in, forward and backward: one pass for the sums,
// whose last block makes of them what the second pass needs, and one that writes. Sums are divided into parts by the shape
// alone and added in their order.
#pragma once
#include "number.cuh"

constexpr int NORM_THREADS = 256;
// Channels of one block's sums.
constexpr unsigned NORM_CHANNELS = 64;
// Pixels that a thread adds in single precision before they go to double.
constexpr unsigned SHORT = 32;

// A normalisation as one multiplication and one addition a channel. The same words forward and backward: the backward pass
// knows to the bit where the ReLU let a value pass.
struct Line {
    float factor, offset;
    double inverse;
};

DEVICE Line line_of(float mean, float variance, float epsilon, float scale, float shift) {
    Line line;
    line.inverse = 1.0 / sqrt(double(variance) + double(epsilon));
    line.factor = float(double(scale) * line.inverse);
    line.offset = float(fma(-double(mean), double(line.factor), double(shift)));
    return line;
}

struct Norm {
    // An activation.
    const void *x;
    const float *scale;
    const float *shift;
    // [groups][channels]
    float *mean;
    float *variance;
    // [groups][4][channels]: factor, offset; backward also slope, constant.
    float *lines;
    // [groups][parts][2][channels]
    double *partial;
    unsigned *counter;
    Shape shape;
    // Images of a whole group, pixels of it, and how many groups, parts of one and pixels in all there are.
    Divisor by_group;
    unsigned group_pixels, groups, parts, pixels;
    // Channels side by side in a block, and pixels.
    Divisor by_lanes;
    unsigned rows;
    float epsilon;
    // Backward: activations.
    void *dy;
    const void *output;
    float *dscale;
    float *dshift;
    unsigned gate, apart;
};

// Gates: which gradients the ReLU lets pass.
constexpr unsigned GATE_OPEN = 0, GATE_RECOMPUTED = 1, GATE_OUTPUT = 2;

// Calls `visit(place in the feature)` for every pixel of this block's part that is this thread's, and `flush()` now and then.
template <typename Visit, typename Flush>
DEVICE void each_pixel(const Norm &a, unsigned group, unsigned row, unsigned channel, Visit visit, Flush flush) {
    const unsigned first = group * a.group_pixels;
    const unsigned count = first + a.group_pixels < a.pixels ? a.group_pixels : a.pixels - first;
    const unsigned each = (count + a.parts - 1) / a.parts;
    const unsigned begin = blockIdx.x * each;
    const unsigned end = begin + each < count ? begin + each : count;
    for (unsigned from = begin + row; from < end; from += SHORT * a.rows) {
        const unsigned to = from + SHORT * a.rows < end ? from + SHORT * a.rows : end;
#pragma unroll 4
        for (unsigned pixel = from; pixel < to; pixel += a.rows)
            visit(pixel_at(a.shape, first + pixel) + channel);
        flush();
    }
}

// Adds the sums of a block's rows and files them as its part's.
DEVICE void file_sums(const Norm &a, unsigned group, unsigned row, unsigned lane, unsigned channel, double one, double two) {
    __shared__ double sums[2][NORM_THREADS];
    sums[0][threadIdx.x] = one;
    sums[1][threadIdx.x] = two;
    __syncthreads();
    if (row == 0 && channel < a.shape.channels && lane < NORM_CHANNELS) {
        const unsigned lanes = a.by_lanes.divisor;
        for (unsigned other = 1; other < a.rows; ++other) {
            one += sums[0][other * lanes + lane];
            two += sums[1][other * lanes + lane];
        }
        double *to = a.partial + (size_t(group) * a.parts + blockIdx.x) * 2 * a.shape.channels + channel;
        to[0] = one;
        to[a.shape.channels] = two;
    }
}

// All sums of a channel in a group, in the order of the parts; a team of threads each. Only the first of a team gets them.
// Every thread of the block calls it.
DEVICE void gather_sums(const Norm &a, unsigned group, unsigned channel, unsigned team, double &one, double &two) {
    __shared__ double sums[2][NORM_THREADS];
    const unsigned member = threadIdx.x % team;
    one = 0.0, two = 0.0;
    if (channel < a.shape.channels) {
        for (unsigned part = member; part < a.parts; part += team) {
            const volatile double *from =
                a.partial + (size_t(group) * a.parts + part) * 2 * a.shape.channels + channel;
            one += from[0];
            two += from[a.shape.channels];
        }
    }
    __syncthreads();
    sums[0][threadIdx.x] = one;
    sums[1][threadIdx.x] = two;
    __syncthreads();
    if (member == 0) {
        for (unsigned other = 1; other < team; ++other) {
            one += sums[0][threadIdx.x + other];
            two += sums[1][threadIdx.x + other];
        }
    }
}

// Threads that share one channel's parts: a power of two that divides the block.
DEVICE unsigned team_size(unsigned channels) {
    unsigned team = NORM_THREADS;
    while (team > 1 && team * channels > NORM_THREADS)
        team /= 2;
    return team;
}

DEVICE double group_values(const Norm &a, unsigned group) {
    const unsigned first = group * a.group_pixels;
    return double(first + a.group_pixels < a.pixels ? a.group_pixels : a.pixels - first);
}

// Means, biased variances and lines. Deviations from a value of the channel are summed: squares of x itself would lose a
// small variance.
template <typename T> DEVICE void statistics(const Norm &a) {
    const T *const values = static_cast<const T *>(a.x);
    const unsigned row = divide(threadIdx.x, a.by_lanes);
    const unsigned lane = threadIdx.x - row * a.by_lanes.divisor;
    const unsigned channel = blockIdx.y * NORM_CHANNELS + lane;
    const unsigned channels = a.shape.channels;
    const unsigned group = blockIdx.z;
    double sum = 0.0, squares = 0.0;
    if (row < a.rows && channel < channels) {
        const float pivot = widen(values[pixel_at(a.shape, group * a.group_pixels) + channel]);
        float short_sum = 0.0f, short_squares = 0.0f;
        each_pixel(
            a, group, row, channel,
            [&](unsigned place) {
                const float value = widen(values[place]) - pivot;
                short_sum += value;
                short_squares = fmaf(value, value, short_squares);
            },
            [&] {
                sum += short_sum;
                squares += short_squares;
                short_sum = 0.0f, short_squares = 0.0f;
            });
    }
    file_sums(a, group, row, lane, channel, sum, squares);
    if (!last_block(a.counter, gridDim.x * gridDim.y * gridDim.z))
        return;
    const unsigned team = team_size(channels);
    for (unsigned of = 0; of < a.groups; ++of)
        for (unsigned from = 0; from < channels; from += NORM_THREADS / team) {
            const unsigned c = from + threadIdx.x / team;
            double total, total_squares;
            gather_sums(a, of, c, team, total, total_squares);
            if (threadIdx.x % team != 0 || c >= channels)
                continue;
            const double count = group_values(a, of);
            const double pivot = widen(values[pixel_at(a.shape, of * a.group_pixels) + c]);
            const double spread = (total_squares - total * total / count) / count;
            const float mean = float(pivot + total / count);
            // Rounding may go below zero; a NaN stays one.
            const float variance = spread < 0.0 ? 0.0f : float(spread);
            a.mean[of * channels + c] = mean;
            a.variance[of * channels + c] = variance;
            const Line line = line_of(mean, variance, a.epsilon, a.scale[c], a.shift[c]);
            a.lines[of * 4 * channels + c] = line.factor;
            a.lines[(of * 4 + 1) * channels + c] = line.offset;
        }
}

KERNEL(norm_statistics, NORM_THREADS, Norm) { statistics<float>(a); }
KERNEL(norm_statistics_bf16, NORM_THREADS, Norm) { statistics<bf16>(a); }

// The lines of given statistics.
KERNEL(norm_lines, NORM_THREADS, Norm) {
    const unsigned c = blockIdx.x * NORM_THREADS + threadIdx.x;
    const unsigned group = blockIdx.z, channels = a.shape.channels;
    if (c >= channels)
        return;
    const Line line =
        line_of(a.mean[group * channels + c], a.variance[group * channels + c], a.epsilon, a.scale[c], a.shift[c]);
    a.lines[group * 4 * channels + c] = line.factor;
    a.lines[(group * 4 + 1) * channels + c] = line.offset;
}

// Sums of the gradient that passes and of its product with `x - mean`; with `apart`, `dy` becomes what passes.
template <typename T> DEVICE void gradient_sums(const Norm &a) {
    const T *const values = static_cast<const T *>(a.x), *const output = static_cast<const T *>(a.output);
    T *const dy = static_cast<T *>(a.dy);
    const unsigned row = divide(threadIdx.x, a.by_lanes);
    const unsigned lane = threadIdx.x - row * a.by_lanes.divisor;
    const unsigned channel = blockIdx.y * NORM_CHANNELS + lane;
    const unsigned channels = a.shape.channels;
    const unsigned group = blockIdx.z;
    double plain = 0.0, weighted = 0.0;
    if (row < a.rows && channel < channels) {
        const float mean = a.mean[group * channels + channel];
        const Line line =
            line_of(mean, a.variance[group * channels + channel], a.epsilon, a.scale[channel], a.shift[channel]);
        float short_plain = 0.0f, short_weighted = 0.0f;
        each_pixel(
            a, group, row, channel,
            [&](unsigned place) {
                const float x = widen(values[place]);
                float d = widen(dy[place]);
                if (a.gate == GATE_RECOMPUTED)
                    d = fmaf(x, line.factor, line.offset) > 0.0f ? d : 0.0f;
                else if (a.gate == GATE_OUTPUT)
                    d = widen(output[place]) > 0.0f ? d : 0.0f;
                if (a.apart && a.gate != GATE_OPEN)
                    dy[place] = narrow<T>(d);
                short_plain += d;
                short_weighted = fmaf(d, x - mean, short_weighted);
            },
            [&] {
                plain += short_plain;
                weighted += short_weighted;
                short_plain = 0.0f, short_weighted = 0.0f;
            });
    }
    file_sums(a, group, row, lane, channel, plain, weighted);
    if (!last_block(a.counter, gridDim.x * gridDim.y * gridDim.z))
        return;
    const unsigned team = team_size(channels);
    for (unsigned from = 0; from < channels; from += NORM_THREADS / team) {
        const unsigned c = from + threadIdx.x / team;
        const bool mine = threadIdx.x % team == 0 && c < channels;
        double scale_sum = 0.0, shift_sum = 0.0;
        for (unsigned of = 0; of < a.groups; ++of) {
            double total, total_weighted;
            gather_sums(a, of, c, team, total, total_weighted);
            if (!mine)
                continue;
            const double count = group_values(a, of);
            const Line line = line_of(a.mean[of * channels + c], a.variance[of * channels + c], a.epsilon, a.scale[c],
                                      a.shift[c]);
            const double factor = double(a.scale[c]) * line.inverse;
            // dx = factor * d + slope * (x - mean) + constant
            a.lines[of * 4 * channels + c] = line.factor;
            a.lines[(of * 4 + 1) * channels + c] = line.offset;
            a.lines[(of * 4 + 2) * channels + c] = float(-factor * line.inverse * line.inverse * total_weighted / count);
            a.lines[(of * 4 + 3) * channels + c] = float(-factor * total / count);
            scale_sum += total_weighted * line.inverse;
            shift_sum += total;
        }
        if (mine) {
            a.dscale[c] = float(scale_sum);
            a.dshift[c] = float(shift_sum);
        }
    }
}

KERNEL(norm_gradient_sums, NORM_THREADS, Norm) { gradient_sums<float>(a); }
KERNEL(norm_gradient_sums_bf16, NORM_THREADS, Norm) { gradient_sums<bf16>(a); }

// What is added before the ReLU.
constexpr unsigned ADD_NOTHING = 0, ADD_SAME = 1, ADD_SUBSAMPLED = 2;

struct Apply {
    // Activations.
    const void *x;
    const void *added;
    void *y;
    const float *lines;
    Shape shape;
    // Of what is added when it is subsampled: every `stride`-th pixel, zeros in channels that it lacks.
    Shape source;
    unsigned stride, add, relu;
    Divisor by_group;
};

// What a thread of a pass over whole features writes at a time, four numbers of one pixel where channels come in fours.
template <int UNIT> struct Unit {
    float value[UNIT];
};
template <int UNIT> struct Access;
template <> struct Access<1> {
    template <typename T> static DEVICE Unit<1> get(const T *from) { return {{widen(*from)}}; }
    template <typename T> static DEVICE void put(T *to, const Unit<1> &unit) { *to = narrow<T>(unit.value[0]); }
};
template <> struct Access<4> {
    template <typename T> static DEVICE Unit<4> get(const T *from) {
        const float4 four = load4(from);
        return {{four.x, four.y, four.z, four.w}};
    }
    template <typename T> static DEVICE void put(T *to, const Unit<4> &unit) {
        store4(to, make_float4(unit.value[0], unit.value[1], unit.value[2], unit.value[3]));
    }
};

template <typename T, int UNIT> DEVICE void apply(const Apply &a) {
    const T *const more = static_cast<const T *>(a.added);
    const unsigned index = (blockIdx.x * NORM_THREADS + threadIdx.x) * UNIT;
    if (index >= a.shape.storage)
        return;
    const Place p = place_of(a.shape, index);
    Unit<UNIT> result;
    if (p.inside) {
        const float *line = a.lines + divide(p.image, a.by_group) * 4 * a.shape.channels + p.channel;
        const Unit<UNIT> x = Access<UNIT>::get(static_cast<const T *>(a.x) + index);
        Unit<UNIT> added;
        for (int i = 0; i < UNIT; ++i)
            added.value[i] = 0.0f;
        if (a.add == ADD_SAME)
            added = Access<UNIT>::get(more + index);
        else if (a.add == ADD_SUBSAMPLED)
            for (int i = 0; i < UNIT; ++i)
                if (p.channel + i < a.source.channels)
                    added.value[i] =
                        widen(more[at(a.source, p.image, p.row * a.stride, p.column * a.stride) + p.channel + i]);
        for (int i = 0; i < UNIT; ++i) {
            float value = fmaf(x.value[i], line[i], line[a.shape.channels + i]);
            if (a.add != ADD_NOTHING)
                value += added.value[i];
            // A NaN stays one.
            result.value[i] = a.relu && value < 0.0f ? 0.0f : value;
        }
    } else {
        for (int i = 0; i < UNIT; ++i)
            result.value[i] = 0.0f;
    }
    Access<UNIT>::put(static_cast<T *>(a.y) + index, result);
}

KERNEL(norm_apply_4, NORM_THREADS, Apply) { apply<float, 4>(a); }
KERNEL(norm_apply_4_bf16, NORM_THREADS, Apply) { apply<bf16, 4>(a); }
KERNEL(norm_apply_1, NORM_THREADS, Apply) { apply<float, 1>(a); }
KERNEL(norm_apply_1_bf16, NORM_THREADS, Apply) { apply<bf16, 1>(a); }

struct GradientApply {
    // Activations.
    const void *x;
    const void *dy;
    const void *output;
    // May be `dy`.
    void *dx;
    const float *lines;
    const float *mean;
    Shape shape;
    unsigned gate;
    Divisor by_group;
};

template <typename T, int UNIT> DEVICE void gradient_apply(const GradientApply &a) {
    const unsigned index = (blockIdx.x * NORM_THREADS + threadIdx.x) * UNIT;
    if (index >= a.shape.storage)
        return;
    const Place p = place_of(a.shape, index);
    Unit<UNIT> result;
    if (p.inside) {
        const unsigned channels = a.shape.channels;
        const unsigned group = divide(p.image, a.by_group);
        const float *line = a.lines + group * 4 * channels + p.channel;
        const float *mean = a.mean + group * channels + p.channel;
        const Unit<UNIT> x = Access<UNIT>::get(static_cast<const T *>(a.x) + index);
        const Unit<UNIT> dy = Access<UNIT>::get(static_cast<const T *>(a.dy) + index);
        Unit<UNIT> output = x;
        if (a.gate == GATE_OUTPUT)
            output = Access<UNIT>::get(static_cast<const T *>(a.output) + index);
        for (int i = 0; i < UNIT; ++i) {
            float d = dy.value[i];
            if (a.gate == GATE_RECOMPUTED)
                d = fmaf(x.value[i], line[i], line[channels + i]) > 0.0f ? d : 0.0f;
            else if (a.gate == GATE_OUTPUT)
                d = output.value[i] > 0.0f ? d : 0.0f;
            result.value[i] =
                fmaf(line[i], d, fmaf(line[2 * channels + i], x.value[i] - mean[i], line[3 * channels + i]));
        }
    } else {
        for (int i = 0; i < UNIT; ++i)
            result.value[i] = 0.0f;
    }
    Access<UNIT>::put(static_cast<T *>(a.dx) + index, result);
}

KERNEL(norm_gradient_apply_4, NORM_THREADS, GradientApply) { gradient_apply<float, 4>(a); }
KERNEL(norm_gradient_apply_4_bf16, NORM_THREADS, GradientApply) { gradient_apply<bf16, 4>(a); }
KERNEL(norm_gradient_apply_1, NORM_THREADS, GradientApply) { gradient_apply<float, 1>(a); }
KERNEL(norm_gradient_apply_1_bf16, NORM_THREADS, GradientApply) { gradient_apply<bf16, 1>(a); }
