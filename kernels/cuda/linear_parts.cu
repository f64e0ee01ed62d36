/* linear_parts.cu: what stands before and after cuBLASLt's product: weights made ready, and the exact GELU, which cuBLASLt
 * has only in its tanh form. */
#include "rows.cuh"

enum { THREADS = 256, STEPS = 4 /* elements of a row that a thread takes */ };

template <class T> static __global__ void gelu(vr_view<T> y)
{
    T *row = row_of(y, (int)blockIdx.y);
    for (int i = 0; i < STEPS; i++) {
        const int c = ((int)blockIdx.x * STEPS + i) * THREADS + (int)threadIdx.x;
        if (c >= y.cols) return;
        const float x = to_float(row[c]);
        row[c] = from_float<T>(0.5f * x * (1 + erff(x * 0.707106781186547524f)));
    }
}

template <class T> static __global__ void convert(vr_view<T> to, vr_view<float> from)
{
    const int c = (int)(blockIdx.x * THREADS + threadIdx.x), row = (int)blockIdx.y;
    if ((size_t)c < to.stride) row_of(to, row)[c] = from_float<T>(c < from.cols ? row_of(from, row)[c] : 0);
}

/* A grid has at most 65,535 blocks in its second direction. */
enum { ROWS_MOST = 65535 };

static dim3 grid_of(size_t cols, int rows, int of_a_block)
{
    return dim3((unsigned)((cols + (size_t)of_a_block - 1) / (size_t)of_a_block), (unsigned)rows);
}

static int part_of(int rows, int from) { return rows - from < ROWS_MOST ? rows - from : ROWS_MOST; }

extern "C" cudaError_t vr_gpu_gelu(const vr_gpu *gpu, vr_mat y)
{
    for (int from = 0; from < y.rows; from += ROWS_MOST) {
        const vr_mat part = vr_mat_rows(y, from, part_of(y.rows, from));
        const dim3   grid = grid_of((size_t)y.cols, part.rows, THREADS * STEPS);
        VR_FOR_TYPE(y, VR_LAUNCH((gelu<T>), grid, THREADS, 0, gpu->stream, view_of<T>(part)));
    }
    return vr_gpu_launched(gpu, "gelu");
}

extern "C" cudaError_t vr_gpu_convert(const vr_gpu *gpu, vr_mat to, vr_mat from)
{
    for (int at = 0; at < to.rows; at += ROWS_MOST) {
        const vr_mat part = vr_mat_rows(to, at, part_of(to.rows, at)), source = vr_mat_rows(from, at, part.rows);
        const dim3   grid = grid_of(to.stride, part.rows, THREADS);
        VR_FOR_TYPE(to, VR_LAUNCH((convert<T>), grid, THREADS, 0, gpu->stream, view_of<T>(part), view_of<float>(source)));
    }
    return vr_gpu_launched(gpu, "convert");
}
