// Passes over whole features: option A's gradient, sums, max-pooling, mean pooling.
#pragma once
#include "common.cuh"

constexpr int PASS_THREADS = 256;

struct Subsample {
    const float *dy;
    float *dx;
    Shape to, from;
    unsigned stride;
    Divisor by_from_channels;
};

KERNEL(subsample_gradient, PASS_THREADS, Subsample) {
    const unsigned index = blockIdx.x * PASS_THREADS + threadIdx.x;
    const unsigned pixel = divide(index, a.by_from_channels);
    const unsigned channel = index - pixel * a.from.channels;
    const unsigned image = divide(pixel, a.to.by_image);
    if (image >= a.to.images)
        return;
    const unsigned rest = pixel - image * a.to.by_image.divisor;
    const unsigned row = divide(rest, a.to.by_width);
    const unsigned column = rest - row * a.to.width;
    a.dx[at(a.from, image, row * a.stride, column * a.stride) + channel] += a.dy[at(a.to, image, row, column) + channel];
}

struct Add {
    const float *value;
    float *sum;
    unsigned count;
};

KERNEL(add, PASS_THREADS, Add) {
    const unsigned index = (blockIdx.x * PASS_THREADS + threadIdx.x) * 4;
    if (index + 4 <= a.count) {
        const float4 value = load4(a.value + index), sum = load4(a.sum + index);
        store4(a.sum + index, make_float4(sum.x + value.x, sum.y + value.y, sum.z + value.z, sum.w + value.w));
    } else {
        for (unsigned i = index; i < a.count; ++i)
            a.sum[i] += a.value[i];
    }
}

// Windows of 3x3 pixels, two apart, over a padding of one that never counts.
struct MaxPool {
    // A feature, or the gradient of the pooled one.
    const float *from;
    float *to;
    // Which of a window's nine pixels was the largest: the pooled shape without a halo.
    float *places;
    Shape shape, pooled;
};

KERNEL(max_pool, PASS_THREADS, MaxPool) {
    const unsigned index = blockIdx.x * PASS_THREADS + threadIdx.x;
    if (index >= a.pooled.storage)
        return;
    const Place p = place_of(a.pooled, index);
    if (!p.inside) {
        a.to[index] = 0.0f;
        return;
    }
    float largest = 0.0f;
    int taken = -1;
    for (int place = 0; place < 9; ++place) {
        // Rows and columns of the padding become huge or too large.
        const unsigned row = 2 * p.row + place / 3 - 1, column = 2 * p.column + place % 3 - 1;
        if (row >= a.shape.height || column >= a.shape.width)
            continue;
        const float x = a.from[at(a.shape, p.image, row, column) + p.channel];
        if (taken < 0 || x > largest || x != x) {
            largest = x;
            taken = place;
        }
    }
    a.to[index] = largest;
    a.places[((p.image * a.pooled.height + p.row) * a.pooled.width + p.column) * a.pooled.channels + p.channel] =
        float(taken);
}

// A thread a pixel of the input, which gathers from the windows over it in their order.
KERNEL(max_pool_gradient, PASS_THREADS, MaxPool) {
    const unsigned index = blockIdx.x * PASS_THREADS + threadIdx.x;
    if (index >= a.shape.storage)
        return;
    const Place p = place_of(a.shape, index);
    float sum = 0.0f;
    if (p.inside)
        for (int down = 2; down >= 0; --down)
            for (int across = 2; across >= 0; --across) {
                const int row = int(p.row) + 1 - down, column = int(p.column) + 1 - across;
                if (row < 0 || column < 0 || row % 2 != 0 || column % 2 != 0)
                    continue;
                const unsigned y = row / 2, x = column / 2;
                if (y >= a.pooled.height || x >= a.pooled.width)
                    continue;
                const unsigned place = ((p.image * a.pooled.height + y) * a.pooled.width + x) * a.pooled.channels;
                if (a.places[place + p.channel] == float(3 * down + across))
                    sum += a.from[at(a.pooled, p.image, y, x) + p.channel];
            }
    a.to[index] = sum;
}

struct Pool {
    // [images][channels] and a feature.
    const float *from;
    float *to;
    Shape shape;
    float scale;
};

KERNEL(pool, PASS_THREADS, Pool) {
    const unsigned index = blockIdx.x * PASS_THREADS + threadIdx.x;
    const unsigned image = divide(index, a.shape.by_channels);
    const unsigned channel = index - image * a.shape.channels;
    if (image >= a.shape.images)
        return;
    float sum = 0.0f;
    for (unsigned row = 0; row < a.shape.height; ++row)
        for (unsigned column = 0; column < a.shape.width; ++column)
            sum += a.from[at(a.shape, image, row, column) + channel];
    a.to[index] = sum * a.scale;
}

KERNEL(pool_gradient, PASS_THREADS, Pool) {
    const unsigned index = blockIdx.x * PASS_THREADS + threadIdx.x;
    if (index >= a.shape.storage)
        return;
    const Place p = place_of(a.shape, index);
    a.to[index] = p.inside ? a.from[p.image * a.shape.channels + p.channel] * a.scale : 0.0f;
}
