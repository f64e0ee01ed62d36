/* gemm.c: the linear layer: products of tiles, and what follows them.  Bias, GELU and residual are done on
 * a small buffer while it is in L1, which keeps branches out of the unrolled part.  Rows are shared out evenly among the tiles:
 * with nine in a tile 197 = 8 or 9 x 22, never a remainder of 1. */
#include "../isa.h"
#include "tile.h"

#define ROWS (VEC == 16 ? 3 : 6) /* finished together; most tiles have 9, and 6 */
#if defined(VR_PAIRS) || defined(VR_WIDENED)
#define WEIGHTS VR_BF16
#define NUMBERS 2 /* of a group */
#elif defined(VR_BYTES)
#define WEIGHTS VR_I8
#define NUMBERS 4
#else
#define WEIGHTS VR_F32
#define NUMBERS 1
#endif

/* x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2 = 1/2 + x r(2 x^2 / c^2 - 1) for |x| <= c = 5.5, and 0 or 1 beyond.
 * r is a polynomial fitted to (Phi(x) - 1/2) / x by least squares on 4001 Chebyshev nodes, reweighted (Lawson) until
 * the error of x Phi(x) was level, and held at its end a little above 1 / 2c so that Phi is cut to exactly 0 and 1
 * from c on.  In f32: absolute error below 8e-7, relative error below 2e-7 for |x| < 0.1. */
INLINE void gelu(vec *x, int vecs)
{
    static const float r_of[15] = {1.285519451e-01f, -6.417239457e-02f, 4.773667082e-02f, -3.879005089e-02f,
                                   3.208847344e-02f, -2.608624659e-02f, 2.023728192e-02f, -1.477489620e-02f,
                                   1.064424124e-02f, -7.479534484e-03f, 3.932563588e-03f, -1.403186936e-03f,
                                   1.278664102e-03f, -1.310126041e-03f, 4.556948552e-04f};
    const float        c = 5.5f;
    vec                inside[ROWS], s[ROWS], r[ROWS];
    UNROLL for (int i = 0; i < vecs; i++)
    {
        inside[i] = vec_min(vec_all(c), vec_max(vec_all(-c), x[i]));
        s[i] = vec_fma(inside[i] * inside[i], vec_all(2 / (c * c)), vec_all(-1));
        r[i] = vec_all(r_of[14]);
    }
    UNROLL for (int k = 13; k >= 0; k--) { UNROLL for (int i = 0; i < vecs; i++) r[i] = vec_fma(r[i], s[i], vec_all(r_of[k])); }
    UNROLL for (int i = 0; i < vecs; i++)
    {
        vec phi = vec_fma(inside[i], r[i], vec_all(0.5f));
        x[i] *= vec_min(vec_all(1), vec_max(vec_all(0), phi));
    }
}

INLINE void store(const vr_gemm *g, size_t at, int count, vec v)
{
#if defined(VR_PAIRS)
    if (g->y_type == VR_BF16) {
        store_first((element *)g->y + at, count, v);
        return;
    }
#endif
    vec_store_first((float *)g->y + at, count, v);
}

/* What makes numbers of one vector's columns of sums. */
typedef struct {
    vec bias;
#if defined(VR_BYTES)
    vec      scale;
    vec_bits total; /* of each column of W^T */
#endif
} column;

INLINE column column_of(const vr_gemm *g, const float *panel, int from, int count)
{
    column c = {.bias = g->bias ? vec_load_first(g->bias + from, count) : (vec){0}};
#if defined(VR_BYTES)
    const float *behind = panel + vr_groups(g->depth, VR_I8) * PANEL + from % PANEL;
    c.scale = vec_load(behind);
    c.total = (vec_bits)vec_load(behind + PANEL);
#endif
    (void)panel;
    return c;
}

/* x_r W^T = (sum of q_r q_c - zero_r sum of q_c) scale_c scale_r, the bracket in whole numbers; from the left, because the scales'
 * own product may leave the range of f32 where the result does not. */
INLINE vec numbers(const vr_gemm *g, const float *sums, const column *c, int row)
{
#if defined(VR_BYTES)
    const vec_bits exact = (vec_bits)vec_load(sums) - c->total * g->rounding[row].zero;
    return vec_fma(__builtin_convertvector(exact, vec) * c->scale, vec_all(g->rounding[row].scale), c->bias);
#else
    (void)g, (void)row;
    return vec_load(sums) + c->bias;
#endif
}

/* `rows` rows of one vector's columns, `count` of them in y: y = act(numbers) + add. */
INLINE void finish_rows(const vr_gemm *g, const float *sums, const column *c, int row, int rows, int from, int count)
{
    vec          v[ROWS];
    const float *add = g->add ? g->add + (size_t)row * g->add_stride + from : NULL;
    UNROLL for (int i = 0; i < rows; i++) v[i] = numbers(g, sums + i * PANEL, c, row + i);
    if (g->act == VR_GELU_ERF) gelu(v, rows);
    if (add) {
        UNROLL for (int i = 0; i < rows; i++) v[i] += vec_load_first(add + (size_t)i * g->add_stride, count);
    }
    UNROLL for (int i = 0; i < rows; i++) store(g, (size_t)(row + i) * g->y_stride + (size_t)from, count, v[i]);
}

/* Several rows step through the polynomial side by side: each step waits for the one before it, and the processor does
 * not look far enough ahead to find the next row by itself (8 % of fc1 with AVX2). */
static void finish_column(const vr_gemm *g, const float *sums, const float *panel, int row, int rows, int from, int count)
{
    const column c = column_of(g, panel, from, count);
    int          i = 0;
    for (; i + ROWS <= rows; i += ROWS) finish_rows(g, sums + i * PANEL, &c, row + i, ROWS, from, count);
    for (; i < rows; i++) finish_rows(g, sums + i * PANEL, &c, row + i, 1, from, count);
}

#define SPAN    (SPAN_BYTES / (NUMBERS * (int)sizeof(element))) /* groups */
#define WAITING (SPAN_BYTES == INT_MAX ? 1 : 22)                /* tiles whose sums wait: 197 rows, nine in a tile */

/* Panel `panel` of the result, some of its rows. */
typedef struct {
    const vr_gemm *g;
    const float   *w, *next;    /* the panel, and the one that this thread takes next; NULL: not known */
    int            cols, first; /* columns, and where they lie in y */
    int            from, rows, tiles;
} strip;

static strip strip_of(const vr_gemm *g, int from, int rows, int panel)
{
    const int    first = panel * PANEL, cols = g->cols - first < PANEL ? g->cols - first : PANEL;
    const size_t words = vr_panel_words(g->depth, PANEL, WEIGHTS);
    const float *w = (const float *)g->w + (size_t)panel * words;
    const bool   more = g->next > 0 && panel + g->next < (g->cols + PANEL - 1) / PANEL;
    return (strip){g, w, more ? w + (size_t)g->next * words : NULL, cols, first, from, rows, (rows + TILE - 1) / TILE};
}

static int spans_of(const vr_gemm *g) { return ((int)vr_groups(g->depth, WEIGHTS) - 1) / SPAN + 1; }

static int row_of_tile(const strip *s, int t) { return s->from + vr_share(s->rows, t, s->tiles); }

static void finish_tile(const strip *s, const float *sums, int row, int rows)
{
    for (int j = 0; j < s->cols; j += VEC)
        finish_column(s->g, sums + j, s->w, row, rows, s->first + j, s->cols - j < VEC ? s->cols - j : VEC);
}

/* Tiles t .. end-1, of at most `most` rows each, the depth span after span.  Meanwhile what is multiplied next is fetched, a share
 * with each group of a tile: panels come from memory once, and by itself the processor fetches one only when its first tile is
 * under way (Ice Lake: 9 to 12 % of the time). */
static void multiply_tiles(const strip *s, float *sums, int t, int end, int most)
{
    const vr_gemm *g = s->g;
    const int      spans = spans_of(g), first = row_of_tile(s, t);
    tile_product   p = {.out_stride = PANEL, .left_stride = g->x_stride};
    for (int span = 0, deep = 0; span < spans; span++, deep += p.depth) {
        p.right = s->w + (size_t)span * SPAN * PANEL;
        const float *next = span < spans - 1 ? p.right + (size_t)SPAN * PANEL : end == s->tiles ? s->next : s->w;
        p.depth = span < spans - 1 ? SPAN * NUMBERS : g->depth - deep;
        p.more = span > 0;
        p.ahead = (const char *)(next ? next : s->w);
        p.pace = next ? PANEL * sizeof *next / (size_t)(end - t) + 1 : 0;
        for (int i = t; i < end; i++) {
            const int row = row_of_tile(s, i), rows = row_of_tile(s, i + 1) - row;
            const int start = tile_start(row, s->from + s->rows, most);
            p.out = spans > 1 ? sums + (row - first) * PANEL : sums;
            p.left = (const element *)g->x + (size_t)start * g->x_stride + deep;
            VR_NAME(vr_tile)(&p, SAME_ROWS ? most : rows, (s->cols + VEC - 1) / VEC);
            p.ahead += (size_t)(p.depth / NUMBERS) * p.pace;
            if (span == spans - 1) finish_tile(s, p.out + (row - start) * PANEL, row, rows);
        }
    }
}

void VR_NAME(vr_gemm)(const vr_gemm *g, int from, int rows, int panel)
{
    _Alignas(64) float sums[WAITING * TILE * PANEL];
    const strip        s = strip_of(g, from, rows, panel);
    const int          most = s.tiles ? (rows + s.tiles - 1) / s.tiles : 0, step = spans_of(g) > 1 ? WAITING : s.tiles;
    VR_NAME(vr_tile_begin)(most);
    for (int t = 0; t < s.tiles; t += step) multiply_tiles(&s, sums, t, t + step < s.tiles ? t + step : s.tiles, most);
    VR_NAME(vr_tile_end)();
}
