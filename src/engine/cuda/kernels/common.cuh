// What all kernels share: shapes as `arguments.rs` writes them, division without dividing, halos.
#pragma once

// KERNEL_SHARING leaves registers for so many blocks on a multiprocessor.
#ifndef KERNEL
#define KERNEL(name, threads, Arguments)                                                                               \
    extern "C" __global__ void __launch_bounds__(threads) name(const Arguments a)
#define KERNEL_SHARING(name, threads, blocks, Arguments)                                                               \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const Arguments a)
#endif

#define DEVICE __device__ __forceinline__

// Partial sums that a thread reads before it adds the first of them. It would else wait for each in turn.
constexpr unsigned AHEAD = 8;

// Division of numbers below 2^31 by a divisor known when the kernel is launched: a multiplication and a shift.
struct Divisor {
    unsigned divisor, multiplier, shift;
};

DEVICE unsigned divide(unsigned n, const Divisor &d) { return (__umulhi(n, d.multiplier) + n) >> d.shift; }

// A feature: [images][halo + height + halo][halo + width + halo][channels], the halo zeros.
struct Shape {
    unsigned images, height, width, channels, halo;
    // Numbers in all.
    unsigned storage;
    Divisor by_channels, by_padded_width, by_padded_image, by_width, by_image, by_halo;
};

// Where the channels of a pixel begin.
DEVICE unsigned at(const Shape &s, unsigned image, unsigned row, unsigned column) {
    const unsigned padded = image * s.by_padded_image.divisor + (row + s.halo) * s.by_padded_width.divisor + column;
    return (padded + s.halo) * s.channels;
}

// The same for a pixel counted without halos.
DEVICE unsigned pixel_at(const Shape &s, unsigned pixel) {
    const unsigned image = divide(pixel, s.by_image);
    const unsigned rest = pixel - image * s.by_image.divisor;
    const unsigned row = divide(rest, s.by_width);
    return at(s, image, row, rest - row * s.by_width.divisor);
}

// Which pixel a place in the storage belongs to.
struct Place {
    unsigned image, row, column, channel;
    bool inside;
};

DEVICE Place place_of(const Shape &s, unsigned index) {
    Place p;
    const unsigned padded = divide(index, s.by_channels);
    p.channel = index - padded * s.channels;
    p.image = divide(padded, s.by_padded_image);
    const unsigned rest = padded - p.image * s.by_padded_image.divisor;
    const unsigned row = divide(rest, s.by_padded_width);
    // Rows and columns of the halo become huge or too large.
    p.row = row - s.halo;
    p.column = rest - row * s.by_padded_width.divisor - s.halo;
    p.inside = p.row < s.height && p.column < s.width;
    return p;
}

// Whether this block is the last of the grid to come here; what the others wrote before is then seen. The counter is zero
// before the launch and after it.
DEVICE bool last_block(unsigned *counter, unsigned blocks) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(counter, 1) + 1 == blocks;
        if (last)
            *counter = 0;
    }
    __syncthreads();
    __threadfence();
    return last;
}

// Copies sixteen bytes into shared memory, at multiples of sixteen, without waiting.
DEVICE void copy_quad(float *shared, const float *from) {
#ifdef __CUDACC__
    const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
#else
    *reinterpret_cast<float4 *>(shared) = *reinterpret_cast<const float4 *>(from);
#endif
}

// Waits for this thread's copies. Others see them after the next barrier.
DEVICE void wait_for_copies() {
#ifdef __CUDACC__
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}
