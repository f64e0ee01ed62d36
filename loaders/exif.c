/* exif.c: one number out of an EXIF block, the orientation; everything else in it is left alone.
 * An EXIF block is a small TIFF file: byte order, offset of a directory, and in it entries of 12 bytes. */
#include <string.h>

#include "image_formats.h"

typedef struct {
    vr_bytes tiff;
    bool     little;
} reader;

static uint32_t get16(const reader *r, size_t at) { return r->little ? vr_le16(r->tiff.at + at) : vr_be16(r->tiff.at + at); }
static uint32_t get32(const reader *r, size_t at) { return r->little ? vr_le32(r->tiff.at + at) : vr_be32(r->tiff.at + at); }

static bool inside(const reader *r, size_t at, size_t length)
{
    size_t end;
    return vr_add(at, length, &end) && end <= r->tiff.length;
}

/* The first value of the entry at `at`, 0 where it is of a type that holds no orientation or lies outside the block. */
static uint32_t first_value(const reader *r, size_t at)
{
    const uint32_t type = get16(r, at + 2), count = get32(r, at + 4);
    size_t         unit = type == 3 || type == 8 ? 2 : type == 4 || type == 9 ? 4 : 0; /* short, long, signed or not */
    size_t         size, where = at + 8;
    if (unit == 0 || count == 0 || !vr_mul(unit, count, &size)) return 0;
    if (size > 4) { /* too long to stand in the entry itself, which then holds where */
        where = get32(r, at + 8);
        if (!inside(r, where, size)) return 0;
    }
    return unit == 2 ? get16(r, where) : get32(r, where);
}

int vr_exif_orientation(vr_bytes block)
{
    /* Some writers put the marker's own name in twice. */
    for (int i = 0; i < 2 && block.length >= 6 && memcmp(block.at, "Exif\0\0", 6) == 0; i++) block.at += 6, block.length -= 6;
    if (block.length < 8) return 1;

    reader     r = {block, block.at[0] == 'I'};
    const bool order = memcmp(block.at, r.little ? "II" : "MM", 2) == 0;
    if (!order || (vr_le16(block.at + 2) != 42 && vr_be16(block.at + 2) != 42)) return 1;

    size_t at = get32(&r, 4);
    if (!inside(&r, at, 2)) return 1;
    uint32_t entries = get16(&r, at), orientation = 1;
    at += 2;
    for (; entries > 0 && inside(&r, at, 12); entries--, at += 12) {
        if (get16(&r, at) != 0x0112) continue;
        uint32_t value = first_value(&r, at);
        if (value) orientation = value; /* of several entries the last one counts, as in Pillow */
    }
    return orientation >= 1 && orientation <= 8 ? (int)orientation : 1;
}
