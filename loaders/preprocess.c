/* preprocess.c: sizes, centre crop and normalisation as torchvision computes them; the resizing itself is resample.c. */
#include "preprocess.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "resample.h"

enum { MAX_RESIZED_PIXELS = 40000000 };

#define IMAGENET .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}
#define SHORTER(side, crop) \
    .resize = VR_RESIZE_SHORTER, .resize_height = side, .resize_width = side, .crop_height = crop, .crop_width = crop
#define SQUASH(side) .resize = VR_RESIZE_SQUASH, .resize_height = side, .resize_width = side

const vr_recipe vr_recipes[] = {
    {.name = "bicubic-256-crop224", .filter = VR_BICUBIC, SHORTER(256, 224), IMAGENET},
    {.name = "bicubic-248-crop224", .filter = VR_BICUBIC, SHORTER(248, 224), IMAGENET},
    {.name = "bilinear-224-crop224", .filter = VR_BILINEAR, SHORTER(224, 224), IMAGENET},
    {.name = "bicubic-squash512", .filter = VR_BICUBIC, SQUASH(512), IMAGENET},
    {.name = "bilinear-squash512", .filter = VR_BILINEAR, SQUASH(512), IMAGENET},
    {.name = "bicubic-384-crop384", .filter = VR_BICUBIC, SHORTER(384, 384), IMAGENET},
};
const size_t vr_recipes_count = sizeof vr_recipes / sizeof *vr_recipes;

const vr_recipe *vr_recipe_find(const char *name)
{
    for (size_t i = 0; i < vr_recipes_count; i++)
        if (strcmp(vr_recipes[i].name, name) == 0) return &vr_recipes[i];
    return NULL;
}

/* " 224", or " 224x192" where the sides differ */
static void append_size(char *name, size_t room, const char *word, int height, int width)
{
    const size_t used = strlen(name);
    if (height == width)
        snprintf(name + used, room - used, "%s%d", word, height);
    else
        snprintf(name + used, room - used, "%s%dx%d", word, height, width);
}

void vr_recipe_name(vr_recipe *r)
{
    snprintf(r->name, sizeof r->name, "%s", r->filter == VR_BICUBIC ? "bicubic" : "bilinear");
    if (r->resize == VR_RESIZE_NONE) snprintf(r->name, sizeof r->name, "asis");
    if (r->resize == VR_RESIZE_SHORTER) append_size(r->name, sizeof r->name, "-", r->resize_height, r->resize_height);
    if (r->resize == VR_RESIZE_COVER) append_size(r->name, sizeof r->name, "-cover", r->resize_height, r->resize_width);
    if (r->resize == VR_RESIZE_SQUASH) append_size(r->name, sizeof r->name, "-squash", r->resize_height, r->resize_width);
    const bool whole = r->resize == VR_RESIZE_SQUASH && r->crop_height == r->resize_height && r->crop_width == r->resize_width;
    if (r->crop_height && !whole) append_size(r->name, sizeof r->name, "-crop", r->crop_height, r->crop_width);
}

vr_status vr_recipe_sizes(const vr_recipe *r, int width, int height, int *resized_w, int *resized_h, int *out_w, int *out_h,
                          vr_error *err)
{
    uint64_t w = (uint64_t)width, h = (uint64_t)height;
    if (r->resize != VR_RESIZE_NONE && (r->resize_height < 1 || (r->resize != VR_RESIZE_SHORTER && r->resize_width < 1)))
        return vr_fail(err, VR_E_USAGE, "recipe", "a recipe resizes to %d x %d; both sides must be at least 1", r->resize_width,
                       r->resize_height);
    if (r->resize == VR_RESIZE_SQUASH) {
        w = (uint64_t)r->resize_width, h = (uint64_t)r->resize_height;
    } else if (r->resize == VR_RESIZE_SHORTER) { /* int(side * long / short); exact in integers as in doubles */
        const uint64_t side = (uint64_t)r->resize_height;
        const bool     upright = height >= width;
        w = upright ? side : side * (uint64_t)width / (uint64_t)height;
        h = upright ? side * (uint64_t)height / (uint64_t)width : side;
    } else if (r->resize == VR_RESIZE_COVER) { /* in doubles, and halves to the even side, as Python does it */
        const double ratio = fmin((double)height / r->resize_height, (double)width / r->resize_width);
        w = (uint64_t)nearbyint(width / ratio), h = (uint64_t)nearbyint(height / ratio);
    }
    if (w > MAX_RESIZED_PIXELS || h > MAX_RESIZED_PIXELS || w * h > MAX_RESIZED_PIXELS)
        return vr_fail(err, VR_E_IMAGE, "too-large",
                       "a picture of %d x %d would be resized to %llu x %llu; at most 40,000,000 pixels are possible", width,
                       height, (unsigned long long)w, (unsigned long long)h);
    *resized_w = (int)w, *resized_h = (int)h;
    *out_w = r->crop_width > 0 ? r->crop_width : (int)w;
    *out_h = r->crop_height > 0 ? r->crop_height : (int)h;
    return VR_OK;
}

/* One side of the centre crop. */
typedef struct {
    int from; /* first kept pixel of the resized picture */
    int kept;
    int pad; /* zeros in front, where the crop is larger than the picture */
} span;

static span center(int size, int crop, vr_offset offset)
{
    if (crop >= size) return (span){0, size, (crop - size) / 2};
    const int rest = size - crop, half = rest / 2;
    /* int(round(rest / 2)), and round() takes x.5 to the even side */
    return (span){half + (offset == VR_OFFSET_HALF_EVEN ? rest & half & 1 : 0), crop, 0};
}

vr_status vr_resize_crop(uint8_t *out, const vr_image *im, const vr_recipe *r, void **scratch, size_t *scratch_bytes,
                         vr_error *err)
{
    int       resized_w, resized_h, out_w, out_h;
    vr_status status = vr_recipe_sizes(r, im->width, im->height, &resized_w, &resized_h, &out_w, &out_h, err);
    if (status != VR_OK) return status;
    const span   x = center(resized_w, out_w, r->offset), y = center(resized_h, out_h, r->offset);
    const size_t stride = (size_t)out_w * 3;
    if (x.kept < out_w || y.kept < out_h) memset(out, 0, stride * (size_t)out_h);
    const vr_resample_job job = {.in = im->rgb,
                                 .in_w = im->width,
                                 .in_h = im->height,
                                 .out_w = resized_w,
                                 .out_h = resized_h,
                                 .filter = r->filter,
                                 .left = x.from,
                                 .top = y.from,
                                 .width = x.kept,
                                 .height = y.kept,
                                 .out = out + (size_t)y.pad * stride + (size_t)x.pad * 3,
                                 .out_stride = stride};
    return vr_resample(&job, scratch, scratch_bytes, err);
}

/* torchvision's steps one by one: divide, subtract, divide, each rounded to f32. */
void vr_normal_table(float table[3][256], const vr_recipe *r)
{
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) table[c][v] = ((float)v / 255.0f - r->mean[c]) / r->std[c];
}

void vr_normalise(float *out, const uint8_t *rgb, int height, int width, const vr_recipe *r)
{
    const size_t pixels = (size_t)height * (size_t)width;
    float        table[3][256];
    vr_normal_table(table, r);
    for (size_t i = 0; i < pixels; i++, rgb += 3) {
        out[i] = table[0][rgb[0]];
        out[pixels + i] = table[1][rgb[1]];
        out[2 * pixels + i] = table[2][rgb[2]];
    }
}
