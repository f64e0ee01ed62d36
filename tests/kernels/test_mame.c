/* If these failed, MaMe would merge other tokens than the paper says, or lose some, or an image's tokens would depend on
 * its neighbours in the batch. */
#include "batch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void mame(vr_backend *be, vr_tokens *out, const vr_tokens *in, const void *how, vr_trace *trace)
{
    vr_mame_merge(be, out, in, in->x, how, trace);
}

/* The ten tokens of the worked examples. */
static const float ten[] = {1, 0, 0, 2, 1, 0, 0, 1, 0, 3, 2, 0, -1, 0, 0, -2, 1, 0, 1, 1, 0, .1f, .1f, 1, 0, -1, 0, -1, 1, 0};

/* tau 0.5; sources have 2, 3, 1, 0 and 2 equal matches. */
static void check_example(vr_mame how, const float *wanted, int rows, const char *what)
{
    how.tau = 0.5f;
    vr_check_example(mame, &how, 0, ten, 10, 3, wanted, rows, NULL, what);
}

Test(mame, example_of_algorithm_1)
{
    const float wanted[] = {1.309644f, .309644f, 0, 0,  1, 0, -1,  0,   0, 1.934968f, 1.289979f, 0,
                            0,         -1,       0, -2, 1, 0, .1f, .1f, 1, -1,        1,         0};
    check_example((vr_mame){.refine = true}, wanted, 8, "alg1");
}

Test(mame, example_of_the_similarity_rule)
{
    const float wanted[] = {1.309644f, .309644f,  0, -.333333f, 1,  0, -1.4f, .6f, 0,
                            1.934968f, 1.289979f, 0, 0,         -1, 0, .1f,   .1f, 1};
    check_example((vr_mame){.refine = true, .rule = VR_SIMILARITY}, wanted, 6, "similarity");
}

Test(mame, example_without_refining)
{
    const float wanted[] = {1.666521f, .666521f,  0, -.198839f, 1.040348f, 0, -1.4f, .6f, 0,
                            1.786265f, 1.265590f, 0, 0,         -1,        0, .1f,   .1f, 1};
    check_example((vr_mame){.refine = false}, wanted, 6, "unrefined");
}

/* What is kept nowhere else goes to the most similar, or nowhere: five tokens in either case. */
Test(mame, forced_halving)
{
    vr_batch   in, out;
    const int  counts[] = {10};
    const bool drops[] = {false, true};
    for (int i = 0; i < 2; i++)
        for (const char *const *isa = vr_isas(); *isa; isa++) {
            vr_batch_make(&in, ten, counts, 1, 0, 3), vr_batch_room(&out, &in);
            vr_backend be = vr_open_reducer(*isa, 1, &in.t);
            vr_mame    how = {.tau = 0.5f, .refine = true, .force = drops[i] ? VR_FORCE_DROP : VR_FORCE_MERGE};
            vr_mame_merge(&be, &out.t, &in.t, in.t.x, &how, NULL);
            cr_assert_eq(out.t.x.rows, 5);
            /* (.1, .1, 1) is the only token with a third number, and most like (3, 2, 0) */
            cr_assert_eq(fabsf(out.t.x.data[3 * out.t.x.stride + 2]) > 0.1f, !drops[i], "%s", *isa);
            be.ops->close(&be), vr_batch_free(&in), vr_batch_free(&out);
        }
}

Test(mame, promises)
{
    vr_check_reducer(mame, &(vr_mame){.tau = 0.6f, .refine = true}, 1, "alg1");
    vr_check_reducer(mame, &(vr_mame){.tau = 0.6f, .refine = true, .rule = VR_SIMILARITY}, 2, "similarity");
    vr_check_reducer(mame, &(vr_mame){.tau = 0.6f}, 0, "unrefined");
    vr_check_reducer(mame, &(vr_mame){.tau = 0.6f, .refine = true, .by_mass = true}, 1, "by mass");
    vr_check_reducer(mame, &(vr_mame){.tau = 0.8f, .refine = true, .dot = true}, 1, "dot");
    vr_check_reducer(mame, &(vr_mame){.tau = 0.6f, .refine = true, .partition = VR_SEQUENTIAL}, 1, "sequential");
    vr_check_reducer(mame, &(vr_mame){.tau = 0.6f, .refine = true, .force = VR_FORCE_MERGE}, 1, "merged by force");
    vr_check_reducer(mame, &(vr_mame){.tau = 0.6f, .refine = true, .force = VR_FORCE_DROP}, 1, "dropped by force");
    for (int i = 0; i < 4; i++) {
        vr_mame how = {.tau = 0.6f, .refine = true, .partition = VR_RANDOM, .share = 0.3 * i, .seed = 7, .layer = i};
        vr_check_reducer(mame, &how, i % 3, "random");
    }
}

/* The paper's batch rule makes an image depend on its neighbours; it must agree with the oracle. */
static void count_by_batch(vr_backend *be, const vr_batch *in, vr_batch *out, int *tokens)
{
    vr_mame_merge(be, &out->t, &in->t, in->t.x, &(vr_mame){.tau = 0.6f, .refine = true, .by_batch = true}, NULL);
    for (int b = 0; b < in->t.images; b++) tokens[b] = out->offsets[b + 1] - out->offsets[b];
}

Test(mame, by_batch_keeps_what_any_image_keeps)
{
    const int counts[] = {41, 41, 41};
    vr_batch  in, out;
    int       wanted[3], tokens[3];
    vr_batch_make(&in, NULL, counts, 3, 1, 24);
    vr_backend be = vr_open_reducer("reference", 1, &in.t);
    vr_batch_room(&out, &in);
    count_by_batch(&be, &in, &out, wanted);
    cr_assert(wanted[0] == wanted[1] && wanted[1] == wanted[2] && wanted[0] < 41);
    be.ops->close(&be), vr_batch_free(&out);
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        be = vr_open_reducer(*isa, 2, &in.t);
        vr_batch_room(&out, &in);
        count_by_batch(&be, &in, &out, tokens);
        cr_assert_eq(memcmp(tokens, wanted, sizeof tokens), 0, "%s", *isa);
        be.ops->close(&be), vr_batch_free(&out);
    }
    vr_batch_free(&in);
}

/* One image of `n` tokens that are all `value`, reduced by every instruction set: how many are left. */
static int left_of_equals(int n, float value, vr_mame how)
{
    float x[64 * 4];
    int   left = -1;
    for (int i = 0; i < n * 4; i++) x[i] = value;
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_batch in, out;
        vr_batch_make(&in, x, &n, 1, 0, 4), vr_batch_room(&out, &in);
        vr_backend be = vr_open_reducer(*isa, 1, &in.t);
        vr_mame_merge(&be, &out.t, &in.t, in.t.x, &how, NULL);
        cr_assert(left < 0 || left == out.t.x.rows, "%s", *isa);
        left = out.t.x.rows;
        for (int r = 0; r < left; r++)
            for (int c = 0; c < 4; c++) cr_assert_float_eq(out.t.x.data[(size_t)r * out.t.x.stride + (size_t)c], value, 1e-5f);
        be.ops->close(&be), vr_batch_free(&in), vr_batch_free(&out);
    }
    return left;
}

Test(mame, equal_tokens)
{
    const vr_mame alg1 = {.tau = 0.5f, .refine = true}, similarity = {.tau = 0.5f, .refine = true, .rule = VR_SIMILARITY};
    for (int n = 0; n <= 33; n++) {
        cr_assert_eq(left_of_equals(n, 0.7f, alg1), n, "%d equal tokens are ties, and ties are kept", n);
        cr_assert_eq(left_of_equals(n, 0.7f, similarity), (n + 1) / 2);
        cr_assert_eq(left_of_equals(n, 0, similarity), n, "%d tokens of zeros resemble nothing", n);
    }
}

Test(mame, a_threshold_of_one_changes_nothing_but_the_order)
{
    const int     counts[] = {30};
    const vr_mame how = {.tau = 1, .refine = true};
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_batch in, out;
        vr_batch_make(&in, NULL, counts, 1, 2, 19), vr_batch_room(&out, &in);
        for (int i = 0; i < 30 * 19; i++) in.t.x.data[i / 19 * (int)in.t.x.stride + i % 19] += (float)(i * i % 37);
        vr_backend be = vr_open_reducer(*isa, 2, &in.t);
        vr_mame_merge(&be, &out.t, &in.t, in.t.x, &how, NULL);
        cr_assert_eq(out.t.x.rows, 30);
        for (int t = 0; t < 30; t++) {
            int row = t < 2 ? t : t % 2 == 0 ? 2 + (t - 2) / 2 : 16 + (t - 3) / 2;
            vr_check_same(vr_mat_rows(out.t.x, row, 1), vr_mat_rows(in.t.x, t, 1), *isa);
        }
        be.ops->close(&be), vr_batch_free(&in), vr_batch_free(&out);
    }
}
