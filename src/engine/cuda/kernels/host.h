// Lets the kernels' sources compile for the host, so that they are tested where there is no GPU: CUDA's words with host
// bodies. Blocks run one after the other. The threads of a block are fibres that take turns at each barrier, or, with
// REFIG_HOST_THREADS, threads of the system, for sanitizers that look for races and bad addresses.
//
//     g++ -std=c++17 -O1 -fPIC -shared -include host.h -x c++ refig.cu -o librefig_kernels.so
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
// Of the one block that runs. Fibres of several launches at a time have a block on each thread of the system.
#ifdef REFIG_HOST_THREADS
#define __shared__ static
#else
#define __shared__ static thread_local
#endif
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(n)

struct dim3 {
    unsigned x, y, z;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct alignas(8) float2 {
    float x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
struct alignas(8) uint2 {
    unsigned x, y;
};
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

namespace host {

// What one thread of the running block sees. `thread_local` serves threads; fibres set it each time they go on.
inline thread_local dim3 thread_index, block_index, block_size, grid_size;

[[noreturn]] inline void fail(const char *what) {
    std::fprintf(stderr, "kernel on the host: %s\n", what);
    std::abort();
}

constexpr unsigned WARP = 32;
// The most threads that a block has.
constexpr unsigned MOST = 1024;

} // namespace host

#ifdef REFIG_HOST_THREADS
#include <condition_variable>
#include <mutex>
#include <thread>

namespace host {

class Barrier {
  public:
    void reset(unsigned expected) {
        expected_ = expected;
        arrived_ = 0;
    }
    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        const unsigned generation = generation_;
        if (++arrived_ == expected_) {
            arrived_ = 0;
            ++generation_;
            all_.notify_all();
        } else {
            all_.wait(lock, [&] { return generation_ != generation; });
        }
    }

  private:
    std::mutex mutex_;
    std::condition_variable all_;
    unsigned expected_ = 0, arrived_ = 0, generation_ = 0;
};

inline Barrier block_barrier, warp_barriers[MOST / WARP];

inline void run(dim3 grid, unsigned threads, const std::function<void()> &body) {
    // One launch at a time: there is one shared memory.
    static std::mutex launches;
    const std::lock_guard<std::mutex> turn(launches);
    block_barrier.reset(threads);
    for (unsigned warp = 0; warp * WARP < threads; ++warp)
        warp_barriers[warp].reset(threads - warp * WARP < WARP ? threads - warp * WARP : WARP);
    std::vector<std::thread> team;
    for (unsigned thread = 0; thread < threads; ++thread)
        team.emplace_back([=, &body] {
            thread_index = {thread, 0, 0};
            block_size = {threads, 1, 1};
            grid_size = grid;
            for (unsigned z = 0; z < grid.z; ++z)
                for (unsigned y = 0; y < grid.y; ++y)
                    for (unsigned x = 0; x < grid.x; ++x) {
                        block_index = {x, y, z};
                        body();
                        block_barrier.wait();
                    }
        });
    for (std::thread &thread : team)
        thread.join();
}

} // namespace host
#else
#include <csetjmp>
#include <ucontext.h>

namespace host {

// A thread of a block. Its context starts it once; after that it goes from block to block, and switches by jumps, which
// unlike switches of context ask nothing of the system.
struct Fibre {
    ucontext_t context;
    jmp_buf place;
    std::unique_ptr<char[]> stack;
    bool started = false, ended = true;
};

constexpr size_t STACK = 128 << 10;

// One launch at a time and thread of the system.
struct Scheduler {
    jmp_buf home;
    std::vector<std::unique_ptr<Fibre>> fibres;
    const std::function<void()> *body = nullptr;
    unsigned current = 0;
    // Counts what brings threads on: barriers passed, threads ended.
    uint64_t progress = 0;
};
inline thread_local Scheduler scheduler;

inline __attribute__((noinline)) void yield() {
    const unsigned self = scheduler.current;
    if (_setjmp(scheduler.fibres[self]->place) == 0)
        _longjmp(scheduler.home, 1);
    thread_index = {self, 0, 0};
}

class Barrier {
  public:
    void reset(unsigned expected) {
        if (arrived_ != 0)
            fail("a block ended while threads waited at a barrier");
        expected_ = expected;
    }
    void wait() {
        const unsigned generation = generation_;
        if (++arrived_ == expected_) {
            arrived_ = 0;
            ++generation_;
            ++scheduler.progress;
        } else {
            while (generation_ == generation)
                yield();
        }
    }

  private:
    unsigned expected_ = 0, arrived_ = 0, generation_ = 0;
};

inline thread_local Barrier block_barrier, warp_barriers[MOST / WARP];

inline void enter() {
    for (;;) {
        (*scheduler.body)();
        scheduler.fibres[scheduler.current]->ended = true;
        ++scheduler.progress;
        yield();
    }
}

// Lets a fibre go on until it waits or ends.
inline __attribute__((noinline)) void resume(unsigned thread) {
    Fibre &fibre = *scheduler.fibres[thread];
    scheduler.current = thread;
    thread_index = {thread, 0, 0};
    if (_setjmp(scheduler.home) != 0)
        return;
    if (fibre.started)
        _longjmp(fibre.place, 1);
    fibre.started = true;
    getcontext(&fibre.context);
    fibre.context.uc_stack.ss_sp = fibre.stack.get();
    fibre.context.uc_stack.ss_size = STACK;
    fibre.context.uc_link = nullptr;
    makecontext(&fibre.context, enter, 0);
    setcontext(&fibre.context);
}

inline void run_block(unsigned threads) {
    block_barrier.reset(threads);
    for (unsigned warp = 0; warp * WARP < threads; ++warp)
        warp_barriers[warp].reset(threads - warp * WARP < WARP ? threads - warp * WARP : WARP);
    for (unsigned thread = 0; thread < threads; ++thread)
        scheduler.fibres[thread]->ended = false;
    for (bool left = true; left;) {
        left = false;
        const uint64_t before = scheduler.progress;
        for (unsigned thread = 0; thread < threads; ++thread) {
            if (scheduler.fibres[thread]->ended)
                continue;
            left = true;
            resume(thread);
        }
        if (left && scheduler.progress == before)
            fail("a barrier that not all threads of the block reach");
    }
}

inline void run(dim3 grid, unsigned threads, const std::function<void()> &body) {
    while (scheduler.fibres.size() < threads) {
        auto fibre = std::make_unique<Fibre>();
        fibre->stack = std::make_unique<char[]>(STACK);
        scheduler.fibres.push_back(std::move(fibre));
    }
    scheduler.body = &body;
    block_size = {threads, 1, 1};
    grid_size = grid;
    for (unsigned z = 0; z < grid.z; ++z)
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x) {
                block_index = {x, y, z};
                run_block(threads);
            }
}

} // namespace host
#endif

#define threadIdx host::thread_index
#define blockIdx host::block_index
#define blockDim host::block_size
#define gridDim host::grid_size

inline void __syncthreads() { host::block_barrier.wait(); }
inline void __syncwarp() { host::warp_barriers[threadIdx.x / host::WARP].wait(); }
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

inline unsigned atomicAdd(unsigned *place, unsigned value) {
    return __atomic_fetch_add(place, value, __ATOMIC_SEQ_CST);
}

template <typename T> T __shfl_down_sync(unsigned, T value, unsigned distance) {
    __shared__ T slots[host::MOST];
    const unsigned self = threadIdx.x;
    slots[self] = value;
    __syncwarp();
    const bool inside = self % host::WARP + distance < host::WARP && self + distance < blockDim.x;
    const T found = inside ? slots[self + distance] : value;
    __syncwarp();
    return found;
}

// The roundings and products of tensor.cuh and number.cuh. A sum is added word by word in the order of the depth; a GPU
// promises no order.
inline unsigned pack_bf16(float low, float high) {
    auto half = [](float value) -> unsigned {
        const unsigned bits = __float_as_uint(value);
        if (value != value)
            return 0x7fff;
        return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    };
    return half(low) | half(high) << 16;
}
inline unsigned round_tf32(float value) {
    const unsigned bits = __float_as_uint(value);
    if (value != value)
        return 0x7fffffff;
    return (bits + 0x1000) & 0xffffe000u;
}

template <typename Product>
void host_multiply_add(float (&sums)[4], const unsigned (&left)[4], const unsigned (&right)[2], Product product) {
    __shared__ unsigned lefts[host::MOST][4], rights[host::MOST][2];
    const unsigned self = threadIdx.x, first = self / host::WARP * host::WARP, lane = self % host::WARP;
    if (blockDim.x % host::WARP != 0)
        host::fail("a tensor core needs whole warps");
    for (int i = 0; i < 4; ++i)
        lefts[self][i] = left[i];
    for (int i = 0; i < 2; ++i)
        rights[self][i] = right[i];
    __syncwarp();
    for (int i = 0; i < 4; ++i) {
        const unsigned row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
        for (unsigned word = 0; word < 8; ++word) {
            const unsigned a = lefts[first + row % 8 * 4 + word % 4][row / 8 + 2 * (word / 4)];
            const unsigned b = rights[first + column * 4 + word % 4][word / 4];
            product(sums[i], a, b);
        }
    }
    __syncwarp();
}
inline void multiply_add_tf32(float (&sums)[4], const unsigned (&left)[4], const unsigned (&right)[2]) {
    host_multiply_add(sums, left, right, [](float &sum, unsigned a, unsigned b) {
        if (((a | b) & 0x1fff) != 0 && __uint_as_float(a) == __uint_as_float(a) && __uint_as_float(b) == __uint_as_float(b))
            host::fail("an operand that is not rounded to TF32");
        sum = std::fma(__uint_as_float(a), __uint_as_float(b), sum);
    });
}
inline void multiply_add_bf16(float (&sums)[4], const unsigned (&left)[4], const unsigned (&right)[2]) {
    host_multiply_add(sums, left, right, [](float &sum, unsigned a, unsigned b) {
        sum = std::fma(__uint_as_float(a << 16), __uint_as_float(b << 16), sum);
        sum = std::fma(__uint_as_float(a & 0xffff0000u), __uint_as_float(b & 0xffff0000u), sum);
    });
}

inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}

// A kernel with one argument, and the function that a test launches it by.
#define KERNEL(name, threads, Arguments)                                                                               \
    static void name##_body(const Arguments &a);                                                                       \
    extern "C" int name(unsigned x, unsigned y, unsigned z, unsigned block, const Arguments *arguments,                \
                        size_t size) {                                                                                 \
        if (size != sizeof(Arguments) || block != threads)                                                             \
            return 1;                                                                                                  \
        const Arguments copy = *arguments;                                                                             \
        host::run({x, y, z}, block, [&] { name##_body(copy); });                                                       \
        return 0;                                                                                                      \
    }                                                                                                                  \
    static void name##_body(const Arguments &a)
#define KERNEL_SHARING(name, threads, blocks, Arguments) KERNEL(name, threads, Arguments)
