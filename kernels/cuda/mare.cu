/* mare.cu: the way back from a reduction.  A block makes 64 of an image's tokens, 64 channels of them; those that were
 * spread over several destinations are a product of their columns of the weights. */
#include "reduce.cuh"

/* An image's part of a trace. */
typedef struct {
    int          first, n, to, M, N; /* tokens before; first row after; the weights are [M, N] */
    const float *weight;
} mare_image;

/* Columns of the weights; 0 for a token that was not spread. */
struct spread_tokens {
    enum { ALONG = false };
    const vr_trace   &trace;
    const mare_image &m;
    int               from;
    __device__ float operator()(int line, int term) const
    {
        const int t = from + line;
        if (t >= m.n || trace.row[m.first + t] != VR_SPREAD) return 0;
        return m.weight[(size_t)term * (size_t)m.N + (size_t)trace.column[m.first + t]];
    }
};

/* What became of the destinations, each split among its parts if that is asked. */
template <class T> struct destinations {
    enum { ALONG = false };
    const vr_trace   &trace;
    const mare_image &m;
    cells<T>          y;
    int               col;
    bool              split;
    __device__ float operator()(int line, int term) const
    {
        const int row = m.to + trace.prefix + term;
        if (col + line >= y.cols) return 0;
        const float value = to_float(y.row(row)[col + line]);
        return split ? value / trace.total[row] : value;
    }
};

template <class T>
__global__ void __launch_bounds__(CREW) mare_kernel(cells<T> x, cells<T> y, vr_trace trace, bool split)
{
    VR_SHARED(product_room, room, [1]);
    const int  tid = (int)threadIdx.x, image = (int)blockIdx.x, from = (int)blockIdx.y * TILE, col = (int)blockIdx.z * TILE;
    const int  first = trace.in_offsets[image], M = trace.destinations[image];
    const auto at = trace.weights_at[image];
    const int  N = M > 0 ? (int)((trace.weights_at[image + 1] - at) / (size_t)M) : 0;
    const mare_image m = {first, trace.in_offsets[image + 1] - first, trace.out_offsets[image], M, N, trace.weight + at};
    if (from >= m.n) return;
    float                 sum[4][4] = {};
    const spread_tokens   left = {trace, m, from};
    const destinations<T> right = {trace, m, y, col, split};
    if (N > 0) product(sum, room[0], left, right, M);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            const int t = from + tid / 16 * 4 + i, c = col + tid % 16 * 4 + j;
            if (t >= m.n || c >= x.cols) continue;
            const int   row = trace.row[m.first + t];
            const float mass = split ? trace.mass[m.first + t] : 1;
            float       value = 0;
            if (row == VR_SPREAD) value = mass * sum[i][j];
            if (row >= 0) value = (split ? mass / trace.total[m.to + row] : 1) * to_float(y.row(m.to + row)[c]);
            x.row(m.first + t)[c] = from_float<T>(value);
        }
}

size_t vr_gpu_mare_scratch(const vr_limits *most)
{
    (void)most;
    return 0;
}

template <class T>
static cudaError_t mare(const vr_gpu *gpu, vr_mat x, vr_mat y, const vr_trace *trace, int longest_in, vr_mare mode)
{
    const dim3 grid((unsigned)trace->images, (unsigned)((longest_in + TILE - 1) / TILE), (unsigned)((x.cols + TILE - 1) / TILE));
    if (grid.x == 0 || grid.y == 0) return cudaSuccess;
    VR_LAUNCH(mare_kernel<T>, grid, dim3(CREW), 0, gpu->stream, cells_of<T>(x), cells_of<T>(y), *trace, mode == VR_MARE_PAPER);
    return cudaGetLastError();
}

cudaError_t vr_gpu_mare(const vr_gpu *gpu, vr_mat x, vr_mat y, const vr_trace *trace, int longest_in, int longest_out,
                        vr_mare mode, void *scratch)
{
    (void)longest_out, (void)scratch;
    switch (x.type) {
    case VR_F16:
        return mare<half_t>(gpu, x, y, trace, longest_in, mode);
    case VR_BF16:
        return mare<bf16_t>(gpu, x, y, trace, longest_in, mode);
    default:
        return mare<float>(gpu, x, y, trace, longest_in, mode);
    }
}
