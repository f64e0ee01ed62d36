/* If these failed, a layer's numbers would be wrong: at sizes that fill no vector or tile, beside the matrix they belong
 * to, in the activation, or in the residual. */
#include "check.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const name_of_act[] = {"", " GELU"};

static vr_weight pack(vr_backend *be, int out, int in, bool bias)
{
    vr_weight w;
    vr_error  err = {0};
    float    *weight = vr_numbers((size_t)out * (size_t)in + 1, 11, 1 / sqrtf((float)in));
    float    *add = bias ? vr_numbers((size_t)out, 12, 1) : NULL;
    /* One float past the alignment, as in a mapped file. */
    cr_assert_eq(be->ops->pack(be, &w, weight + 1, add, out, in, VR_LAYER_OF_BLOCK, &err), VR_OK, "%s", err.text);
    free(weight), free(add);
    return w;
}

typedef struct {
    int     rows, out, in;
    bool    bias;
    vr_act  act;
    vr_into into;
} linear_case;

static vr_guarded run(const char *isa, int threads, const linear_case *t, const vr_guarded *x)
{
    vr_backend be = vr_open_isa(isa, threads, 1, 1);
    vr_weight  w = pack(&be, t->out, t->in, t->bias);
    vr_guarded y = vr_output(t->rows, t->out, 3, 1);
    vr_linear(&be, y.m, x->m, &w, t->act, t->into);
    be.ops->unpack(&be, &w);
    cr_assert_null(w.data);
    be.ops->close(&be);
    return y;
}

static void check(const linear_case *t)
{
    vr_guarded x = vr_input(t->rows, t->in, 1, 1), want = run("reference", 1, t, &x);
    for (const char *const *isa = vr_isas(); *isa; isa++)
        for (int threads = 1; threads <= 3; threads += 2) {
            vr_guarded  got = run(*isa, threads, t, &x);
            const char *what =
                vr_case("%s, %d threads, [%d, %d] x [%d, %d]%s%s%s", *isa, threads, t->rows, t->in, t->in, t->out,
                        t->bias ? " + bias" : "", name_of_act[t->act], t->into == VR_ADD ? ", added" : "");
            vr_check_close(got.m, want.m, what);
            vr_check_canaries(&got, what);
            vr_guarded_free(&got);
        }
    vr_guarded_free(&want), vr_guarded_free(&x);
}

Test(linear, odd_shapes)
{
    const int rows[] = {1, 2, 6, 7, 8, 9, 10, 14, 15, 19, 29, 197},
              sides[][2] = {{1, 1}, {3, 7}, {16, 1}, {31, 5}, {33, 17}, {32, 64}, {100, 48}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t s = 0; s < sizeof sides / sizeof *sides; s++)
            check(&(linear_case){rows[r], sides[s][0], sides[s][1], s % 2 == 0, VR_NO_ACT, VR_SET});
}

Test(linear, every_epilogue)
{
    for (int n = 0; n < 8; n++)
        check(&(linear_case){15, 45, 24, n & 1, n & 2 ? VR_GELU_ERF : VR_NO_ACT, n & 4 ? VR_ADD : VR_SET});
}

Test(linear, the_shapes_of_a_model)
{
    check(&(linear_case){1, 1000, 384, true, VR_NO_ACT, VR_SET});
    check(&(linear_case){197, 192, 768, true, VR_NO_ACT, VR_ADD});
    check(&(linear_case){30, 256, 64, true, VR_GELU_ERF, VR_SET});
    check(&(linear_case){14, 40, 3072, true, VR_NO_ACT, VR_ADD});
}

Test(linear, more_rows_than_the_cache_holds) { check(&(linear_case){1500, 33, 1024, true, VR_NO_ACT, VR_SET}); }

/* The sums of more rows than wait at once, in more parts than one of the depth. */
Test(linear, a_depth_that_is_multiplied_part_by_part)
{
    check(&(linear_case){250, 150, 769, true, VR_NO_ACT, VR_SET});
    check(&(linear_case){250, 150, 1601, true, VR_GELU_ERF, VR_SET});
    check(&(linear_case){29, 97, 3072, false, VR_NO_ACT, VR_ADD});
}

Test(linear, no_rows) { check(&(linear_case){0, 5, 3, true, VR_NO_ACT, VR_SET}); }

/* y = act(x), element by element: a 1 x 1 layer. */
static void activate(const char *isa, float *y, float *x, int count)
{
    vr_backend be = vr_open_isa(isa, 1, 1, 1);
    vr_weight  w;
    cr_assert_eq(be.ops->pack(&be, &w, &(float){1}, NULL, 1, 1, VR_LAYER_OF_BLOCK, NULL), VR_OK);
    vr_linear(&be, (vr_mat){y, count, 1, 1, VR_F32}, (vr_mat){x, count, 1, 1, VR_F32}, &w, VR_GELU_ERF, VR_SET);
    be.ops->unpack(&be, &w);
    be.ops->close(&be);
}

static double gelu(double x) { return x * erfc(-x / sqrt(2)) / 2; }

Test(linear, gelu_along_the_line)
{
    enum { N = 40001 };
    static float x[N], y[N];
    for (int i = 0; i < N; i++) x[i] = (float)(i - N / 2) * 5e-4f;
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        activate(*isa, y, x, N);
        for (int i = 0; i < N; i++) {
            double error = fabs((double)y[i] - gelu((double)x[i]));
            cr_assert_leq(error, 1e-6, "%s: GELU(%g) is off by %.2e", *isa, (double)x[i], error);
            if (fabsf(x[i]) < 0.1f) cr_assert_leq(error, 3e-7 * fabs(gelu((double)x[i])), "%s: GELU(%g)", *isa, (double)x[i]);
        }
    }
}

Test(linear, gelu_of_the_tiny_and_the_large)
{
    float x[] = {0, 1e-30f, -1e-30f, 1e-6f, -1e-6f, 1e30f, 700, -700, -1e30f}, y[9];
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        activate(*isa, y, x, 9);
        for (int i = 0; i < 5; i++)
            cr_assert_leq(fabs((double)y[i] - gelu((double)x[i])), 3e-7 * fabs(gelu((double)x[i])), "%s: GELU(%g)", *isa,
                          (double)x[i]);
        for (int i = 5; i < 7; i++)
            cr_assert(y[i] >= x[i] && y[i] <= x[i], "%s: GELU(%g) is %g", *isa, (double)x[i], (double)y[i]);
        for (int i = 7; i < 9; i++) cr_assert(y[i] >= 0 && y[i] <= 0, "%s: GELU(%g) is %g", *isa, (double)x[i], (double)y[i]);
    }
}

Test(linear, a_nan_reaches_its_row_and_no_other)
{
    for (const char *const *isa = vr_isas(); *isa; isa++)
        for (vr_act act = VR_NO_ACT; act <= VR_GELU_ERF; act++) {
            linear_case t = {15, 33, 8, true, act, VR_SET};
            vr_guarded  x = vr_input(15, 8, 1, 1);
            x.m.data[7 * x.m.stride + 3] = NAN;
            vr_guarded y = run(*isa, 2, &t, &x);
            for (int r = 0; r < 15; r++)
                for (int c = 0; c < 33; c++)
                    cr_assert_eq(isnan(y.m.data[(size_t)r * y.m.stride + (size_t)c]) != 0, r == 7, "%s%s: row %d", *isa,
                                 name_of_act[act], r);
            vr_guarded_free(&x), vr_guarded_free(&y);
        }
}
