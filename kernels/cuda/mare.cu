/* mare.cu: the way back from a reduction.  A block makes 64 of an image's tokens, 64 channels of them; those that were
 * spread over several destinations are a product of their columns of the weights. */
#include "reduce.cuh"

/* An image's part of a trace. */
typedef struct {
    int          first, n, to, M, N; /* tokens before; first row after; the weights are [M, N] */
    const float *weight;
} mare_image;

/* What each token gets of the destinations, split among their parts if that is asked; 0 for one that was not spread. */
template <class T> struct shares {
    enum { ALONG = false };
    const vr_trace   &trace;
    const mare_image &m;
    int               from;
    bool              split;
    __device__ float  operator()(int line, int term) const
    {
        const int t = from + line;
        if (t >= m.n || trace.row[m.first + t] != VR_SPREAD) return 0;
        const float weight = m.weight[(size_t)term * (size_t)m.N + (size_t)trace.column[m.first + t]];
        return split ? weight / trace.total[m.to + trace.prefix + term] : weight;
    }
    __device__ const wide<T> *run(int, int) const { return NULL; }
};

/* What became of the destinations. */
template <class T> struct destinations {
    enum { ALONG = false };
    cells<T>         y;
    int              first, col; /* the row of the first */
    __device__ float operator()(int line, int term) const
    {
        return col + line < y.cols ? to_float(y.row(first + term)[col + line]) : 0.0f;
    }
    __device__ const wide<T> *run(int line, int term) const
    {
        if (!y.whole || col + line >= y.cols) return NULL;
        return y.wide_row(first + term) + (col + line) / wide<T>::COUNT;
    }
};

template <class T> __global__ void __launch_bounds__(CREW, 1) mare_kernel(cells<T> x, cells<T> y, vr_trace trace, bool split)
{
    VR_SHARED(product_room<T>, room, [1]);
    const int        image = (int)blockIdx.x, from = (int)blockIdx.y * TILE, col = (int)blockIdx.z * TILE;
    const int        first = trace.in_offsets[image], M = trace.destinations[image];
    const auto       at = trace.weights_at[image];
    const int        N = M > 0 ? (int)((trace.weights_at[image + 1] - at) / (size_t)M) : 0;
    const mare_image m = {first, trace.in_offsets[image + 1] - first, trace.out_offsets[image], M, N, trace.weight + at};
    if (from >= m.n) return;
    float                 sum[4][4] = {};
    const shares<T>       left = {trace, m, from, split};
    const destinations<T> right = {y, m.to + trace.prefix, col};
    if (N > 0) product(sum, room[0], left, right, M);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            const int t = from + product_left<T>(i, j), c = col + product_right<T>(i, j);
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
    const dim3 grid((unsigned)trace->images, (unsigned)((longest_in + TILE - 1) / TILE),
                    (unsigned)((x.cols + TILE - 1) / TILE));
    if (grid.x == 0 || grid.y == 0) return cudaSuccess;
    VR_LAUNCH(mare_kernel<T>, grid, dim3(CREW), 0, gpu->stream, cells_of<T>(x), cells_of<T>(y), *trace, mode == VR_MARE_PAPER);
    return vr_gpu_launched(gpu, "mare_kernel");
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
