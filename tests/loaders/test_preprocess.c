/* Resizing, cropping and normalising.
 *
 * The order of the two passes was found by experiment: Pillow 13.0.0 shrinks vertically first exactly when
 * out_h < in_h and in_h - out_h > 2 * (in_w - out_w), in 2,958 of 2,958 random cases; Pillow 9.4 never does. */
#include "../../loaders/preprocess.h"
#include "../../loaders/resample.h"
#include "../reference/resample.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint32_t seed = 12345;
static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* Noise, or the hardest edges there are: black and white at random, where the cubic overshoots both ends. */
static uint8_t *noise(int w, int h, bool edges)
{
    const size_t n = (size_t)w * (size_t)h * 3;
    uint8_t     *p = malloc(n); /* no byte more, so that a read past it is seen */
    cr_assert_not_null(p);
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(edges ? (draw(2) ? 255 : 0) : draw(256));
    return p;
}

/* Compare every path of this machine, for a part of the result, with the reference. */
static void compare(int in_w, int in_h, int out_w, int out_h, vr_filter filter, bool edges)
{
    uint8_t *in = noise(in_w, in_h, edges), *want = malloc((size_t)out_w * (size_t)out_h * 3);
    void    *scratch = NULL;
    size_t   scratch_bytes = 0;
    ref_resize(want, out_w, out_h, in, in_w, in_h, filter);
    for (int simd = VR_SIMD_AUTO; simd <= VR_SIMD_AVX2; simd++) {
        const int left = (int)draw((uint32_t)out_w), top = (int)draw((uint32_t)out_h);
        const int width = 1 + (int)draw((uint32_t)(out_w - left)), height = 1 + (int)draw((uint32_t)(out_h - top));
        uint8_t  *got = malloc((size_t)width * (size_t)height * 3);
        vr_error  err = {0};
        if (!vr_simd_available((vr_simd)simd)) {
            free(got);
            continue;
        }
        vr_resample_job job = {in,           in_w, in_h, out_w, out_h, filter, left, top, width, height, got, (size_t)width * 3,
                               (vr_simd)simd};
        cr_assert_eq(vr_resample(&job, &scratch, &scratch_bytes, &err), VR_OK, "%s", err.text);
        for (int y = 0; y < height; y++)
            cr_assert(memcmp(got + (size_t)y * (size_t)width * 3, want + ((size_t)(top + y) * (size_t)out_w + (size_t)left) * 3,
                             (size_t)width * 3) == 0,
                      "%d x %d to %d x %d, filter %d, simd %d, row %d of the part at %d, %d", in_w, in_h, out_w, out_h, filter,
                      simd, y, left, top);
        free(got);
    }
    free(scratch);
    free(want);
    free(in);
}

/* Broken: a SIMD path, the part that a crop keeps, or the order of the passes gives other pixels than the definition. */
Test(preprocess, every_path_equals_the_reference)
{
    for (int i = 0; i < 400; i++)
        compare(1 + (int)draw(90), 1 + (int)draw(90), 1 + (int)draw(90), 1 + (int)draw(90), draw(2) ? VR_BICUBIC : VR_BILINEAR,
                draw(2));
}

/* Broken: the sizes where windows have one tap, or thousands, or where rows are shorter than a SIMD load. */
Test(preprocess, odd_sizes)
{
    static const int sizes[][4] = {{1, 1, 1, 1},     {1, 1, 64, 64},       {1, 500, 3, 20},      {500, 1, 20, 3},
                                   {3, 900, 40, 40}, {12, 4000, 24, 8},    {4000, 2, 3, 2},      {2, 4000, 2, 3},
                                   {224, 224, 9, 9}, {223, 225, 224, 224}, {225, 223, 224, 224}, {7, 7, 7, 3},
                                   {7, 7, 3, 7},     {33, 100, 34, 2},     {5, 2000, 224, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int filter = VR_BILINEAR; filter <= VR_BICUBIC; filter++)
            compare(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], (vr_filter)filter, i % 2);
}

static void sizes_are(const vr_recipe *r, int w, int h, int rw, int rh, int ow, int oh)
{
    int      got[4];
    vr_error err = {0};
    cr_assert_eq(vr_recipe_sizes(r, w, h, &got[0], &got[1], &got[2], &got[3], &err), VR_OK, "%s", err.text);
    cr_assert(got[0] == rw && got[1] == rh && got[2] == ow && got[3] == oh, "%d x %d: resized %d x %d, out %d x %d", w, h,
              got[0], got[1], got[2], got[3]);
}

/* Broken: a size is rounded where torchvision truncates. */
Test(preprocess, sizes)
{
    const vr_recipe *r = vr_recipe_find("bicubic-256-crop224"), *squash = vr_recipe_find("bilinear-squash512");
    cr_assert(r && squash && !vr_recipe_find("bicubic") && vr_recipes_count == 6);
    sizes_are(r, 500, 375, 341, 256, 224, 224);
    sizes_are(r, 375, 500, 256, 341, 224, 224);
    sizes_are(r, 256, 256, 256, 256, 224, 224);
    sizes_are(r, 1, 600, 256, 153600, 224, 224);
    sizes_are(squash, 3, 7, 512, 512, 512, 512);
    /* [round(x / min(h / th, w / tw)) for x in (h, w)] in Python */
    const vr_recipe wide = {.resize = VR_RESIZE_COVER, .resize_height = 248, .resize_width = 497},
                    tall = {.resize = VR_RESIZE_COVER, .resize_height = 497, .resize_width = 248},
                    half = {.resize = VR_RESIZE_COVER, .resize_height = 10, .resize_width = 4};
    sizes_are(&wide, 640, 427, 497, 332, 497, 332);
    sizes_are(&wide, 427, 640, 497, 745, 497, 745);
    sizes_are(&tall, 33, 77, 248, 579, 248, 579);
    sizes_are(&tall, 640, 427, 745, 497, 745, 497);
    sizes_are(&half, 3, 4, 8, 10, 8, 10); /* 7.5 */
    int      s[4];
    vr_error err = {0};
    cr_assert_eq(vr_recipe_sizes(r, 1, 611, &s[0], &s[1], &s[2], &s[3], &err), VR_E_IMAGE); /* 256 x 156,416: over 40,000,000 */
    cr_assert_str_eq(err.rule, "too-large");
    vr_recipe nothing = {.resize = VR_RESIZE_SQUASH};
    err = (vr_error){0};
    cr_assert_eq(vr_recipe_sizes(&nothing, 5, 5, &s[0], &s[1], &s[2], &s[3], &err), VR_E_USAGE);
}

/* Broken: a recipe's name and what it does part ways. */
Test(preprocess, names)
{
    for (size_t i = 0; i < vr_recipes_count; i++) {
        vr_recipe r = vr_recipes[i];
        vr_recipe_name(&r);
        cr_assert_str_eq(r.name, vr_recipes[i].name);
    }
    vr_recipe r = {.resize = VR_RESIZE_NONE, .crop_height = 224, .crop_width = 192};
    vr_recipe_name(&r);
    cr_assert_str_eq(r.name, "asis-crop224x192");
}

/* A picture whose red is the column and green the row, cropped without resizing. */
static void crop_of(uint8_t *out, int w, int h, int crop_w, int crop_h, vr_offset offset)
{
    vr_recipe r = {.resize = VR_RESIZE_NONE, .crop_height = crop_h, .crop_width = crop_w, .offset = offset};
    vr_image  im = {.rgb = malloc((size_t)w * (size_t)h * 3), .width = w, .height = h};
    void     *scratch = NULL;
    size_t    scratch_bytes = 0;
    vr_error  err = {0};
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint8_t *p = im.rgb + (y * w + x) * 3;
            p[0] = (uint8_t)(x + 1), p[1] = (uint8_t)(y + 1), p[2] = 7;
        }
    cr_assert_eq(vr_resize_crop(out, &im, &r, &scratch, &scratch_bytes, &err), VR_OK, "%s", err.text);
    free(scratch);
    vr_image_free(&im);
}

/* Broken: the centre is off by one.  Differences of 2, 4 and 6 put the offset at 1, 2, 3; 3, 5, 7 at x.5, rounded to even. */
Test(preprocess, centre)
{
    static const int differences[] = {0, 1, 2, 3, 4, 5, 6, 7, 107, 109};
    static const int even[] = {0, 0, 1, 2, 2, 2, 3, 4, 54, 54}, floors[] = {0, 0, 1, 1, 2, 2, 3, 3, 53, 54};
    uint8_t          out[4 * 4 * 3];
    for (size_t i = 0; i < sizeof differences / sizeof *differences; i++) {
        crop_of(out, 4 + differences[i], 5, 4, 4, VR_OFFSET_HALF_EVEN);
        cr_assert(out[0] == even[i] + 1 && out[1] == 1, "difference %d: offset %d", differences[i], out[0] - 1);
        crop_of(out, 4, 4 + differences[i], 4, 4, VR_OFFSET_FLOOR);
        cr_assert(out[1] == floors[i] + 1 && out[0] == 1, "difference %d: floor %d", differences[i], out[1] - 1);
    }
}

/* Broken: what lies outside a small picture is not black, or lies on the wrong side. */
Test(preprocess, crop_larger_than_the_picture)
{
    uint8_t out[6 * 5 * 3];
    memset(out, 99, sizeof out);
    crop_of(out, 3, 2, 6, 5, VR_OFFSET_HALF_EVEN); /* 1 column left, 2 right; 1 row above, 2 below */
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 6; x++) {
            const bool     inside = x >= 1 && x < 4 && y >= 1 && y < 3;
            const uint8_t *p = out + (y * 6 + x) * 3;
            cr_assert(p[0] == (inside ? x : 0) && p[1] == (inside ? y : 0) && p[2] == (inside ? 7 : 0), "at %d, %d", x, y);
        }
    crop_of(out, 30, 2, 6, 5, VR_OFFSET_HALF_EVEN); /* narrow one way only */
    cr_assert(out[0] == 0 && out[18] == 13 && out[19] == 1);
}

/* Broken: the floats differ from torchvision's in the last bit. */
Test(preprocess, normalise)
{
    const vr_recipe *r = &vr_recipes[0];
    uint8_t          rgb[256 * 3];
    float            out[3 * 256];
    for (int i = 0; i < 256; i++) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = (uint8_t)i;
    vr_normalise(out, rgb, 16, 16, r);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 256; i++) {
            volatile float x = (float)i / 255.0f; /* volatile: one rounding a step, whatever the compiler would like */
            x = x - r->mean[c];
            x = x / r->std[c];
            cr_assert(memcmp(&out[c * 256 + i], (const void *)&x, sizeof x) == 0, "channel %d, value %d", c, i);
        }
    /* by torch 2.x: ToTensor, then Normalize with ImageNet's numbers */
    cr_assert(out[0] == -2.11790394783020019531f && out[255] == 2.24890828132629394531f);
}
