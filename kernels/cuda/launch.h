/* What the CUDA back end asks of its kernels: every launcher takes a stream, queues at most a few launches, and returns
 * what the launch said, or under VITRUN_SYNC the kernel.  All pointers are device memory unless a comment says otherwise; matrices hold elements of
 * their `type` (VR_F32, VR_F16 or VR_BF16), and every sum is taken in f32 whatever that is.
 *
 * A launcher allocates nothing, waits for nothing and reads nothing back. */
#ifndef VR_CUDA_LAUNCH_H
#define VR_CUDA_LAUNCH_H

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "../backend.h"

/* Where work is queued, and what the device offers. */
typedef struct {
    cudaStream_t stream;
    int          sms;         /* multiprocessors */
    size_t       shared_most; /* bytes of shared memory that one block may ask for */
    bool         sync;        /* wait after each launch */
    const char **launched;    /* the last kernel, by name; NULL: nobody asks */
} vr_gpu;

/* After each launch of `kernel`: what it came to, and under sync what the kernel came to. */
static inline cudaError_t vr_gpu_launched(const vr_gpu *gpu, const char *kernel)
{
    if (gpu->launched) *gpu->launched = kernel;
    const cudaError_t e = cudaGetLastError();
    return e == cudaSuccess && gpu->sync ? cudaStreamSynchronize(gpu->stream) : e;
}
/* The same where it could not even be launched. */
static inline cudaError_t vr_gpu_not_launched(const vr_gpu *gpu, const char *kernel, cudaError_t e)
{
    if (gpu->launched) *gpu->launched = kernel;
    return e;
}

/* Which rows belong to which image. */
typedef struct {
    int        images;
    const int *offsets;       /* [images + 1] */
    int        rows, longest; /* known on the host: rows of all images, and at least those of the longest one */
} vr_segments;

/* The tokens of a batch as a reducer takes and gives them.  Of an output, x.rows, rows and longest are bounds, and the
 * launcher writes offsets. */
typedef struct {
    vr_mat x;
    float *size;    /* [rows] or NULL */
    int   *offsets; /* [images + 1] */
    int    images, prefix, rows, longest;
} vr_gpu_tokens;

/* ---- embed.cu, layernorm.cu, linear_parts.cu, pool.cu: row by row ---- */

/* A picture on the device; as vr_picture. */
typedef struct {
    const float         *pixels; /* NULL: rgb is there */
    const unsigned char *rgb;
    const float         *positions;
    int                  first; /* its first row of x */
    int                  height, width;
} vr_gpu_picture;

/* Patches [x.rows, 3PP] to where their tokens will be, bytes normalised by normal [3, 256]; the rows of special tokens are
 * set to 0. */
cudaError_t vr_gpu_unfold(const vr_gpu *gpu, vr_mat to, const vr_gpu_picture *pictures, int images, int prefix, int patch,
                          const float *normal);
/* x += positions; the rows of special tokens become prefix_tokens [prefix, C]. */
cudaError_t vr_gpu_place(const vr_gpu *gpu, vr_mat x, const vr_gpu_picture *pictures, int images, int prefix,
                         const float *prefix_tokens);
cudaError_t vr_gpu_layernorm(const vr_gpu *gpu, vr_mat y, vr_mat x, const vr_norm *w);
cudaError_t vr_gpu_gelu(const vr_gpu *gpu, vr_mat y);                  /* in place, with erf */
cudaError_t vr_gpu_convert(const vr_gpu *gpu, vr_mat to, vr_mat from); /* from f32; columns of `to` up to its stride become 0 */
cudaError_t vr_gpu_pool(const vr_gpu *gpu, vr_mat y, vr_mat x, const int *offsets, vr_pool_kind kind, int row, int prefix,
                        const float *size, const int *patches); /* as vr_pooling, all on the device */
cudaError_t vr_gpu_gather(const vr_gpu *gpu, vr_mat y, vr_mat x, const int *index);

/* ---- attention.cu ---- */

/* vr_attention; extras may be NULL, and its pointers are device memory. */
cudaError_t vr_gpu_attention(const vr_gpu *gpu, vr_mat y, vr_mat q, vr_mat k, vr_mat v, vr_segments q_rows, vr_segments kv_rows,
                             int heads, const vr_extras *extras);

/* ---- the reducers: vr_mame_merge and its neighbours ----
 *   trace    NULL: nobody asks.  The struct lies on the host, its arrays on the device; the launcher's kernels fill
 *            destinations, weights_at, row, column, mass, total and weight as backend.h says (MaMe's weights are laid out
 *            for every source, kept ones too, just as on the CPU), the back end sees to the rest
 *   scratch  device memory of at least ..._scratch(limits) bytes, aligned to 256 */
size_t      vr_gpu_mame_scratch(const vr_limits *most);
cudaError_t vr_gpu_mame(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, vr_mat feature, const vr_mame *how,
                        const vr_trace *trace, void *scratch);
size_t      vr_gpu_tome_scratch(const vr_limits *most);
cudaError_t vr_gpu_tome(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, vr_mat metric, int r, const vr_trace *trace,
                        void *scratch);
size_t      vr_gpu_evit_scratch(const vr_limits *most);
cudaError_t vr_gpu_evit(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, const float *scores, const vr_evit *how,
                        const vr_trace *trace, void *scratch);
size_t      vr_gpu_diffrate_scratch(const vr_limits *most);
cudaError_t vr_gpu_diffrate(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, const float *scores, const vr_diffrate *how,
                            const vr_trace *trace, void *scratch);

/* vr_mare_restore: x [in tokens, C] written from y [out tokens, C]; trace's arrays lie on the device.  images, and bounds
 * of one image's tokens before and after, are known on the host. */
size_t      vr_gpu_mare_scratch(const vr_limits *most);
cudaError_t vr_gpu_mare(const vr_gpu *gpu, vr_mat x, vr_mat y, const vr_trace *trace, int longest_in, int longest_out,
                        vr_mare mode, void *scratch);

#ifdef __cplusplus
}
#endif

#endif
