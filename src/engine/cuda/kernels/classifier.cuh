// The fully connected layer, cross-entropy after softmax and errors.
#pragma once
#include "common.cuh"

struct Linear {
    // [images][inputs], [outputs][inputs], [outputs]
    const float *x;
    const float *weight;
    const float *bias;
    // [images][outputs]
    float *y;
    // Backward.
    const float *dy;
    float *dx;
    float *dweight;
    float *dbias;
    unsigned images, inputs, outputs;
    Divisor by_outputs, by_inputs;
};

// A warp an output.
KERNEL(linear, 128, Linear) {
    const unsigned output = blockIdx.x * 4 + threadIdx.x / 32;
    const unsigned lane = threadIdx.x % 32;
    const unsigned image = divide(output, a.by_outputs);
    const unsigned channel = output - image * a.outputs;
    if (image >= a.images)
        return;
    float sum = 0.0f;
    for (unsigned i = lane; i < a.inputs; i += 32)
        sum = fmaf(a.x[image * a.inputs + i], a.weight[channel * a.inputs + i], sum);
    for (unsigned distance = 16; distance > 0; distance /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, distance);
    if (lane == 0)
        a.y[output] = sum + a.bias[channel];
}

// A thread a number: first of dx, then of dweight, then of dbias.
KERNEL(linear_gradient, 128, Linear) {
    unsigned index = blockIdx.x * 128 + threadIdx.x;
    if (index < a.images * a.inputs) {
        const unsigned image = divide(index, a.by_inputs);
        const unsigned input = index - image * a.inputs;
        float sum = 0.0f;
        for (unsigned o = 0; o < a.outputs; ++o)
            sum = fmaf(a.dy[image * a.outputs + o], a.weight[o * a.inputs + input], sum);
        a.dx[index] = sum;
        return;
    }
    index -= a.images * a.inputs;
    if (index < a.outputs * a.inputs) {
        const unsigned output = divide(index, a.by_inputs);
        const unsigned input = index - output * a.inputs;
        float sum = 0.0f;
        for (unsigned n = 0; n < a.images; ++n)
            sum = fmaf(a.dy[n * a.outputs + output], a.x[n * a.inputs + input], sum);
        a.dweight[index] = sum;
        return;
    }
    index -= a.outputs * a.inputs;
    if (index < a.outputs) {
        double sum = 0.0;
        for (unsigned n = 0; n < a.images; ++n)
            sum += a.dy[n * a.outputs + index];
        a.dbias[index] = float(sum);
    }
}

struct CrossEntropy {
    // [images][classes]
    const float *logits;
    const unsigned short *labels;
    // Loss, wrong, wrong among the five most probable: sums over the images.
    double *sums;
    float *gradient;
    // The gradient is of the mean over `of` images, of which these are some or all.
    unsigned images, classes, of;
};

// ln sum exp, safe for large values.
DEVICE double log_sum(const float *logits, unsigned classes) {
    float largest = logits[0];
    for (unsigned c = 1; c < classes; ++c)
        largest = logits[c] > largest ? logits[c] : largest;
    double sum = 0.0;
    for (unsigned c = 0; c < classes; ++c)
        sum += exp(double(logits[c]) - double(largest));
    return double(largest) + log(sum);
}

// One block: a few thousand numbers.
KERNEL(cross_entropy, 256, CrossEntropy) {
    __shared__ double sums[3][256];
    double loss = 0.0, wrong = 0.0, wrong_top5 = 0.0;
    for (unsigned image = threadIdx.x; image < a.images; image += 256) {
        const float *logits = a.logits + image * a.classes;
        const unsigned label = a.labels[image];
        const float own = logits[label];
        loss += log_sum(logits, a.classes) - double(own);
        unsigned rank = 0;
        // What cannot be compared (NaN) counts as better; of equal ones the first.
        for (unsigned c = 0; c < a.classes; ++c)
            if (c != label && !(logits[c] < own || (logits[c] == own && c > label)))
                ++rank;
        wrong += rank >= 1 || own != own;
        wrong_top5 += rank >= 5 || own != own;
    }
    sums[0][threadIdx.x] = loss;
    sums[1][threadIdx.x] = wrong;
    sums[2][threadIdx.x] = wrong_top5;
    __syncthreads();
    if (threadIdx.x < 3) {
        double sum = 0.0;
        for (unsigned other = 0; other < 256; ++other)
            sum += sums[threadIdx.x][other];
        a.sums[threadIdx.x] = sum;
    }
}

// Of the mean loss: (softmax - one-hot) / of. A thread an image.
KERNEL(cross_entropy_gradient, 64, CrossEntropy) {
    const unsigned image = blockIdx.x * 64 + threadIdx.x;
    if (image >= a.images)
        return;
    const float *logits = a.logits + image * a.classes;
    const double whole = log_sum(logits, a.classes);
    for (unsigned c = 0; c < a.classes; ++c) {
        const double hot = c == a.labels[image] ? 1.0 : 0.0;
        a.gradient[image * a.classes + c] = float((exp(double(logits[c]) - whole) - hot) / double(a.of));
    }
}
