/* If these failed, what MaRe spreads over the picture would not be what MaMe had gathered from it. */
#include "batch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* The ten tokens of the worked examples. */
static const float ten[] = {1, 0, 0, 2, 1, 0, 0, 1, 0, 3, 2, 0, -1, 0, 0, -2, 1, 0, 1, 1, 0, .1f, .1f, 1, 0, -1, 0, -1, 1, 0};

static const char *const *back_ends(void)
{
    static const char *names[5] = {"reference"};
    for (int i = 0; i < 3 && vr_isas()[i]; i++) names[i + 1] = vr_isas()[i];
    return names;
}

/* MaMe's own output fed back. */
static void check_example(vr_mare mode, const float *wanted)
{
    const int counts[] = {10};
    for (const char *const *name = back_ends(); *name; name++) {
        vr_batch in, out;
        void    *memory;
        vr_batch_make(&in, ten, counts, 1, 0, 3), vr_batch_room(&out, &in);
        vr_guarded back = vr_output(10, 3, 1, 1);
        vr_trace   trace = vr_trace_make(&in.t, &memory);
        vr_backend be = vr_open_reducer(*name, 1, &in.t);
        vr_mame_merge(&be, &out.t, &in.t, in.t.x, &(vr_mame){.tau = 0.5f, .refine = true}, &trace);
        vr_mare_restore(&be, back.m, out.t.x, &trace, mode);
        vr_check_canaries(&back, *name);
        for (int i = 0; i < 30; i++)
            cr_assert_float_eq(back.m.data[(size_t)(i / 3) * back.m.stride + (size_t)(i % 3)], wanted[i], 2e-6f, "%s, %d",
                               *name, i);
        be.ops->close(&be), free(memory), vr_guarded_free(&back), vr_batch_free(&in), vr_batch_free(&out);
    }
}

Test(mare, example_of_the_paper)
{
    check_example(VR_MARE_PAPER,
                  (float[]){1.106882f, .261704f, 0, .686934f, .457956f, 0, 0,   1,   0, .763861f, .422006f, 0, -1, 0, 0,
                            -2,        1,        0, .686934f, .457956f, 0, .1f, .1f, 1, 0,        -1,       0, -1, 1, 0});
}

Test(mare, example_of_copying)
{
    check_example(VR_MARE_COPY,
                  (float[]){1.309644f, .309644f, 0, 1.934968f, 1.289979f, 0, 0,   1,   0, 1.820420f, 1.110398f, 0, -1, 0, 0,
                            -2,        1,        0, 1.934968f, 1.289979f, 0, .1f, .1f, 1, 0,         -1,        0, -1, 1, 0});
}

static double product(vr_mat a, vr_mat b)
{
    double sum = 0;
    for (int r = 0; r < a.rows; r++)
        for (int c = 0; c < a.cols; c++)
            sum += (double)a.data[(size_t)r * a.stride + (size_t)c] * (double)b.data[(size_t)r * b.stride + (size_t)c];
    return sum;
}

typedef enum { MAME, MAME_BY_MASS, TOME, EVIT, DIFFRATE, REDUCERS } reducer;
static const char *const names[REDUCERS] = {"mame", "mame by mass", "tome", "evit", "diffrate"};

static void reduce(reducer which, vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, vr_trace *trace)
{
    const vr_mame     mame = {.tau = 0.6f, .refine = true, .by_mass = which == MAME_BY_MASS};
    const vr_evit     evit = {0.6, true};
    const vr_diffrate diffrate = {50, 30};
    switch (which) {
    case MAME:
    case MAME_BY_MASS:
        vr_mame_merge(be, out, in, in->x, &mame, trace);
        break;
    case TOME:
        vr_tome_merge(be, out, in, in->x, 9, trace);
        break;
    case EVIT:
        vr_evit_keep(be, out, in, scores, &evit, trace);
        break;
    default:
        vr_diffrate_merge(be, out, in, scores, &diffrate, trace);
    }
}

/* <reduce(x), y> = <x, restore(y)>: restoring is the transpose of whatever was done; the old length comes back; and
 * vr_trace_follow is the reduction itself. */
static void check_adjoint(const char *isa, reducer which, const vr_batch *in, const float *scores)
{
    const char *what = vr_case("%s, %s", isa, names[which]);
    void       *memory;
    vr_batch    out;
    vr_batch_room(&out, in);
    vr_trace   trace = vr_trace_make(&in->t, &memory);
    vr_backend be = vr_open_reducer(isa, 3, &in->t);
    reduce(which, &be, &out.t, &in->t, scores, &trace);
    cr_assert_lt(out.t.x.rows, in->t.x.rows, "%s", what);
    vr_guarded y = vr_input(out.t.x.rows, in->t.x.cols, 3, 1), back = vr_output(in->t.x.rows, in->t.x.cols, 4, 1);
    vr_guarded again = vr_output(out.t.x.rows, in->t.x.cols, 5, 1);
    vr_mare_restore(&be, back.m, y.m, &trace, VR_MARE_PAPER);
    vr_check_canaries(&back, what);
    const double left = product(out.t.x, y.m), right = product(in->t.x, back.m);
    const double scale = sqrt(product(out.t.x, out.t.x) * product(y.m, y.m));
    cr_assert(fabs(left - right) < 1e-6 * scale, "%s: %.9g and %.9g", what, left, right);
    for (int b = 0; b < in->t.images; b++)
        vr_trace_follow(&trace, b, vr_mat_rows(again.m, out.offsets[b], out.offsets[b + 1] - out.offsets[b]),
                        vr_mat_rows(in->t.x, in->offsets[b], in->offsets[b + 1] - in->offsets[b]));
    for (int r = 0; r < out.t.x.rows; r++)
        for (int c = 0; c < out.t.x.cols; c++)
            cr_assert_float_eq(again.m.data[(size_t)r * again.m.stride + (size_t)c],
                               out.t.x.data[(size_t)r * out.t.x.stride + (size_t)c], 1e-5f, "%s", what);
    be.ops->close(&be), free(memory), vr_batch_free(&out);
    vr_guarded_free(&y), vr_guarded_free(&back), vr_guarded_free(&again);
}

Test(mare, is_the_transpose_of_every_reduction)
{
    const int counts[] = {60, 1, 97, 2};
    vr_batch  in;
    vr_batch_make(&in, NULL, counts, 4, 1, 45);
    float *scores = vr_numbers((size_t)in.t.x.rows, 11, 1);
    for (const char *const *name = back_ends(); *name; name++)
        for (reducer which = MAME; which < REDUCERS; which++) check_adjoint(*name, which, &in, scores);
    free(scores), vr_batch_free(&in);
}

/* A source is split into parts that add up to it, or is kept whole. */
Test(mare, columns_of_the_weights_sum_to_one_or_nothing)
{
    const int counts[] = {80, 33};
    for (const char *const *name = back_ends(); *name; name++) {
        vr_batch in, out;
        void    *memory;
        vr_batch_make(&in, NULL, counts, 2, 1, 29), vr_batch_room(&out, &in);
        vr_trace   trace = vr_trace_make(&in.t, &memory);
        vr_backend be = vr_open_reducer(*name, 2, &in.t);
        vr_mame_merge(&be, &out.t, &in.t, in.t.x, &(vr_mame){.tau = 0.7f, .refine = true}, &trace);
        for (int b = 0; b < 2; b++)
            for (int t = in.offsets[b]; t < in.offsets[b + 1]; t++) {
                const int M = trace.destinations[b], N = (counts[b] - 1) - M, column = trace.column[t];
                double    sum = 0;
                for (int i = 0; i < M && column >= 0; i++)
                    sum += (double)trace.weight[trace.weights_at[b] + (size_t)(i * N + column)];
                cr_assert_float_eq(sum, column >= 0 && trace.row[t] == VR_SPREAD, 1e-5, "%s, token %d: %g", *name, t, sum);
            }
        be.ops->close(&be), free(memory), vr_batch_free(&in), vr_batch_free(&out);
    }
}
