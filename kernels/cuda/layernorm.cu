/* layernorm.cu: a warp a row.  A row is read once into registers where it fits there; mean and variance are two passes
 * over it in f32. */
#include "rows.cuh"

enum { WARPS = 4 };

/* N elements of memory at once. */
template <class T, int N> struct alignas(sizeof(T) * N) pack {
    T x[N];
};

/* LOADS packs of N a lane; the row has at most 32 N LOADS columns, a multiple of N. */
template <class T, int N, int LOADS>
static __global__ void __launch_bounds__(32 * WARPS)
    norm_in_registers(vr_view<T> y, vr_view<T> x, const float *weight, const float *bias, float eps)
{
    const int row = (int)(blockIdx.x * WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    if (row >= x.rows) return;
    const T *in = row_of(x, row);
    T       *out = row_of(y, row);
    float    v[LOADS][N], sum = 0, squares = 0;
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
        const int c = (i * 32 + lane) * N;
        if (c >= x.cols) continue;
        const pack<T, N> p = *(const pack<T, N> *)(in + c);
#pragma unroll
        for (int j = 0; j < N; j++) sum += v[i][j] = to_float(p.x[j]);
    }
    const float mean = warp_sum(sum) / (float)x.cols;
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
        if ((i * 32 + lane) * N >= x.cols) continue;
#pragma unroll
        for (int j = 0; j < N; j++) {
            v[i][j] -= mean;
            squares += v[i][j] * v[i][j];
        }
    }
    const float scale = 1 / sqrtf(warp_sum(squares) / (float)x.cols + eps);
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
        const int c = (i * 32 + lane) * N;
        if (c >= x.cols) continue;
        pack<T, N> p;
#pragma unroll
        for (int j = 0; j < N; j++) p.x[j] = from_float<T>(v[i][j] * scale * weight[c + j] + bias[c + j]);
        *(pack<T, N> *)(out + c) = p;
    }
}

/* Any row, read three times. */
template <class T>
static __global__ void __launch_bounds__(32 * WARPS)
    norm_any(vr_view<T> y, vr_view<T> x, const float *weight, const float *bias, float eps)
{
    const int row = (int)(blockIdx.x * WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    if (row >= x.rows) return;
    const T *in = row_of(x, row);
    T       *out = row_of(y, row);
    float    sum = 0, squares = 0;
    for (int c = lane; c < x.cols; c += 32) sum += to_float(in[c]);
    const float mean = warp_sum(sum) / (float)x.cols;
    for (int c = lane; c < x.cols; c += 32) squares += (to_float(in[c]) - mean) * (to_float(in[c]) - mean);
    const float scale = 1 / sqrtf(warp_sum(squares) / (float)x.cols + eps);
    for (int c = lane; c < x.cols; c += 32) out[c] = from_float<T>((to_float(in[c]) - mean) * scale * weight[c] + bias[c]);
}

/* May rows be read N elements at a time? */
static bool in_packs(vr_mat m, size_t n, size_t bytes)
{
    return m.cols % (int)n == 0 && m.stride % n == 0 && (uintptr_t)m.data % bytes == 0;
}

template <class T> static cudaError_t launch(const vr_gpu *gpu, vr_mat y, vr_mat x, const vr_norm *w)
{
    enum { N = 16 / sizeof(T) };
    const unsigned grid = row_blocks(x.rows, WARPS);
    const int      loads = (x.cols + 32 * N - 1) / (32 * N);
    const bool     packs = in_packs(x, N, 16) && in_packs(y, N, 16);
    if (packs && loads <= 2)
        VR_LAUNCH((norm_in_registers<T, N, 2>), grid, 32 * WARPS, 0, gpu->stream, view_of<T>(y), view_of<T>(x), w->weight,
                  w->bias, w->eps);
    else if (packs && loads <= 4)
        VR_LAUNCH((norm_in_registers<T, N, 4>), grid, 32 * WARPS, 0, gpu->stream, view_of<T>(y), view_of<T>(x), w->weight,
                  w->bias, w->eps);
    else if (packs && loads <= 8)
        VR_LAUNCH((norm_in_registers<T, N, 8>), grid, 32 * WARPS, 0, gpu->stream, view_of<T>(y), view_of<T>(x), w->weight,
                  w->bias, w->eps);
    else
        VR_LAUNCH((norm_any<T>), grid, 32 * WARPS, 0, gpu->stream, view_of<T>(y), view_of<T>(x), w->weight, w->bias, w->eps);
    return vr_gpu_launched(gpu, "norm");
}

extern "C" cudaError_t vr_gpu_layernorm(const vr_gpu *gpu, vr_mat y, vr_mat x, const vr_norm *w)
{
    if (x.rows == 0) return cudaSuccess;
    VR_FOR_TYPE(x, return launch<T>(gpu, y, x, w));
}
