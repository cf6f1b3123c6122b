// What tensor cores multiply: 16 rows by 8 words times 8 words by 8 columns, added to floats. A word is one number of TF32 (a
// float rounded to eleven bits) or two of bf16 that are neighbours in the depth. The 32 threads of a warp hold the operands
// as the instruction has them (PTX ISA, "mma.m16n8k8" and "mma.m16n8k16"): with g = lane / 4 and t = lane % 4
//     left   (g, t) (g + 8, t) (g, t + 4) (g + 8, t + 4)          as (row, word)
//     right  (t, g) (t + 4, g)                                    as (word, column)
//     sums   (g, 2t) (g, 2t + 1) (g + 8, 2t) (g + 8, 2t + 1)      as (row, column)
// On the host the same words go through bodies of host.h, which shows that the layout is right if the instruction's is as
// its manual says; the instruction itself runs on a GPU alone.
#pragma once
#include "number.cuh"

#ifdef __CUDACC__
// The nearest number of TF32, ties away from zero.
DEVICE unsigned round_tf32(float value) {
    unsigned word;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(value));
    return word;
}
DEVICE void multiply_add_tf32(float (&sums)[4], const unsigned (&left)[4], const unsigned (&right)[2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));
}
DEVICE void multiply_add_bf16(float (&sums)[4], const unsigned (&left)[4], const unsigned (&right)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));
}
#endif

// Activations lie as floats and are rounded to TF32 when they are read.
struct Tf32 {
    using Stored = float;
    static constexpr int PER_WORD = 1;
    // Four neighbouring channels as they come from memory.
    using Quad = float4;

    static DEVICE Quad none() { return make_float4(0.0f, 0.0f, 0.0f, 0.0f); }
    static DEVICE Quad read(const float *from) { return load4(from); }
    static DEVICE Quad gather(float a, float b, float c, float d) { return make_float4(a, b, c, d); }
    // Words of neighbours in the depth, for the channels of one pixel.
    static DEVICE void put_channels(unsigned *to, const Quad &four) {
        *reinterpret_cast<uint4 *>(to) =
            make_uint4(round_tf32(four.x), round_tf32(four.y), round_tf32(four.z), round_tf32(four.w));
    }
    // A word for each of four channels, for the pixels of one word.
    static DEVICE void put_pixels(unsigned *to, const Quad (&pixels)[1]) { put_channels(to, pixels[0]); }
    static DEVICE unsigned word(const float (&numbers)[1]) { return round_tf32(numbers[0]); }
    static DEVICE void multiply_add(float (&sums)[4], const unsigned (&left)[4], const unsigned (&right)[2]) {
        multiply_add_tf32(sums, left, right);
    }
};

// Activations lie as bf16; weights are rounded when they are packed.
struct Bf16 {
    using Stored = bf16;
    static constexpr int PER_WORD = 2;
    using Quad = uint2;

    static DEVICE Quad none() { return make_uint2(0, 0); }
    static DEVICE Quad read(const bf16 *from) { return *reinterpret_cast<const uint2 *>(from); }
    static DEVICE Quad gather(bf16 a, bf16 b, bf16 c, bf16 d) {
        return make_uint2(a.bits | unsigned(b.bits) << 16, c.bits | unsigned(d.bits) << 16);
    }
    static DEVICE void put_channels(unsigned *to, const Quad &four) { *reinterpret_cast<uint2 *>(to) = four; }
    static DEVICE void put_pixels(unsigned *to, const Quad (&pixels)[2]) {
        const Quad &one = pixels[0], &two = pixels[1];
        *reinterpret_cast<uint4 *>(to) =
            make_uint4((one.x & 0xffff) | two.x << 16, one.x >> 16 | (two.x & 0xffff0000u),
                       (one.y & 0xffff) | two.y << 16, one.y >> 16 | (two.y & 0xffff0000u));
    }
    static DEVICE unsigned word(const float (&numbers)[2]) { return pack_bf16(numbers[0], numbers[1]); }
    static DEVICE void multiply_add(float (&sums)[4], const unsigned (&left)[4], const unsigned (&right)[2]) {
        multiply_add_bf16(sums, left, right);
    }
};
