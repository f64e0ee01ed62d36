/* batch.c: see batch.h. */
#include "batch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void vr_batch_make(vr_batch *b, const float *x, const int *counts, int images, int prefix, int cols)
{
    enum { GROUPS = 9 };
    *b = (vr_batch){0};
    for (int i = 0; i < images; i++) b->offsets[i + 1] = b->offsets[i] + counts[i];
    const int T = b->offsets[images];
    float    *group = vr_numbers((size_t)(GROUPS * cols), 5, 1);
    b->x = vr_input(T, cols, 6, 0.4f);
    b->size = vr_input(1, T, 7, 1);
    for (int t = 0; t < T; t++) {
        for (int c = 0; c < cols; c++) {
            float *cell = b->x.m.data + (size_t)t * b->x.m.stride + (size_t)c;
            *cell = x ? x[t * cols + c] : *cell + group[t * t % GROUPS * cols + c];
        }
        b->size.m.data[t] = x ? 1 : roundf(2 + b->size.m.data[t] * 1.5f);
    }
    for (int i = 0; i < images; i++)
        for (int t = 0; t < prefix && t < counts[i]; t++) b->size.m.data[b->offsets[i] + t] = 1;
    b->t = (vr_tokens){b->x.m, b->size.m.data, b->offsets, images, prefix};
    free(group);
}

void vr_batch_room(vr_batch *out, const vr_batch *in)
{
    *out = (vr_batch){.x = vr_output(in->x.m.rows, in->x.m.cols, 8, 1), .size = vr_output(1, in->x.m.rows, 9, 1)};
    out->t = (vr_tokens){out->x.m, out->size.m.data, out->offsets, 0, 0};
}

void vr_batch_free(vr_batch *b) { vr_guarded_free(&b->x), vr_guarded_free(&b->size); }

static int longest(const vr_tokens *in)
{
    int most = 1;
    for (int b = 0; b < in->images; b++)
        if (in->offsets[b + 1] - in->offsets[b] > most) most = in->offsets[b + 1] - in->offsets[b];
    return most;
}

vr_trace vr_trace_make(const vr_tokens *in, void **memory)
{
    const vr_limits most = {in->images, in->x.rows, longest(in), in->x.cols};
    vr_trace        trace;
    vr_arena        a = {0};
    vr_trace_lay_out(&trace, &a, &most, true);
    *memory = vr_alloc(a.used + 1, 1);
    cr_assert_not_null(*memory);
    a = (vr_arena){.base = *memory};
    vr_trace_lay_out(&trace, &a, &most, true);
    return trace;
}

vr_backend vr_open_reducer(const char *isa, int threads, const vr_tokens *in)
{
    vr_backend be = vr_open_isa(isa, threads, longest(in), 8);
    vr_error   err = {0};
    cr_assert_eq(be.ops->reserve_reduction(&be, &(vr_limits){in->images, in->x.rows, longest(in), in->x.cols}, &err), VR_OK,
                 "%s", err.text);
    return be;
}

/* ---- one run ---- */

typedef struct {
    vr_batch out;
    vr_trace trace;
    void    *memory;
} outcome;

static outcome run(const char *isa, int threads, vr_reduce_fn reduce, const void *how, vr_batch *in, const char *what)
{
    outcome    o;
    vr_backend be = vr_open_reducer(isa, threads, &in->t);
    vr_batch_room(&o.out, in);
    o.trace = vr_trace_make(&in->t, &o.memory);
    o.out.t.offsets = vr_alloc(VR_BATCH_IMAGES + 1, sizeof(int)); /* the struct is returned by value */
    reduce(&be, &o.out.t, &in->t, how, &o.trace);
    vr_check_canaries(&o.out.x, what);
    vr_check_canaries(&o.out.size, what);
    cr_assert_eq(o.out.t.x.rows, o.out.t.offsets[in->t.images], "%s", what);
    be.ops->close(&be);
    return o;
}

static void end(outcome *o)
{
    free(o->memory), free(o->out.t.offsets);
    vr_batch_free(&o->out);
}

static vr_mat rows_of(const outcome *o, int b)
{
    return vr_mat_rows(o->out.t.x, o->out.t.offsets[b], o->out.t.offsets[b + 1] - o->out.t.offsets[b]);
}

static void check_near(const float *got, const float *want, int n, double largest, const char *what)
{
    for (int i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= 1e-4 * largest))
            cr_assert_fail("%s: number %d is %.7g instead of %.7g", what, i, (double)got[i], (double)want[i]);
}

static void check_like_oracle(const outcome *got, const outcome *want, const vr_tokens *in, const char *what)
{
    for (int b = 0; b <= in->images; b++) cr_assert_eq(got->out.t.offsets[b], want->out.t.offsets[b], "%s, image %d", what, b);
    for (int t = 0; t < in->x.rows; t++) {
        cr_assert_eq(got->trace.row[t], want->trace.row[t], "%s, token %d", what, t);
        cr_assert_eq(got->trace.column[t], want->trace.column[t], "%s, token %d", what, t);
    }
    for (int r = 0; r < want->out.t.x.rows; r++)
        check_near(got->out.t.x.data + (size_t)r * got->out.t.x.stride, want->out.t.x.data + (size_t)r * want->out.t.x.stride,
                   in->x.cols, 1, what);
    if (in->size) check_near(got->out.t.size, want->out.t.size, want->out.t.x.rows, 10, what);
    check_near(got->trace.total, want->trace.total, want->out.t.x.rows, 10, what);
    check_near(got->trace.weight, want->trace.weight, (int)want->trace.weights_at[in->images], 1, what);
}

/* Image b of `all` against image `at` of another run. */
static void check_same_image(const outcome *got, int at, const outcome *all, int b, const char *what)
{
    const vr_mat g = rows_of(got, at), w = rows_of(all, b);
    cr_assert_eq(g.rows, w.rows, "%s, image %d", what, b);
    vr_check_same(g, w, what);
    cr_assert_eq(memcmp(got->out.t.size + got->out.t.offsets[at], all->out.t.size + all->out.t.offsets[b],
                        (size_t)w.rows * sizeof(float)),
                 0, "%s: sizes of image %d", what, b);
}

/* ---- what every reducer promises ---- */

enum { IMAGES = 6, COLS = 37 };

/* The images of `in` that `pick` names, in that order. */
static void choose(vr_batch *few, const vr_batch *in, const int *pick, int images)
{
    int    counts[IMAGES], rows = 0;
    float *x = vr_alloc((size_t)(in->t.x.rows * COLS) + 1, sizeof *x), *size = vr_alloc((size_t)in->t.x.rows + 1, sizeof *size);
    for (int i = 0; i < images; i++) {
        counts[i] = in->offsets[pick[i] + 1] - in->offsets[pick[i]];
        for (int t = in->offsets[pick[i]]; t < in->offsets[pick[i] + 1]; t++, rows++) {
            memcpy(x + rows * COLS, in->t.x.data + (size_t)t * in->t.x.stride, COLS * sizeof *x);
            size[rows] = in->t.size[t];
        }
    }
    vr_batch_make(few, x, counts, images, in->t.prefix, COLS);
    memcpy(few->t.size, size, (size_t)rows * sizeof *size);
    free(x), free(size);
}

static void check_company(const char *isa, vr_reduce_fn reduce, const void *how, vr_batch *in, const outcome *all,
                          const char *what)
{
    const int backwards[IMAGES] = {5, 4, 3, 2, 1, 0};
    vr_batch  few;
    choose(&few, in, backwards, IMAGES);
    outcome o = run(isa, 2, reduce, how, &few, what);
    for (int b = 0; b < IMAGES; b++) check_same_image(&o, IMAGES - 1 - b, all, b, what);
    end(&o), vr_batch_free(&few);
    for (int b = 0; b < IMAGES; b++) {
        choose(&few, in, &b, 1);
        o = run(isa, 1, reduce, how, &few, what);
        check_same_image(&o, 0, all, b, what);
        end(&o), vr_batch_free(&few);
    }
}

void vr_check_reducer(vr_reduce_fn reduce, const void *how, int prefix, const char *what)
{
    const int counts[IMAGES] = {prefix, prefix + 1, prefix + 2, prefix + 3, prefix + 40, prefix + 128};
    vr_batch  in;
    vr_batch_make(&in, NULL, counts, IMAGES, prefix, COLS);
    outcome want = run("reference", 1, reduce, how, &in, what);
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        outcome one = run(*isa, 1, reduce, how, &in, what);
        check_like_oracle(&one, &want, &in.t, vr_case("%s, %s", what, *isa));
        for (int threads = 2; threads <= 3; threads++) {
            outcome more = run(*isa, threads, reduce, how, &in, what);
            for (int b = 0; b < IMAGES; b++)
                check_same_image(&more, b, &one, b, vr_case("%s, %s, %d threads", what, *isa, threads));
            end(&more);
        }
        check_company(*isa, reduce, how, &in, &one, vr_case("%s, %s, other company", what, *isa));
        end(&one);
    }
    end(&want), vr_batch_free(&in);
}

void vr_check_example(vr_reduce_fn reduce, const void *how, int prefix, const float *x, int tokens, int cols,
                      const float *wanted, int rows, const float *sizes, const char *what)
{
    const char *names[5] = {"reference"};
    vr_batch    in;
    vr_batch_make(&in, x, &tokens, 1, prefix, cols);
    for (int i = 0; i < 3 && vr_isas()[i]; i++) names[i + 1] = vr_isas()[i];
    for (int i = 0; names[i]; i++) {
        outcome     o = run(names[i], 2, reduce, how, &in, what);
        const char *where = vr_case("%s, %s", what, names[i]);
        cr_assert_eq(o.out.t.x.rows, rows, "%s: %d tokens instead of %d", where, o.out.t.x.rows, rows);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++) {
                float got = o.out.t.x.data[(size_t)r * o.out.t.x.stride + (size_t)c];
                cr_assert(fabsf(got - wanted[r * cols + c]) < 2e-6f, "%s: token %d, number %d is %g", where, r, c, (double)got);
            }
        for (int r = 0; sizes && r < rows; r++)
            cr_assert(fabsf(o.out.t.size[r] - sizes[r]) < 1e-6f, "%s: size %d is %g", where, r, (double)o.out.t.size[r]);
        end(&o);
    }
    vr_batch_free(&in);
}
