/* rows.cuh: what kernels that go row by row share: the choice of the element type, and a typed view of a matrix. */
#ifndef VR_CUDA_ROWS_CUH
#define VR_CUDA_ROWS_CUH

#include "launch.h"
#include <cuda/device.h>

/* A matrix as a kernel sees it. */
template <class T> struct vr_view {
    T     *data;
    size_t stride;
    int    rows, cols;
};
template <class T> static vr_view<T>    view_of(vr_mat m) { return {(T *)m.data, m.stride, m.rows, m.cols}; }
template <class T> static __device__ T *row_of(vr_view<T> m, int row) { return m.data + (size_t)row * m.stride; }

/* Run the statement with T as the element type of `mat`. */
#define VR_FOR_TYPE(mat, ...)         \
    switch ((mat).type) {             \
    case VR_F32: {                    \
        using T = float;              \
        __VA_ARGS__;                  \
        break;                        \
    }                                 \
    case VR_F16: {                    \
        using T = half_t;             \
        __VA_ARGS__;                  \
        break;                        \
    }                                 \
    case VR_BF16: {                   \
        using T = bf16_t;             \
        __VA_ARGS__;                  \
        break;                        \
    }                                 \
    default:                          \
        return cudaErrorInvalidValue; \
    }

/* Sum over the lanes of a warp, given to all of them in the same order of additions. */
static __device__ float warp_sum(float x)
{
    for (int by = 16; by > 0; by /= 2) x += __shfl_xor_sync(~0u, x, by);
    return x;
}

/* Blocks of `warps` warps, a warp a row. */
static inline unsigned row_blocks(int rows, int warps) { return (unsigned)((rows + warps - 1) / warps); }

#endif
