/* Token reduction inside a model: what must hold for every method, whatever the numbers are. */
#include <criterion/criterion.h>
#include <string.h>

#include "../../engine/vitrun.h"
#include "../../loaders/checkpoint.h"

enum { IMAGES = 6, SIDE = 32, CELLS = 3 * SIDE * SIDE, MAX_CLASSES = 16, DEPTH = 4 };

static float        pixels[IMAGES][CELLS];
static const float *pointers[IMAGES];
static const char   model[] = "tests/golden/models/timm_cls";

static void make_pixels(void)
{
    for (int b = 0; b < IMAGES; b++) {
        for (int i = 0; i < CELLS; i++)
            pixels[b][i] = (float)(vr_random_number("coarse", (uint64_t)(b * 64 + i / 64), 1) +
                                   0.2 * vr_random_number("fine", (uint64_t)i, 1));
        pointers[b] = pixels[b];
    }
}

static vitrun *open_with(const char *path, const vitrun_merge *merge, int threads, int budget, int keep)
{
    vitrun        *v;
    vitrun_error   e = {0};
    vitrun_options o = vitrun_defaults();
    o.device = "cpu";
    o.model = path, o.merge = merge, o.threads = threads, o.token_budget = budget, o.keep_blocks = keep;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    return v;
}

static const vitrun_merge methods[] = {
    {.method = "mame", .tau = "0.7", .layers = "0-2"},
    {.method = "mame", .tau = "0.6", .layers = "0-3", .feature = "k-mean", .rule = "similarity"},
    {.method = "mame", .tau = "0.5", .layers = "1,3", .forced = "merge"},
    {.method = "mame", .tau = "0.7", .layers = "0-3", .weights = "mass"},
    {.method = "mame", .tau = "0.7", .layers = "0-2", .restore = "2"},
    {.method = "tome", .r = "9"},
    {.method = "evit", .keep = "0.5", .layers = "1,2", .fuse = true},
};
enum { METHODS = sizeof methods / sizeof *methods };

/* Broken if it fails: merging makes an answer depend on the other pictures, their order, threads or memory. */
Test(merge, same_bits_in_any_company, .init = make_pixels)
{
    static const int order[IMAGES] = {4, 0, 5, 2, 1, 3};
    for (int m = 0; m < METHODS; m++) {
        float        alone[IMAGES][MAX_CLASSES], together[IMAGES * MAX_CLASSES];
        int          tokens[IMAGES][DEPTH], found[DEPTH];
        vitrun_error e = {0};
        vitrun      *v = open_with(model, &methods[m], 1, 0, 0);
        const size_t n = (size_t)vitrun_about(v)->classes;
        for (int b = 0; b < IMAGES; b++) {
            cr_assert_eq(vitrun_run(v, alone[b], &pointers[b], NULL, 1, &e), VITRUN_OK, "%s", e.text);
            cr_assert_eq(vitrun_cost(v, 0, tokens[b], NULL, NULL, &e), VITRUN_OK, "%s", e.text);
        }
        vitrun_close(v);
        for (int way = 0; way < 3; way++) {
            const float *shuffled[IMAGES];
            v = open_with(model, &methods[m], way + 1, way == 1 ? 150 : 0, 0);
            for (int b = 0; b < IMAGES; b++) shuffled[b] = pixels[order[b]];
            cr_assert_eq(vitrun_run(v, together, shuffled, NULL, IMAGES, &e), VITRUN_OK, "%s", e.text);
            for (int b = 0; b < IMAGES; b++) {
                cr_expect_arr_eq(together + (size_t)b * n, alone[order[b]], n * sizeof(float), "%s, image %d, way %d",
                                 vitrun_about(v)->merge, order[b], way);
                vitrun_cost(v, b, found, NULL, NULL, &e);
                cr_expect_arr_eq(found, tokens[order[b]], sizeof found);
            }
            vitrun_close(v);
        }
    }
}

/* Broken if it fails: merging is done though nothing is similar enough, or costs are counted that did not occur. */
Test(merge, a_threshold_of_1_changes_nothing, .init = make_pixels)
{
    const vitrun_merge none = {.method = "none"}, high = {.method = "mame", .tau = "1", .layers = "0-3"};
    float              plain[MAX_CLASSES], merged[MAX_CLASSES];
    double             gmacs = 0, own = 0;
    vitrun_error       e = {0};
    vitrun            *v = open_with(model, &none, 1, 0, 0), *w = open_with(model, &high, 1, 0, 0);
    cr_assert_eq(vitrun_run(v, plain, pointers, NULL, 1, &e), VITRUN_OK);
    cr_assert_eq(vitrun_run(w, merged, pointers, NULL, 1, &e), VITRUN_OK);
    for (int i = 0; i < vitrun_about(v)->classes; i++) /* tokens change places, so sums are taken in another order */
        cr_expect_float_eq(plain[i], merged[i], 1e-5);
    cr_assert_eq(vitrun_cost(w, 0, NULL, &gmacs, &own, &e), VITRUN_OK);
    cr_expect_float_eq(gmacs, vitrun_about(v)->gmacs, 1e-12);
    cr_expect(own > 0);
    cr_expect_eq(vitrun_cost(w, 1, NULL, &gmacs, NULL, &e), VITRUN_USAGE);
    vitrun_close(v);
    vitrun_close(w);
}

/* Broken if it fails: a restored sequence has not the length of before, so dense features are lost. */
Test(merge, restored_tokens_have_the_old_length, .init = make_pixels)
{
    static float       out[IMAGES * 65 * 48];
    const vitrun_merge merge = {.method = "mame", .tau = "0.5", .layers = "0-1", .restore = "1"};
    int                tokens[DEPTH], offsets[IMAGES + 1];
    float              logits[IMAGES * MAX_CLASSES];
    vitrun_error       e = {0};
    vitrun            *v = open_with(model, &merge, 2, 0, 1);
    cr_assert_eq(vitrun_run(v, logits, pointers, NULL, IMAGES, &e), VITRUN_OK, "%s", e.text);
    for (int b = 0; b < IMAGES; b++) {
        cr_assert_eq(vitrun_cost(v, b, tokens, NULL, NULL, &e), VITRUN_OK);
        cr_expect(tokens[1] < 65, "image %d was not merged", b);
        cr_expect_eq(tokens[2], 65);
    }
    cr_assert_eq(vitrun_block_output(v, 3, out, offsets, &e), VITRUN_OK);
    cr_expect_eq(offsets[IMAGES], IMAGES * 65);
    cr_assert_eq(vitrun_block_output(v, 1, NULL, offsets, &e), VITRUN_OK);
    cr_expect(offsets[IMAGES] < IMAGES * 65, "block outputs before the restoration are merged ones");
    vitrun_close(v);
}

/* Broken if it fails: the paper's batch rule is applied to a part of the batch and called the whole. */
Test(merge, batch_scope_needs_the_whole_batch, .init = make_pixels)
{
    const vitrun_merge merge = {.method = "mame", .tau = "0.7", .layers = "0-2", .scope = "batch"};
    float              logits[IMAGES * MAX_CLASSES];
    vitrun_error       e = {0};
    vitrun            *v = open_with(model, &merge, 1, 65 * 3, 0);
    cr_expect_eq(vitrun_run(v, logits, pointers, NULL, 3, &e), VITRUN_OK, "%s", e.text);
    cr_expect_eq(vitrun_run(v, logits, pointers, NULL, 4, &e), VITRUN_USAGE);
    cr_expect(strstr(e.text, "only 3 fit"), "%s", e.text);
    vitrun_close(v);
}

/* Broken if it fails: a method runs where its definition has no meaning. */
Test(merge, what_cannot_be_is_refused)
{
    static const struct {
        const char  *model;
        vitrun_merge merge;
        const char  *words;
    } cases[] = {
        {"tests/golden/models/timm_distilled", {.method = "evit", .layers = "1"}, "one special token"},
        {"tests/golden/models/timm_cls", {.method = "mame", .layers = "0-9"}, "blocks 0 to 3"},
        {"tests/golden/models/timm_cls", {.method = "mame", .tau = "-0.1", .layers = "0-3"}, "tau"},
        {"tests/golden/models/timm_cls", {.method = "evit", .keep = "1.5", .layers = "1"}, "keep"},
        {"tests/golden/models/timm_cls", {.method = "tome", .r = "99999"}, "r"},
        {"tests/golden/models/timm_cls", {.method = "nothing-like-it"}, "nothing-like-it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vitrun        *v;
        vitrun_error   e = {0};
        vitrun_options o = vitrun_defaults();
        o.device = "cpu";
        o.model = cases[i].model, o.merge = &cases[i].merge;
        cr_expect_eq(vitrun_open(&v, &o, &e), VITRUN_USAGE, "case %zu: %s", i, e.text);
        cr_expect(strstr(e.text, cases[i].words), "case %zu: %s", i, e.text);
    }
}
