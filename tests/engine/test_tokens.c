/* Which token holds which patch, and features: what must hold whatever the numbers are. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../engine/vitrun.h"
#include "../../loaders/checkpoint.h"

enum { IMAGES = 3, CELLS = 3 * 40 * 40 /* of the largest model here */, PATCHES = 64, DIM = 48, DEPTH = 4 };

static float        pixels[IMAGES][CELLS];
static const float *pointers[IMAGES];
static float        answers[IMAGES * PATCHES * DIM];
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

static vitrun *open_with(const vitrun_merge *merge, const char *features, int threads, int keep_trace)
{
    vitrun        *v;
    vitrun_error   e = {0};
    vitrun_options o = vitrun_defaults();
    o.device = "cpu";
    o.model = model, o.merge = merge, o.threads = threads, o.keep_trace = keep_trace, o.features = features;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    return v;
}

static void run(vitrun *v, int images)
{
    vitrun_error e = {0};
    cr_assert(vitrun_about(v)->outputs <= PATCHES * DIM);
    cr_assert_eq(vitrun_run(v, answers, pointers, NULL, images, &e), VITRUN_OK, "%s", e.text);
}

static const vitrun_merge methods[] = {
    {.method = "none"},
    {.method = "mame", .tau = "0.7", .layers = "0-3"},
    {.method = "mame", .tau = "0.5", .layers = "1,3", .forced = "merge"},
    {.method = "mame", .tau = "0.5", .layers = "0-1", .restore = "1"},
    {.method = "tome", .r = "9"},
    {.method = "evit", .keep = "0.5", .layers = "1,3"},
    {.method = "evit", .keep = "0.5", .layers = "1,2", .fuse = true},
};
enum { METHODS = sizeof methods / sizeof *methods };

/* The patches fall into as many groups as there are tokens, at most; whole groups, whatever they are called. */
static void check_map(const int *token, const int *group, int tokens, bool may_drop, const char *what)
{
    int size[PATCHES] = {0}, called[PATCHES], owner[PATCHES], sum = 0;
    for (int i = 0; i < PATCHES; i++) called[i] = owner[i] = -1;
    for (int p = 0; p < PATCHES; p++) {
        cr_expect(token[p] >= -1 && token[p] < tokens && group[p] >= -1 && group[p] < PATCHES, "%s", what);
        cr_expect_eq(token[p] < 0, group[p] < 0, "%s", what);
        cr_expect(may_drop || token[p] >= 0, "%s: patch %d is lost", what, p);
        if (token[p] < 0) continue;
        size[token[p]]++, sum++;
        if (called[token[p]] < 0) called[token[p]] = group[p];
        if (owner[group[p]] < 0) owner[group[p]] = token[p];
        cr_expect(called[token[p]] == group[p] && owner[group[p]] == token[p], "%s: a number is two groups'", what);
    }
    cr_expect(may_drop || sum == PATCHES, "%s", what);
}

/* Broken if it fails: the map counts other tokens than there were, loses patches, or calls two groups by one number. */
Test(tokens, maps_are_partitions, .init = make_pixels)
{
    for (int m = 0; m < METHODS; m++) {
        const bool may_drop = strcmp(methods[m].method, "evit") == 0 && !methods[m].fuse;
        int        token[PATCHES], group[PATCHES], tokens, left[DEPTH];
        vitrun    *v = open_with(&methods[m], NULL, 1, 1);
        run(v, IMAGES);
        for (int b = 0; b < IMAGES; b++) {
            cr_assert_eq(vitrun_cost(v, b, left, NULL, NULL, NULL), VITRUN_OK);
            for (int l = -1; l < DEPTH; l++) {
                vitrun_error e = {0};
                cr_assert_eq(vitrun_token_map(v, l, b, token, group, &tokens, &e), VITRUN_OK, "%s", e.text);
                cr_expect_eq(tokens, l < 0 ? PATCHES : left[l] - 1, "%s: block %d", vitrun_about(v)->merge, l);
                check_map(token, group, tokens, may_drop, vitrun_about(v)->merge);
            }
        }
        vitrun_close(v);
    }
}

/* Broken if it fails: tokens move where nothing was merged, or a restored sequence is shown as merged. */
Test(tokens, without_merging_each_patch_is_itself, .init = make_pixels)
{
    const int cases[][2] = {{0, 3}, {3, 2}, {3, 3}}; /* method, block */
    int       token[PATCHES], group[PATCHES], tokens;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vitrun *v = open_with(&methods[cases[i][0]], NULL, 1, 1);
        run(v, 1);
        cr_assert_eq(vitrun_token_map(v, cases[i][1], 0, token, group, &tokens, NULL), VITRUN_OK);
        cr_expect_eq(tokens, PATCHES);
        for (int p = 0; p < PATCHES; p++) cr_expect(token[p] == p && group[p] == p, "patch %d is %d", p, token[p]);
        vitrun_close(v);
    }
}

/* How many patches of token t had the number g. */
static int count(const int *token, const int *before, int t, int g)
{
    int n = 0;
    for (int p = 0; p < PATCHES; p++) n += token[p] == t && before[p] == g;
    return n;
}

/* Broken if it fails: a group changes its colour though nothing larger swallowed it. */
Test(tokens, groups_keep_the_number_of_their_largest_part, .init = make_pixels)
{
    int     token[PATCHES], group[PATCHES], before[PATCHES];
    vitrun *v = open_with(&methods[4], NULL, 1, 1); /* ToMe: groups only ever unite */
    run(v, 1);
    cr_assert_eq(vitrun_token_map(v, -1, 0, NULL, before, NULL, NULL), VITRUN_OK);
    for (int l = 0; l < DEPTH; l++) {
        cr_assert_eq(vitrun_token_map(v, l, 0, token, group, NULL, NULL), VITRUN_OK);
        for (int p = 0; p < PATCHES; p++) {
            const int own = count(token, before, token[p], group[p]), rival = count(token, before, token[p], before[p]);
            cr_expect(own > 0 && (own > rival || (own == rival && group[p] <= before[p])), "block %d, patch %d", l, p);
        }
        memcpy(before, group, sizeof before);
    }
    vitrun_close(v);
}

/* Broken if it fails: what EViT drops is shown as alive, or the kept are mixed with each other. */
Test(tokens, dropped_patches_are_gone, .init = make_pixels)
{
    int     token[PATCHES], tokens, kept = 0, again = 0;
    vitrun *v = open_with(&methods[5], NULL, 1, 1);
    run(v, 1);
    cr_assert_eq(vitrun_token_map(v, 1, 0, token, NULL, &tokens, NULL), VITRUN_OK);
    for (int p = 0; p < PATCHES; p++) kept += token[p] >= 0;
    cr_expect(kept == tokens && tokens == PATCHES / 2);
    cr_assert_eq(vitrun_token_map(v, 3, 0, token, NULL, &tokens, NULL), VITRUN_OK);
    for (int p = 0; p < PATCHES; p++) again += token[p] >= 0;
    cr_expect(again == tokens && tokens == PATCHES / 4, "the last block drops too");
    vitrun_close(v);
}

/* Broken if it fails: the picture of a merge depends on threads or on the other pictures of the call. */
Test(tokens, same_map_in_any_company, .init = make_pixels)
{
    for (int m = 0; m < METHODS; m++) {
        int     alone[PATCHES], together[PATCHES], group[2][PATCHES];
        vitrun *v = open_with(&methods[m], NULL, 1, 1), *w = open_with(&methods[m], NULL, 3, 1);
        run(w, IMAGES);
        for (int b = 0; b < IMAGES; b++) {
            vitrun_error e = {0};
            cr_assert_eq(vitrun_run(v, answers, &pointers[b], NULL, 1, &e), VITRUN_OK, "%s", e.text);
            cr_assert_eq(vitrun_token_map(v, DEPTH - 1, 0, alone, group[0], NULL, &e), VITRUN_OK, "%s", e.text);
            cr_assert_eq(vitrun_token_map(w, DEPTH - 1, b, together, group[1], NULL, &e), VITRUN_OK, "%s", e.text);
            cr_expect_arr_eq(alone, together, sizeof alone, "%s, image %d", vitrun_about(v)->merge, b);
            cr_expect_arr_eq(group[0], group[1], sizeof group[0], "%s, image %d", vitrun_about(v)->merge, b);
        }
        vitrun_close(v);
        vitrun_close(w);
    }
}

/* Broken if it fails: looking at the merging changes the answer. */
Test(tokens, traces_leave_the_answer_alone, .init = make_pixels)
{
    for (int m = 0; m < METHODS; m++) {
        float   plain[16];
        vitrun *v = open_with(&methods[m], NULL, 1, 0), *w = open_with(&methods[m], NULL, 1, 1);
        size_t  n = (size_t)vitrun_about(v)->outputs;
        run(v, 1);
        memcpy(plain, answers, n * sizeof *plain);
        run(w, 1);
        for (size_t i = 0; i < n; i++) cr_expect_float_eq(plain[i], answers[i], 1e-5, "%s", vitrun_about(v)->merge);
        vitrun_close(v);
        vitrun_close(w);
    }
}

/* Broken if it fails: a map is given of what was never traced. */
Test(tokens, what_cannot_be_is_refused, .init = make_pixels)
{
    int          token[PATCHES];
    vitrun_error e = {0};
    vitrun      *v = open_with(&methods[1], NULL, 1, 0), *w = open_with(&methods[1], NULL, 1, 1);
    run(v, 1);
    cr_expect_eq(vitrun_token_map(v, 0, 0, token, NULL, NULL, &e), VITRUN_USAGE);
    cr_expect_eq(vitrun_token_map(w, 0, 0, token, NULL, NULL, &e), VITRUN_USAGE, "nothing was run");
    run(w, 2);
    cr_expect_eq(vitrun_token_map(w, 0, 2, token, NULL, NULL, &e), VITRUN_USAGE);
    cr_expect_eq(vitrun_token_map(w, DEPTH, 0, token, NULL, NULL, &e), VITRUN_USAGE);
    cr_expect_eq(vitrun_token_map(w, DEPTH - 1, 1, token, NULL, NULL, &e), VITRUN_OK);
    vitrun_close(v);
    vitrun_close(w);
}

/* Broken if it fails: features are those of other tokens than they are called after. */
Test(features, agree_with_each_other, .init = make_pixels)
{
    static float patches[IMAGES * PATCHES * DIM], class[IMAGES * DIM];
    vitrun      *v = open_with(NULL, "patches", 1, 0);
    cr_expect_eq(vitrun_about(v)->outputs, PATCHES * DIM);
    run(v, IMAGES);
    memcpy(patches, answers, sizeof patches);
    vitrun_close(v);

    v = open_with(NULL, "mean", 2, 0);
    cr_expect_eq(vitrun_about(v)->outputs, DIM);
    run(v, IMAGES);
    for (int b = 0; b < IMAGES; b++)
        for (int c = 0; c < DIM; c++) {
            double sum = 0;
            for (int p = 0; p < PATCHES; p++) sum += (double)patches[(b * PATCHES + p) * DIM + c];
            cr_expect_float_eq(answers[b * DIM + c], (float)(sum / PATCHES), 1e-5, "image %d, column %d", b, c);
        }
    vitrun_close(v);

    v = open_with(NULL, "cls", 1, 0);
    run(v, IMAGES);
    memcpy(class, answers, sizeof class);
    vitrun_close(v);
    v = open_with(NULL, "logits-input", 1, 0);
    cr_expect_eq(vitrun_about(v)->outputs, DIM);
    run(v, IMAGES);
    cr_expect_arr_eq(class, answers, sizeof class, "this model's classifier reads the class token");
    vitrun_close(v);
}

/* Adds share * (weight x + bias) of a Linear of the checkpoint. */
static void add_linear(double *y, const char *path, const char *name, const float *x, int out, int in, double share)
{
    static float    weight[64 * 256], bias[64];
    char            tensor[64];
    vr_error        err = {0};
    vr_safetensors *st;
    cr_assert_eq(vr_safetensors_open(&st, path, 0, &err), VR_OK, "%s", err.text);
    snprintf(tensor, sizeof tensor, "%s.weight", name);
    const vr_tensor *w = vr_safetensors_find(st, tensor);
    snprintf(tensor, sizeof tensor, "%s.bias", name);
    const vr_tensor *b = vr_safetensors_find(st, tensor);
    cr_assert(w && b && w->elements == (uint64_t)(out * in) && b->elements == (uint64_t)out, "%s", tensor);
    vr_safetensors_read_f32(st, w, 0, w->elements, weight, &err);
    vr_safetensors_read_f32(st, b, 0, b->elements, bias, &err);
    for (int k = 0; k < out; k++) {
        double sum = (double)bias[k];
        for (int c = 0; c < in; c++) sum += (double)weight[k * in + c] * (double)x[c];
        y[k] += share * sum;
    }
    vr_safetensors_close(st);
}

/* Broken if it fails: the features before a classifier are not those that it reads. */
Test(features, a_classifier_on_top_gives_the_logits, .init = make_pixels)
{
    static const struct {
        const char *path, *head[2];
    } cases[] = {{"tests/golden/models/timm_cls", {"head"}},
                 {"tests/golden/models/timm_avg", {"head"}},
                 {"tests/golden/models/timm_distilled", {"head", "head_dist"}},
                 {"tests/golden/models/hf_dinov2_resized", {"classifier"}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float          logits[64], features[256];
        double         found[64] = {0};
        vitrun        *v, *w;
        vitrun_error   e = {0};
        vitrun_options o = vitrun_defaults();
        o.device = "cpu";
        o.model = cases[i].path;
        cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
        o.features = "logits-input";
        cr_assert_eq(vitrun_open(&w, &o, &e), VITRUN_OK, "%s", e.text);
        const int n = vitrun_about(v)->outputs, d = vitrun_about(w)->outputs, heads = cases[i].head[1] ? 2 : 1;
        cr_assert(n <= 64 && d <= 256 && 3 * vitrun_about(v)->image_height * vitrun_about(v)->image_width <= CELLS);
        cr_assert_eq(vitrun_run(v, logits, pointers, NULL, 1, &e), VITRUN_OK, "%s", e.text);
        cr_assert_eq(vitrun_run(w, features, pointers, NULL, 1, &e), VITRUN_OK, "%s", e.text);
        for (int h = 0; h < heads; h++)
            add_linear(found, cases[i].path, cases[i].head[h], features + h * d / heads, n, d / heads, 1.0 / heads);
        for (int k = 0; k < n; k++) cr_expect_float_eq(logits[k], (float)found[k], 1e-4, "%s: class %d", cases[i].path, k);
        cr_expect(vitrun_about(w)->gmacs < vitrun_about(v)->gmacs, "the classifier is not counted where it is not run");
        vitrun_close(v);
        vitrun_close(w);
    }
}

/* Broken if it fails: dense features are cut short, or asked of a method that cannot give them. */
Test(features, patches_need_restored_tokens, .init = make_pixels)
{
    vitrun        *v = open_with(&methods[3], "patches", 1, 0);
    vitrun_error   e = {0};
    vitrun_options o = vitrun_defaults();
    cr_expect_eq(vitrun_about(v)->outputs, PATCHES * DIM);
    run(v, IMAGES);
    vitrun_close(v);
    o.device = "cpu";
    o.model = model, o.features = "patches";
    for (int m = 1; m < METHODS; m++) {
        o.merge = &methods[m];
        if (methods[m].restore) continue;
        cr_expect_eq(vitrun_open(&v, &o, &e), VITRUN_USAGE);
        cr_expect(strstr(e.text, "every patch"), "%s", e.text);
    }
    o.merge = NULL, o.features = "everything";
    cr_expect_eq(vitrun_open(&v, &o, &e), VITRUN_USAGE);
}
