/* kernels/cuda/device.h for the emulator: the same names, written for a host compiler. */
#ifndef VR_HOST_DEVICE_H
#define VR_HOST_DEVICE_H

#include "../../emulator.h"
#include "../../fake.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <cuda/watch.h>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define VR_FN        static __attribute__((unused))

#define VR_DYNAMIC_SHARED(type, name) type *const name = (type *)vr_emu::shared(0, 0)
#define VR_SHARED(type, name, ...)    \
    static const char name##_key = 0; \
    type(&name) __VA_ARGS__ = *(type(*) __VA_ARGS__)vr_emu::shared(&name##_key, sizeof(type __VA_ARGS__))
#define VR_ALLOW_SMEM(kernel, bytes) \
    cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)(bytes))
#define VR_LAUNCH(kernel, grid, block, smem, stream, ...)                                     \
    do {                                                                                      \
        vr_watch_from(#kernel, stream);                                                       \
        vr_fake::launch({#kernel, grid, block, (size_t)(smem)}, stream, kernel, __VA_ARGS__); \
        vr_watch_to(stream);                                                                  \
    } while (0)

#define VR_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

template <class T> T vr_shuffle(unsigned mask, T v, int source, const char *op, vr_emu::where w)
{
    struct slot {
        T   v;
        int source;
    } mine = {v, source};
    vr_emu::together(
        mask, op, mine,
        [=](slot **all) {
            T now[32];
            for (int i = 0; i < 32; i++)
                if (mask >> i & 1) now[i] = all[i]->v;
            for (int i = 0; i < 32; i++) {
                if (!(mask >> i & 1)) continue;
                if (!(mask >> all[i]->source & 1))
                    vr_emu::fail("%s reads lane %d, which is not in the mask (%s:%d)", op, all[i]->source, w.file, w.line);
                all[i]->v = now[all[i]->source];
            }
        },
        w);
    return mine.v;
}
inline unsigned vr_vote(unsigned mask, bool yes, const char *op, vr_emu::where w)
{
    unsigned mine = yes;
    vr_emu::together(
        mask, op, mine,
        [=](unsigned **all) {
            unsigned votes = 0;
            for (int i = 0; i < 32; i++)
                if (mask >> i & 1) votes |= *all[i] << i;
            for (int i = 0; i < 32; i++)
                if (mask >> i & 1) *all[i] = votes;
        },
        w);
    return mine;
}

inline void __syncthreads(VR_HERE) { vr_emu::barrier("__syncthreads", {file, line}); }
inline void __syncwarp(unsigned mask = ~0u, VR_HERE)
{
    int none = 0;
    vr_emu::together(mask, "__syncwarp", none, [](int **) {}, {file, line});
}
template <class T> T __shfl_sync(unsigned mask, T v, int lane, VR_HERE)
{
    return vr_shuffle(mask, v, lane & 31, "__shfl_sync", {file, line});
}
template <class T> T __shfl_xor_sync(unsigned mask, T v, int bits, VR_HERE)
{
    return vr_shuffle(mask, v, (vr_emu::lane() ^ bits) & 31, "__shfl_xor_sync", {file, line});
}
template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned by, VR_HERE)
{
    const int l = vr_emu::lane(), from = l + (int)by;
    return vr_shuffle(mask, v, from < 32 ? from : l, "__shfl_down_sync", {file, line});
}
template <class T> T __shfl_up_sync(unsigned mask, T v, unsigned by, VR_HERE)
{
    const int l = vr_emu::lane(), from = l - (int)by;
    return vr_shuffle(mask, v, from >= 0 ? from : l, "__shfl_up_sync", {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int yes, VR_HERE)
{
    return vr_vote(mask, yes != 0, "__ballot_sync", {file, line});
}
inline int __any_sync(unsigned mask, int yes, VR_HERE) { return vr_vote(mask, yes != 0, "__any_sync", {file, line}) != 0; }
inline int __all_sync(unsigned mask, int yes, VR_HERE) { return vr_vote(mask, yes != 0, "__all_sync", {file, line}) == mask; }

// Atomic between host threads too; blocks of one launch never run at the same time.
template <class T, class F> inline T vr_atomic(T *p, F change)
{
    vr_emu::unseen u;
    T              seen, next;
    __atomic_load(p, &seen, __ATOMIC_RELAXED);
    do next = change(seen);
    while (!__atomic_compare_exchange(p, &seen, &next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return seen;
}
template <class T> struct vr_same { // the argument converts, the pointer decides
    typedef T type;
};
template <class T> inline T atomicAdd(T *p, typename vr_same<T>::type v)
{
    return vr_atomic(p, [=](T old) { return (T)(old + v); });
}
template <class T> inline T atomicMax(T *p, typename vr_same<T>::type v)
{
    static_assert(T(1) / 2 == 0, "CUDA has it for whole numbers only: atomic_max_float");
    return vr_atomic(p, [=](T old) { return old < v ? v : old; });
}
template <class T> inline T atomicMin(T *p, typename vr_same<T>::type v)
{
    static_assert(T(1) / 2 == 0, "CUDA has it for whole numbers only");
    return vr_atomic(p, [=](T old) { return v < old ? v : old; });
}
template <class T> inline T atomicExch(T *p, typename vr_same<T>::type v)
{
    return vr_atomic(p, [=](T) { return v; });
}
template <class T> inline T atomicCAS(T *p, typename vr_same<T>::type expected, typename vr_same<T>::type v)
{
    return vr_atomic(p, [=](T old) { return old == expected ? v : old; });
}
inline void atomic_max_float(float *p, float v)
{
    vr_atomic(p, [=](float old) { return old < v ? v : old; });
}

template <class T> inline T min(T a, T b) { return b < a ? b : a; }
template <class T> inline T max(T a, T b) { return a < b ? b : a; }
template <class T> inline T __ldg(const T *p) { return *p; }
inline int                  __popc(unsigned u) { return __builtin_popcount(u); }
inline int                  __popcll(unsigned long long u) { return __builtin_popcountll(u); }
inline int                  __ffs(int i) { return __builtin_ffs(i); }
inline int                  __clz(int i) { return i ? __builtin_clz((unsigned)i) : 32; }

inline float    __uint_as_float(unsigned u) { return __builtin_bit_cast(float, u); }
inline float    __int_as_float(int i) { return __builtin_bit_cast(float, i); }
inline unsigned __float_as_uint(float f) { return __builtin_bit_cast(unsigned, f); }
inline int      __float_as_int(float f) { return __builtin_bit_cast(int, f); }

inline float rsqrtf(float f) { return 1 / sqrtf(f); }
inline float __expf(float f) { return expf(f); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fadd_rn(float a, float b) { return a + b; } // never contracted into an FMA
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float f) { return sqrtf(f); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }

struct half_t {
    uint16_t bits;
};
struct bf16_t {
    uint16_t bits;
};

inline float to_float(float f) { return f; }
inline float to_float(half_t h)
{
    const uint32_t sign = (uint32_t)(h.bits & 0x8000) << 16, rest = (uint32_t)(h.bits & 0x7fff) << 13;
    if (rest >= 0x7c00u << 13) return __uint_as_float(sign | 0x7f800000 | rest);
    return __uint_as_float(sign | __float_as_uint(__uint_as_float(rest) * 0x1p112f)); // float's own product handles subnormals
}
inline half_t to_half(float f) // to nearest, ties to even; NaN stays NaN
{
    const uint32_t u = __float_as_uint(f), s = u >> 16 & 0x8000, m = u & 0x7fffffff;
    if (m > 0x7f800000) return {(uint16_t)(s | 0x7e00)};
    if (m >= 0x477ff000) return {(uint16_t)(s | 0x7c00)};
    if (m < 0x38800000) // subnormal: float's own addition rounds it
        return {(uint16_t)(s | (__float_as_uint(__uint_as_float(m) + 0.5f) - 0x3f000000))};
    return {(uint16_t)(s | ((m - 0x38000000 + 0xfff + (m >> 13 & 1)) >> 13))};
}
inline float  to_float(bf16_t h) { return __uint_as_float((uint32_t)h.bits << 16); }
inline bf16_t to_bf16(float f)
{
    const uint32_t u = __float_as_uint(f);
    return {(uint16_t)(f != f ? u >> 16 | 64 : (u + 0x7fff + (u >> 16 & 1)) >> 16)};
}

template <class T> T                        from_float(float f);
template <> inline float                    from_float<float>(float f) { return f; }
template <> inline half_t                   from_float<half_t>(float f) { return to_half(f); }
template <> inline bf16_t                   from_float<bf16_t>(float f) { return to_bf16(f); }
template <class T = half_t> inline unsigned pack2(float lo, float hi)
{
    return from_float<T>(lo).bits | (unsigned)from_float<T>(hi).bits << 16;
}
template <class T = half_t> inline float2 unpack2(unsigned u)
{
    return {to_float(T{(uint16_t)u}), to_float(T{(uint16_t)(u >> 16)})};
}

#endif
