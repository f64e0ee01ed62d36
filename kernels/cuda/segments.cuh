/* segments.cuh: what kernels over ragged batches share: matrices of a known type, sums over a block, and where an image's
 * part of an array begins. */
#ifndef VR_CUDA_SEGMENTS_CUH
#define VR_CUDA_SEGMENTS_CUH

#include <cuda/device.h>

#include "launch.h"

/* 16 bytes of elements, moved at once. */
template <class T> struct alignas(16) wide {
    enum { COUNT = 16 / sizeof(T) };
    T x[COUNT];
};

/* A vr_mat whose element type is known. */
template <class T> struct cells {
    T            *data;
    int           cols;
    size_t        stride;
    bool          whole; /* every row is a number of wides, aligned */
    __device__ T *row(int r) const { return data + (size_t)r * stride; }
    __device__ wide<T> *wide_row(int r) const { return (wide<T> *)(void *)row(r); }
};
template <class T> static cells<T> cells_of(vr_mat m)
{
    const bool whole = m.cols % wide<T>::COUNT == 0 && m.stride % wide<T>::COUNT == 0 && (uintptr_t)m.data % 16 == 0;
    return {(T *)(void *)m.data, m.cols, m.stride, whole};
}

/* The sum of every thread's value, given to all; the same order of additions whatever runs first.
 *   room  [blockDim.x / 32] shared memory that nobody else uses before the next barrier */
template <class T> static __device__ T block_sum(T value, T *room)
{
    for (int by = 16; by > 0; by /= 2) value += __shfl_xor_sync(~0u, value, by);
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = value;
    __syncthreads();
    T sum = 0;
    for (unsigned w = 0; w < blockDim.x / 32; w++) sum += room[w];
    return sum;
}

/* The sum of of(0) .. of(image - 1): where an image's output begins, if of() says how much each image has. */
template <class T, class F> static __device__ T sum_before(int image, T *room, F of)
{
    T sum = 0;
    for (int b = (int)threadIdx.x; b < image; b += (int)blockDim.x) sum += of(b);
    return block_sum(sum, room);
}

/* The sum of the values of all threads before this one.  room [blockDim.x / 32], at most 32, as above. */
VR_FN int block_scan(int value, int *room)
{
    const int lane = (int)threadIdx.x % 32;
    int       upto = value;
    for (int by = 1; by < 32; by *= 2) {
        const int below = __shfl_up_sync(~0u, upto, by);
        if (lane >= by) upto += below;
    }
    if (lane == 31) room[threadIdx.x / 32] = upto;
    __syncthreads();
    int before = 0;
    for (unsigned w = 0; w < threadIdx.x / 32; w++) before += room[w];
    return before + upto - value;
}

#endif
