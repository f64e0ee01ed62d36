/* gemm.c: the tiles, and the linear layer made of them: bias, GELU and residual are added while a tile's sums are in
 * L1.  Measured choices (Zen 4): rows are shared out evenly among the tiles, 197 = 13 or 14 x 15, never a remainder of
 * 1; no prefetching, which gained nothing; the epilogue is a rolled loop over a small buffer, which keeps branches out
 * of the unrolled part. */
#include "../isa.h"
#include "tile.h"

#define DOT(sum, a, b) vec_fma(a, b, sum)

/* Three rows share a pointer: base, base + stride and base + 2 stride are all addresses of one instruction, and 14
 * pointers would not fit the registers. */
INLINE void tile(int rows, int vecs, float *out, size_t out_stride, const float *left, size_t left_stride, const float *right,
                 int depth)
{
    vec          sum[TILE][TILE_VECS];
    const float *base[(TILE + 2) / 3];
    UNROLL for (int i = 0; i < (rows + 2) / 3; i++) base[i] = left + (size_t)(3 * i) * left_stride;
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = (vec){0};
    for (int k = 0; k < depth; k++) {
        vec b[TILE_VECS];
        UNROLL for (int j = 0; j < vecs; j++) b[j] = vec_load(right + j * VEC);
        right += PANEL;
        UNROLL for (int i = 0; i < rows; i++)
        {
            vec a = vec_all(base[i / 3][(size_t)(i % 3) * left_stride]);
            UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = DOT(sum[i][j], a, b[j]);
        }
        UNROLL for (int i = 0; i < (rows + 2) / 3; i++) base[i]++;
    }
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vecs; j++)
        vec_store(out + (size_t)i * out_stride + j * VEC, sum[i][j]);
}

#define TILE_FN(rows, vecs)                                                                                                    \
    static void tile_##vecs##_##rows(float *out, size_t out_stride, const float *left, size_t left_stride, const float *right, \
                                     int depth)                                                                                \
    {                                                                                                                          \
        tile(rows, vecs, out, out_stride, left, left_stride, right, depth);                                                    \
    }
#define TILE_NAME(rows, vecs) tile_##vecs##_##rows,
/* clang-format 14 never comes to rest on this macro. */
/* clang-format off */
#if TILE == 14
#define EACH_ROWS(X, vecs) \
    X(1, vecs) X(2, vecs) X(3, vecs) X(4, vecs) X(5, vecs) X(6, vecs) X(7, vecs) \
    X(8, vecs) X(9, vecs) X(10, vecs) X(11, vecs) X(12, vecs) X(13, vecs) X(14, vecs)
#else
#define EACH_ROWS(X, vecs) X(1, vecs) X(2, vecs) X(3, vecs) X(4, vecs) X(5, vecs) X(6, vecs)
#endif
/* clang-format on */

EACH_ROWS(TILE_FN, 1)
EACH_ROWS(TILE_FN, 2)
const vr_tile_fn VR_NAME(vr_tile)[TILE_VECS][TILE] = {{EACH_ROWS(TILE_NAME, 1)}, {EACH_ROWS(TILE_NAME, 2)}};

/* x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2 = 1/2 + x r(2 x^2 / c^2 - 1) for |x| <= c = 5.5, and 0 or 1 beyond.
 * r is a polynomial fitted to (Phi(x) - 1/2) / x by least squares on 4001 Chebyshev nodes, reweighted (Lawson) until
 * the error of x Phi(x) was level, and held at its end a little above 1 / 2c so that Phi is cut to exactly 0 and 1
 * from c on.  In f32: absolute error below 8e-7, relative error below 2e-7 for |x| < 0.1. */
INLINE vec gelu(vec x)
{
    static const float r_of[15] = {1.285519451e-01f, -6.417239457e-02f, 4.773667082e-02f, -3.879005089e-02f,
                                   3.208847344e-02f, -2.608624659e-02f, 2.023728192e-02f, -1.477489620e-02f,
                                   1.064424124e-02f, -7.479534484e-03f, 3.932563588e-03f, -1.403186936e-03f,
                                   1.278664102e-03f, -1.310126041e-03f, 4.556948552e-04f};
    const float        c = 5.5f;
    vec                inside = vec_min(vec_all(c), vec_max(vec_all(-c), x));
    vec                s = vec_fma(inside * inside, vec_all(2 / (c * c)), vec_all(-1));
    vec                r = vec_all(r_of[14]);
    UNROLL for (int i = 13; i >= 0; i--) r = vec_fma(r, s, vec_all(r_of[i]));
    vec phi = vec_fma(inside, r, vec_all(0.5f));
    return x * vec_min(vec_all(1), vec_max(vec_all(0), phi));
}

/* A tile's sums to y, columns from .. from+count-1, count at most VEC. */
static void finish_column(const vr_gemm *g, const float *sums, int row, int rows, int from, int count)
{
    vec bias = g->bias ? vec_load_first(g->bias + from, count) : (vec){0};
    for (int i = 0; i < rows; i++) {
        vec v = vec_load(sums + i * PANEL) + bias;
        if (g->act == VR_GELU_ERF) v = gelu(v);
        if (g->add) v += vec_load_first(g->add + (size_t)(row + i) * g->add_stride + from, count);
        vec_store_first(g->y + (size_t)(row + i) * g->y_stride + from, count, v);
    }
}

void VR_NAME(vr_gemm)(const vr_gemm *g, int from, int rows, int panel)
{
    _Alignas(64) float sums[TILE * PANEL];
    int                cols = g->cols - panel * PANEL < PANEL ? g->cols - panel * PANEL : PANEL;
    int                vecs = (cols + VEC - 1) / VEC;
    const float       *w = g->w + (size_t)panel * (size_t)g->depth * PANEL;
    int                tiles = (rows + TILE - 1) / TILE;
    for (int t = 0; t < tiles; t++) {
        int row = from + rows * t / tiles, count = from + rows * (t + 1) / tiles - row;
        VR_NAME(vr_tile)[vecs - 1][count - 1](sums, PANEL, g->x + (size_t)row * g->x_stride, g->x_stride, w, g->depth);
        for (int j = 0; j < vecs; j++)
            finish_column(g, sums + j * VEC, row, count, panel * PANEL + j * VEC, cols - j * VEC < VEC ? cols - j * VEC : VEC);
    }
}
