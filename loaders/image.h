/* Pictures from bytes, with the pixels that Pillow's Image.open(f).convert("RGB") gives, bit for bit.
 * The content decides the format, never the name: JPEG (libjpeg-turbo), PNG (libpng), WebP (libwebp), BMP, TGA, PSD
 * (stb_image), GIF and PNM (our own).  First frame of animations; alpha dropped, not blended; ICC and gamma ignored. */
#ifndef VR_IMAGE_H
#define VR_IMAGE_H

#include "../kernels/base.h"

typedef struct {
    uint8_t    *rgb; /* [height, width, 3], released by vr_image_free */
    int         width, height;
    int         orientation; /* EXIF tag 0x0112, 1 .. 8; 1 where there is none */
    const char *format;      /* "JPEG", "PNG", ...; static */
} vr_image;

enum {
    VR_FORMAT_JPEG = 1,
    VR_FORMAT_PNG = 2,
    VR_FORMAT_WEBP = 4,
    VR_FORMAT_GIF = 8,
    VR_FORMAT_BMP = 16,
    VR_FORMAT_PNM = 32,
    VR_FORMAT_TGA = 64,
    VR_FORMAT_PSD = 128,
    VR_FORMAT_ALL = 255
};

/* What is refused before memory is taken for it. */
typedef struct {
    size_t   max_bytes;       /* of a file; default 64 MiB */
    uint64_t max_pixels;      /* default 50,000,000 */
    int      max_side;        /* default 16,384 */
    int      max_scans;       /* of a progressive JPEG; default 100 */
    unsigned formats;         /* VR_FORMAT_* that may be decoded; default all */
    bool     allow_truncated; /* accept cut or damaged JPEG, PNG and GIF, black where data is missing; default no */
} vr_image_limits;
vr_image_limits vr_image_limits_default(void);

/* Parse a --formats list such as "jpeg,png" or "all" or "all,-psd".  VR_E_USAGE names the word that is unknown. */
vr_status vr_image_formats_parse(const char *text, unsigned *out, vr_error *err);

/* Decode one picture.  On failure *out is empty, nothing is to be freed; VR_E_IMAGE (err->rule: "format", "truncated",
 * "damaged", "too-large", "switched-off", ...), VR_E_MEMORY. */
vr_status vr_image_decode(vr_image *out, const void *bytes, size_t length, const vr_image_limits *limits, vr_error *err);

/* The same from a file ("-": stdin).  Directories, FIFOs that never end within max_bytes and empty files are refused. */
vr_status vr_image_read(vr_image *out, const char *path, const vr_image_limits *limits, vr_error *err);
void      vr_image_free(vr_image *im);

/* Turn the picture upright as its EXIF orientation says (Pillow's ImageOps.exif_transpose) and set orientation to 1. */
vr_status vr_image_upright(vr_image *im, vr_error *err);

/* Read a whole file ("-": stdin) of at most max_bytes into memory the caller frees with free(). */
vr_status vr_image_file_read(uint8_t **out, size_t *length, const char *path, size_t max_bytes, vr_error *err);

#endif
