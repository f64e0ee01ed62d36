/* If these failed, ToMe would merge other pairs than its authors' code, or in other proportions. */
#include "batch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static void tome(vr_backend *be, vr_tokens *out, const vr_tokens *in, const void *r, vr_trace *trace)
{
    vr_tome_merge(be, out, in, in->x, *(const int *)r, trace);
}

/* A class token and the ten tokens of the worked examples. */
static const float eleven[] = {9, 9,  9, 1, 0, 0, 2, 1,   0,   0, 1, 0,  3, 2,  0, -1, 0,
                               0, -2, 1, 0, 1, 1, 0, .1f, .1f, 1, 0, -1, 0, -1, 1, 0};

Test(tome, example)
{
    const float wanted[] = {9, 9, 9, .1f, .1f, 1, -1, 1, 0, 1, 0, 0, 0, 1, 0, -1.5f, .5f, 0, 2, 1.333333f, 0, 0, -1, 0};
    const float sizes[] = {1, 1, 1, 1, 1, 2, 3, 1};
    vr_check_example(tome, &(int){3}, 1, eleven, 11, 3, wanted, 8, sizes, "tome");
}

/* No pair, some, and more than there are; with and without special tokens. */
Test(tome, promises)
{
    const int some[] = {-1, 0, 1, 7, 16, 1000};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        for (int prefix = 0; prefix <= 2; prefix++) vr_check_reducer(tome, &some[i], prefix, "tome");
}

/* Equal scores: the first source goes first, to the first destination. */
Test(tome, ties_go_to_the_first)
{
    const int counts[] = {9};
    float     x[9 * 2];
    for (int i = 0; i < 9 * 2; i++) x[i] = 1;
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_batch in, out;
        void    *memory;
        vr_batch_make(&in, x, counts, 1, 1, 2), vr_batch_room(&out, &in);
        vr_trace   trace = vr_trace_make(&in.t, &memory);
        vr_backend be = vr_open_reducer(*isa, 1, &in.t);
        vr_tome_merge(&be, &out.t, &in.t, in.t.x, 2, &trace);
        const int wanted[] = {0, 3, 3, 4, 3, 5, 1, 6, 2}; /* 2 and 4 go to 1 */
        for (int t = 0; t < 9; t++) cr_assert_eq(trace.row[t], wanted[t], "%s, token %d", *isa, t);
        be.ops->close(&be), free(memory), vr_batch_free(&in), vr_batch_free(&out);
    }
}

Test(tome, sizes_add_up)
{
    const int counts[] = {70, 31};
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_batch in, out;
        double   before = 0, after = 0;
        vr_batch_make(&in, NULL, counts, 2, 1, 16), vr_batch_room(&out, &in);
        vr_backend be = vr_open_reducer(*isa, 2, &in.t);
        vr_tome_merge(&be, &out.t, &in.t, in.t.x, 13, NULL);
        for (int t = 0; t < in.t.x.rows; t++) before += (double)in.t.size[t];
        for (int t = 0; t < out.t.x.rows; t++) after += (double)out.t.size[t];
        cr_assert_eq(out.t.x.rows, 101 - 26);
        cr_assert_eq(before, after, "%s", *isa); /* small whole numbers */
        be.ops->close(&be), vr_batch_free(&in), vr_batch_free(&out);
    }
}

/* Broken if it fails: weights that overflow make NaNs, and a token that resembles nothing goes to a row that is not there. */
Test(tome, tokens_of_nans_go_somewhere)
{
    const int counts[] = {9, 6};
    float     x[15 * 4];
    for (int i = 0; i < 15 * 4; i++) x[i] = i < 9 * 4 || i % 3 ? NAN : 1;
    for (const char *const *isa = vr_isas(); *isa; isa++)
        for (int prefix = 0; prefix <= 2; prefix++) {
            vr_batch in, out;
            void    *memory;
            vr_batch_make(&in, x, counts, 2, prefix, 4), vr_batch_room(&out, &in);
            vr_trace   trace = vr_trace_make(&in.t, &memory);
            vr_backend be = vr_open_reducer(*isa, 1, &in.t);
            vr_tome_merge(&be, &out.t, &in.t, in.t.x, 2, &trace);
            for (int t = 0; t < 15; t++)
                cr_assert(trace.row[t] >= 0 && trace.row[t] < (t < 9 ? 7 : 4), "%s, token %d to %d", *isa, t, trace.row[t]);
            for (int t = 0; t < prefix; t++) cr_assert_eq(trace.row[t], t);
            for (int t = prefix; t < 9; t++)
                for (int special = 0; special < prefix; special++) cr_assert_neq(trace.row[t], special);
            be.ops->close(&be), free(memory), vr_batch_free(&in), vr_batch_free(&out);
        }
}
