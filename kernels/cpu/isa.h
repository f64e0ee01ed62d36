/* What an instruction set gives to the CPU back end: const structs, the same sources compiled for each.
 *
 * Matrices that are multiplied are rows of 32-bit groups along the summed dimension: one f32, two bf16 or four bytes.  The right
 * operand lies in panels [ceil(cols / panel)][groups][panel], zero beyond its last column and its depth, so that a tile reads
 * it straight through; the left one is read where it lies. */
#ifndef VR_CPU_ISA_H
#define VR_CPU_ISA_H

#include "../backend.h"

/* The groups of a panel: a tile of AMX takes 32 bf16 at once, so their depth is filled up with zeros to that. */
static inline size_t vr_groups(int depth, vr_dtype type)
{
    return type == VR_F32 ? (size_t)depth : type == VR_I8 ? ((size_t)depth + 3) / 4 : ((size_t)depth + 31) / 32 * 16;
}

/* The words of 32 bits of a panel.  Behind bytes follow, for each column, the scale by which they count and their sum. */
static inline size_t vr_panel_words(int depth, int width, vr_dtype type)
{
    return (vr_groups(depth, type) + (type == VR_I8 ? 2 : 0)) * (size_t)width;
}

/* The deepest layer whose sums of bytes, 255 * 127 at most each, an int32_t holds; deeper ones stay f32. */
enum { VR_BYTES_DEEPEST = INT32_MAX / (255 * 127) };

/* How a row was rounded to bytes: a byte q stands for scale * (q - zero).  scale is NaN where a number was not finite, and
 * infinite where the range of the row is; both make NaNs of all that the row is multiplied with. */
typedef struct {
    float   scale;
    int32_t zero; /* 0 .. 255 */
} vr_rounding;

/* y = act(x W^T + bias) + add */
typedef struct {
    void              *y; /* [rows, cols] of y_type */
    const void        *x; /* [rows, depth] of the kernels' activations; bytes, filled up to whole groups, if the weights are */
    const void        *w; /* panels of W^T [depth, cols] of the kernels' weights */
    const float       *bias; /* [cols] or NULL */
    const float       *add;  /* [rows, cols] or NULL; may be y */
    size_t             y_stride, x_stride, add_stride;
    int                cols, depth;
    int                next;     /* panels on lies the one that this thread takes next, as far as can be told; 0: it cannot */
    vr_dtype           y_type;   /* VR_F32, or the kernels' activations */
    const vr_rounding *rounding; /* [rows] of x; NULL where it is not bytes */
    vr_act             act;
} vr_gemm;

/* One head of one image; elements are the kernels' activations. */
typedef struct {
    void        *y; /* [queries, head_size] */
    const void  *q; /* [queries, head_size] */
    const void  *k; /* [keys, head_size] */
    const void  *v; /* [keys, head_size] */
    size_t       y_stride, q_stride, k_stride, v_stride;
    int          queries, keys, head_size;
    float        scale; /* 1 / sqrt(head_size) */
    const float *size;  /* [keys] their logarithms are added to the scaled scores; NULL: nothing is */
} vr_head;

/* MaMe's sums over the destinations, for a panel of sources, and what their weights are made of. */
enum { VR_PANEL_MAX = 48 };
typedef struct {
    _Alignas(64) float matches[VR_PANEL_MAX]; /* k = #{q > 0} */
    float sum[VR_PANEL_MAX];                  /* of q */
    float rest[VR_PANEL_MAX];                 /* of e = k q - sum where that is above 1e-6 k */
    /* weight = (factor q - less) / total where the bracket is above the guard, else 0 */
    float factor[VR_PANEL_MAX], less[VR_PANEL_MAX], guard[VR_PANEL_MAX], total[VR_PANEL_MAX];
} vr_merge;

/* Part `part` of `parts` equal shares of `count` things starts here. */
static inline int vr_share(int count, int part, int parts) { return (int)((long long)count * part / parts); }

/* A way to multiply. */
typedef struct {
    int panel; /* columns of a panel of weights */
    int tile;  /* rows of x that one pass over a panel serves */
    int span;  /* bytes of a row that are multiplied before the next rows are */
    int block; /* bytes of such parts of rows that are best for a task */

    /* Rows from .. from+rows-1 of one panel of g->y. */
    void (*gemm)(const vr_gemm *g, int from, int rows, int panel);
} vr_product;

/* The same, and what goes with it. */
typedef struct {
    const char *name;        /* of the instruction set */
    vr_dtype    weights;     /* VR_F32 or VR_BF16 */
    vr_dtype    activations; /* VR_F32 or VR_BF16: x, q, k, v, and what attention and layernorm give */
    vr_product  product;
    /* Part `part` of `parts` of a head's queries.  scratch: attention_scratch() floats, aligned to 64. */
    void (*attention)(const vr_head *h, int part, int parts, float *scratch);
    size_t (*attention_scratch)(int keys, int head_size);

    /* scores [keys]: the softmax row of query 0, averaged over `heads` heads; h is the first of them, the others follow
     * in the columns of q and k.  scratch as for attention. */
    void (*class_scores)(float *scores, const vr_head *h, int heads, float *scratch);

    /* y = (x - mean) / sqrt(var + eps) * weight + bias of `rows` rows of x.cols; x f32, y the activations; y may be x. */
    void (*layernorm)(vr_mat y, vr_mat x, const vr_norm *w);
} vr_kernels;

/* Bytes times bytes, for the linear layers of blocks; activations are f32 and rounded row by row before they are multiplied. */
typedef struct {
    const char *name; /* of the instruction set */
    vr_product  product;
    /* The bytes of x [cols], in whole groups: q = round(x * 255 / range) + zero, where the range is that of the row and 0. */
    void (*round_row)(uint8_t *bytes, vr_rounding *how, const float *x, int cols);
} vr_bytes;

/* Vectors of one width. */
typedef struct {
    int        panel;   /* columns of a panel of f32 */
    vr_kernels f32;     /* all is f32 */
    vr_kernels widened; /* weights are bf16, widened on the way; the rest is f32 */

    /* MaMe, on a block [rows, panel] of similarities S; q = max(0, S - tau).
     * scale: block_ij *= row_scale_i col_scale_j.  pack: a panel's row of a token's columns times its mass, 0 beyond.
     * finish: y = (mass x + y) / total. */
    void (*merge_scale)(float *block, const float *row_scale, const float *col_scale, int rows, int cols);
    void (*merge_sums)(vr_merge *m, const float *block, int rows, float tau);
    void (*merge_weights)(float *weight, size_t stride, const vr_merge *m, const float *block, int rows, int cols, float tau);
    void (*merge_pack)(float *packed, const float *x, float mass, int cols);
    void (*merge_finish)(float *y, const float *x, float mass, float total, int cols);

    /* Does `rounds` rounds of peak_flops floating-point operations in registers; what it returns is of no use but to be used. */
    float (*peak)(long rounds);
    double peak_flops;
} vr_isa;

extern const vr_isa vr_isa_portable, vr_isa_avx2, vr_isa_avx512;

/* bf16 times bf16, on the vectors of avx512. */
extern const vr_kernels vr_kernels_avx512bf16, vr_kernels_amx;

extern const vr_bytes vr_bytes_avx512vnni; /* likewise */

/* An instruction set that another program brings along, for bf16 or for bytes; it wants avx512, and is taken only by its name. */
typedef struct {
    const char       *name; /* NULL ends the list */
    const vr_kernels *bf16; /* NULL: not here */
    const vr_bytes   *int8; /* likewise */
} vr_guest;

/* No such list in the product: tests put there what the machine lacks and they emulate. */
extern const vr_guest vr_cpu_guests[] __attribute__((weak, visibility("hidden")));

/* One panel of W^T from rows of W: panel[d * width + j] = rows[j * stride + d], and 0 for j from cols to width.
 *   panel  [depth, width]; width is a multiple of 4
 *   rows   [cols, depth], any alignment; cols at most width */
void vr_pack_panel(float *panel, int width, const float *rows, size_t stride, int cols, int depth);

/* The same in pairs of bf16, panel [vr_groups(depth), width], from rows of f32, which are rounded, or of bf16. */
void vr_pack_pairs(float *panel, int width, const void *rows, vr_dtype type, size_t stride, int cols, int depth);

/* The same in groups of four bytes, panel [vr_panel_words(depth, width, VR_I8)]: w = scale q with |q| <= 127, a scale for each
 * column of W^T. */
void vr_pack_bytes(float *panel, int width, const float *rows, size_t stride, int cols, int depth);

#endif
