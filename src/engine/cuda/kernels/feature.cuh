// Passes over whole features: option A's gradient, sums, max-pooling, mean pooling.
#pragma once
#include "number.cuh"

constexpr int PASS_THREADS = 256;

struct Subsample {
    const void *dy;
    void *dx;
    Shape to, from;
    unsigned stride;
    Divisor by_from_channels;
};

template <typename T> DEVICE void subsample_gradient_of(const Subsample &a) {
    const unsigned index = blockIdx.x * PASS_THREADS + threadIdx.x;
    const unsigned pixel = divide(index, a.by_from_channels);
    const unsigned channel = index - pixel * a.from.channels;
    const unsigned image = divide(pixel, a.to.by_image);
    if (image >= a.to.images)
        return;
    const unsigned rest = pixel - image * a.to.by_image.divisor;
    const unsigned row = divide(rest, a.to.by_width);
    const unsigned column = rest - row * a.to.width;
    T *dx = static_cast<T *>(a.dx) + at(a.from, image, row * a.stride, column * a.stride) + channel;
    const T *dy = static_cast<const T *>(a.dy) + at(a.to, image, row, column) + channel;
    *dx = narrow<T>(widen(*dx) + widen(*dy));
}

struct Add {
    const void *value;
    void *sum;
    unsigned count;
};

template <typename T> DEVICE void add_of(const Add &a) {
    const T *const value_of = static_cast<const T *>(a.value);
    T *const sum_of = static_cast<T *>(a.sum);
    const unsigned index = (blockIdx.x * PASS_THREADS + threadIdx.x) * 4;
    if (index + 4 <= a.count) {
        const float4 value = load4(value_of + index), sum = load4(sum_of + index);
        store4(sum_of + index, make_float4(sum.x + value.x, sum.y + value.y, sum.z + value.z, sum.w + value.w));
    } else {
        for (unsigned i = index; i < a.count; ++i)
            sum_of[i] = narrow<T>(widen(sum_of[i]) + widen(value_of[i]));
    }
}

// Windows of 3x3 pixels, two apart, over a padding of one that never counts.
struct MaxPool {
    // A feature, or the gradient of the pooled one.
    const void *from;
    void *to;
    // Which of a window's nine pixels was the largest: the pooled shape without a halo.
    float *places;
    Shape shape, pooled;
};

template <typename T> DEVICE void max_pool_of(const MaxPool &a) {
    const unsigned index = blockIdx.x * PASS_THREADS + threadIdx.x;
    if (index >= a.pooled.storage)
        return;
    const Place p = place_of(a.pooled, index);
    T *const to = static_cast<T *>(a.to) + index;
    if (!p.inside) {
        *to = narrow<T>(0.0f);
        return;
    }
    float largest = 0.0f;
    int taken = -1;
    for (int place = 0; place < 9; ++place) {
        // Rows and columns of the padding become huge or too large.
        const unsigned row = 2 * p.row + place / 3 - 1, column = 2 * p.column + place % 3 - 1;
        if (row >= a.shape.height || column >= a.shape.width)
            continue;
        const float x = widen(static_cast<const T *>(a.from)[at(a.shape, p.image, row, column) + p.channel]);
        if (taken < 0 || x > largest || x != x) {
            largest = x;
            taken = place;
        }
    }
    *to = narrow<T>(largest);
    a.places[((p.image * a.pooled.height + p.row) * a.pooled.width + p.column) * a.pooled.channels + p.channel] =
        float(taken);
}

// A thread a pixel of the input, which gathers from the windows over it in their order.
template <typename T> DEVICE void max_pool_gradient_of(const MaxPool &a) {
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
                    sum += widen(static_cast<const T *>(a.from)[at(a.pooled, p.image, y, x) + p.channel]);
            }
    static_cast<T *>(a.to)[index] = narrow<T>(sum);
}

struct Pool {
    // A feature and [images][channels], which are floats; for the gradient the other way round.
    const void *from;
    void *to;
    Shape shape;
    float scale;
};

template <typename T> DEVICE void pool_of(const Pool &a) {
    const unsigned index = blockIdx.x * PASS_THREADS + threadIdx.x;
    const unsigned image = divide(index, a.shape.by_channels);
    const unsigned channel = index - image * a.shape.channels;
    if (image >= a.shape.images)
        return;
    float sum = 0.0f;
    for (unsigned row = 0; row < a.shape.height; ++row)
        for (unsigned column = 0; column < a.shape.width; ++column)
            sum += widen(static_cast<const T *>(a.from)[at(a.shape, image, row, column) + channel]);
    static_cast<float *>(a.to)[index] = sum * a.scale;
}

template <typename T> DEVICE void pool_gradient_of(const Pool &a) {
    const unsigned index = blockIdx.x * PASS_THREADS + threadIdx.x;
    if (index >= a.shape.storage)
        return;
    const Place p = place_of(a.shape, index);
    const float *from = static_cast<const float *>(a.from) + p.image * a.shape.channels + p.channel;
    static_cast<T *>(a.to)[index] = narrow<T>(p.inside ? *from * a.scale : 0.0f);
}

#define PASS(name, Arguments)                                                                                          \
    KERNEL(name, PASS_THREADS, Arguments) { name##_of<float>(a); }                                                     \
    KERNEL(name##_bf16, PASS_THREADS, Arguments) { name##_of<bf16>(a); }

PASS(subsample_gradient, Subsample)
PASS(add, Add)
PASS(max_pool, MaxPool)
PASS(max_pool_gradient, MaxPool)
PASS(pool, Pool)
PASS(pool_gradient, Pool)
