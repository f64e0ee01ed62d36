/* pool.cu: one row an image, and rows picked by number. */
#include "rows.cuh"

enum { THREADS = 64 };

/* A thread a column of an image.  In double, as on the CPU: a few hundred numbers of one sign lose digits. */
template <class T>
static __global__ void pool(vr_view<T> y, vr_view<T> x, const int *offsets, vr_pool_kind kind, int row, int prefix,
                            const float *size, const int *patches)
{
    const int c = (int)(blockIdx.x * THREADS + threadIdx.x), image = (int)blockIdx.y;
    const int first = offsets[image], end = offsets[image + 1];
    if (c >= x.cols) return;
    T *out = row_of(y, image) + c;
    if (kind != VR_POOL_MEAN) *out = row_of(x, first + row)[c];
    if (kind == VR_POOL_ROW) return;
    double sum = 0, total = 0;
    for (int r = first + prefix; r < end; r++) {
        const double weight = size ? (double)size[r] : 1;
        total += weight;
        sum += weight * (double)to_float(row_of(x, r)[c]);
    }
    if (patches) total = patches[image];
    out[kind == VR_POOL_CLASS_MEAN ? x.cols : 0] = from_float<T>(end > first + prefix ? (float)(sum / total) : 0);
}

template <class T> static __global__ void gather(vr_view<T> y, vr_view<T> x, const int *index)
{
    const T *in = row_of(x, index[blockIdx.x]);
    T       *out = row_of(y, (int)blockIdx.x);
    for (int c = (int)threadIdx.x; c < y.cols; c += THREADS) out[c] = in[c];
}

extern "C" cudaError_t vr_gpu_pool(const vr_gpu *gpu, vr_mat y, vr_mat x, const int *offsets, vr_pool_kind kind, int row,
                                   int prefix, const float *size, const int *patches)
{
    const int from = kind == VR_POOL_ROW ? row : 0;
    if (y.rows == 0) return cudaSuccess;
    VR_FOR_TYPE(x, VR_LAUNCH((pool<T>), dim3(row_blocks(x.cols, THREADS), (unsigned)y.rows), THREADS, 0, gpu->stream,
                             view_of<T>(y), view_of<T>(x), offsets, kind, from, prefix, size, patches));
    return vr_gpu_launched(gpu, "pool");
}

extern "C" cudaError_t vr_gpu_gather(const vr_gpu *gpu, vr_mat y, vr_mat x, const int *index)
{
    if (y.rows == 0) return cudaSuccess;
    VR_FOR_TYPE(x, VR_LAUNCH((gather<T>), (unsigned)y.rows, THREADS, 0, gpu->stream, view_of<T>(y), view_of<T>(x), index));
    return vr_gpu_launched(gpu, "gather");
}
