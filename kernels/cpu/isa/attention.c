/* attention.c: one head of one image, a tile of queries at a time: all its scores in L1, softmax over whole rows, then
 * the weighted sum of the values.  Keys and values are first laid out in panels, so that both products are the linear
 * layer's tile.  The division by the row's sum is left to the end, where there are fewest numbers. */
#if !defined(VR_PAIRS)
#define VR_HEADS
#endif
#include "../isa.h"
#include "tile.h"

#include <math.h>

#if defined(VR_PAIRS)
#define KIND VR_BF16
#else
#define KIND VR_F32
#endif

#define TOGETHER (VEC == 16 ? 3 : 2) /* rows that are softened side by side */

/* Where things lie in a thread's scratch. */
typedef struct {
    float *keys;    /* K^T, panels [keys / PANEL][groups of head_size][PANEL] */
    float *values;  /* V, panels [head_size / PANEL][groups of keys][PANEL] */
    float *scores;  /* [TILE, score_stride] */
    float *results; /* [TILE, result_stride] */
    float *bias;    /* [keys] ln size / scale, to be added to scores before they are scaled */
    size_t score_stride, result_stride;
    size_t total; /* floats */
} layout;

/* The columns of `cols` that panels 0 .. panel-1 hold: whole vectors, shared out evenly, as a tile of one vector is slow. */
INLINE int panel_start(int panel, int cols)
{
    const int vecs = (cols + VEC - 1) / VEC, start = VEC * vr_share(vecs, panel, (vecs + TILE_VECS - 1) / TILE_VECS);
    return start < cols ? start : cols;
}

static layout lay_out(float *scratch, int keys, int head_size)
{
    size_t key_cols = ((size_t)keys + PANEL - 1) / PANEL * PANEL, size_cols = ((size_t)head_size + PANEL - 1) / PANEL * PANEL;
    layout l = {.score_stride = vr_row_stride((int)key_cols), .result_stride = vr_row_stride((int)size_cols)};
    size_t values = key_cols * vr_groups(head_size, KIND), scores = values + size_cols * vr_groups(keys, KIND);
    size_t results = scores + l.score_stride * TILE;
    size_t bias = results + l.result_stride * TILE;
    l.total = bias + key_cols;
    if (scratch) l.keys = scratch, l.values = scratch + values, l.scores = scratch + scores, l.results = scratch + results;
    if (scratch) l.bias = scratch + bias;
    return l;
}

size_t VR_NAME(vr_attention_scratch)(int keys, int head_size) { return lay_out(NULL, keys, head_size).total; }

/* Row `row` of a matrix of elements. */
static const element *row_of(const void *matrix, size_t stride, int row)
{
    return (const element *)matrix + (size_t)row * stride;
}

static void pack_keys(float *packed, const vr_head *h)
{
    for (int panel = 0, key = 0; key < h->keys; panel++) {
        const int      cols = panel_start(panel + 1, h->keys) - key;
        const element *rows = row_of(h->k, h->k_stride, key);
#if defined(VR_PAIRS)
        vr_pack_pairs(packed, PANEL, rows, VR_BF16, h->k_stride, cols, h->head_size);
#else
        vr_pack_panel(packed, PANEL, rows, h->k_stride, cols, h->head_size);
#endif
        packed += vr_groups(h->head_size, KIND) * PANEL;
        key += cols;
    }
}

/* VEC columns of a group of values from `col` on, `left` of them there. */
static vec value_group(const vr_head *h, int group, int col, int left)
{
    const int n = left < VEC ? left : VEC;
#if defined(VR_PAIRS)
    const vec zero = {0}, low = 2 * group < h->keys ? load_first(row_of(h->v, h->v_stride, 2 * group) + col, n) : zero;
    const vec high = 2 * group + 1 < h->keys ? load_first(row_of(h->v, h->v_stride, 2 * group + 1) + col, n) : zero;
    return (vec)((vec_word)low >> 16 | (vec_word)high);
#else
    return load_first(row_of(h->v, h->v_stride, group) + col, n);
#endif
}

static void pack_values(float *packed, const vr_head *h)
{
    const int groups = (int)vr_groups(h->keys, KIND);
    for (int panel = 0, col = 0, end; col < h->head_size; panel++, col = end) {
        end = panel_start(panel + 1, h->head_size);
        for (int g = 0; g < groups; g++, packed += PANEL)
            for (int j = col; j < end; j += VEC) vec_store(packed + j - col, value_group(h, g, j, end - j));
    }
}

/* out [rows, cols] = left [rows, depth] times the panels `right` */
static void multiply(float *out, size_t out_stride, const element *left, size_t left_stride, const float *right, int rows,
                     int cols, int depth)
{
    tile_product p = {out, left, right, out_stride, left_stride, depth, false, (const char *)right, 0};
    for (int panel = 0, col = 0; col < cols; panel++) {
        const int end = panel_start(panel + 1, cols);
        p.out = out + col;
        VR_NAME(vr_tile)(&p, rows, (end - col + VEC - 1) / VEC);
        col = end;
        p.right += vr_groups(depth, KIND) * PANEL;
    }
}

static void make_bias(float *bias, const vr_head *h)
{
    for (int j = 0; h->size && j < h->keys; j++) bias[j] = logf(h->size[j]) / h->scale;
}

/* The lanes beyond `keys` may be written. */
static void add_bias(float *s, const float *bias, int keys)
{
    for (int j = 0; j < keys; j += VEC) vec_store(s + j, vec_load(s + j) + vec_load(bias + j));
}

/* In each of `rows` rows: s_j = e^(scale (s_j - max s)), and factor = 1 / sum s.  The lanes beyond `keys` may be written, but count
 * for nothing.  The maximum is taken away first: near it, where the weights are large, that difference is exact. */
INLINE void soften_rows(float *factor, float *s, size_t stride, int rows, int keys, float scale)
{
    const int last = (keys - 1) / VEC * VEC, left = keys - last;
    const vec to_base_2 = vec_all(scale * 1.44269504f);
    vec       tail[TOGETHER], max[TOGETHER], sum[TOGETHER];
    UNROLL for (int i = 0; i < rows; i++)
    {
        const float *row = s + (size_t)i * stride;
        tail[i] = vec_load(row + last);
        max[i] = vec_first(tail[i], left, vec_all(row[0]));
        sum[i] = (vec){0};
    }
    for (int j = 0; j < last; j += VEC) {
        UNROLL for (int i = 0; i < rows; i++) max[i] = vec_max(max[i], vec_load(s + (size_t)i * stride + j));
    }
    UNROLL for (int i = 0; i < rows; i++) max[i] = vec_all(vec_largest(max[i]));
    for (int j = 0; j < last; j += VEC) {
        UNROLL for (int i = 0; i < rows; i++)
        {
            float *at = s + (size_t)i * stride + j;
            vec    e = vec_exp2((vec_load(at) - max[i]) * to_base_2);
            vec_store(at, e);
            sum[i] += e;
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
    {
        tail[i] = vec_exp2((tail[i] - max[i]) * to_base_2);
        vec_store(s + (size_t)i * stride + last, tail[i]);
        factor[i] = 1 / vec_sum(sum[i] + vec_first(tail[i], left, (vec){0}));
    }
}

/* Several rows side by side, as each waits for its own maximum and sum. */
static void soften(float *factor, float *s, size_t stride, int rows, int keys, float scale)
{
    int i = 0;
    for (; i + TOGETHER <= rows; i += TOGETHER) soften_rows(factor + i, s + (size_t)i * stride, stride, TOGETHER, keys, scale);
    for (; i < rows; i++) soften_rows(factor + i, s + (size_t)i * stride, stride, 1, keys, scale);
}

/* The row's elements, where the row lies. */
static void round_row(float *s, int keys)
{
#if defined(VR_PAIRS)
    for (int j = 0; j < keys; j += VEC) store_first((element *)s + j, VEC, vec_load(s + j));
#else
    (void)s, (void)keys;
#endif
}

static void store_scaled(element *y, const float *result, int head_size, float factor)
{
    for (int col = 0; col < head_size; col += VEC)
        store_first(y + col, head_size - col < VEC ? head_size - col : VEC, vec_load(result + col) * vec_all(factor));
}

/* Queries row .. row+rows-1, of which the first `done` are only there to fill the tile. */
static void attend(const vr_head *h, const layout *l, int row, int rows, int done)
{
    const size_t stride = l->score_stride;
    float        factor[TILE];
    multiply(l->scores, stride, row_of(h->q, h->q_stride, row), h->q_stride, l->keys, rows, h->keys, h->head_size);
    for (int i = done; i < rows && h->size; i++) add_bias(l->scores + (size_t)i * stride, l->bias, h->keys);
    soften(factor + done, l->scores + (size_t)done * stride, stride, rows - done, h->keys, h->scale);
    for (int i = done; i < rows; i++) round_row(l->scores + (size_t)i * stride, h->keys);
    multiply(l->results, l->result_stride, (const element *)l->scores, stride * sizeof *l->scores / sizeof(element), l->values,
             rows, h->head_size, h->keys);
    for (int i = done; i < rows; i++)
        store_scaled((element *)h->y + (size_t)(row + i) * h->y_stride, l->results + (size_t)i * l->result_stride, h->head_size,
                     factor[i]);
}

void VR_NAME(vr_attention)(const vr_head *h, int part, int parts, float *scratch)
{
    const int tiles = (h->queries + TILE - 1) / TILE, most = tiles ? (h->queries + tiles - 1) / tiles : 0;
    const int first = vr_share(tiles, part, parts), end = vr_share(tiles, part + 1, parts);
    if (first == end) return;
    layout l = lay_out(scratch, h->keys, h->head_size);
    pack_keys(l.keys, h);
    pack_values(l.values, h);
    make_bias(l.bias, h);
    VR_NAME(vr_tile_begin)(most);
    for (int t = first; t < end; t++) {
        const int row = vr_share(h->queries, t, tiles), start = tile_start(row, h->queries, most);
        attend(h, &l, start, SAME_ROWS ? most : vr_share(h->queries, t + 1, tiles) - row, row - start);
    }
    VR_NAME(vr_tile_end)();
}

static float dot(const element *a, const element *b, int size)
{
    vec sum = {0};
    int c = 0;
    for (; c + VEC <= size; c += VEC) sum = vec_fma(load_first(a + c, VEC), load_first(b + c, VEC), sum);
    if (c < size) sum = vec_fma(load_first(a + c, size - c), load_first(b + c, size - c), sum);
    return vec_sum(sum);
}

/* Apart from the tiles, which may lie in several threads: one row is little work, and so its sum over the heads has one
 * order. */
void VR_NAME(vr_class_scores)(float *scores, const vr_head *h, int heads, float *scratch)
{
    layout l = lay_out(scratch, h->keys, h->head_size);
    make_bias(l.bias, h);
    for (int head = 0; head < heads; head++) {
        const size_t   col = (size_t)head * (size_t)h->head_size;
        const element *q = (const element *)h->q + col;
        for (int j = 0; j < h->keys; j++) l.scores[j] = dot(q, row_of(h->k, h->k_stride, j) + col, h->head_size);
        if (h->size) add_bias(l.scores, l.bias, h->keys);
        float factor;
        soften(&factor, l.scores, l.score_stride, 1, h->keys, h->scale);
        factor /= (float)heads;
        for (int j = 0; j < h->keys; j++) scores[j] = (head ? scores[j] : 0) + factor * l.scores[j];
    }
}
