/* If these failed, --dtype int8 would compute something else than whole numbers do: other sums at sizes that fill no group, vector or
 * tile, in another company, from what lies behind a row, or on some processor; or a NaN would pass for a number.
 *
 * The oracle rounds by the same rule and adds whole numbers in 64 bits, so that a single unit of a sum would be seen; what
 * follows is f32, and allowed its roundings. */
#include "../../kernels/cpu/cpu.h"
#include "../../kernels/cpu/isa.h"
#include "../loaders/faults.h"
#include "../support/emulation.h"
#include "check.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int     rows, out, in;
    vr_act  act;
    vr_into into;
    bool    bias;
} linear_case;

static void reserve(vr_backend *be, int rows)
{
    vr_error err = {0};
    cr_assert_eq(be->ops->reserve(be, &(vr_limits){.rows = rows, .longest = 1}, 1, 1, &err), VR_OK, "%s", err.text);
}

/* y = act(x W^T + bias), set or added; weight [out, in], bias [out] or NULL. */
static vr_guarded run(const char *isa, int threads, const linear_case *t, vr_mat x, const float *weight, const float *bias)
{
    vr_backend be = vr_open_isa_as(VR_MATH_INT8, isa, threads, 1, 1);
    vr_error   err = {0};
    vr_weight  w;
    vr_guarded y = vr_output(t->rows, t->out, 3, 1);
    cr_assert_eq(be.ops->pack(&be, &w, weight, bias, t->out, t->in, VR_LAYER_OF_BLOCK, &err), VR_OK, "%s", err.text);
    cr_assert_eq(w.type, VR_I8);
    reserve(&be, t->rows + 1);
    vr_linear(&be, y.m, x, &w, t->act, t->into);
    be.ops->unpack(&be, &w);
    be.ops->close(&be);
    return y;
}

/* ---- the oracle ---- */

typedef struct {
    int  *q;    /* [count] a byte's distance from the one that stands for 0 */
    float step; /* what 1 stands for */
} whole;

static whole round_activations(const float *x, int count)
{
    whole w = {calloc((size_t)count, sizeof *w.q), 0};
    float least = 0, largest = 0;
    for (int i = 0; i < count; i++) least = fminf(least, x[i]), largest = fmaxf(largest, x[i]);
    const float range = largest - least, factor = range > 1e-30f ? 255 / range : 0;
    const int   zero = (int)lrintf(-least * factor);
    w.step = range / 255;
    for (int i = 0; i < count; i++) {
        const int byte = (int)lrintf(x[i] * factor) + zero;
        w.q[i] = (byte < 0 ? 0 : byte > 255 ? 255 : byte) - zero;
    }
    return w;
}

static whole round_weights(const float *x, int count)
{
    whole w = {calloc((size_t)count, sizeof *w.q), 0};
    float largest = 0;
    for (int i = 0; i < count; i++) largest = fmaxf(largest, fabsf(x[i]));
    const float factor = largest > 1e-30f ? 127 / largest : 0;
    w.step = factor > 0 ? largest / 127 : 0;
    for (int i = 0; i < count; i++) w.q[i] = (int)lrintf(x[i] * factor);
    return w;
}

static double gelu(double x) { return x * erfc(-x / sqrt(2)) / 2; }

/* One number of y.  A sum's conversion, its product with either step and the sum with the bias are rounded once each, and
 * GELU, which no slope steeper than 1.13 makes worse, is off by 8e-7 at most (see test_linear.c). */
static void check_number(double got, const linear_case *t, double product, double bias, double add, const char *what, int r,
                         int c)
{
    const double before = product + bias, after = t->act ? gelu(before) : before;
    const double want = after + (t->into == VR_ADD ? add : 0);
    const double allowed = 3e-7 * (fabs(product) + fabs(bias) + fabs(add)) + (t->act ? 1e-6 : 0);
    cr_assert(fabs(got - want) <= allowed, "%s: row %d, column %d is %.9g, not %.9g", what, r, c, got, want);
}

static void check_against_oracle(const vr_guarded *got, const linear_case *t, vr_mat x, const float *weight, const float *bias,
                                 const char *what)
{
    vr_guarded before = vr_output(t->rows, t->out, 3, 1);
    for (int c = 0; c < t->out; c++) {
        const whole w = round_weights(weight + (size_t)c * (size_t)t->in, t->in);
        for (int r = 0; r < t->rows; r++) {
            const whole  row = round_activations(x.data + (size_t)r * x.stride, t->in);
            const size_t at = (size_t)r * got->m.stride + (size_t)c;
            int64_t      sum = 0;
            for (int k = 0; k < t->in; k++) sum += (int64_t)row.q[k] * w.q[k];
            check_number((double)got->m.data[at], t, (double)sum * (double)row.step * (double)w.step,
                         bias ? (double)bias[c] : 0, (double)before.m.data[at], what, r, c);
            free(row.q);
        }
        free(w.q);
    }
    vr_check_canaries(got, what);
    vr_guarded_free(&before);
}

/* On every instruction set; all give the same bits. */
static void check_rows(const linear_case *t, vr_mat x, const float *weight, const float *bias)
{
    vr_guarded first = {0};
    for (const char *const *isa = vr_isas_int8(); *isa; isa++)
        for (int threads = 1; threads <= 3; threads += 2) {
            vr_guarded  got = run(*isa, threads, t, x, weight, bias);
            const char *what = vr_case("%s, %d threads, [%d, %d] x [%d, %d]%s%s%s", *isa, threads, t->rows, t->in, t->in,
                                       t->out, bias ? " + bias" : "", t->act ? " GELU" : "", t->into ? ", added" : "");
            if (first.memory) {
                vr_check_same(got.m, first.m, what);
                vr_check_canaries(&got, what);
                vr_guarded_free(&got);
            } else {
                check_against_oracle(&got, t, x, weight, bias, what);
                first = got;
            }
        }
    vr_guarded_free(&first);
}

static void check(const linear_case *t)
{
    vr_guarded x = vr_input(t->rows, t->in, 1, 1);
    float     *weight = vr_numbers((size_t)t->out * (size_t)t->in, 11, 1 / sqrtf((float)t->in));
    float     *bias = t->bias ? vr_numbers((size_t)t->out, 12, 1) : NULL;
    check_rows(t, x.m, weight, bias);
    free(weight), free(bias), vr_guarded_free(&x);
}

/* ---- shapes ---- */

Test(int8, linear_of_1_to_29_rows)
{
    const int in[] = {1, 2, 3, 4, 5, 15, 16, 17, 64, 75};
    for (int rows = 1; rows <= 29; rows++)
        for (size_t i = 0; i < sizeof in / sizeof *in; i++)
            check(&(linear_case){rows, rows % 2 ? 33 : 47, in[i], VR_NO_ACT, VR_SET, i % 2});
}

Test(int8, linear_of_odd_shapes)
{
    const int rows[] = {1, 13, 29, 65, 197}, sides[][2] = {{1, 1}, {3, 7}, {16, 1}, {31, 97}, {32, 64}, {48, 64}, {100, 588}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t s = 0; s < sizeof sides / sizeof *sides; s++)
            check(&(linear_case){rows[r], sides[s][0], sides[s][1], VR_NO_ACT, VR_SET, s % 2});
}

Test(int8, linear_with_every_epilogue)
{
    for (int n = 0; n < 8; n++)
        check(&(linear_case){35, 45, 24, n & 1 ? VR_GELU_ERF : VR_NO_ACT, n & 2 ? VR_ADD : VR_SET, n & 4});
}

Test(int8, linear_of_a_model)
{
    check(&(linear_case){29, 70, 3072, VR_NO_ACT, VR_ADD, true});
    check(&(linear_case){50, 256, 64, VR_GELU_ERF, VR_SET, true});
}

Test(int8, linear_of_a_depth_that_is_multiplied_part_by_part)
{
    check(&(linear_case){250, 150, 3073, VR_NO_ACT, VR_ADD, true});
    check(&(linear_case){19, 50, 6150, VR_GELU_ERF, VR_SET, true});
}

Test(int8, linear_of_no_rows) { check(&(linear_case){0, 5, 3, VR_NO_ACT, VR_SET, true}); }

Test(int8, linear_of_more_rows_than_the_cache_holds) { check(&(linear_case){2600, 3, 1024, VR_NO_ACT, VR_SET, true}); }

/* The largest sums there are, of either sign, with 0 at either end of the bytes. */
Test(int8, the_deepest_layer)
{
    enum { DEEP = VR_BYTES_DEEPEST };
    linear_case t = {2, 2, DEEP, VR_NO_ACT, VR_SET, false};
    float      *weight = vr_numbers(2 * (size_t)DEEP, 1, 0);
    vr_guarded  x = vr_input(2, DEEP, 1, 0);
    for (int i = 0; i < DEEP; i++) {
        x.m.data[i] = 1, x.m.data[x.m.stride + (size_t)i] = -1;
        weight[i] = 1, weight[DEEP + i] = -1;
    }
    check_rows(&t, x.m, weight, NULL);
    free(weight), vr_guarded_free(&x);
}

Test(int8, a_deeper_layer_stays_f32)
{
    float *weight = vr_numbers((size_t)VR_BYTES_DEEPEST + 1, 1, 1);
    for (const char *const *isa = vr_isas_int8(); *isa; isa++) {
        vr_backend be = vr_open_isa_as(VR_MATH_INT8, *isa, 1, 1, 1);
        vr_weight  w;
        cr_assert_eq(be.ops->pack(&be, &w, weight, NULL, 1, VR_BYTES_DEEPEST + 1, VR_LAYER_OF_BLOCK, NULL), VR_OK);
        cr_expect_eq(w.type, VR_F32);
        be.ops->unpack(&be, &w), be.ops->close(&be);
    }
    free(weight);
}

/* The first and the last layers, and what rounding costs the others: a third of a step squared on either side, 3.1e-5. */
Test(int8, beside_f32)
{
    enum { ROWS = 20, OUT = 65, IN = 300 };
    float     *weight = vr_numbers(OUT * IN, 11, 1);
    vr_guarded x = vr_input(ROWS, IN, 1, 1), want = vr_output(ROWS, OUT, 2, 1);
    vr_backend oracle = vr_open_isa("reference", 1, 1, 1);
    vr_weight  w;
    cr_assert_eq(oracle.ops->pack(&oracle, &w, weight, NULL, OUT, IN, VR_LAYER_OUTER, NULL), VR_OK);
    vr_linear(&oracle, want.m, x.m, &w, VR_NO_ACT, VR_SET);
    oracle.ops->unpack(&oracle, &w), oracle.ops->close(&oracle);
    for (const char *const *isa = vr_isas_int8(); *isa; isa++)
        for (vr_layer layer = VR_LAYER_OF_BLOCK; layer <= VR_LAYER_OUTER; layer++) {
            vr_backend be = vr_open_isa_as(VR_MATH_INT8, *isa, 1, 1, 1);
            vr_guarded y = vr_output(ROWS, OUT, 3, 1);
            cr_assert_eq(be.ops->pack(&be, &w, weight, NULL, OUT, IN, layer, NULL), VR_OK);
            reserve(&be, ROWS);
            vr_linear(&be, y.m, x.m, &w, VR_NO_ACT, VR_SET);
            vr_check_error(y.m, want.m, layer == VR_LAYER_OUTER ? 1e-12 : 4e-5, *isa);
            be.ops->unpack(&be, &w), be.ops->close(&be), vr_guarded_free(&y);
        }
    free(weight), vr_guarded_free(&x), vr_guarded_free(&want);
}

/* ---- numbers ---- */

enum { SOME = 17, WIDE = 45, DEEP = 37 }; /* rows, columns and depth of the cases below */

static const linear_case plain = {SOME, WIDE, DEEP, VR_NO_ACT, VR_SET, true};

static float *row_of(vr_guarded *x, int row) { return x->m.data + (size_t)row * x->m.stride; }

/* What rounding has to do with: nothing, one number that leaves no bytes to the others, all of one sign, and little. */
Test(int8, rows_of_every_kind)
{
    vr_guarded x = vr_input(SOME, DEEP, 1, 1);
    float     *weight = vr_numbers(WIDE * DEEP, 11, 1), *bias = vr_numbers(WIDE, 12, 1);
    memset(row_of(&x, 0), 0, DEEP * sizeof(float));
    row_of(&x, 1)[5] = 1e30f, row_of(&x, 2)[20] = -1e30f, row_of(&x, 16)[0] = 3e38f;
    for (int c = 0; c < DEEP; c++) {
        float *const at = x.m.data + c;
        at[3 * x.m.stride] = fabsf(at[3 * x.m.stride]), at[4 * x.m.stride] = -fabsf(at[4 * x.m.stride]);
        at[5 * x.m.stride] *= 1e-29f, at[6 * x.m.stride] *= 1e-31f, at[7 * x.m.stride] *= 1e-44f;
        at[8 * x.m.stride] = -0.0f, at[9 * x.m.stride] = 7, at[10 * x.m.stride] = (float)(c - 18) / 2;
        weight[2 * DEEP + c] = 0, weight[3 * DEEP + c] *= 1e-31f, weight[4 * DEEP + c] *= 1e-29f;
        weight[44 * DEEP + c] = c == 36 ? -3e30f : 1;
    }
    check_rows(&plain, x.m, weight, bias);
    vr_guarded few = {.m = vr_mat_rows(x.m, 0, 9)};
    for (const char *const *isa = vr_isas_int8(); *isa; isa++) {
        vr_guarded y = run(*isa, 1, &(linear_case){9, WIDE, DEEP, VR_NO_ACT, VR_SET, true}, few.m, weight, bias);
        for (int r = 0; r < 9; r++)
            if (r == 0 || r >= 6) vr_check_same(vr_mat_rows(y.m, r, 1), (vr_mat){bias, 1, WIDE, WIDE, VR_F32}, "nothing");
        vr_guarded_free(&y);
    }
    free(weight), free(bias), vr_guarded_free(&x);
}

/* Row 8 has that number, or two, and all that comes of it is NaN; the others are what they were. */
static void check_spoilt(int at, float number, int also, float other)
{
    vr_guarded x = vr_input(SOME, DEEP, 1, 1);
    float     *weight = vr_numbers(WIDE * DEEP, 11, 1), *bias = vr_numbers(WIDE, 12, 1);
    for (const char *const *isa = vr_isas_int8(); *isa; isa++)
        for (vr_act act = VR_NO_ACT; act <= VR_GELU_ERF; act++) {
            linear_case t = plain;
            t.act = act;
            vr_guarded  good = run(*isa, 2, &t, x.m, weight, bias), bad = vr_input(SOME, DEEP, 1, 1);
            const char *what = vr_case("%s: %g and %g", *isa, (double)number, (double)other);
            row_of(&bad, 8)[at] = number, row_of(&bad, 8)[also] = other;
            vr_guarded y = run(*isa, 2, &t, bad.m, weight, bias);
            for (int c = 0; c < WIDE; c++) cr_assert(isnan(row_of(&y, 8)[c]), "%s: column %d", what, c);
            vr_check_same(vr_mat_rows(y.m, 0, 8), vr_mat_rows(good.m, 0, 8), what);
            vr_check_same(vr_mat_rows(y.m, 9, SOME - 9), vr_mat_rows(good.m, 9, SOME - 9), what);
            vr_guarded_free(&good), vr_guarded_free(&bad), vr_guarded_free(&y);
        }
    free(weight), free(bias), vr_guarded_free(&x);
}

Test(int8, what_is_no_number_spoils_its_row_and_no_other)
{
    for (int at = 0; at < DEEP; at += 4) {
        check_spoilt(at, NAN, at, NAN);
        check_spoilt(at, INFINITY, at, INFINITY);
        check_spoilt(at, -INFINITY, DEEP - 1 - at, INFINITY);
    }
    check_spoilt(3, 3e38f, 30, -3e38f); /* their distance is infinite */
}

Test(int8, a_weight_that_is_no_number_spoils_its_column_and_no_other)
{
    const float numbers[] = {NAN, INFINITY, -INFINITY};
    vr_guarded  x = vr_input(SOME, DEEP, 1, 1);
    float      *weight = vr_numbers(WIDE * DEEP, 11, 1), *bad = vr_numbers(WIDE * DEEP, 11, 1), *bias = vr_numbers(WIDE, 12, 1);
    memset(row_of(&x, 4), 0, DEEP * sizeof(float));
    for (const char *const *isa = vr_isas_int8(); *isa; isa++)
        for (int n = 0; n < 3; n++) {
            const int column = 15 + n;
            bad[column * DEEP + 9] = numbers[n];
            vr_guarded want = run(*isa, 1, &plain, x.m, weight, bias), y = run(*isa, 1, &plain, x.m, bad, bias);
            for (int r = 0; r < SOME; r++) cr_assert(isnan(row_of(&y, r)[column]), "%s: row %d", *isa, r);
            vr_check_same(vr_mat_cols(y.m, 0, column), vr_mat_cols(want.m, 0, column), *isa);
            vr_check_same(vr_mat_cols(y.m, column + 1, WIDE - column - 1), vr_mat_cols(want.m, column + 1, WIDE - column - 1),
                          *isa);
            bad[column * DEEP + 9] = weight[column * DEEP + 9];
            vr_guarded_free(&want), vr_guarded_free(&y);
        }
    free(weight), free(bad), free(bias), vr_guarded_free(&x);
}

/* ---- company ---- */

/* Rows alone, in parts and backwards give the bits that they give among all, on any number of threads. */
Test(int8, company_order_and_threads_change_no_bit)
{
    enum { ROWS = 197, OUT = 100, IN = 96 };
    const int         parts[][2] = {{0, 1}, {3, 2}, {10, 15}, {16, 17}, {31, 33}, {5, 49}, {100, 97}, {0, 197}};
    const linear_case all = {ROWS, OUT, IN, VR_GELU_ERF, VR_SET, true};
    vr_guarded        x = vr_input(ROWS, IN, 1, 1), back = vr_input(ROWS, IN, 2, 1);
    float            *weight = vr_numbers(OUT * IN, 11, 1), *bias = vr_numbers(OUT, 12, 1);
    for (int r = 0; r < ROWS; r++) memcpy(row_of(&back, r), row_of(&x, ROWS - 1 - r), IN * sizeof(float));
    for (const char *const *isa = vr_isas_int8(); *isa; isa++) {
        vr_guarded want = run(*isa, 1, &all, x.m, weight, bias);
        for (int i = 0; i < 8; i++) {
            const int         first = parts[i][0], count = parts[i][1];
            const linear_case few = {count, OUT, IN, VR_GELU_ERF, VR_SET, true};
            vr_guarded        y = run(*isa, 1 + i % 3, &few, vr_mat_rows(x.m, first, count), weight, bias);
            vr_check_same(y.m, vr_mat_rows(want.m, first, count), vr_case("%s: %d rows from %d", *isa, count, first));
            vr_guarded_free(&y);
        }
        vr_guarded y = run(*isa, 3, &all, back.m, weight, bias);
        for (int r = 0; r < ROWS; r++) vr_check_same(vr_mat_rows(y.m, r, 1), vr_mat_rows(want.m, ROWS - 1 - r, 1), "backwards");
        vr_guarded_free(&y), vr_guarded_free(&want);
    }
    free(weight), free(bias), vr_guarded_free(&x), vr_guarded_free(&back);
}

/* ---- memory ---- */

typedef struct {
    const float *weight;
    int          in, bad; /* the row that cannot be read */
} shelf;

static vr_status read_rows(const void *from, int first, int count, float *to, vr_error *err)
{
    const shelf *s = from;
    if (s->bad >= first && s->bad < first + count) return vr_fail(err, VR_E_IO, "row", "row %d", s->bad);
    memcpy(to, s->weight + (size_t)first * (size_t)s->in, (size_t)count * (size_t)s->in * sizeof *to);
    return VR_OK;
}

Test(int8, rows_as_they_come)
{
    enum { OUT = 70, IN = 37 };
    float            *weight = vr_numbers(OUT * IN, 11, 1);
    const shelf       good = {weight, IN, -1}, bad = {weight, IN, 40};
    const linear_case t = {3, OUT, IN, VR_NO_ACT, VR_SET, false};
    vr_guarded        x = vr_input(3, IN, 0, 1);
    for (const char *const *isa = vr_isas_int8(); *isa; isa++) {
        vr_backend be = vr_open_isa_as(VR_MATH_INT8, *isa, 2, 1, 1);
        vr_weight  w;
        vr_error   err = {0};
        vr_guarded want = run(*isa, 1, &t, x.m, weight, NULL), y = vr_output(3, OUT, 4, 1);
        setenv("VITRUN_ISA", *isa, 1);
        cr_expect_eq(be.ops->pack_rows(&be, &w, &(vr_row_source){read_rows, &bad}, NULL, OUT, IN, VR_LAYER_OF_BLOCK, &err),
                     VR_E_IO);
        cr_expect_str_eq(err.text, "row 40");
        cr_expect(w.data == NULL && w.bias == NULL);
        cr_assert_eq(be.ops->pack_rows(&be, &w, &(vr_row_source){read_rows, &good}, NULL, OUT, IN, VR_LAYER_OF_BLOCK, &err),
                     VR_OK);
        reserve(&be, 3);
        vr_linear(&be, y.m, x.m, &w, VR_NO_ACT, VR_SET);
        vr_check_same(y.m, want.m, *isa);
        be.ops->unpack(&be, &w), be.ops->close(&be);
        vr_guarded_free(&y), vr_guarded_free(&want);
    }
    free(weight), vr_guarded_free(&x);
}

/* Of a life: the back end 4, the two weights 2 and 3 (a thread's rows among them), and 3 for either reserve. */
enum { REFUSED = 15 };

/* Nothing stays when any allocation fails; those of the system's own, which counts processors, may. */
static vr_status live(const float *weight, const float *bias, int out, int in, vr_error *err)
{
    const shelf s = {weight, in, -1};
    vr_backend  be;
    vr_weight   w[2] = {{0}, {0}};
    vr_status   status = vr_cpu.open(&be, &(vr_wish){.threads = 1, .math = VR_MATH_INT8}, err);
    if (status) return status;
    status = be.ops->pack(&be, &w[0], weight, bias, out, in, VR_LAYER_OF_BLOCK, err);
    if (!status) status = be.ops->pack_rows(&be, &w[1], &(vr_row_source){read_rows, &s}, bias, out, in, VR_LAYER_OF_BLOCK, err);
    for (int rows = 5; rows <= 50 && !status; rows += 45)
        status = be.ops->reserve(&be, &(vr_limits){.rows = rows, .longest = rows}, 8, 1, err);
    if (!status) be.ops->unreserve(&be);
    for (int i = 0; i < 2; i++) be.ops->unpack(&be, &w[i]);
    be.ops->close(&be);
    return status;
}

Test(int8, every_allocation_may_fail)
{
    if (!faults_in_malloc()) cr_skip_test("a sanitizer owns malloc");
    float *weight = vr_numbers(70 * 37, 11, 1), *bias = vr_numbers(70, 12, 1);
    for (const char *const *isa = vr_isas_int8(); *isa; isa++) {
        setenv("VITRUN_ISA", *isa, 1);
        bool fired = true;
        int  refused = 0;
        for (long n = 0; fired; n++) {
            vr_error err = {0};
            faults_begin(FAULT_MALLOC, n, false);
            const vr_status status = live(weight, bias, 70, 37, &err);
            const long      left = faults_live();
            fired = faults_end();
            refused += status == VR_E_MEMORY;
            cr_assert(status == VR_OK || (fired && status == VR_E_MEMORY), "%s, allocation %ld: %s", *isa, n, err.text);
            cr_assert_eq(left, 0, "%s, allocation %ld: %ld left", *isa, n, left);
        }
        cr_expect_eq(refused, REFUSED, "%s: %d of them", *isa, refused);
    }
    free(weight), free(bias);
}

/* More rows, deeper layers, and none again. */
Test(int8, room_grows_with_what_is_asked)
{
    const int sizes[][2] = {{3, 5}, {40, 5}, {40, 700}, {2, 64}, {100, 1500}};
    for (const char *const *isa = vr_isas_int8(); *isa; isa++) {
        vr_backend be = vr_open_isa_as(VR_MATH_INT8, *isa, 2, 1, 1);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const linear_case t = {sizes[i][0], 33, sizes[i][1], VR_NO_ACT, VR_SET, false};
            float            *weight = vr_numbers(33 * (size_t)t.in, 11, 1);
            vr_guarded        x = vr_input(t.rows, t.in, 1, 1), y = vr_output(t.rows, 33, 3, 1);
            vr_weight         w;
            if (i == 3) be.ops->unreserve(&be);
            cr_assert_eq(be.ops->pack(&be, &w, weight, NULL, 33, t.in, VR_LAYER_OF_BLOCK, NULL), VR_OK);
            reserve(&be, t.rows), reserve(&be, 1);
            vr_linear(&be, y.m, x.m, &w, VR_NO_ACT, VR_SET);
            check_against_oracle(&y, &t, x.m, weight, NULL, *isa);
            be.ops->unpack(&be, &w);
            free(weight), vr_guarded_free(&x), vr_guarded_free(&y);
        }
        be.ops->close(&be);
    }
}

/* More rows than were reserved: stopped, not written somewhere. */
static void multiply_unreserved(int reserved, bool taken_back)
{
    if (!vr_isas_int8()[0]) cr_skip_test("nothing here multiplies bytes");
    vr_backend be = vr_open_isa_as(VR_MATH_INT8, vr_isas_int8()[0], 1, 1, 1);
    vr_guarded x = vr_input(4, 8, 1, 1), y = vr_output(4, 8, 2, 1);
    float     *weight = vr_numbers(64, 3, 1);
    vr_weight  w;
    cr_assert_eq(be.ops->pack(&be, &w, weight, NULL, 8, 8, VR_LAYER_OF_BLOCK, NULL), VR_OK);
    if (reserved) reserve(&be, reserved);
    if (taken_back) be.ops->unreserve(&be);
    vr_linear(&be, y.m, x.m, &w, VR_NO_ACT, VR_SET);
}

Test(int8, without_room_it_stops, .signal = SIGABRT) { multiply_unreserved(0, false); }
Test(int8, with_too_little_room_it_stops, .signal = SIGABRT) { multiply_unreserved(3, false); }
Test(int8, after_unreserve_it_stops, .signal = SIGABRT) { multiply_unreserved(4, true); }

/* ---- the choice ---- */

Test(int8, the_environment_picks_how_it_is_multiplied)
{
    for (const char *const *isa = vr_isas_int8(); *isa; isa++) {
        vr_backend be = vr_open_isa_as(VR_MATH_INT8, *isa, 1, 10, 16);
        cr_expect_str_eq(be.chip, *isa);
        cr_expect_eq(be.math, VR_MATH_INT8);
        cr_expect_eq(be.activations, VR_F32);
        be.ops->close(&be);
    }
}

Test(int8, others_are_refused_with_what_is_there)
{
    vr_backend be = {0};
    vr_error   err = {0};
    setenv("VITRUN_ISA", "avx2", 1);
    cr_expect_eq(vr_cpu.open(&be, &(vr_wish){.threads = 1, .math = VR_MATH_INT8}, &err), VR_E_DEVICE);
    cr_expect(strstr(err.text, "VITRUN_ISA asks for avx2, but for this dtype there is on this machine only:"), "%s", err.text);
    cr_expect_not(vr_cpu_isa_supported("avx2", VR_MATH_INT8) || vr_cpu_isa_supported("avx512vnni_emulated", VR_MATH_BF16));
    unsetenv("VITRUN_ISA");
    if (vr_cpu_isa_chosen(VR_MATH_INT8)) return;
    cr_expect_eq(vr_cpu.open(&be, &(vr_wish){.threads = 1, .math = VR_MATH_INT8}, &err), VR_E_DEVICE);
    cr_expect(strstr(err.text, "use --dtype bf16 or f32"), "%s", err.text);
}

/* ---- the emulation itself ---- */

/* The largest products of either sign too: they must not saturate, as other instructions' do. */
Test(int8, emulated_dot_products)
{
    if (!vr_cpu_isa_supported("avx512vnni_emulated", VR_MATH_INT8)) return;
    uint32_t state = 1;
    for (int round = 0; round < 1000; round++) {
        uint8_t a[64];
        int8_t  b[64];
        int32_t sum[16], want[16];
        for (int i = 0; i < 64; i++) {
            state = state * 1664525u + 1013904223u;
            a[i] = (uint8_t)(round % 2 ? state >> 24 : 255 * (state >> 31));
            b[i] = (int8_t)(round % 2 ? (int)(state >> 16 & 255) - 128 : state >> 30 & 1 ? 127 : -128);
        }
        for (int i = 0; i < 16; i++) {
            want[i] = sum[i] = (int32_t)(state >> 8) * (i % 2 ? 1 : -1);
            for (int k = 4 * i; k < 4 * i + 4; k++) want[i] += a[k] * b[k];
        }
        vr_emulation_dot_bytes(sum, a, b);
        for (int i = 0; i < 16; i++) cr_assert_eq(sum[i], want[i], "lane %d", i);
    }
}
