/* If these failed, --dtype int8 would compute something else: at depths that fill no group of four, at rows and columns that
 * fill no tile, from what lies behind a row, or where a number is not finite.
 *
 * Inputs span 255 in each row and weights 127 in each column, and all are whole numbers, so that rounding to bytes changes none
 * of them and the products are exact: what comes out is compared with the oracle in f32 without any allowance for bytes. */
#include "../../kernels/cpu/cpu.h"
#include "check.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static const char isa[] = "avx512vnni";

static void need_bytes(void)
{
    if (!vr_cpu_isa_supported(isa, VR_MATH_INT8)) cr_skip_test("this processor has no VNNI");
}

typedef struct {
    int     rows, out, in;
    vr_act  act;
    vr_into into;
} linear_case;

/* Whole numbers from -3 to 3. */
static void make_small(float *x, int count)
{
    for (int i = 0; i < count; i++) x[i] = rintf(3 * x[i]);
}

/* Row r goes from r % 256 - 255 to r % 256, or as far as one number can. */
static vr_guarded inputs(const linear_case *t)
{
    vr_guarded x = vr_input(t->rows, t->in, 1, 1);
    for (int r = 0; r < t->rows; r++) {
        float      *row = x.m.data + (size_t)r * x.m.stride;
        const float most = (float)(t->in > 1 ? 37 * r % 256 : 255);
        make_small(row, t->in);
        for (int c = 0; c < t->in; c++) row[c] = fminf(fmaxf(row[c], most - 255), most);
        row[t->in - 1] = most;
        if (t->in > 1) row[(t->in - 1) / 2] = most - 255;
    }
    return x;
}

static float *weights(const linear_case *t)
{
    float *w = vr_numbers((size_t)t->out * (size_t)t->in, 11, 1);
    for (int o = 0; o < t->out; o++) {
        float *row = w + (size_t)o * (size_t)t->in;
        make_small(row, t->in);
        row[o % t->in] = o % 2 ? -127 : 127;
    }
    return w;
}

static vr_guarded run(bool bytes, int threads, const linear_case *t, vr_mat x, const float *weight)
{
    vr_backend      be = vr_open_isa_as(bytes ? VR_MATH_INT8 : VR_MATH_AUTO, bytes ? isa : "reference", threads, 1, 1);
    const vr_limits most = {.images = 1, .rows = t->rows + 1, .longest = t->rows + 1};
    float          *bias = vr_numbers((size_t)t->out, 12, 1);
    vr_guarded      y = vr_output(t->rows, t->out, 3, 1);
    vr_error        err = {0};
    vr_weight       w;
    cr_assert_eq(be.ops->pack(&be, &w, weight, bias, t->out, t->in, VR_LAYER_OF_BLOCK, &err), VR_OK, "%s", err.text);
    cr_assert_eq(be.ops->reserve(&be, &most, 1, 1, &err), VR_OK, "%s", err.text);
    cr_assert_eq(w.type, bytes ? VR_I8 : VR_F32);
    vr_linear(&be, y.m, x, &w, t->act, t->into);
    be.ops->unpack(&be, &w);
    be.ops->close(&be);
    free(bias);
    return y;
}

static void check(const linear_case *t)
{
    vr_guarded x = inputs(t);
    float     *w = weights(t);
    vr_guarded want = run(false, 1, t, x.m, w);
    for (int threads = 1; threads <= 3; threads += 2) {
        vr_guarded  got = run(true, threads, t, x.m, w);
        const char *what = vr_case("%d threads, [%d, %d] x [%d, %d]%s%s", threads, t->rows, t->in, t->in, t->out,
                                   t->act ? " GELU" : "", t->into ? ", added" : "");
        vr_check_close(got.m, want.m, what);
        vr_check_canaries(&got, what);
        vr_guarded_free(&got);
    }
    vr_guarded_free(&x), vr_guarded_free(&want);
    free(w);
}

Test(int8, odd_shapes)
{
    static const int rows[] = {1, 2, 3, 5, 13, 14, 29, 197},
                     sides[][2] = {{1, 1}, {3, 7}, {16, 2}, {31, 5}, {33, 17}, {32, 64}, {65, 63}, {100, 48}};
    need_bytes();
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t s = 0; s < sizeof sides / sizeof *sides; s++)
            check(&(linear_case){rows[r], sides[s][0], sides[s][1], VR_NO_ACT, VR_SET});
}

Test(int8, every_epilogue_and_the_shapes_of_a_model)
{
    need_bytes();
    check(&(linear_case){15, 45, 24, VR_GELU_ERF, VR_SET});
    check(&(linear_case){15, 45, 24, VR_NO_ACT, VR_ADD});
    check(&(linear_case){197, 192, 768, VR_NO_ACT, VR_ADD});
    check(&(linear_case){14, 40, 3072, VR_NO_ACT, VR_ADD});
    check(&(linear_case){0, 5, 3, VR_NO_ACT, VR_SET});
}

/* Sums of the largest products of one sign: nothing saturates on the way. */
Test(int8, the_largest_sums)
{
    enum { DEPTH = 512 }; /* 512 * 255 * 127 is the most that f32 has every whole number to */
    const linear_case t = {2, 33, DEPTH, VR_NO_ACT, VR_SET};
    float             w[33 * DEPTH];
    need_bytes();
    for (int i = 0; i < 33 * DEPTH; i++) w[i] = i / DEPTH % 2 ? -127 : 127;
    vr_guarded x = vr_input(t.rows, t.in, 1, 1);
    for (int c = 0; c < DEPTH; c++) x.m.data[c] = 255, x.m.data[x.m.stride + (size_t)c] = -255;
    vr_guarded want = run(false, 1, &t, x.m, w), got = run(true, 1, &t, x.m, w);
    vr_check_close(got.m, want.m, "largest sums");
    vr_guarded_free(&x), vr_guarded_free(&want), vr_guarded_free(&got);
}

/* A NaN or an infinity spoils all of its row, or of its column, and nothing else. */
Test(int8, what_is_not_finite_is_not_hidden)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const linear_case  t = {5, 35, 21, VR_NO_ACT, VR_SET};
    need_bytes();
    for (int n = 0; n < 3; n++) {
        vr_guarded x = inputs(&t);
        float     *w = weights(&t);
        x.m.data[2 * x.m.stride + 20] = bad[n];
        w[33 * t.in + 7] = bad[n];
        vr_guarded y = run(true, 1, &t, x.m, w);
        for (int r = 0; r < t.rows; r++)
            for (int c = 0; c < t.out; c++) {
                const float got = y.m.data[(size_t)r * y.m.stride + (size_t)c];
                cr_expect_eq(isfinite(got) == 0, r == 2 || c == 33, "%g: row %d, column %d is %g", (double)bad[n], r, c,
                             (double)got);
            }
        vr_guarded_free(&x), vr_guarded_free(&y);
        free(w);
    }
}

/* Rows and columns of zeros, and of numbers too small to be told apart from them, give the bias. */
Test(int8, nothing_gives_the_bias)
{
    const linear_case t = {3, 9, 10, VR_NO_ACT, VR_SET};
    need_bytes();
    float *bias = vr_numbers((size_t)t.out, 12, 1);
    for (int n = 0; n < 2; n++) {
        vr_guarded x = inputs(&t);
        float     *w = weights(&t);
        for (int c = 0; c < t.in; c++) x.m.data[c] = n ? 1e-38f : 0, w[4 * t.in + c] = n ? -1e-38f : 0;
        vr_guarded y = run(true, 1, &t, x.m, w);
        for (int c = 0; c < t.out; c++) cr_expect(y.m.data[c] == bias[c], "column %d", c);
        for (int r = 0; r < t.rows; r++) cr_expect(y.m.data[(size_t)r * y.m.stride + 4] == bias[4], "row %d", r);
        vr_guarded_free(&x), vr_guarded_free(&y);
        free(w);
    }
    free(bias);
}
