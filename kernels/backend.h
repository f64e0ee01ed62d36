/* The seam between the model and the device: one const table of verbs, filled by kernels/cpu, by kernels/cuda and by
 * the oracle in tests/reference.  engine/ speaks to a device through this header and in no other way.
 *
 * The contract.  The caller gives views that lie inside memory from alloc(), with outputs that do not overlap inputs
 * unless the verb says so, and calls from one thread at a time.  The back end keeps the order of calls, accumulates in at least
 * f32, never allocates after reserve(), writes only the cells of the view (never the gap between cols and stride), and
 * gives an image's rows the same bits whatever the other images of the batch, its place in it, and the thread count.
 * Shapes are asserted: a wrong one is our own fault.  Verbs of arithmetic return nothing; the first fault is held and
 * handed over by finish().
 *
 * Letters: B images, T rows of all images together, C channels, H heads, D = C / H, P patch side, g = side / P. */
#ifndef VR_BACKEND_H
#define VR_BACKEND_H

#include "base.h"

/* A row-major matrix seen through a stride; owns nothing.  What is multiplied (a norm's output, qkv, attention's output, the
 * hidden layer) has the back end's type of activations, the residual stream that of `residual`; both are f32 in the oracle.
 * The rest (logits, mean keys, sizes, scores, weights of norms, positions) is f32 everywhere. */
typedef struct {
    float   *data; /* in the back end's memory; elements of `type` lie there, and engine/ never looks behind it */
    int      rows, cols;
    size_t   stride; /* elements from one row to the next, at least cols */
    vr_dtype type;   /* VR_F32, VR_F16 or VR_BF16 */
} vr_mat;

/* The same matrix from its element (row, col) on. */
static inline vr_mat vr_mat_at(vr_mat m, size_t row, int col, int rows, int cols)
{
    const size_t bytes = m.type == VR_F32 ? 4 : 2;
    return (vr_mat){(float *)((char *)m.data + (row * m.stride + (size_t)col) * bytes), rows, cols, m.stride, m.type};
}
static inline vr_mat vr_mat_cols(vr_mat m, int from, int count) { return vr_mat_at(m, 0, from, m.rows, count); }
static inline vr_mat vr_mat_rows(vr_mat m, int from, int count) { return vr_mat_at(m, (size_t)from, 0, count, m.cols); }

/* Which rows belong to which image: image b owns rows offsets[b] .. offsets[b+1]-1. */
typedef struct {
    int        images;  /* B */
    const int *offsets; /* [B+1], rising, offsets[0] = 0 */
} vr_rows;

/* A Linear layer's weight in the back end's own layout, made by pack() and released by unpack(). */
typedef struct {
    void    *data; /* the back end's */
    float   *bias; /* [out], or NULL */
    int      out, in;
    vr_dtype type; /* of the numbers in that layout */
} vr_weight;

/* A weight that is read as it is packed: rows first .. first+count-1 as f32 to `to` [count, in].  Several threads ask at a
 * time, each with an error of its own; what is said is the error of the first row in order. */
typedef struct {
    vr_status (*read)(const void *from, int first, int count, float *to, vr_error *err);
    const void *from;
} vr_row_source;

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
    const float *size;    /* [T] the weight of each row in a mean; NULL: all alike */
    const int   *patches; /* [B] what a weighted sum is divided by, host memory; NULL: by the sum of the weights */
} vr_pooling;

/* One picture for patch_embed, in one of two forms. */
typedef struct {
    const float   *pixels;        /* [3, height, width], normalised; host memory.  NULL: rgb is given */
    const uint8_t *rgb;           /* [height, width, 3], normalised on the way into its patches; host memory */
    int            height, width; /* multiples of the patch side */
    const float   *positions;     /* [g_h * g_w, C] of this grid, packed without gaps; the back end's memory */
} vr_picture;

/* The first layer: patches to tokens. */
typedef struct {
    vr_weight    proj;          /* [C, 3 P P] in the order of a convolution's weight: channel, row, column */
    int          patch;         /* P */
    int          prefix;        /* special tokens in front: 0, 1 or 2 */
    const float *prefix_tokens; /* [prefix, C], each with its position already added */
    const float *normal;        /* [3, 256] what a byte of a channel is normalised to; the back end's memory.  For rgb only */
} vr_embed;

/* What a reducer wants of attention beside its result; NULL where it does not. */
typedef struct {
    const float *size;         /* [Tkv] patches that each key stands for, above 0: ln size is added to its scaled scores */
    float       *class_scores; /* [Tkv] written: how much query 0 of each image looks at each key, the mean over heads */
    vr_mat       mean_keys;    /* [Tkv, D] written: the mean of the keys over heads */
} vr_extras;

/* ---- token reduction ---- */

/* The tokens of a batch as a reducer takes and gives them: rows prefix .. of each image are ordinary tokens. */
typedef struct {
    vr_mat x;       /* [T, C] */
    float *size;    /* [T] patches that each token stands for, 1 for special tokens; NULL: nobody counts */
    int   *offsets; /* [B+1] as in vr_rows; host memory */
    int    images;
    int    prefix; /* special tokens in front of every image: 0, 1 or 2 */
} vr_tokens;

static inline vr_rows vr_tokens_rows(const vr_tokens *t) { return (vr_rows){t->images, t->offsets}; }

/* The largest batch that verbs will meet. */
typedef struct {
    int images;
    int rows;    /* of all images together */
    int longest; /* of one image */
    int cols;    /* C; for reducers, the larger of C and a feature's columns */
} vr_limits;

/* No merge of such a batch has more weights: M N <= n^2 / 4 in an image of n tokens. */
static inline size_t vr_limits_weights(const vr_limits *most) { return (size_t)most->rows * (size_t)most->longest / 4 + 1; }

/* What a reducer did, for fixed decisions a linear map: input token t of an image adds
 *
 *     weight(t, o) mass(t) / total(o)        of itself to output token o
 *
 * where weight is 1 in row(t), or, where a token is spread over several, the numbers of its column.  Laid out by
 * vr_trace_lay_out() in trace.h; the verbs fill it.  Tokens are numbered within their image. */
enum { VR_GONE = -1, VR_SPREAD = -2 };
typedef struct {
    int     images, prefix;
    int    *in_offsets, *out_offsets; /* [B+1] */
    int    *destinations;             /* [B] M: MaMe's destinations, output tokens prefix .. prefix+M-1; else 0 */
    size_t *weights_at;               /* [B+1] image b's weights are [M, N] from weight[weights_at[b]] on */
    int    *row;                      /* [T in] the output token it became or went into, VR_GONE or VR_SPREAD */
    int    *column;                   /* [T in] MaMe's sources: their column of the weights, rising; else -1 */
    float  *mass;                     /* [T in] */
    float  *total;                    /* [T out] MaMe's R, ToMe's new size, 1 where nothing was merged */
    float  *weight;                   /* MaMe's WF, rows of N, one image after the other */
} vr_trace;

typedef enum { VR_ALTERNATING, VR_SEQUENTIAL, VR_RANDOM } vr_partition;
typedef enum { VR_ALG1, VR_SIMILARITY } vr_mame_rule; /* what becomes of a source that refining leaves nothing */
typedef enum {
    VR_UNFORCED,
    VR_FORCE_MERGE,
    VR_FORCE_DROP
} vr_force; /* 2:1: unmatched sources go to the most similar, or vanish */
typedef struct {
    float        tau;
    vr_mame_rule rule;
    bool         refine;
    vr_force     force;
    bool         dot;      /* similarity is the plain product; false: the cosine, 0 for a token of zeros */
    bool         by_batch; /* the paper's union: what one image keeps is kept in all */
    bool         by_mass;  /* tokens count by their size (not the paper's); needs in->size */
    vr_partition partition;
    double       share; /* random: destinations among the ordinary tokens, 0 .. 1, rounded up */
    uint64_t     seed;  /* random: with the layer, the same destinations for all images of a length */
    int          layer;
} vr_mame;

/* M of n ordinary tokens; at least 1 of any. */
static inline int vr_mame_destinations(const vr_mame *how, int n)
{
    if (how->partition != VR_RANDOM) return n - n / 2;
    int m = (int)(how->share * n);
    m += m < how->share * n;
    return m < 1 ? (n > 0) : m < n ? m : n;
}

/* VR_RANDOM: the M ordinary tokens with the smallest keys are destinations.  Steele, Lea and Flood 2014, SplitMix64;
 * one-to-one in `token`, so no two keys are equal. */
static inline uint64_t vr_partition_key(uint64_t seed, int layer, int token)
{
    uint64_t z = seed + ((uint64_t)(uint32_t)layer << 32 | (uint32_t)token) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

typedef enum { VR_MARE_PAPER, VR_MARE_COPY } vr_mare; /* merged tokens are split among their parts, or copied to each */

typedef struct {
    double keep; /* share of the tokens beside the class token, 0 .. 1; a double, because the count is rounded up */
    bool   fuse; /* what is dropped becomes one more token */
} vr_evit;

typedef struct {
    int prune_kept, merge_kept; /* tokens left by pruning and then by merging, the class token among them; at least 1 */
} vr_diffrate;

/* DiffRate may shrink a size by a negative cosine; none falls below this, so that its logarithm stays finite. */
#define VR_SIZE_LEAST 1e-6f

/* How weights and activations are kept and multiplied.  Sums, statistics and decisions are f32 in all of them. */
typedef enum {
    VR_MATH_AUTO, /* the back end's choice */
    VR_MATH_F32,
    VR_MATH_TF32, /* kept as f32, multiplied with 10 bits of fraction */
    VR_MATH_F16,
    VR_MATH_BF16,
    VR_MATH_INT8, /* activations are kept as f32 and rounded to bytes, row by row, where a block's Linear multiplies them */
    VR_MATHS
} vr_math;

/* What is asked of a back end at opening; all zero: its own choice. */
typedef struct {
    int     threads; /* of a CPU; 0: as many as this process may use */
    int     device;  /* which GPU, from 0 */
    vr_math math;
    bool    deterministic; /* a GPU: an image's bits do not depend on its batch, at some cost in speed */
} vr_wish;

/* Whose weight it is: the first and the last layers are never rounded to bytes, which is felt more there and saves little. */
typedef enum { VR_LAYER_OF_BLOCK, VR_LAYER_OUTER } vr_layer;

typedef struct vr_backend vr_backend;
struct vr_profile; /* profile.h */

typedef struct vr_ops {
    const char *name; /* "cpu", "cuda", "reference" */

    /* Life and memory: may fail, and say so. */
    vr_status (*open)(vr_backend *be, const vr_wish *wish, vr_error *err);
    void (*close)(vr_backend *be);
    /* Another one on the same device, for a second thread: it reads what `of` has packed and put so far, and is closed before
     * it.  NULL: one is enough, as on a CPU, whose threads are all at work in one. */
    vr_status (*open_sibling)(vr_backend *be, vr_backend *of, vr_error *err);
    vr_status (*alloc)(vr_backend *be, void **out, size_t bytes, vr_error *err); /* aligned to 64 bytes */
    void (*free)(vr_backend *be, void *p);
    vr_status (*put)(vr_backend *be, void *dst, const void *host, size_t bytes, vr_error *err);
    vr_status (*get)(vr_backend *be, void *host, const void *src, size_t bytes, vr_error *err);
    vr_status (*pack)(vr_backend *be, vr_weight *out, const float *weight,
                      const float *bias, /* host [out, in], [out] or NULL */
                      int out_features, int in_features, vr_layer layer, vr_error *err);
    /* Where it is not NULL, the same from rows that are read, converted and packed in one pass by the back end's threads. */
    vr_status (*pack_rows)(vr_backend *be, vr_weight *out, const vr_row_source *rows, const float *bias, int out_features,
                           int in_features, vr_layer layer, vr_error *err);
    void (*unpack)(vr_backend *be, vr_weight *w);
    vr_status (*reserve)(vr_backend *be, const vr_limits *most, int head_size, int patch, vr_error *err); /* scratch */
    vr_status (*reserve_reduction)(vr_backend *be, const vr_limits *most, vr_error *err); /* scratch for reducers */
    void (*unreserve)(vr_backend *be); /* give all scratch back; nothing runs until it is reserved anew */

    /* Memory of a device's own; NULL where it is the system's: what reserve() and reserve_reduction() take of it, and what is
     * free, 0 where nobody knows. */
    size_t (*scratch_bytes)(const vr_backend *be, const vr_limits *most, int patch, bool reduces);
    size_t (*free_bytes)(vr_backend *be);
    vr_status (*finish)(vr_backend *be, vr_error *err); /* wait; report the first fault held */

    /* Arithmetic. */
    void (*patch_embed)(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in, const vr_embed *w);
    void (*layernorm)(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w);
    void (*linear)(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into);
    void (*attention)(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows,
                      int heads, const vr_extras *extras);
    void (*pool)(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how);
    void (*gather)(vr_backend *be, vr_mat y, vr_mat x, const int *index);

    /* Reduction: the whole batch in one call. */
    void (*mame)(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat feature, const vr_mame *how, vr_trace *trace);
    void (*mare)(vr_backend *be, vr_mat x, vr_mat y, const vr_trace *trace, vr_mare mode);
    void (*tome)(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat metric, int r, vr_trace *trace);
    void (*evit)(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_evit *how, vr_trace *trace);
    void (*diffrate)(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_diffrate *how,
                     vr_trace *trace);

    /* Measuring; each may be NULL.
     * watch: from now on every kernel adds its launches, time and work to *profile, complete after finish(); NULL: no more.
     * Without it a verb has done its work when it returns.  peak: flops a second of all threads, of FMAs in registers. */
    vr_status (*watch)(vr_backend *be, struct vr_profile *profile, vr_error *err);
    double (*peak)(vr_backend *be);
} vr_ops;

struct vr_backend {
    const vr_ops *ops;
    void         *impl;        /* the back end's own */
    vr_dtype      activations; /* element type of what is multiplied */
    vr_dtype      residual;    /* of the residual stream x, which every block adds to: never less exact than activations */
    vr_math       math;        /* what is really used, never VR_MATH_AUTO */
    int           budget;      /* tokens that it should have room for at once */
    int           together;    /* tokens that are fastest computed together; 0: the more the better */
    const char   *chip;        /* what the arithmetic is compiled for: "avx512", "sm_90"; the back end's */
    vr_error      fault;       /* the first fault since the last finish() */
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
 *   scratch  [>= T, >= 3PP]   overwritten with the unfolded patches
 *   in       [B]      row counts must agree with rows: prefix + (height / P) * (width / P).  A picture's rgb gives the same
 *                     bits as its pixels, where pixels(c, i, j) = normal(c, rgb(i, j, c))
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
 *   extras   NULL: plain.  Its size and class_scores are per row of k; class_scores wants a query wherever there are keys
 * y_h = softmax(q_h k_h^T / sqrt(D) + ln size) v_h        Vaswani et al. 2017, eq. 1; softmax in f32 over whole rows.
 * The size term is ToMe's proportional attention; class_scores are taken after softmax, with that term. */
static inline void vr_attention(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows,
                                const vr_rows *kv_rows, int heads, const vr_extras *extras)
{
    be->ops->attention(be, y, q, k, v, q_rows, kv_rows, heads, extras);
}

/* One row an image.  y [B, C], or [B, 2C] for VR_POOL_CLASS_MEAN.  The mean of no rows is 0. */
static inline void vr_pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how)
{
    be->ops->pool(be, y, x, rows, how);
}

/* y_i = x_index(i).   index [y.rows] in host memory. */
static inline void vr_gather(vr_backend *be, vr_mat y, vr_mat x, const int *index) { be->ops->gather(be, y, x, index); }

/* The reducers.  Each reads `in` and writes `out`, which has room for as many rows, and sets out->x.rows, out->offsets,
 * out->images and out->prefix; out->size too where in->size is given.  Special tokens lead, unchanged.
 *   trace   filled; NULL: nobody asks
 * Equal numbers are told apart by their place, the first goes first.  A comparison with a NaN is false. */

/* MaMe: sources are spread over the destinations that they resemble; what resembles none is kept.
 *   feature [T, any]   what is compared: in->x, the keys, or the keys' mean over heads
 *   out     per image: special tokens, the M destinations, kept sources, each group in its old order
 * Destinations are ordinary tokens 0, 2, 4, ..., or the first half, or a random share; the others are sources.
 *   S_ij = <f_i, f_j> / (|f_i| |f_j|),  q_ij = max(0, S_ij - tau)                                 MaMe, eq. 2-3
 *   e_ij = max(0, k_j q_ij - sum_i q_ij),  k_j = #{i : q_ij > 0};  differences up to 1e-6 k_j are 0     eq. 4-7
 *   WF_ij = e_ij / sum_i e_ij; unrefined, q_ij / sum_i q_ij                                             eq. 8
 *   R_i = 1 + sum_j WF_ij,  x'_i = (x_i + sum_j WF_ij x_j) / R_i                                        eq. 9
 * A source is kept where k_j = 0, and under VR_ALG1 where all its e_ij are 0 (one match, or a tie); VR_SIMILARITY and
 * the forced forms then take it unrefined.  size'_i = size_i + sum_j WF_ij size_j; by_mass, x' and R weigh by size. */
static inline void vr_mame_merge(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat feature, const vr_mame *how,
                                 vr_trace *trace)
{
    be->ops->mame(be, out, in, feature, how, trace);
}

/* MaRe, the way back: y is what became of the tokens since, x gets a row for each token of before.
 *   x [T in, C] written;  y [T out, C]
 * x_t = sum over o of weight(t, o) mass(t) / total(o) y_o, which is the transposed map          MaMe, eq. 11-13
 * VR_MARE_COPY: x_t = sum over o of weight(t, o) y_o.  A token that is gone comes back as 0. */
static inline void vr_mare_restore(vr_backend *be, vr_mat x, vr_mat y, const vr_trace *trace, vr_mare mode)
{
    be->ops->mare(be, x, y, trace, mode);
}

/* ToMe: the r most similar pairs of an even and an odd token are merged into the odd one, by size.
 *   metric [T, any]   what is compared by its cosine: the keys' mean over heads
 *   r      cut to half of the ordinary tokens; 0 or less changes nothing
 *   in     needs size.  Places count special tokens.  The class token stays; a second special token receives nothing
 *   out    per image: even tokens that stay, then the odd ones.  The even ones are in their old order, but without a class
 *          token from the most to the least similar.  Special tokens lead
 * x'_v = (s_v x_v + sum_u s_u x_u) / s'_v,  s'_v = s_v + sum_u s_u          Bolya et al. 2023 */
static inline void vr_tome_merge(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat metric, int r, vr_trace *trace)
{
    be->ops->tome(be, out, in, metric, r, trace);
}

/* EViT: of an image's N tokens keep the class token and the ceil(keep (N - 1)) with the highest scores.
 *   scores [T]   the class row of this block's attention; the class token's own is not read
 *   in     prefix 1
 *   out    class token, kept ones from the highest score down, then, if asked, sum of score_t x_t over those dropped
 * Where all are kept nothing changes.          Liang et al. 2022 */
static inline void vr_evit_keep(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_evit *how,
                                vr_trace *trace)
{
    be->ops->evit(be, out, in, scores, how, trace);
}

/* DiffRate: tokens are sorted by score, the class token first; those beyond prune_kept go, those beyond merge_kept are
 * merged into the most similar one before them, never into the class token (with merge_kept 1 they go).
 *   scores [T]   as for EViT
 *   in     prefix 1, needs size
 *   out    in sorted order; as it was where no token leaves
 * x'_v = (x_v + sum_u x_u) / (1 + #u),  s'_v = s_v + sum_u s_u cos(x_u, x_v), at least VR_SIZE_LEAST   Chen et al. 2023 */
static inline void vr_diffrate_merge(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores,
                                     const vr_diffrate *how, vr_trace *trace)
{
    be->ops->diffrate(be, out, in, scores, how, trace);
}

#endif
