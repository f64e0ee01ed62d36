/* gemm.c: the tiles, and the linear layer made of them.  Bias, GELU and residual are done on
 * a small buffer while it is in L1, which keeps branches out of the unrolled part.  Measured choices (Zen 4): rows are
 * shared out evenly among the tiles, 197 = 13 or 14 x 15, never a remainder of 1; no prefetching, which gained nothing. */
#include "../isa.h"
#include "tile.h"

#define DOT(sum, a, b) vec_fma(a, b, sum)
#define GROUP          (VEC == 16 ? 4 : 6) /* rows finished together */

/* Three rows share a pointer: base, base + stride and base + 2 stride are all addresses of one instruction, and 14
 * pointers would not fit the registers. */
INLINE void tile(int rows, int vecs, float *out, size_t out_stride, const float *left, size_t left_stride, const float *right,
                 int depth)
{
    vec          sum[TILE][TILE_VECS], b[TILE_VECS];
    const float *base[(TILE + 2) / 3];
    UNROLL for (int i = 0; i < (rows + 2) / 3; i++) base[i] = left + (size_t)(3 * i) * left_stride;
    UNROLL for (int i = 0; i < rows; i++) { UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = (vec){0}; }
    for (int k = 0; k < depth; k++) {
        UNROLL for (int j = 0; j < vecs; j++) b[j] = vec_load(right + j * VEC);
        right += PANEL;
        UNROLL for (int i = 0; i < rows; i++)
        {
            vec a = vec_all(base[i / 3][(size_t)(i % 3) * left_stride]);
            UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = DOT(sum[i][j], a, b[j]);
        }
        UNROLL for (int i = 0; i < (rows + 2) / 3; i++) base[i]++;
    }
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int j = 0; j < vecs; j++) vec_store(out + (size_t)i * out_stride + j * VEC, sum[i][j]);
    }
}

#define TILE_FN(rows, vecs)                                                                                                    \
    static void tile_##vecs##_##rows(float *out, size_t out_stride, const float *left, size_t left_stride, const float *right, \
                                     int depth)                                                                                \
    {                                                                                                                          \
        tile(rows, vecs, out, out_stride, left, left_stride, right, depth);                                                    \
    }
#define TILE_NAME(rows, vecs) tile_##vecs##_##rows,
#define TO_6(X, v)            X(1, v) X(2, v) X(3, v) X(4, v) X(5, v) X(6, v)
#define TO_14(X, v)           TO_6(X, v) X(7, v) X(8, v) X(9, v) X(10, v) X(11, v) X(12, v) X(13, v) X(14, v)
#if TILE == 14
#define EACH_ROWS TO_14
#else
#define EACH_ROWS TO_6
#endif

EACH_ROWS(TILE_FN, 1)
EACH_ROWS(TILE_FN, 2)
const vr_tile_fn VR_NAME(vr_tile)[TILE_VECS][TILE] = {{EACH_ROWS(TILE_NAME, 1)}, {EACH_ROWS(TILE_NAME, 2)}};

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
    vec                inside[GROUP], s[GROUP], r[GROUP];
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

/* `rows` rows of one vector's columns, `count` of them in y: y = act(sums + bias) + add. */
INLINE void finish_rows(const vr_gemm *g, const float *sums, vec bias, int row, int rows, int from, int count)
{
    vec          v[GROUP];
    float       *y = g->y + (size_t)row * g->y_stride + from;
    const float *add = g->add ? g->add + (size_t)row * g->add_stride + from : NULL;
    UNROLL for (int i = 0; i < rows; i++) v[i] = vec_load(sums + i * PANEL) + bias;
    if (g->act == VR_GELU_ERF) gelu(v, rows);
    if (add) {
        UNROLL for (int i = 0; i < rows; i++) v[i] += vec_load_first(add + (size_t)i * g->add_stride, count);
    }
    UNROLL for (int i = 0; i < rows; i++) vec_store_first(y + (size_t)i * g->y_stride, count, v[i]);
}

/* Several rows step through the polynomial side by side: each step waits for the one before it, and the processor does
 * not look far enough ahead to find the next row by itself (8 % of fc1 with AVX2). */
static void finish_column(const vr_gemm *g, const float *sums, int row, int rows, int from, int count)
{
    vec bias = g->bias ? vec_load_first(g->bias + from, count) : (vec){0};
    int i = 0;
    for (; i + GROUP <= rows; i += GROUP) finish_rows(g, sums + i * PANEL, bias, row + i, GROUP, from, count);
    for (; i < rows; i++) finish_rows(g, sums + i * PANEL, bias, row + i, 1, from, count);
}

void VR_NAME(vr_gemm)(const vr_gemm *g, int from, int rows, int panel)
{
    _Alignas(64) float sums[TILE * PANEL];
    const int          first = panel * PANEL, cols = g->cols - first < PANEL ? g->cols - first : PANEL;
    const int          vecs = (cols + VEC - 1) / VEC, tiles = (rows + TILE - 1) / TILE;
    const float       *w = g->w + (size_t)panel * (size_t)g->depth * PANEL;
    for (int t = 0; t < tiles; t++) {
        int          row = from + vr_share(rows, t, tiles), count = from + vr_share(rows, t + 1, tiles) - row;
        const float *x = g->x + (size_t)row * g->x_stride;
        VR_NAME(vr_tile)[vecs - 1][count - 1](sums, PANEL, x, g->x_stride, w, g->depth);
        for (int j = 0; j < cols; j += VEC) finish_column(g, sums + j, row, count, first + j, cols - j < VEC ? cols - j : VEC);
    }
}
