// Many small tensors in one launch: gradient descent, moving averages, and all of them copied to one place.
#pragma once
#include "common.cuh"

// Tensors of one launch: their table is a kernel's argument, which is copied without waiting.
constexpr int TENSORS = 48;

struct Descent {
    float *weights[TENSORS];
    const float *gradients[TENSORS];
    float *velocities[TENSORS];
    unsigned counts[TENSORS];
    float decays[TENSORS];
    // velocity = momentum * velocity + inside * g; weight -= outside * velocity
    float momentum, inside, outside;
};

// A row of blocks a tensor.
KERNEL(descend, 256, Descent) {
    const unsigned tensor = blockIdx.y;
    float *weights = a.weights[tensor];
    const float *gradients = a.gradients[tensor];
    float *velocities = a.velocities[tensor];
    const float decay = a.decays[tensor];
    for (unsigned i = blockIdx.x * 256 + threadIdx.x; i < a.counts[tensor]; i += gridDim.x * 256) {
        const float weight = weights[i];
        const float g = gradients[i] + decay * weight;
        const float velocity = a.momentum * velocities[i] + a.inside * g;
        velocities[i] = velocity;
        weights[i] = weight - a.outside * velocity;
    }
}

struct Average {
    // [groups][channels] and [channels]
    const float *batch[TENSORS];
    float *running[TENSORS];
    unsigned channels[TENSORS];
    // Values of a whole group and of the last one, and groups.
    unsigned values[TENSORS], last_values[TENSORS], groups[TENSORS];
    unsigned unbiased[TENSORS];
    float momentum;
};

// Towards the mean of the groups, each counted by its values. A block row a tensor.
KERNEL(average, 64, Average) {
    const unsigned tensor = blockIdx.y;
    const unsigned channels = a.channels[tensor], groups = a.groups[tensor];
    const unsigned channel = blockIdx.x * 64 + threadIdx.x;
    if (channel >= channels)
        return;
    double sum = 0.0, weight = 0.0;
    for (unsigned group = 0; group < groups; ++group) {
        const double values = group + 1 == groups ? a.last_values[tensor] : a.values[tensor];
        // A single value has no unbiased variance; its biased one is 0.
        const double correction = a.unbiased[tensor] && values > 1.0 ? values / (values - 1.0) : 1.0;
        sum += values * correction * double(a.batch[tensor][group * channels + channel]);
        weight += values;
    }
    const float fresh = float(sum / weight);
    float *place = a.running[tensor] + channel;
    *place += a.momentum * (fresh - *place);
}

struct Gather {
    const float *from[TENSORS];
    float *to;
    unsigned counts[TENSORS];
    // Where each begins in `to`.
    unsigned offsets[TENSORS];
};

KERNEL(gather, 256, Gather) {
    const unsigned tensor = blockIdx.y, index = blockIdx.x * 256 + threadIdx.x;
    if (index < a.counts[tensor])
        a.to[a.offsets[tensor] + index] = a.from[tensor][index];
}
