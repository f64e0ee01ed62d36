/* From a decoded picture to the numbers a model sees: resize, crop, normalise, exactly as Pillow 13 and torchvision do. */
#ifndef VR_PREPROCESS_H
#define VR_PREPROCESS_H

#include "image.h"

typedef enum { VR_BILINEAR, VR_BICUBIC } vr_filter;
typedef enum {
    VR_RESIZE_SHORTER, /* shorter side to resize_height, the longer to int(resize_height * long / short) */
    VR_RESIZE_COVER,   /* smallest of the picture's shape that covers resize_height x resize_width, timm's ResizeKeepRatio */
    VR_RESIZE_SQUASH,  /* to resize_height x resize_width, aspect ignored */
    VR_RESIZE_NONE
} vr_resize;
typedef enum { VR_OFFSET_HALF_EVEN, VR_OFFSET_FLOOR } vr_offset; /* torchvision's centre crop; transformers' */

typedef struct {
    char      name[48]; /* "bicubic-256-crop224", made by vr_recipe_name */
    vr_resize resize;
    int       resize_height, resize_width;
    vr_filter filter;
    int       crop_height, crop_width; /* 0: no crop; larger than the picture: zeros around it, as torchvision pads */
    vr_offset offset;
    float     mean[3], std[3];
} vr_recipe;

/* Size after resizing and after cropping. VR_E_IMAGE "too-large" where the resized picture would pass 40 Mpixel. */
vr_status vr_recipe_sizes(const vr_recipe *r, int width, int height, int *resized_w, int *resized_h, int *out_w, int *out_h,
                          vr_error *err);

/* Resize and crop to 8-bit RGB; only what the crop keeps is computed.
 *   out   [out_h, out_w, 3]   of the size vr_recipe_sizes gives
 * Scratch memory comes from *scratch (capacity *scratch_bytes), grown with realloc as needed and reused by later calls;
 * the caller frees it in the end.  Fails with VR_E_MEMORY, VR_E_IMAGE. */
vr_status vr_resize_crop(uint8_t *out, const vr_image *im, const vr_recipe *r, void **scratch, size_t *scratch_bytes,
                         vr_error *err);

/* out [3, height, width] = (rgb / 255 - mean) / std in f32, torchvision's order of operations, bit for bit. */
void vr_normalise(float *out, const uint8_t *rgb, int height, int width, const vr_recipe *r);
/* The same for each byte of each channel. */
void vr_normal_table(float table[3][256], const vr_recipe *r);

/* The six recipes by which preprocessing is compared with other frameworks, by name; NULL: unknown. */
extern const vr_recipe vr_recipes[];
extern const size_t    vr_recipes_count;
const vr_recipe       *vr_recipe_find(const char *name);
void                   vr_recipe_name(vr_recipe *r);

#endif
