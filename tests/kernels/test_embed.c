/* If these failed, pictures would be cut into the wrong squares, tokens would be out of their places, or the answer
 * would be read from the wrong row. */
#include "../../loaders/preprocess.h"
#include "check.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { IMAGES_MAX = 4 };

typedef struct {
    int patch, prefix, cols, images;
    int down[IMAGES_MAX], across[IMAGES_MAX]; /* the grids */
} embed_case;

typedef struct {
    int        offsets[IMAGES_MAX + 1];
    vr_picture pictures[IMAGES_MAX];
    float     *owned[2 * IMAGES_MAX];
} batch;

static batch make_batch(const embed_case *t)
{
    batch b = {0};
    for (int i = 0; i < t->images; i++) {
        int    height = t->down[i] * t->patch, width = t->across[i] * t->patch, patches = t->down[i] * t->across[i];
        float *pixels = vr_numbers((size_t)(3 * height * width), (unsigned)(20 + i), 1);
        float *positions = vr_numbers((size_t)(patches * t->cols), (unsigned)(40 + i), 1);
        b.owned[2 * i] = pixels, b.owned[2 * i + 1] = positions;
        b.pictures[i] = (vr_picture){.pixels = pixels, .height = height, .width = width, .positions = positions};
        b.offsets[i + 1] = b.offsets[i] + t->prefix + patches;
    }
    return b;
}

static vr_guarded run(const char *isa, int threads, const embed_case *t, const batch *b)
{
    int        in = 3 * t->patch * t->patch;
    vr_backend be = vr_open_isa(isa, threads, 1, 1);
    vr_embed   w = {.patch = t->patch, .prefix = t->prefix};
    float     *weight = vr_numbers((size_t)(t->cols * in), 5, 0.1f), *bias = vr_numbers((size_t)t->cols, 6, 1);
    float     *prefix = vr_numbers((size_t)(t->cols * t->prefix), 7, 1);
    cr_assert_eq(be.ops->pack(&be, &w.proj, weight, bias, t->cols, in, NULL), VR_OK);
    w.prefix_tokens = prefix;
    vr_guarded x = vr_output(b->offsets[t->images], t->cols, 1, 1);
    vr_guarded scratch = vr_output(x.m.rows, in + 1, 2, 1);
    vr_patch_embed(&be, x.m, scratch.m, &(vr_rows){t->images, b->offsets}, b->pictures, &w);
    vr_check_canaries(&scratch, "scratch");
    be.ops->unpack(&be, &w.proj);
    be.ops->close(&be);
    free(weight), free(bias), free(prefix);
    vr_guarded_free(&scratch);
    return x;
}

static void check(const embed_case *t)
{
    batch      b = make_batch(t);
    vr_guarded want = run("reference", 1, t, &b);
    for (const char *const *isa = vr_isas(); *isa; isa++)
        for (int threads = 1; threads <= 3; threads += 2) {
            vr_guarded  got = run(*isa, threads, t, &b);
            const char *what = vr_case("%s, %d threads, patch %d, %d in front, %d columns, %d images", *isa, threads, t->patch,
                                       t->prefix, t->cols, t->images);
            vr_check_close(got.m, want.m, what);
            vr_check_canaries(&got, what);
            vr_guarded_free(&got);
        }
    for (int i = 0; i < 2 * IMAGES_MAX; i++) free(b.owned[i]);
    vr_guarded_free(&want);
}

Test(embed, patch_sides_and_prefixes)
{
    const int sides[] = {1, 2, 7, 14, 16};
    for (size_t s = 0; s < sizeof sides / sizeof *sides; s++)
        for (int prefix = 0; prefix <= 2; prefix++) check(&(embed_case){sides[s], prefix, 33, 1, {3}, {5}});
}

Test(embed, pictures_of_their_own_sizes) { check(&(embed_case){4, 1, 40, 4, {1, 3, 7, 2}, {1, 6, 4, 2}}); }

Test(embed, the_shape_of_a_model) { check(&(embed_case){16, 1, 192, 1, {14}, {14}}); }

/* ---- bytes ---- */

enum { SIDE = 16, BYTES_COLS = 40 };

/* Each byte in each channel, in another order in each. */
static void every_byte(uint8_t rgb[SIDE * SIDE * 3])
{
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < 3; c++) rgb[3 * i + c] = (uint8_t)((c + 1) * 37 * i + 11 * c);
}

/* The tokens of one picture, given as floats, as bytes, or as one of each; patches of 8. */
static vr_guarded run_bytes(const char *isa, const vr_picture *in, int images, const float *normal)
{
    enum { P = 8, TOKENS = 1 + SIDE / P * (SIDE / P) };
    const int  offsets[] = {0, TOKENS, 2 * TOKENS};
    vr_backend be = vr_open_isa(isa, 2, 1, 1);
    vr_embed   w = {.patch = P, .prefix = 1, .normal = normal};
    float     *weight = vr_numbers(BYTES_COLS * 3 * P * P, 5, 0.1f), *bias = vr_numbers(BYTES_COLS, 6, 1);
    float     *prefix = vr_numbers(BYTES_COLS, 7, 1);
    cr_assert_eq(be.ops->pack(&be, &w.proj, weight, bias, BYTES_COLS, 3 * P * P, NULL), VR_OK);
    w.prefix_tokens = prefix;
    vr_guarded x = vr_output(offsets[images], BYTES_COLS, 1, 1), scratch = vr_output(x.m.rows, 3 * P * P, 2, 1);
    vr_patch_embed(&be, x.m, scratch.m, &(vr_rows){images, offsets}, in, &w);
    be.ops->unpack(&be, &w.proj);
    be.ops->close(&be);
    free(weight), free(bias), free(prefix);
    vr_guarded_free(&scratch);
    return x;
}

/* Broken if it fails: a picture's answer depends on who normalised it. */
Test(embed, bytes_are_normalised_bit_for_bit)
{
    static uint8_t   rgb[SIDE * SIDE * 3];
    static float     pixels[3 * SIDE * SIDE], normal[3][256];
    const vr_recipe *recipe = &vr_recipes[0];
    float           *positions = vr_numbers(4 * BYTES_COLS, 9, 1);
    every_byte(rgb);
    vr_normalise(pixels, rgb, SIDE, SIDE, recipe);
    vr_normal_table(normal, recipe);
    const vr_picture floats = {.pixels = pixels, .height = SIDE, .width = SIDE, .positions = positions};
    const vr_picture bytes = {.rgb = rgb, .height = SIDE, .width = SIDE, .positions = positions};
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_guarded want = run_bytes(*isa, (vr_picture[]){floats, floats}, 2, NULL);
        vr_guarded got = run_bytes(*isa, (vr_picture[]){bytes, bytes}, 2, normal[0]);
        vr_guarded mixed = run_bytes(*isa, (vr_picture[]){bytes, floats}, 2, normal[0]);
        vr_check_same(got.m, want.m, *isa);
        vr_check_same(mixed.m, want.m, *isa);
        vr_guarded_free(&want), vr_guarded_free(&got), vr_guarded_free(&mixed);
    }
    free(positions);
}

/* ---- pool and gather ---- */

static vr_guarded run_pool(const char *isa, const vr_guarded *x, const vr_rows *rows, vr_pooling how)
{
    vr_backend be = vr_open_isa(isa, 3, 1, 1);
    vr_guarded y = vr_output(rows->images, (how.kind == VR_POOL_CLASS_MEAN ? 2 : 1) * x->m.cols, 2, 1);
    vr_pool(&be, y.m, x->m, rows, how);
    be.ops->close(&be);
    return y;
}

static void check_pool(vr_pooling how, const int *offsets, int cols)
{
    vr_rows    rows = {3, offsets};
    vr_guarded x = vr_input(offsets[3], cols, 1, 1), want = run_pool("reference", &x, &rows, how);
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_guarded  got = run_pool(*isa, &x, &rows, how);
        const char *what = vr_case("%s, pooling %d, %d columns", *isa, (int)how.kind, cols);
        vr_check_close(got.m, want.m, what);
        vr_check_canaries(&got, what);
        vr_guarded_free(&got);
    }
    vr_guarded_free(&want), vr_guarded_free(&x);
}

Test(embed, pool)
{
    const int full[] = {0, 2, 199, 210}, with_empty[] = {0, 2, 2, 210}, cols[] = {1, 63, 64, 65, 200};
    for (size_t c = 0; c < sizeof cols / sizeof *cols; c++) {
        check_pool((vr_pooling){.kind = VR_POOL_ROW, .row = 1, .prefix = 0}, full, cols[c]);
        check_pool((vr_pooling){.kind = VR_POOL_MEAN, .row = 0, .prefix = 1}, full, cols[c]);
        check_pool((vr_pooling){.kind = VR_POOL_MEAN, .row = 0, .prefix = 2}, full, cols[c]);
        check_pool((vr_pooling){.kind = VR_POOL_CLASS_MEAN, .row = 0, .prefix = 1}, full, cols[c]);
        check_pool((vr_pooling){.kind = VR_POOL_MEAN, .row = 0, .prefix = 0}, with_empty, cols[c]);
    }
}

Test(embed, gather)
{
    enum { COUNT = 150 };
    int        index[COUNT];
    vr_guarded x = vr_input(40, 17, 1, 1);
    for (int i = 0; i < COUNT; i++) index[i] = i * 7 % 40;
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_backend be = vr_open_isa(*isa, 3, 1, 1);
        vr_guarded y = vr_output(COUNT, 17, 2, 1);
        vr_gather(&be, y.m, x.m, index);
        for (int i = 0; i < COUNT; i++) vr_check_same(vr_mat_rows(y.m, i, 1), vr_mat_rows(x.m, index[i], 1), *isa);
        vr_check_canaries(&y, *isa);
        vr_guarded_free(&y);
        be.ops->close(&be);
    }
    vr_guarded_free(&x);
}
