/* The fields of a cache of crops, for what writes it, what reads it, and what tries to break the reader. */
#ifndef VR_CROPS_PARTS_H
#define VR_CROPS_PARTS_H

#include <stdbool.h>
#include <stdint.h>

enum { VR_CROPS_HEADER = 4096, VR_CROPS_MOST = 20000000, VR_CROPS_SIDE = 16384 };
#define VR_CROPS_MAGIC "vrcrops1"

typedef struct {
    char     magic[8];
    uint64_t file_bytes;
    uint64_t pictures, folders;
    uint64_t unreadable; /* folders that could not be read */
    uint64_t text_bytes;
    uint64_t max_bytes, max_pixels; /* vr_image_limits */
    uint32_t max_side, max_scans, formats, allow_truncated;
    uint32_t resize, resize_height, resize_width, filter; /* vr_recipe */
    uint32_t crop_height, crop_width, offset;
    uint32_t uncropped, exif, zero;
    char     version[16];
    uint64_t tail_sum; /* of entries and text */
    uint64_t head_sum; /* of all above */
} vr_crops_header;
_Static_assert(sizeof(vr_crops_header) == 8 + 7 * 8 + 14 * 4 + 16 + 2 * 8, "no holes");

typedef struct {
    uint64_t bytes;
    uint8_t  sha256[32];
    uint64_t sum;
    int32_t  folder;
    uint32_t width, height;
    uint32_t code;
} vr_crops_item;
_Static_assert(sizeof(vr_crops_item) == 64, "no holes");

/* Whether a sentence can be shown as it is: not empty, and nothing in it that vr_quote would change. */
bool vr_crops_plain(const char *sentence);

#endif
