/* The whole model: results that must not depend on company, place, threads or budget, bit for bit. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../engine/vitrun.h"
#include "../../loaders/checkpoint.h"

enum { IMAGES = 7, SIDE = 32, CELLS = 3 * SIDE * SIDE };

static float        pixels[IMAGES][CELLS];
static const float *pointers[IMAGES];

static void make_pixels(void)
{
    for (int b = 0; b < IMAGES; b++) {
        for (int i = 0; i < CELLS; i++) pixels[b][i] = (float)vr_random_number("picture", (uint64_t)(b * CELLS + i), 1);
        pointers[b] = pixels[b];
    }
}

static vitrun *open_model(const char *model, int threads, int budget)
{
    vitrun        *v;
    vitrun_error   e = {0};
    vitrun_options o = vitrun_defaults();
    o.device = "cpu";
    o.model = model, o.threads = threads, o.token_budget = budget;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    return v;
}

static const char *const models[] = {"tests/golden/models/timm_cls", "tests/golden/models/timm_avg",
                                     "tests/golden/models/hf_vit", "tests/golden/models/timm_small_activations"};

/* Broken if it fails: an answer depends on the other pictures of its batch, on its place, on --threads or on memory. */
Test(forward, same_bits_in_any_company, .init = make_pixels)
{
    static const struct {
        int threads, budget;
    } ways[] = {{1, 0}, {2, 0}, {3, 0}, {1, 1}, {2, 200}};
    static const int order[IMAGES] = {3, 0, 6, 5, 1, 4, 2};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        float        alone[IMAGES][16], together[IMAGES][16];
        vitrun_error e = {0};
        vitrun      *v = open_model(models[m], 1, 0);
        const size_t n = (size_t)vitrun_about(v)->classes;
        cr_assert(n <= 16);
        for (int b = 0; b < IMAGES; b++)
            cr_assert_eq(vitrun_run(v, alone[b], &pointers[b], NULL, 1, &e), VITRUN_OK, "%s", e.text);
        vitrun_close(v);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            const float *shuffled[IMAGES];
            v = open_model(models[m], ways[w].threads, ways[w].budget);
            for (int b = 0; b < IMAGES; b++) shuffled[b] = pixels[order[b]];
            cr_assert_eq(vitrun_run(v, &together[0][0], shuffled, NULL, IMAGES, &e), VITRUN_OK, "%s", e.text);
            for (int b = 0; b < IMAGES; b++)
                cr_expect_arr_eq(&together[0][0] + (size_t)b * n, alone[order[b]], n * sizeof(float), "%s: image %d, way %zu",
                                 models[m], order[b], w);
            vitrun_close(v);
        }
    }
}

/* Broken if it fails: images of different sizes cannot share a call, or disturb each other in it. */
Test(forward, images_of_different_sizes_share_a_call, .init = make_pixels)
{
    static const int sizes[3][2] = {{SIDE, SIDE}, {16, 24}, {8, 8}};
    float            alone[3][16], together[3][16];
    vitrun          *v;
    vitrun_error     e = {0};
    vitrun_options   o = vitrun_defaults();
    o.device = "cpu";
    o.model = "tests/golden/models/hf_vit", o.more_sizes = sizes, o.more_sizes_count = 3;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    const size_t n = (size_t)vitrun_about(v)->classes;
    for (int b = 0; b < 3; b++) cr_assert_eq(vitrun_run(v, alone[b], &pointers[b], &sizes[b], 1, &e), VITRUN_OK, "%s", e.text);
    cr_assert_eq(vitrun_run(v, &together[0][0], pointers, sizes, 3, &e), VITRUN_OK, "%s", e.text);
    for (size_t b = 0; b < 3; b++) cr_expect_arr_eq(&together[0][0] + b * n, alone[b], n * sizeof(float), "image %zu", b);

    static const int unknown[1][2] = {{40, 40}};
    cr_expect_eq(vitrun_run(v, together[0], pointers, unknown, 1, &e), VITRUN_USAGE);
    cr_expect(strstr(e.text, "40x40"), "%s", e.text);
    vitrun_close(v);
}

/* Broken if it fails: a NaN becomes a class instead of an error. */
Test(forward, a_nan_is_an_error_never_class_0, .init = make_pixels)
{
    vitrun_error e = {0};
    float        logits[IMAGES * 16];
    vitrun      *v = open_model(models[0], 1, 0);
    pixels[4][100] = NAN;
    cr_expect_eq(vitrun_run(v, logits, pointers, NULL, IMAGES, &e), VITRUN_NONFINITE);
    cr_expect(strstr(e.text, "image 4"), "%s", e.text);
    vitrun_close(v);
}

/* Broken if it fails: block outputs of a call with several micro-batches are lost or out of order. */
Test(forward, block_outputs_of_all_micro_batches, .init = make_pixels)
{
    static float   all[IMAGES * 17 * 48], one[17 * 48];
    int            offsets[IMAGES + 1];
    float          logits[IMAGES * 16];
    vitrun        *v;
    vitrun_error   e = {0};
    vitrun_options o = vitrun_defaults();
    o.device = "cpu";
    o.model = "tests/golden/models/hf_vit", o.keep_blocks = 1, o.token_budget = 40;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    cr_assert_eq(vitrun_run(v, logits, pointers, NULL, IMAGES, &e), VITRUN_OK, "%s", e.text);
    cr_assert_eq(vitrun_block_output(v, 1, all, offsets, &e), VITRUN_OK, "%s", e.text);
    cr_expect_eq(offsets[IMAGES], IMAGES * 17);
    cr_assert_eq(vitrun_run(v, logits, &pointers[5], NULL, 1, &e), VITRUN_OK, "%s", e.text);
    cr_assert_eq(vitrun_block_output(v, 1, one, NULL, &e), VITRUN_OK, "%s", e.text);
    cr_expect_arr_eq(all + (size_t)offsets[5] * 48, one, sizeof one);
    cr_expect_eq(vitrun_block_output(v, 2, one, NULL, &e), VITRUN_USAGE);
    vitrun_close(v);
}

/* Broken if it fails: the best class is not the first answer, or equal logits change places. */
Test(topk, best_first_ties_by_index)
{
    const float  logits[6] = {1, 3, 2, 3, -1, 3};
    vitrun_class out[6];
    cr_assert_eq(vitrun_topk(logits, 6, 4, out), 4);
    cr_expect_eq(out[0].index, 1);
    cr_expect_eq(out[1].index, 3);
    cr_expect_eq(out[2].index, 5);
    cr_expect_eq(out[3].index, 2);
    double sum = 0;
    cr_assert_eq(vitrun_topk(logits, 6, 99, out), 6);
    for (int i = 0; i < 6; i++) sum += (double)out[i].prob;
    cr_expect(fabs(sum - 1) < 1e-6);
    cr_expect_eq(vitrun_topk(logits, 0, 5, out), 0);
}
