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

// What a thread reads or writes at a time: four channels of one pixel where channels come in fours.
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

// Two sums for each channel of a unit, kept in double precision.
template <int UNIT> struct Totals {
    double one[UNIT], two[UNIT];
    float short_one[UNIT], short_two[UNIT];

    DEVICE void clear() {
        for (int i = 0; i < UNIT; ++i)
            one[i] = 0.0, two[i] = 0.0, short_one[i] = 0.0f, short_two[i] = 0.0f;
    }
    DEVICE void flush() {
        for (int i = 0; i < UNIT; ++i) {
            one[i] += short_one[i];
            two[i] += short_two[i];
            short_one[i] = 0.0f, short_two[i] = 0.0f;
        }
    }
};

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
#pragma unroll 8
        for (unsigned pixel = from; pixel < to; pixel += a.rows)
            visit(pixel_at(a.shape, first + pixel) + channel);
        flush();
    }
}

// Adds the sums of a block's rows, always in the same order, and files them as its part's.
template <int UNIT> DEVICE void file_sums(const Norm &a, unsigned group, const Totals<UNIT> &totals) {
    // Four numbers more a line, so that threads that read different lines read different banks.
    __shared__ double sums[2][UNIT][NORM_THREADS + 4];
    __shared__ double teams[NORM_THREADS];
    for (int i = 0; i < UNIT; ++i) {
        sums[0][i][threadIdx.x] = totals.one[i];
        sums[1][i][threadIdx.x] = totals.two[i];
    }
    __syncthreads();
    // A team of threads adds the rows of each sum.
    const unsigned lanes = a.by_lanes.divisor;
    const unsigned each = UNIT * lanes, count = 2 * each, members = NORM_THREADS / count;
    const unsigned member = threadIdx.x / count, sum = threadIdx.x - member * count;
    const unsigned which = sum / each, in_unit = (sum - which * each) / lanes;
    const unsigned lane = sum - which * each - in_unit * lanes;
    double total = 0.0;
    if (member < members)
        for (unsigned row = member; row < a.rows; row += members)
            total += sums[which][in_unit][row * lanes + lane];
    teams[threadIdx.x] = total;
    __syncthreads();
    const unsigned channel = blockIdx.y * NORM_CHANNELS + lane * UNIT + in_unit;
    if (member == 0 && channel < a.shape.channels) {
        for (unsigned other = 1; other < members; ++other)
            total += teams[other * count + sum];
        const size_t part = size_t(group) * a.parts + blockIdx.x;
        a.partial[(part * 2 + which) * a.shape.channels + channel] = total;
    }
}

// As AHEAD, for parts of a channel's sums.
constexpr unsigned PARTS_AHEAD = 16;

// Adds the parts of every channel of every group, in their order, and calls `take(group, channel, one, two)` on one thread for
// each. Every thread of the block calls it.
template <typename Take> DEVICE void gather_sums(const Norm &a, Take take) {
    __shared__ double sums[2][NORM_THREADS];
    const unsigned channels = a.shape.channels, pairs = a.groups * channels;
    // Threads that share a pair's parts.
    unsigned team = NORM_THREADS;
    while (team > 1 && team * pairs > NORM_THREADS)
        team /= 2;
    const unsigned width = NORM_THREADS / team;
    const unsigned member = threadIdx.x / width;
    const size_t step = 2 * size_t(channels);
    for (unsigned first = 0; first < pairs; first += width) {
        const unsigned pair = first + threadIdx.x % width;
        const unsigned group = divide(pair, a.shape.by_channels), channel = pair - group * channels;
        double one = 0.0, two = 0.0;
        if (pair < pairs) {
            const volatile double *from = a.partial + size_t(group) * a.parts * step + channel;
            for (unsigned part = member; part < a.parts; part += PARTS_AHEAD * team) {
                double ones[PARTS_AHEAD], twos[PARTS_AHEAD];
#pragma unroll
                for (unsigned i = 0; i < PARTS_AHEAD; ++i) {
                    const bool inside = part + i * team < a.parts;
                    ones[i] = inside ? from[(part + i * team) * step] : 0.0;
                    twos[i] = inside ? from[(part + i * team) * step + channels] : 0.0;
                }
#pragma unroll
                for (unsigned i = 0; i < PARTS_AHEAD; ++i) {
                    one += ones[i];
                    two += twos[i];
                }
            }
        }
        __syncthreads();
        sums[0][threadIdx.x] = one;
        sums[1][threadIdx.x] = two;
        __syncthreads();
        if (member == 0 && pair < pairs) {
            for (unsigned other = 1; other < team; ++other) {
                one += sums[0][other * width + threadIdx.x];
                two += sums[1][other * width + threadIdx.x];
            }
            take(group, channel, one, two);
        }
    }
}

DEVICE double group_values(const Norm &a, unsigned group) {
    const unsigned first = group * a.group_pixels;
    return double(first + a.group_pixels < a.pixels ? a.group_pixels : a.pixels - first);
}

// Means, biased variances and lines. Deviations from a value of the channel are summed: squares of x itself would lose a
// small variance.
template <typename T, int UNIT> DEVICE void statistics(const Norm &a) {
    const T *const values = static_cast<const T *>(a.x);
    const unsigned row = divide(threadIdx.x, a.by_lanes);
    const unsigned lane = threadIdx.x - row * a.by_lanes.divisor;
    const unsigned channel = blockIdx.y * NORM_CHANNELS + lane * UNIT;
    const unsigned channels = a.shape.channels;
    const unsigned group = blockIdx.z;
    Totals<UNIT> totals;
    totals.clear();
    if (row < a.rows && channel < channels) {
        const Unit<UNIT> pivot = Access<UNIT>::get(values + pixel_at(a.shape, group * a.group_pixels) + channel);
        each_pixel(
            a, group, row, channel,
            [&](unsigned place) {
                const Unit<UNIT> x = Access<UNIT>::get(values + place);
                for (int i = 0; i < UNIT; ++i) {
                    const float value = x.value[i] - pivot.value[i];
                    totals.short_one[i] += value;
                    totals.short_two[i] = fmaf(value, value, totals.short_two[i]);
                }
            },
            [&] { totals.flush(); });
    }
    file_sums<UNIT>(a, group, totals);
    if (!last_block(a.counter, gridDim.x * gridDim.y * gridDim.z))
        return;
    gather_sums(a, [&](unsigned of, unsigned c, double total, double squares) {
        const double count = group_values(a, of);
        const double pivot = widen(values[pixel_at(a.shape, of * a.group_pixels) + c]);
        const double spread = (squares - total * total / count) / count;
        const float mean = float(pivot + total / count);
        // Rounding may go below zero; a NaN stays one.
        const float variance = spread < 0.0 ? 0.0f : float(spread);
        a.mean[of * channels + c] = mean;
        a.variance[of * channels + c] = variance;
        const Line line = line_of(mean, variance, a.epsilon, a.scale[c], a.shift[c]);
        a.lines[of * 4 * channels + c] = line.factor;
        a.lines[(of * 4 + 1) * channels + c] = line.offset;
    });
}

KERNEL(norm_statistics_4, NORM_THREADS, Norm) { statistics<float, 4>(a); }
KERNEL(norm_statistics_4_bf16, NORM_THREADS, Norm) { statistics<bf16, 4>(a); }
KERNEL(norm_statistics_1, NORM_THREADS, Norm) { statistics<float, 1>(a); }
KERNEL(norm_statistics_1_bf16, NORM_THREADS, Norm) { statistics<bf16, 1>(a); }

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
template <typename T, int UNIT> DEVICE void gradient_sums(const Norm &a) {
    const T *const values = static_cast<const T *>(a.x), *const output = static_cast<const T *>(a.output);
    T *const dy = static_cast<T *>(a.dy);
    const unsigned row = divide(threadIdx.x, a.by_lanes);
    const unsigned lane = threadIdx.x - row * a.by_lanes.divisor;
    const unsigned channel = blockIdx.y * NORM_CHANNELS + lane * UNIT;
    const unsigned channels = a.shape.channels;
    const unsigned group = blockIdx.z;
    // In double precision, so once for each channel.
    __shared__ float factors[NORM_CHANNELS], offsets[NORM_CHANNELS];
    if (a.gate == GATE_RECOMPUTED && threadIdx.x < NORM_CHANNELS) {
        const unsigned c = blockIdx.y * NORM_CHANNELS + threadIdx.x;
        if (c < channels) {
            const unsigned at = group * channels + c;
            const Line line = line_of(a.mean[at], a.variance[at], a.epsilon, a.scale[c], a.shift[c]);
            factors[threadIdx.x] = line.factor;
            offsets[threadIdx.x] = line.offset;
        }
    }
    __syncthreads();
    Totals<UNIT> totals;
    totals.clear();
    if (row < a.rows && channel < channels) {
        float mean[UNIT], factor[UNIT], offset[UNIT];
        for (int i = 0; i < UNIT; ++i) {
            mean[i] = a.mean[group * channels + channel + i];
            factor[i] = factors[lane * UNIT + i];
            offset[i] = offsets[lane * UNIT + i];
        }
        each_pixel(
            a, group, row, channel,
            [&](unsigned place) {
                const Unit<UNIT> x = Access<UNIT>::get(values + place);
                Unit<UNIT> d = Access<UNIT>::get(dy + place);
                if (a.gate == GATE_RECOMPUTED) {
                    for (int i = 0; i < UNIT; ++i)
                        d.value[i] = fmaf(x.value[i], factor[i], offset[i]) > 0.0f ? d.value[i] : 0.0f;
                } else if (a.gate == GATE_OUTPUT) {
                    const Unit<UNIT> y = Access<UNIT>::get(output + place);
                    for (int i = 0; i < UNIT; ++i)
                        d.value[i] = y.value[i] > 0.0f ? d.value[i] : 0.0f;
                }
                if (a.apart && a.gate != GATE_OPEN)
                    Access<UNIT>::put(dy + place, d);
                for (int i = 0; i < UNIT; ++i) {
                    totals.short_one[i] += d.value[i];
                    totals.short_two[i] = fmaf(d.value[i], x.value[i] - mean[i], totals.short_two[i]);
                }
            },
            [&] { totals.flush(); });
    }
    file_sums<UNIT>(a, group, totals);
    if (!last_block(a.counter, gridDim.x * gridDim.y * gridDim.z))
        return;
    // A pair's sums go where its first part was, which only its own threads have read.
    const size_t step = 2 * size_t(channels);
    gather_sums(a, [&](unsigned of, unsigned c, double total, double weighted) {
        double *to = a.partial + size_t(of) * a.parts * step + c;
        to[0] = total;
        to[channels] = weighted;
    });
    __syncthreads();
    for (unsigned c = threadIdx.x; c < channels; c += NORM_THREADS) {
        double scale_sum = 0.0, shift_sum = 0.0;
        for (unsigned of = 0; of < a.groups; ++of) {
            const volatile double *from = a.partial + size_t(of) * a.parts * step + c;
            const double total = from[0], total_weighted = from[channels];
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
        a.dscale[c] = float(scale_sum);
        a.dshift[c] = float(shift_sum);
    }
}

KERNEL(norm_gradient_sums_4, NORM_THREADS, Norm) { gradient_sums<float, 4>(a); }
KERNEL(norm_gradient_sums_4_bf16, NORM_THREADS, Norm) { gradient_sums<bf16, 4>(a); }
KERNEL(norm_gradient_sums_1, NORM_THREADS, Norm) { gradient_sums<float, 1>(a); }
KERNEL(norm_gradient_sums_1_bf16, NORM_THREADS, Norm) { gradient_sums<bf16, 1>(a); }

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
