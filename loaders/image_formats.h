/* What the decoders behind image.h share: one function a format, and the one place where pixels are allocated. */
#ifndef VR_IMAGE_FORMATS_H
#define VR_IMAGE_FORMATS_H

#include "image.h"

/* A file in memory. */
typedef struct {
    const uint8_t *at; /* [length] */
    size_t         length;
} vr_bytes;

/* Check width x height against the limits, then allocate out->rgb and fill in all of *out, orientation 1.
 *   zeroed   pixels are black rather than undefined: for formats that may leave some of them unwritten
 * Fails with VR_E_IMAGE "size" (a side of 0), "too-large", VR_E_MEMORY; *out is empty then. */
vr_status vr_image_take(vr_image *out, const char *format, uint64_t width, uint64_t height, bool zeroed,
                        const vr_image_limits *limits, vr_error *err);

/* Each fills *out through vr_image_take.  After a failure *out may hold pixels, which vr_image_decode releases. */
vr_status vr_jpeg_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err);
vr_status vr_png_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err);
vr_status vr_webp_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err);
vr_status vr_gif_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err);
vr_status vr_pnm_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err);
vr_status vr_bmp_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err);
vr_status vr_tga_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err);
vr_status vr_psd_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err);

/* TGA has no signature: whether the first 18 bytes make sense as its header. */
bool vr_tga_plausible(vr_bytes file);

/* Tag 0x0112 of the first directory of an EXIF block, with or without "Exif\0\0" in front; 1 where there is none or it
 * makes no sense.  Never reads outside the block. */
int vr_exif_orientation(vr_bytes block);

static inline unsigned vr_le16(const uint8_t *p) { return p[0] | (unsigned)p[1] << 8; }
static inline uint32_t vr_le32(const uint8_t *p) { return vr_le16(p) | (uint32_t)vr_le16(p + 2) << 16; }
static inline unsigned vr_be16(const uint8_t *p) { return p[1] | (unsigned)p[0] << 8; }
static inline uint32_t vr_be32(const uint8_t *p) { return vr_be16(p + 2) | (uint32_t)vr_be16(p) << 16; }

#endif
