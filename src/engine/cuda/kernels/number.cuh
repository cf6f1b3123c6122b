// How activations lie in memory: as floats, or as the upper halves of floats (bf16). Arithmetic is in floats either way.
#pragma once
#include "common.cuh"

struct bf16 {
    unsigned short bits;
};

#ifdef __CUDACC__
// The nearest bf16 of two numbers, ties to even, in one word: the first in its lower half.
DEVICE unsigned pack_bf16(float low, float high) {
    unsigned word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}
#endif

DEVICE float widen(float value) { return value; }
DEVICE float widen(bf16 value) { return __uint_as_float(unsigned(value.bits) << 16); }

template <typename T> DEVICE T narrow(float value);
template <> DEVICE float narrow<float>(float value) { return value; }
template <> DEVICE bf16 narrow<bf16>(float value) {
    return {static_cast<unsigned short>(pack_bf16(value, 0.0f) & 0xffff)};
}

// Four neighbours, of which the first lies at a multiple of four.
DEVICE float4 load4(const float *from) { return *reinterpret_cast<const float4 *>(from); }
DEVICE float4 load4(const bf16 *from) {
    const uint2 four = *reinterpret_cast<const uint2 *>(from);
    return make_float4(__uint_as_float(four.x << 16), __uint_as_float(four.x & 0xffff0000u),
                       __uint_as_float(four.y << 16), __uint_as_float(four.y & 0xffff0000u));
}
DEVICE void store4(float *to, float4 value) { *reinterpret_cast<float4 *>(to) = value; }
DEVICE void store4(bf16 *to, float4 value) {
    *reinterpret_cast<uint2 *>(to) = make_uint2(pack_bf16(value.x, value.y), pack_bf16(value.z, value.w));
}

// Two neighbours, of which the first lies at a multiple of two.
DEVICE float2 load2(const float *from) { return *reinterpret_cast<const float2 *>(from); }
DEVICE float2 load2(const bf16 *from) {
    const unsigned two = *reinterpret_cast<const unsigned *>(from);
    return make_float2(__uint_as_float(two << 16), __uint_as_float(two & 0xffff0000u));
}
DEVICE void store2(float *to, float2 value) { *reinterpret_cast<float2 *>(to) = value; }
DEVICE void store2(bf16 *to, float2 value) { *reinterpret_cast<unsigned *>(to) = pack_bf16(value.x, value.y); }

// Writes this worker's share of the zeros around all images.
template <typename T> DEVICE void zero_halo(const Shape &s, T *data, unsigned worker, unsigned workers) {
    if (s.halo == 0)
        return;
    const unsigned width = s.by_padded_width.divisor;
    const unsigned band = s.halo * width;
    const unsigned side = 2 * s.halo;
    const unsigned total = s.images * s.by_halo.divisor * s.channels;
    for (unsigned index = worker; index < total; index += workers) {
        const unsigned pixel = divide(index, s.by_channels);
        const unsigned channel = index - pixel * s.channels;
        const unsigned image = divide(pixel, s.by_halo);
        const unsigned rest = pixel - image * s.by_halo.divisor;
        unsigned padded;
        if (rest < band) {
            padded = rest;
        } else if (rest - band < side * s.height) {
            const unsigned row = (rest - band) / side;
            const unsigned k = (rest - band) % side;
            padded = (row + s.halo) * width + (k < s.halo ? k : k + s.width);
        } else {
            padded = rest + s.height * s.width;
        }
        data[(image * s.by_padded_image.divisor + padded) * s.channels + channel] = narrow<T>(0.0f);
    }
}
