/* If these failed, DiffRate would prune or merge other tokens than its authors' code. */
#include "batch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* A class token and the ten tokens of the worked examples. */
static const float eleven[] = {9, 9,  9, 1, 0, 0, 2, 1,   0,   0, 1, 0,  3, 2,  0, -1, 0,
                               0, -2, 1, 0, 1, 1, 0, .1f, .1f, 1, 0, -1, 0, -1, 1, 0};

static void example(vr_backend *be, vr_tokens *out, const vr_tokens *in, const void *how, vr_trace *trace)
{
    const float scores[] = {NAN, .05f, .20f, .02f, .15f, .01f, .08f, .12f, .03f, .04f, .06f};
    vr_diffrate_merge(be, out, in, scores, how, trace);
}

Test(diffrate, example)
{
    const float wanted[] = {9, 9, 9, 1, 0, 0, 3, 2, 0, 1, 1, 0, -2, 1, 0, -1, 1, 0}, sizes[] = {1, 1.447214f, 1, 1, 1, 1};
    vr_check_example(example, &(vr_diffrate){8, 6}, 1, eleven, 11, 3, wanted, 6, sizes, "diffrate");
    vr_check_example(example, &(vr_diffrate){11, 30}, 1, eleven, 11, 3, eleven, 11, NULL, "all");
}

/* A score that a token carries with it; many are equal. */
static void diffrate(vr_backend *be, vr_tokens *out, const vr_tokens *in, const void *how, vr_trace *trace)
{
    float *scores = vr_alloc((size_t)in->x.rows + 1, sizeof *scores);
    for (int t = 0; t < in->x.rows; t++) scores[t] = floorf(8 * fabsf(in->x.data[(size_t)t * in->x.stride])) / 64;
    vr_diffrate_merge(be, out, in, scores, how, trace);
    free(scores);
}

Test(diffrate, promises)
{
    const vr_diffrate some[] = {{1, 1}, {9, 1}, {9, 2}, {40, 30}, {30, 40}, {100, 70}, {1000, 90}, {1000, 1000}};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) vr_check_reducer(diffrate, &some[i], 1, "diffrate");
}

/* Opposite tokens shrink each other; the logarithm of what is left is still a number. */
Test(diffrate, sizes_stay_positive)
{
    const float x[] = {1, 1, 2, 0, -1, 0, -1, 0, -1, 0}, scores[] = {0, 4, 3, 2, 1};
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_batch in, out;
        vr_batch_make(&in, x, (int[]){5}, 1, 1, 2), vr_batch_room(&out, &in);
        vr_backend be = vr_open_reducer(*isa, 1, &in.t);
        vr_diffrate_merge(&be, &out.t, &in.t, scores, &(vr_diffrate){5, 2}, NULL);
        cr_assert_eq(out.t.x.rows, 2);
        cr_assert_eq(out.t.size[1], VR_SIZE_LEAST, "%s", *isa);
        be.ops->close(&be), vr_batch_free(&in), vr_batch_free(&out);
    }
}
