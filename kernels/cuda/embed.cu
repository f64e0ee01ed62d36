/* embed.cu: pictures to rows of patches, and what is added to them after the product with the first weight. */
#include "rows.cuh"

enum { THREADS = 128 };

/* The picture that owns row `row`. */
static __device__ vr_gpu_picture picture_at(const vr_gpu_picture *pictures, int images, int row)
{
    int low = 0, high = images; /* it is in low .. high - 1 */
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (pictures[middle].first <= row)
            low = middle;
        else
            high = middle;
    }
    return pictures[low];
}

/* A table, not its formula: a product and a sum that are rounded once would not be the CPU's. */
static __device__ float pixel_of(const vr_gpu_picture &p, int channel, size_t row, size_t col, const float *normal)
{
    const size_t at = row * (size_t)p.width + col;
    return p.pixels ? p.pixels[(size_t)channel * (size_t)p.height * (size_t)p.width + at]
                    : normal[256 * channel + p.rgb[3 * at + (size_t)channel]];
}

/* A block a token. */
template <class T>
static __global__ void unfold(vr_view<T> to, const vr_gpu_picture *pictures, int images, int prefix, int patch,
                              const float *normal)
{
    const int            row = (int)blockIdx.x;
    const vr_gpu_picture p = picture_at(pictures, images, row);
    const int            number = row - p.first - prefix, across = p.width / patch;
    const size_t         top = (size_t)(number / across) * (size_t)patch, left = (size_t)(number % across) * (size_t)patch;
    T                   *out = row_of(to, row);
    for (int c = (int)threadIdx.x; c < to.cols; c += THREADS) {
        const int channel = c / (patch * patch), down = c / patch % patch, right = c % patch;
        out[c] = from_float<T>(number < 0 ? 0 : pixel_of(p, channel, top + (size_t)down, left + (size_t)right, normal));
    }
}

template <class T>
static __global__ void place(vr_view<T> x, const vr_gpu_picture *pictures, int images, int prefix, const float *prefix_tokens)
{
    const int            row = (int)blockIdx.x;
    const vr_gpu_picture p = picture_at(pictures, images, row);
    const int            token = row - p.first;
    T                   *out = row_of(x, row);
    const float         *add = token < prefix ? prefix_tokens + (size_t)token * (size_t)x.cols
                                              : p.positions + (size_t)(token - prefix) * (size_t)x.cols;
    for (int c = (int)threadIdx.x; c < x.cols; c += THREADS)
        out[c] = from_float<T>(token < prefix ? add[c] : to_float(out[c]) + add[c]);
}

extern "C" cudaError_t vr_gpu_unfold(const vr_gpu *gpu, vr_mat to, const vr_gpu_picture *pictures, int images, int prefix,
                                     int patch, const float *normal)
{
    if (to.rows == 0) return cudaSuccess;
    VR_FOR_TYPE(to, VR_LAUNCH((unfold<T>), (unsigned)to.rows, THREADS, 0, gpu->stream, view_of<T>(to), pictures, images, prefix,
                              patch, normal));
    return vr_gpu_launched(gpu, "unfold");
}

extern "C" cudaError_t vr_gpu_place(const vr_gpu *gpu, vr_mat x, const vr_gpu_picture *pictures, int images, int prefix,
                                    const float *prefix_tokens)
{
    if (x.rows == 0) return cudaSuccess;
    VR_FOR_TYPE(x, VR_LAUNCH((place<T>), (unsigned)x.rows, THREADS, 0, gpu->stream, view_of<T>(x), pictures, images, prefix,
                             prefix_tokens));
    return vr_gpu_launched(gpu, "place");
}
