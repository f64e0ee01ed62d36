/* attention.c: one head of one image, a tile of queries at a time: all its scores in L1, softmax over whole rows, then
 * the weighted sum of the values.  Keys and values are first laid out in panels, so that both products are the linear
 * layer's tile.  The division by the row's sum is left to the end, where there are fewest numbers. */
#include "../isa.h"
#include "tile.h"

#include <math.h>

/* Where things lie in a thread's scratch. */
typedef struct {
    float *keys;    /* K^T, panels [keys / PANEL][head_size][PANEL] */
    float *values;  /* V, panels [head_size / PANEL][keys][PANEL] */
    float *scores;  /* [TILE, score_stride] */
    float *results; /* [TILE, result_stride] */
    float *bias;    /* [keys] ln size / scale, to be added to scores before they are scaled */
    size_t score_stride, result_stride;
    size_t total; /* floats */
} layout;

static layout lay_out(float *scratch, int keys, int head_size)
{
    size_t key_cols = ((size_t)keys + PANEL - 1) / PANEL * PANEL, size_cols = ((size_t)head_size + PANEL - 1) / PANEL * PANEL;
    layout l = {.score_stride = vr_row_stride((int)key_cols), .result_stride = vr_row_stride((int)size_cols)};
    size_t values = key_cols * (size_t)head_size, scores = values + size_cols * (size_t)keys;
    size_t results = scores + l.score_stride * TILE;
    size_t bias = results + l.result_stride * TILE;
    l.total = bias + key_cols;
    if (scratch) l.keys = scratch, l.values = scratch + values, l.scores = scratch + scores, l.results = scratch + results;
    if (scratch) l.bias = scratch + bias;
    return l;
}

size_t VR_NAME(vr_attention_scratch)(int keys, int head_size) { return lay_out(NULL, keys, head_size).total; }

static void pack_keys(float *packed, const vr_head *h)
{
    for (int key = 0; key < h->keys; key += PANEL) {
        int cols = h->keys - key < PANEL ? h->keys - key : PANEL;
        vr_pack_panel(packed, PANEL, h->k + (size_t)key * h->k_stride, h->k_stride, cols, h->head_size);
        packed += (size_t)h->head_size * PANEL;
    }
}

static void pack_values(float *packed, const vr_head *h)
{
    for (int col = 0; col < h->head_size; col += PANEL)
        for (int key = 0; key < h->keys; key++, packed += PANEL) {
            const float *v = h->v + (size_t)key * h->v_stride + col;
            for (int j = 0; j < PANEL; j += VEC) {
                int left = h->head_size - col - j;
                vec_store(packed + j, left <= 0 ? (vec){0} : vec_load_first(v + j, left < VEC ? left : VEC));
            }
        }
}

/* out [rows, cols] = left [rows, depth] times the panels `right` */
static void multiply(float *out, size_t out_stride, const float *left, size_t left_stride, const float *right, int rows,
                     int cols, int depth)
{
    for (int col = 0; col < cols; col += PANEL) {
        int vecs = cols - col > VEC ? 2 : 1;
        VR_NAME(vr_tile)[vecs - 1][rows - 1](out + col, out_stride, left, left_stride, right, depth);
        right += (size_t)depth * PANEL;
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

/* s_j = e^(scale (s_j - max s)); returns 1 / sum s.  The lanes beyond `keys` may be written, but count for nothing.
 * The maximum is taken away first: near it, where the weights are large, that difference is exact. */
static float soften(float *s, int keys, float scale)
{
    const int last = (keys - 1) / VEC * VEC, left = keys - last;
    const vec factor = vec_all(scale * 1.44269504f); /* to base 2 */
    vec       tail = vec_load(s + last), high = vec_first(tail, left, vec_all(s[0])), sum = {0};
    for (int j = 0; j < last; j += VEC) high = vec_max(high, vec_load(s + j));
    const vec max = vec_all(vec_largest(high));
    for (int j = 0; j < last; j += VEC) {
        vec e = vec_exp2((vec_load(s + j) - max) * factor);
        vec_store(s + j, e);
        sum += e;
    }
    tail = vec_exp2((tail - max) * factor);
    vec_store(s + last, tail);
    return 1 / vec_sum(sum + vec_first(tail, left, (vec){0}));
}

static void store_scaled(float *y, const float *result, int head_size, float factor)
{
    for (int col = 0; col < head_size; col += VEC)
        vec_store_first(y + col, head_size - col < VEC ? head_size - col : VEC, vec_load(result + col) * vec_all(factor));
}

/* Queries row .. row+rows-1. */
static void attend(const vr_head *h, const layout *l, int row, int rows)
{
    float factor[TILE];
    multiply(l->scores, l->score_stride, h->q + (size_t)row * h->q_stride, h->q_stride, l->keys, rows, h->keys, h->head_size);
    for (int i = 0; i < rows && h->size; i++) add_bias(l->scores + (size_t)i * l->score_stride, l->bias, h->keys);
    for (int i = 0; i < rows; i++) factor[i] = soften(l->scores + (size_t)i * l->score_stride, h->keys, h->scale);
    multiply(l->results, l->result_stride, l->scores, l->score_stride, l->values, rows, h->head_size, h->keys);
    for (int i = 0; i < rows; i++)
        store_scaled(h->y + (size_t)(row + i) * h->y_stride, l->results + (size_t)i * l->result_stride, h->head_size,
                     factor[i]);
}

void VR_NAME(vr_attention)(const vr_head *h, int part, int parts, float *scratch)
{
    int tiles = (h->queries + TILE - 1) / TILE;
    int first = vr_share(tiles, part, parts), end = vr_share(tiles, part + 1, parts);
    if (first == end) return;
    layout l = lay_out(scratch, h->keys, h->head_size);
    pack_keys(l.keys, h);
    pack_values(l.values, h);
    make_bias(l.bias, h);
    for (int t = first; t < end; t++) {
        int row = vr_share(h->queries, t, tiles);
        attend(h, &l, row, vr_share(h->queries, t + 1, tiles) - row);
    }
}

static float dot(const float *a, const float *b, int size)
{
    vec sum = {0};
    int c = 0;
    for (; c + VEC <= size; c += VEC) sum = vec_fma(vec_load(a + c), vec_load(b + c), sum);
    if (c < size) sum = vec_fma(vec_load_first(a + c, size - c), vec_load_first(b + c, size - c), sum);
    return vec_sum(sum);
}

/* Apart from the tiles, which may lie in several threads: one row is little work, and so its sum over the heads has one
 * order. */
void VR_NAME(vr_class_scores)(float *scores, const vr_head *h, int heads, float *scratch)
{
    layout l = lay_out(scratch, h->keys, h->head_size);
    make_bias(l.bias, h);
    for (int head = 0; head < heads; head++) {
        const size_t col = (size_t)head * (size_t)h->head_size;
        for (int j = 0; j < h->keys; j++) l.scores[j] = dot(h->q + col, h->k + (size_t)j * h->k_stride + col, h->head_size);
        if (h->size) add_bias(l.scores, l.bias, h->keys);
        const float factor = soften(l.scores, h->keys, h->scale) / (float)heads;
        for (int j = 0; j < h->keys; j++) scores[j] = (head ? scores[j] : 0) + factor * l.scores[j];
    }
}
