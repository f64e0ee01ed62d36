/* If these failed, EViT would keep other patches than the class token looks at. */
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
    vr_evit_keep(be, out, in, scores, how, trace);
}

Test(evit, example)
{
    const float wanted[] = {9, 9, 9, 2, 1, 0, 3, 2, 0, 1, 1, 0, -2, 1, 0, -1, 1, 0, .043f, -.017f, .030f};
    vr_check_example(example, &(vr_evit){0.5, true}, 1, eleven, 11, 3, wanted, 7, NULL, "fused");
    vr_check_example(example, &(vr_evit){0.5, false}, 1, eleven, 11, 3, wanted, 6, NULL, "plain");
    vr_check_example(example, &(vr_evit){1, true}, 1, eleven, 11, 3, eleven, 11, NULL, "all");
}

/* A score that a token carries with it; many are equal. */
static void evit(vr_backend *be, vr_tokens *out, const vr_tokens *in, const void *how, vr_trace *trace)
{
    float *scores = vr_alloc((size_t)in->x.rows + 1, sizeof *scores);
    for (int t = 0; t < in->x.rows; t++) scores[t] = floorf(8 * fabsf(in->x.data[(size_t)t * in->x.stride])) / 64;
    vr_evit_keep(be, out, in, scores, how, trace);
    free(scores);
}

Test(evit, promises)
{
    const vr_evit some[] = {{0, false}, {0, true}, {0.3, true}, {0.55, true}, {0.7, false}, {0.99, true}, {1, true}};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) vr_check_reducer(evit, &some[i], 1, "evit");
}

/* The count is rounded up from the product of doubles, as Python does it. */
Test(evit, rounding)
{
    const struct {
        double keep;
        int    patches, kept;
    } cases[] = {{.55, 100, 56}, {.28, 25, 8}, {.56, 25, 15}, {.14, 50, 8}, {.8, 5, 4}, {.3, 10, 3}, {.85, 20, 17}, {.6, 5, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (const char *const *isa = vr_isas(); *isa; isa++) {
            vr_batch in, out;
            vr_batch_make(&in, NULL, (int[]){cases[i].patches + 1}, 1, 1, 3), vr_batch_room(&out, &in);
            vr_backend be = vr_open_reducer(*isa, 1, &in.t);
            evit(&be, &out.t, &in.t, &(vr_evit){cases[i].keep, false}, NULL);
            cr_assert_eq(out.t.x.rows, 1 + cases[i].kept, "%g of %d", cases[i].keep, cases[i].patches);
            be.ops->close(&be), vr_batch_free(&in), vr_batch_free(&out);
        }
}
