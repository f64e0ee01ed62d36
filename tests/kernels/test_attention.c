/* If these failed, tokens would look at the wrong tokens, at another picture's, or with wrong weights. */
#include "check.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { IMAGES_MAX = 4 };

typedef struct {
    int   heads, size, images;
    int   queries[IMAGES_MAX], keys[IMAGES_MAX];
    float scale; /* of queries and keys: large ones make softmax pick a single key */
} attention_case;

static vr_rows rows_of(int *offsets, const int *counts, int images)
{
    offsets[0] = 0;
    for (int b = 0; b < images; b++) offsets[b + 1] = offsets[b] + counts[b];
    return (vr_rows){images, offsets};
}

static int longest(const attention_case *t)
{
    int most = 1;
    for (int b = 0; b < t->images; b++) most = t->keys[b] > most ? t->keys[b] : most;
    return most;
}

/* Keys and values lie side by side in one matrix, as after the layer that makes them. */
static vr_guarded run(const char *isa, int threads, const attention_case *t, const vr_guarded *q, const vr_guarded *kv)
{
    int        q_offsets[IMAGES_MAX + 1], kv_offsets[IMAGES_MAX + 1], C = t->heads * t->size;
    vr_rows    q_rows = rows_of(q_offsets, t->queries, t->images), kv_rows = rows_of(kv_offsets, t->keys, t->images);
    vr_backend be = vr_open_isa(isa, threads, longest(t), t->size);
    vr_guarded y = vr_output(q->m.rows, C, 3, 1);
    vr_attention(&be, y.m, q->m, vr_mat_cols(kv->m, 0, C), vr_mat_cols(kv->m, C, C), &q_rows, &kv_rows, t->heads, NULL);
    be.ops->close(&be);
    return y;
}

static int total(const int *counts, int images)
{
    int sum = 0;
    for (int b = 0; b < images; b++) sum += counts[b];
    return sum;
}

static void check(const attention_case *t)
{
    int        C = t->heads * t->size;
    vr_guarded q = vr_input(total(t->queries, t->images), C, 1, t->scale);
    vr_guarded kv = vr_input(total(t->keys, t->images), 2 * C, 2, t->scale), want = run("reference", 1, t, &q, &kv);
    for (const char *const *isa = vr_isas(); *isa; isa++)
        for (int threads = 1; threads <= 3; threads += 2) {
            vr_guarded  got = run(*isa, threads, t, &q, &kv);
            const char *what = vr_case("%s, %d threads, %d heads of %d, %d images, the first of %d x %d, scale %g", *isa,
                                       threads, t->heads, t->size, t->images, t->queries[0], t->keys[0], (double)t->scale);
            vr_check_close(got.m, want.m, what);
            vr_check_canaries(&got, what);
            vr_guarded_free(&got);
        }
    vr_guarded_free(&want), vr_guarded_free(&q), vr_guarded_free(&kv);
}

Test(attention, every_head_size_and_length)
{
    const int sizes[] = {1, 7, 16, 32, 64, 80}, lengths[] = {1, 2, 6, 7, 13, 33, 65, 81, 197};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++)
            check(&(attention_case){2, sizes[s], 1, {lengths[n]}, {lengths[n]}, 1});
}

/* 256 scores in a row need more room than 257. */
Test(attention, of_a_shorter_image_that_needs_more_room)
{
    for (int size = 1; size <= 8; size += 7) check(&(attention_case){2, size, 2, {256, 257}, {256, 257}, 1});
}

Test(attention, ragged_images) { check(&(attention_case){3, 16, 4, {5, 0, 40, 1}, {5, 0, 40, 1}, 1}); }

Test(attention, fewer_queries_than_keys) { check(&(attention_case){2, 64, 3, {1, 2, 1}, {197, 50, 1}, 1}); }

Test(attention, more_queries_than_keys) { check(&(attention_case){2, 8, 2, {30, 3}, {2, 9}, 1}); }

Test(attention, queries_without_keys_come_to_nothing) { check(&(attention_case){2, 8, 2, {3, 2}, {0, 4}, 1}); }

Test(attention, nothing_at_all) { check(&(attention_case){2, 8, 2, {0, 0}, {0, 3}, 1}); }

/* Scores about 8 to 30: as far as f32 scores carry, for e^s turns their absolute error into a relative one. */
Test(attention, few_keys_win) { check(&(attention_case){2, 16, 1, {20}, {20}, 5}); }

Test(attention, many_keys) { check(&(attention_case){1, 16, 1, {30}, {2050}, 1}); }

/* One query of size 1 over three keys of which the first wins outright: the weights are 1, 0 and 0. */
static void check_winner(const char *isa, float *k)
{
    float      q = 1, v[3] = {3, 100, 1000}, y = 0;
    int        q_offsets[2] = {0, 1}, kv_offsets[2] = {0, 3};
    vr_rows    q_rows = {1, q_offsets}, kv_rows = {1, kv_offsets};
    vr_backend be = vr_open_isa(isa, 1, 3, 1);
    vr_attention(&be, (vr_mat){&y, 1, 1, 1, VR_F32}, (vr_mat){&q, 1, 1, 1, VR_F32}, (vr_mat){k, 3, 1, 1, VR_F32},
                 (vr_mat){v, 3, 1, 1, VR_F32}, &q_rows, &kv_rows, 1, NULL);
    cr_assert_float_eq(y, 3, 1e-6, "%s: %g instead of 3", isa, (double)y);
    be.ops->close(&be);
}

Test(attention, scores_far_below_their_maximum_count_for_nothing)
{
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        check_winner(*isa, (float[]){0, -200, -200}); /* e^-200 is no f32 number */
        check_winner(*isa, (float[]){3e10f, 2e10f, -1e30f});
        check_winner(*isa, (float[]){-2e10f, -3e10f, -3e38f});
    }
}

Test(attention, a_nan_is_not_hidden)
{
    for (const char *const *isa = vr_isas(); *isa; isa++)
        for (int what = 0; what < 2; what++) {
            attention_case t = {1, 8, 2, {20, 20}, {20, 20}, 1};
            vr_guarded     q = vr_input(40, 8, 1, 1), kv = vr_input(40, 16, 2, 1);
            if (what == 0) q.m.data[5 * q.m.stride + 2] = NAN;
            if (what == 1) kv.m.data[19 * kv.m.stride + 2] = NAN;
            vr_guarded y = run(*isa, 2, &t, &q, &kv);
            for (int r = 0; r < 40; r++)
                cr_assert_eq(isnan(y.m.data[(size_t)r * y.m.stride]) != 0, what == 0 ? r == 5 : r < 20, "%s: row %d", *isa, r);
            vr_guarded_free(&q), vr_guarded_free(&kv), vr_guarded_free(&y);
        }
}

/* What reducers ask for: every number beside the oracle's, and the same bits whatever the thread count. */
typedef struct {
    vr_guarded y, scores, mean;
} wanted_extras;

static wanted_extras run_extras(const char *isa, int threads, const attention_case *t, const vr_guarded *q,
                                const vr_guarded *kv, const float *size)
{
    int           q_offsets[IMAGES_MAX + 1], kv_offsets[IMAGES_MAX + 1], C = t->heads * t->size;
    vr_rows       q_rows = rows_of(q_offsets, t->queries, t->images), kv_rows = rows_of(kv_offsets, t->keys, t->images);
    vr_backend    be = vr_open_isa(isa, threads, longest(t), t->size);
    wanted_extras w = {vr_output(q->m.rows, C, 3, 1), vr_output(1, kv->m.rows, 4, 1), vr_output(kv->m.rows, t->size, 5, 1)};
    vr_extras     extras = {size, w.scores.m.data, w.mean.m};
    vr_attention(&be, w.y.m, q->m, vr_mat_cols(kv->m, 0, C), vr_mat_cols(kv->m, C, C), &q_rows, &kv_rows, t->heads, &extras);
    be.ops->close(&be);
    return w;
}

static void free_extras(wanted_extras *w) { vr_guarded_free(&w->y), vr_guarded_free(&w->scores), vr_guarded_free(&w->mean); }

static void check_extras(const attention_case *t, bool sized)
{
    vr_guarded q = vr_input(total(t->queries, t->images), t->heads * t->size, 1, t->scale);
    vr_guarded kv = vr_input(total(t->keys, t->images), 2 * t->heads * t->size, 2, t->scale);
    float     *size = vr_numbers((size_t)kv.m.rows, 6, 1);
    for (int i = 0; i < kv.m.rows; i++) size[i] = i % 7 == 0 ? 1e-6f : 20 * fabsf(size[i]) + 0.5f;
    wanted_extras want = run_extras("reference", 1, t, &q, &kv, sized ? size : NULL);
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        wanted_extras one = run_extras(*isa, 1, t, &q, &kv, sized ? size : NULL);
        for (int threads = 1; threads <= 3; threads++) {
            wanted_extras got = run_extras(*isa, threads, t, &q, &kv, sized ? size : NULL);
            const char   *what =
                vr_case("%s, %d threads, %d heads of %d%s", *isa, threads, t->heads, t->size, sized ? ", sized" : "");
            vr_check_close(got.y.m, want.y.m, what), vr_check_close(got.scores.m, want.scores.m, what);
            vr_check_close(got.mean.m, want.mean.m, what);
            vr_check_same(got.y.m, one.y.m, what), vr_check_same(got.scores.m, one.scores.m, what);
            vr_check_canaries(&got.y, what), vr_check_canaries(&got.scores, what), vr_check_canaries(&got.mean, what);
            free_extras(&got);
        }
        free_extras(&one);
    }
    free_extras(&want), vr_guarded_free(&q), vr_guarded_free(&kv), free(size);
}

Test(attention, extras)
{
    const attention_case cases[] = {{3, 16, 4, {5, 0, 40, 1}, {5, 0, 40, 1}, 1},
                                    {2, 64, 2, {197, 33}, {197, 33}, 1},
                                    {1, 7, 2, {1, 1}, {30, 2}, 1},
                                    {5, 13, 1, {20}, {20}, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_extras(&cases[i], false), check_extras(&cases[i], true);
}

/* Keys of size 1 weigh as they always did. */
Test(attention, sizes_of_one_change_nothing)
{
    const attention_case t = {2, 32, 1, {50}, {50}, 1};
    vr_guarded           q = vr_input(50, 64, 1, 1), kv = vr_input(50, 128, 2, 1);
    float                ones[50];
    for (int i = 0; i < 50; i++) ones[i] = 1;
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        wanted_extras sized = run_extras(*isa, 1, &t, &q, &kv, ones);
        vr_guarded    plain = run(*isa, 1, &t, &q, &kv);
        vr_check_same(sized.y.m, plain.m, *isa);
        free_extras(&sized), vr_guarded_free(&plain);
    }
    vr_guarded_free(&q), vr_guarded_free(&kv);
}
