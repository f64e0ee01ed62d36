/* If these failed, LayerNorm would lose the digits of faint or far-off rows, or read past the end of a row. */
#include "check.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static vr_guarded run(const char *isa, int threads, const vr_guarded *x, const vr_norm *w)
{
    vr_backend be = vr_open_isa(isa, threads, 1, 1);
    vr_guarded y = vr_output(x->m.rows, x->m.cols, 3, 1);
    vr_layernorm(&be, y.m, x->m, w);
    be.ops->close(&be);
    return y;
}

/* Rows of spread `scale` about `mean`. */
static void check(int rows, int cols, float scale, float mean, float eps)
{
    float     *weight = vr_numbers((size_t)cols, 4, 1), *bias = vr_numbers((size_t)cols, 5, 1);
    vr_norm    norm = {weight, bias, eps};
    vr_guarded x = vr_input(rows, cols, 1, scale);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) x.m.data[(size_t)r * x.m.stride + (size_t)c] += mean;
    vr_guarded want = run("reference", 1, &x, &norm);
    for (const char *const *isa = vr_isas(); *isa; isa++)
        for (int threads = 1; threads <= 3; threads += 2) {
            vr_guarded  got = run(*isa, threads, &x, &norm);
            const char *what = vr_case("%s, %d threads, [%d, %d] of %g about %g, eps %g", *isa, threads, rows, cols,
                                       (double)scale, (double)mean, (double)eps);
            vr_check_close(got.m, want.m, what);
            vr_check_canaries(&got, what);
            vr_guarded_free(&got);
        }
    vr_guarded_free(&x), vr_guarded_free(&want);
    free(weight), free(bias);
}

Test(norm, odd_shapes)
{
    const int cols[] = {1, 2, 3, 7, 15, 16, 17, 33, 192, 385, 768}, rows[] = {1, 2, 15, 197};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t c = 0; c < sizeof cols / sizeof *cols; c++) check(rows[r], cols[c], 1, 0, 1e-6f);
}

Test(norm, faint_rows_keep_their_digits) { check(20, 384, 1e-4f, 0, 1e-12f); }

Test(norm, rows_fainter_than_eps) { check(20, 384, 1e-9f, 0, 1e-12f); }

Test(norm, far_off_rows_keep_their_digits)
{
    check(20, 384, 1, 1000, 1e-6f);
    check(20, 7, 1, -3000, 1e-6f);
}

Test(norm, a_level_row_gives_the_bias)
{
    float   x[20], weight[20], bias[20], y[20];
    vr_norm norm = {weight, bias, 1e-6f};
    for (int c = 0; c < 20; c++) x[c] = 0.7f, weight[c] = 2, bias[c] = (float)c;
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_backend be = vr_open_isa(*isa, 1, 1, 1);
        vr_layernorm(&be, (vr_mat){y, 1, 20, 20, VR_F32}, (vr_mat){x, 1, 20, 20, VR_F32}, &norm);
        for (int c = 0; c < 20; c++) cr_assert_float_eq(y[c], bias[c], 1e-6, "%s", *isa);
        be.ops->close(&be);
    }
}

Test(norm, in_place)
{
    float  *weight = vr_numbers(50, 4, 1), *bias = vr_numbers(50, 5, 1);
    vr_norm norm = {weight, bias, 1e-6f};
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_guarded x = vr_output(40, 50, 1, 1), want = run(*isa, 1, &x, &norm);
        vr_backend be = vr_open_isa(*isa, 2, 1, 1);
        vr_layernorm(&be, x.m, x.m, &norm);
        vr_check_same(x.m, want.m, *isa);
        vr_check_canaries(&x, *isa);
        be.ops->close(&be);
        vr_guarded_free(&x), vr_guarded_free(&want);
    }
    free(weight), free(bias);
}

Test(norm, a_nan_spoils_its_row_only)
{
    float  *weight = vr_numbers(40, 4, 1), *bias = vr_numbers(40, 5, 1);
    vr_norm norm = {weight, bias, 1e-6f};
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_guarded x = vr_input(3, 40, 1, 1);
        x.m.data[x.m.stride + 39] = NAN;
        vr_guarded y = run(*isa, 1, &x, &norm);
        for (int r = 0; r < 3; r++)
            for (int c = 0; c < 40; c++)
                cr_assert_eq(isnan(y.m.data[(size_t)r * y.m.stride + (size_t)c]) != 0, r == 1, "%s", *isa);
        vr_guarded_free(&x), vr_guarded_free(&y);
    }
    free(weight), free(bias);
}
