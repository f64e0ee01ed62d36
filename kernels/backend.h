/* The seam between the model and the device: one const table of verbs, filled by kernels/cpu, by kernels/cuda and by
 * the oracle in tests/reference.  engine/ speaks to a device through this header and in no other way.
 *
 * The contract.  The caller gives views that lie inside memory from alloc(), with outputs that do not overlap inputs
 * unless the verb says so, and calls from one thread.  The back end keeps the order of calls, accumulates in at least
 * f32, never allocates after reserve(), writes only the cells of the view (never the gap between cols and stride), and
 * gives an image's rows the same bits whatever the other images of the batch, its place in it, and the thread count.
 * Shapes are asserted: a wrong one is our own fault.  Verbs of arithmetic return nothing; the first fault is held and
 * handed over by finish().
 *
 * Letters: B images, T rows of all images together, C channels, H heads, D = C / H, P patch side, g = side / P. */
#ifndef VR_BACKEND_H
#define VR_BACKEND_H

#include "base.h"

/* A row-major matrix seen through a stride; owns nothing.  Activations are f32 on the CPU and in the oracle. */
typedef struct {
    float *data; /* in the back end's memory; engine/ never looks behind it */
    int    rows, cols;
    size_t stride; /* elements from one row to the next, at least cols */
} vr_mat;

static inline vr_mat vr_mat_cols(vr_mat m, int from, int count) /* columns from .. from+count-1 */
{
    return (vr_mat){m.data + from, m.rows, count, m.stride};
}

static inline vr_mat vr_mat_rows(vr_mat m, int from, int count) /* rows from .. from+count-1 */
{
    return (vr_mat){m.data + (size_t)from * m.stride, count, m.cols, m.stride};
}

/* Which rows belong to which image: image b owns rows offsets[b] .. offsets[b+1]-1. */
typedef struct {
    int        images;  /* B */
    const int *offsets; /* [B+1], rising, offsets[0] = 0 */
} vr_rows;

/* A Linear layer's weight in the back end's own layout, made by pack() and released by unpack(). */
typedef struct {
    void  *data; /* the back end's */
    float *bias; /* [out], or NULL */
    int    out, in;
} vr_weight;

typedef struct {
    float *weight, *bias; /* [C] */
    float  eps;
} vr_norm;

typedef enum { VR_NO_ACT, VR_GELU_ERF } vr_act; /* GELU_ERF: x * (1 + erf(x / sqrt 2)) / 2, exact */
typedef enum { VR_SET, VR_ADD } vr_into;        /* y = ..., or y += ... */

typedef enum {
    VR_POOL_ROW,       /* row `row` of each image */
    VR_POOL_MEAN,      /* the mean of the rows from `prefix` on */
    VR_POOL_CLASS_MEAN /* row 0, then that mean beside it: 2C columns */
} vr_pool_kind;
typedef struct {
    vr_pool_kind kind;
    int          row, prefix;
} vr_pooling;

/* One picture for patch_embed. */
typedef struct {
    const float *pixels;        /* [3, height, width], normalised; host memory */
    int          height, width; /* multiples of the patch side */
    const float *positions;     /* [g_h * g_w, C] of this grid, packed without gaps; the back end's memory */
} vr_picture;

/* The first layer: patches to tokens. */
typedef struct {
    vr_weight    proj;          /* [C, 3 P P] in the order of a convolution's weight: channel, row, column */
    int          patch;         /* P */
    int          prefix;        /* special tokens in front: 0, 1 or 2 */
    const float *prefix_tokens; /* [prefix, C], each with its position already added */
} vr_embed;

typedef struct vr_backend vr_backend;

typedef struct vr_ops {
    const char *name; /* "cpu", "cuda", "reference" */

    /* Life and memory: may fail, and say so. */
    vr_status (*open)(vr_backend *be, int threads, vr_error *err); /* threads 0: as many as this process may use */
    void (*close)(vr_backend *be);
    vr_status (*alloc)(vr_backend *be, void **out, size_t bytes, vr_error *err); /* aligned to 64 bytes */
    void (*free)(vr_backend *be, void *p);
    vr_status (*put)(vr_backend *be, void *dst, const void *host, size_t bytes, vr_error *err);
    vr_status (*get)(vr_backend *be, void *host, const void *src, size_t bytes, vr_error *err);
    vr_status (*pack)(vr_backend *be, vr_weight *out, const float *weight,
                      const float *bias, /* host [out, in], [out] or NULL */
                      int out_features, int in_features, vr_error *err);
    void (*unpack)(vr_backend *be, vr_weight *w);
    vr_status (*reserve)(vr_backend *be, int tokens_max, int head_size, vr_error *err); /* scratch for the longest image */
    vr_status (*finish)(vr_backend *be, vr_error *err);                                 /* wait; report the first fault held */

    /* Arithmetic. */
    void (*patch_embed)(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in, const vr_embed *w);
    void (*layernorm)(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w);
    void (*linear)(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into);
    void (*attention)(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows,
                      int heads);
    void (*pool)(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how);
    void (*gather)(vr_backend *be, vr_mat y, vr_mat x, const int *index);
} vr_ops;

struct vr_backend {
    const vr_ops *ops;
    void         *impl;  /* the back end's own */
    vr_error      fault; /* the first fault since the last finish() */
};

extern const vr_ops vr_cpu;

/* The strides the plan gives to activations: whole vectors, and never a multiple of 1 KiB, which would put the rows of
 * a tile into few cache sets. */
static inline size_t vr_row_stride(int cols)
{
    size_t stride = ((size_t)cols + 15) / 16 * 16;
    return stride % 256 == 0 ? stride + 32 : stride;
}

/* Tokens of every picture.
 *   x        [T, C]   written: per image the prefix tokens, then its patches row by row, positions added
 *   scratch  [>= T - B prefix, >= 3PP]   overwritten with the unfolded patches
 *   in       [B]      row counts must agree with rows: prefix + (height / P) * (width / P)
 * x_patch = W vec(patch) + bias + position        Dosovitskiy et al. 2021, eq. 1 */
static inline void vr_patch_embed(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in,
                                  const vr_embed *w)
{
    be->ops->patch_embed(be, x, scratch, rows, in, w);
}

/* y = (x - mean) / sqrt(var + eps) * weight + bias, row by row; var is the biased one.  y may be x. */
static inline void vr_layernorm(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w) { be->ops->layernorm(be, y, x, w); }

/* y = act(x W^T + bias), set or added to what is there.
 *   y [T, out], x [T, in].  Each output is summed over `in` in one order, whatever T is. */
static inline void vr_linear(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into)
{
    be->ops->linear(be, y, x, w, act, into);
}

/* Attention of each image's queries to the same image's keys.
 *   y [Tq, C] written;  q [Tq, C];  k, v [Tkv, C];  head h owns columns h D .. h D + D - 1 of each
 * y_h = softmax(q_h k_h^T / sqrt(D)) v_h        Vaswani et al. 2017, eq. 1; softmax in f32 over whole rows */
static inline void vr_attention(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows,
                                const vr_rows *kv_rows, int heads)
{
    be->ops->attention(be, y, q, k, v, q_rows, kv_rows, heads);
}

/* One row an image.  y [B, C], or [B, 2C] for VR_POOL_CLASS_MEAN.  The mean of no rows is 0. */
static inline void vr_pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how)
{
    be->ops->pool(be, y, x, rows, how);
}

/* y_i = x_index(i).   index [y.rows] in host memory. */
static inline void vr_gather(vr_backend *be, vr_mat y, vr_mat x, const int *index) { be->ops->gather(be, y, x, index); }

#endif
