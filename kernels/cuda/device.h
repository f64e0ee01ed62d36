/* What a kernel source may use beside plain C++ and CUDA's own names for warps and threads: launches, shared memory, the
 * two half types, and a few atomics.
 *
 * Kernels include <cuda/device.h> and <cuda/mma.h>, in angle brackets, so that the include path decides: nvcc finds
 * kernels/cuda/ (-I kernels), and a host compiler finds tests/cuda_host/include/cuda/ first, where the same names are
 * written for the emulator.  So no raw <<<>>>, __shared__ or PTX outside these two headers.
 *
 *   VR_LAUNCH(kernel, grid, block, smem, stream, args...)   a template kernel in brackets: (k<64, 4>)
 *   VR_ALLOW_SMEM(kernel, bytes)                            before more than 48 KiB of dynamic shared memory; a cudaError_t
 *   VR_SHARED(float, sum, [8][4]);                          static shared memory
 *   VR_DYNAMIC_SHARED(half_t, tile);                        what the launch asked for; half_t *tile, aligned to 128
 *   half_t, bf16_t                                          16 bits each; no operators
 *   to_float(x), from_float<T>(f)                           for float, half_t, bf16_t; to nearest, ties to even
 *   pack2<T>(lo, hi), unpack2<T>(u)                         two of them in a register, `lo` in the low bits
 * Shuffles and votes have no width argument (16 lanes are two masks): __shfl_sync, _xor_, _up_, _down_, __ballot_sync,
 * __any_sync, __all_sync.  Atomics: atomicAdd, atomicMax, atomicMin, atomicExch, atomicCAS on int, unsigned and unsigned
 * long long (Add on float too), and atomic_max_float. */
#ifndef VR_CUDA_DEVICE_H
#define VR_CUDA_DEVICE_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>
#include <string.h>

#include <cuda/watch.h>

#define VR_FN static __device__ __forceinline__

typedef __half        half_t;
typedef __nv_bfloat16 bf16_t;

VR_FN float  to_float(float f) { return f; }
VR_FN float  to_float(half_t h) { return __half2float(h); }
VR_FN float  to_float(bf16_t h) { return __bfloat162float(h); }
VR_FN half_t to_half(float f) { return __float2half_rn(f); }
VR_FN bf16_t to_bf16(float f) { return __float2bfloat16_rn(f); }

template <class T> VR_FN T                    from_float(float f);
template <> __device__ __forceinline__ float  from_float<float>(float f) { return f; }
template <> __device__ __forceinline__ half_t from_float<half_t>(float f) { return to_half(f); }
template <> __device__ __forceinline__ bf16_t from_float<bf16_t>(float f) { return to_bf16(f); }

template <class T = half_t> VR_FN unsigned pack2(float lo, float hi)
{
    const T  two[2] = {from_float<T>(lo), from_float<T>(hi)};
    unsigned u;
    memcpy(&u, two, 4);
    return u;
}
template <> __device__ __forceinline__ unsigned pack2<half_t>(float lo, float hi)
{
    const __half2 two = __floats2half2_rn(lo, hi);
    unsigned      u;
    memcpy(&u, &two, 4);
    return u;
}
template <> __device__ __forceinline__ unsigned pack2<bf16_t>(float lo, float hi)
{
    const __nv_bfloat162 two = __floats2bfloat162_rn(lo, hi);
    unsigned             u;
    memcpy(&u, &two, 4);
    return u;
}
template <class T = half_t> VR_FN float2 unpack2(unsigned u)
{
    T two[2];
    memcpy(two, &u, 4);
    return make_float2(to_float(two[0]), to_float(two[1]));
}

/* A NaN is never taken: as fmaxf. */
VR_FN void atomic_max_float(float *p, float v)
{
    int seen = *(volatile int *)p;
    while (__int_as_float(seen) < v) {
        const int before = atomicCAS((int *)p, seen, __float_as_int(v));
        if (before == seen) return;
        seen = before;
    }
}

#define VR_DYNAMIC_SHARED(type, name)                                   \
    extern __shared__ __align__(128) unsigned char vr_dynamic_shared[]; \
    type *const                                    name = (type *)vr_dynamic_shared
#define VR_SHARED(type, name, ...) __shared__ type name __VA_ARGS__
#define VR_ALLOW_SMEM(kernel, bytes) \
    cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)(bytes))
#define VR_LAUNCH(kernel, grid, block, smem, stream, ...)   \
    do {                                                    \
        vr_watch_from(#kernel, stream);                     \
        kernel<<<grid, block, smem, stream>>>(__VA_ARGS__); \
        vr_watch_to(stream);                                \
    } while (0)

#endif
