/* If these failed, the same picture would get other numbers on another machine's thread count, or in other company: a
 * batch could not be checked against single pictures, and no run could be repeated. */
#include "check.h"

#include <criterion/criterion.h>
#include <stdlib.h>

typedef vr_guarded (*verb_fn)(vr_backend *be, int first, int images);

enum { C = 96, HEADS = 3, IMAGES = 5 };

/* Five pictures of different lengths; a batch is a run of them. */
static const int all_offsets[IMAGES + 1] = {0, 10, 11, 40, 237, 250};

static vr_rows rows_of(int *offsets, int first, int images)
{
    for (int b = 0; b <= images; b++) offsets[b] = all_offsets[first + b] - all_offsets[first];
    return (vr_rows){images, offsets};
}

/* The activations of pictures first .. first+images-1: the same numbers in every batch. */
static vr_guarded input_of(int first, int images, int cols)
{
    vr_guarded all = vr_input(all_offsets[IMAGES], cols, 1, 1);
    all.m = vr_mat_rows(all.m, all_offsets[first], all_offsets[first + images] - all_offsets[first]);
    return all;
}

static vr_guarded linear_gelu_add(vr_backend *be, int first, int images)
{
    vr_guarded x = input_of(first, images, C), y = vr_output(all_offsets[IMAGES], 100, 2, 1);
    float     *weight = vr_numbers(100 * C, 3, 0.1f), *bias = vr_numbers(100, 4, 1);
    vr_weight  w;
    cr_assert_eq(be->ops->pack(be, &w, weight, bias, 100, C, NULL), VR_OK);
    y.m = vr_mat_rows(y.m, all_offsets[first], x.m.rows);
    vr_linear(be, y.m, x.m, &w, VR_GELU_ERF, VR_ADD);
    be->ops->unpack(be, &w);
    free(weight), free(bias), vr_guarded_free(&x);
    return y;
}

static vr_guarded attention(vr_backend *be, int first, int images)
{
    int        offsets[IMAGES + 1];
    vr_guarded qkv = input_of(first, images, 3 * C), y = vr_output(qkv.m.rows, C, 2, 1);
    vr_rows    rows = rows_of(offsets, first, images);
    vr_attention(be, y.m, vr_mat_cols(qkv.m, 0, C), vr_mat_cols(qkv.m, C, C), vr_mat_cols(qkv.m, 2 * C, C), &rows, &rows, HEADS,
                 NULL);
    vr_guarded_free(&qkv);
    return y;
}

static vr_guarded layernorm(vr_backend *be, int first, int images)
{
    vr_guarded x = input_of(first, images, C), y = vr_output(x.m.rows, C, 2, 1);
    float     *weight = vr_numbers(C, 3, 1), *bias = vr_numbers(C, 4, 1);
    vr_layernorm(be, y.m, x.m, &(vr_norm){weight, bias, 1e-6f});
    free(weight), free(bias), vr_guarded_free(&x);
    return y;
}

/* Pictures of one row of 2 x 2 patches each, as many as the picture has tokens beside its prefix. */
static vr_guarded patch_embed(vr_backend *be, int first, int images)
{
    int        offsets[IMAGES + 1];
    vr_rows    rows = rows_of(offsets, first, images);
    vr_guarded x = vr_output(offsets[images], C, 2, 1), scratch = vr_output(offsets[images], 12, 2, 1);
    float     *weight = vr_numbers(C * 12, 3, 1), *prefix = vr_numbers(C, 4, 1), *pixels = vr_numbers(3 * 2 * 2 * 200, 5, 1);
    float     *positions = vr_numbers(C * 200, 6, 1);
    vr_picture in[IMAGES];
    vr_embed   w = {.patch = 2, .prefix = 1, .prefix_tokens = prefix};
    for (int b = 0; b < images; b++)
        in[b] =
            (vr_picture){.pixels = pixels, .height = 2, .width = 2 * (offsets[b + 1] - offsets[b] - 1), .positions = positions};
    cr_assert_eq(be->ops->pack(be, &w.proj, weight, NULL, C, 12, NULL), VR_OK);
    vr_patch_embed(be, x.m, scratch.m, &rows, in, &w);
    be->ops->unpack(be, &w.proj);
    free(weight), free(prefix), free(pixels), free(positions), vr_guarded_free(&scratch);
    return x;
}

static void check(const char *name, verb_fn verb)
{
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_backend one = vr_open_isa(*isa, 1, 250, C / HEADS);
        vr_guarded want = verb(&one, 0, IMAGES);
        for (int threads = 1; threads <= 5; threads++) {
            vr_backend be = vr_open_isa(*isa, threads, 250, C / HEADS);
            for (int first = 0; first < IMAGES; first++)
                for (int images = 1; first + images <= IMAGES; images++) {
                    vr_guarded got = verb(&be, first, images);
                    vr_check_same(
                        got.m, vr_mat_rows(want.m, all_offsets[first], got.m.rows),
                        vr_case("%s, %s, %d threads, images %d to %d", *isa, name, threads, first, first + images - 1));
                    vr_guarded_free(&got);
                }
            be.ops->close(&be);
        }
        vr_guarded_free(&want);
        one.ops->close(&one);
    }
}

Test(invariance, linear) { check("linear", linear_gelu_add); }
Test(invariance, attention) { check("attention", attention); }
Test(invariance, layernorm) { check("layernorm", layernorm); }
Test(invariance, patch_embed) { check("patch_embed", patch_embed); }

/* The last block asks for a few rows of each picture: they must be the rows that the whole picture would give. */
Test(invariance, fewer_queries)
{
    enum { N = 60 };
    for (const char *const *isa = vr_isas(); *isa; isa++)
        for (int queries = 1; queries < N; queries += 9) {
            vr_backend be = vr_open_isa(*isa, 2, N, 24);
            vr_guarded qkv = vr_input(N, 72, 1, 1), all = vr_output(N, 24, 2, 1), few = vr_output(queries, 24, 2, 1);
            int        q_offsets[] = {0, queries}, offsets[] = {0, N};
            vr_rows    q_rows = {1, q_offsets}, rows = {1, offsets};
            vr_mat     k = vr_mat_cols(qkv.m, 24, 24), v = vr_mat_cols(qkv.m, 48, 24), q = vr_mat_cols(qkv.m, 0, 24);
            vr_attention(&be, all.m, q, k, v, &rows, &rows, 1, NULL);
            vr_attention(&be, few.m, vr_mat_rows(q, 0, queries), k, v, &q_rows, &rows, 1, NULL);
            vr_check_same(few.m, vr_mat_rows(all.m, 0, queries), *isa);
            vr_guarded_free(&qkv), vr_guarded_free(&all), vr_guarded_free(&few);
            be.ops->close(&be);
        }
}
