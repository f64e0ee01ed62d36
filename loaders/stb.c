/* stb.c: BMP, TGA and PSD through stb_image, which reads them as Pillow does except where this file says otherwise.
 * Its other formats are compiled out.  It takes missing bytes for zeros; here it reads through a function that notices. */
#include <stdlib.h>
#include <string.h>

#include "image_formats.h"

/* Judged at the end of the file, so not to be popped: stb_image declares functions that the choice below leaves out. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wpedantic"
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_BMP
#define STBI_ONLY_TGA
#define STBI_ONLY_PSD
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_NO_THREAD_LOCALS
#define STBI_MAX_DIMENSIONS 65535
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

typedef struct {
    vr_bytes left;
    bool     short_of; /* bytes were wanted that are not there */
} stream;

static int take_bytes(void *user, char *to, int length)
{
    stream *s = user;
    size_t  n = length < 0 ? 0 : (size_t)length;
    if (n > s->left.length) n = s->left.length;
    /* stb_image fetches 128 bytes at a time: the last may be fewer, but asking again at the end means that data is missing. */
    if (n == 0 && length > 0) s->short_of = true;
    memcpy(to, s->left.at, n);
    s->left.at += n, s->left.length -= n;
    return (int)n;
}

static void skip_bytes(void *user, int length)
{
    stream *s = user;
    size_t  n = length < 0 ? s->left.length : (size_t)length;
    if (n > s->left.length) n = s->left.length; /* not yet an error: rows may lack the padding behind the last one */
    s->left.at += n, s->left.length -= n;
}

static int at_end(void *user) { return ((stream *)user)->left.length == 0; }

static vr_status refuse(vr_error *err, const char *rule, const char *format, const char *what)
{
    return vr_fail(err, VR_E_IMAGE, rule, "the %s file %s", format, what);
}

static vr_status cut(const char *format, vr_error *err)
{
    return refuse(err, "truncated", format, "ends too early; get it again");
}

/* Decode into a picture of out's size with that many channels; the caller releases it with stbi_image_free. */
static vr_status load(uint8_t **pixels, const vr_image *out, int channels, vr_bytes file, vr_error *err)
{
    static const stbi_io_callbacks io = {take_bytes, skip_bytes, at_end};
    stream                         s = {file, false};
    int                            width, height, found;
    *pixels = stbi_load_from_callbacks(&io, &s, &width, &height, &found, channels);
    if (!*pixels)
        return vr_fail(err, VR_E_IMAGE, s.short_of ? "truncated" : "damaged", "the %s data cannot be decoded: %s", out->format,
                       stbi_failure_reason());
    if (s.short_of)
        cut(out->format, err);
    else if (width != out->width || height != out->height)
        refuse(err, "damaged", out->format, "contradicts itself about its size");
    else
        return VR_OK;
    stbi_image_free(*pixels);
    *pixels = NULL;
    return VR_E_IMAGE;
}

/* The usual end of a decoder: RGB as stb_image has it. */
static vr_status load_rgb(vr_image *out, vr_bytes file, vr_error *err)
{
    uint8_t  *pixels;
    vr_status status = load(&pixels, out, 3, file, err);
    if (status != VR_OK) return status;
    memcpy(out->rgb, pixels, (size_t)out->width * (size_t)out->height * 3);
    stbi_image_free(pixels);
    return VR_OK;
}

/* ---- BMP ---- */

typedef struct {
    uint32_t data;          /* where pixels begin */
    uint32_t header;        /* its length: 12, 40, 56, 108, 124 */
    uint32_t width, height; /* without the sign that says top-down */
    uint32_t bits, compression;
    uint32_t mask[3];
    size_t   stride; /* of a stored row */
} bmp;

static vr_status bmp_header(bmp *b, vr_bytes file, vr_error *err)
{
    const uint8_t *p = file.at;
    if (file.length < 26) return cut("BMP", err);
    *b = (bmp){.data = vr_le32(p + 10), .header = vr_le32(p + 14)};
    if (b->header == 12) {
        b->width = vr_le16(p + 18), b->height = vr_le16(p + 20), b->bits = vr_le16(p + 24);
    } else {
        if (file.length < 66) return cut("BMP", err);
        b->width = vr_le32(p + 18), b->height = vr_le32(p + 22);
        b->bits = vr_le16(p + 28), b->compression = vr_le32(p + 30);
        for (int i = 0; i < 3; i++) b->mask[i] = vr_le32(p + 54 + 4 * i);
        if (b->height > 0x7FFFFFFF) b->height = 0u - b->height;
    }
    if (b->compression == 1 || b->compression == 2)
        return refuse(err, "unsupported", "BMP", "is run-length encoded; convert it to PNG");
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 && b->bits != 32)
        return refuse(err, "damaged", "BMP", "has a number of bits a pixel that does not exist");
    return VR_OK;
}

/* Colour masks that Pillow knows too: 5-5-5 and 5-6-5 in 16 bits, whole bytes in 32. */
static bool bmp_masks_fit(const bmp *b)
{
    if (b->compression != 3) return true;
    if (b->bits == 16)
        return b->mask[2] == 0x1F &&
               ((b->mask[0] == 0xF800 && b->mask[1] == 0x7E0) || (b->mask[0] == 0x7C00 && b->mask[1] == 0x3E0));
    for (int i = 0; i < 3; i++)
        if (b->mask[i] != 0xFF && b->mask[i] != 0xFF00 && b->mask[i] != 0xFF0000 && b->mask[i] != 0xFF000000) return false;
    return true;
}

/* stb_image does not compare indices with the length of the palette, beyond which it has not initialised its own. */
static vr_status bmp_check_palette(const bmp *b, vr_bytes file, vr_error *err)
{
    const int64_t room = (int64_t)b->data - 14 - (b->header == 12 ? 24 : (int64_t)b->header);
    const int64_t colors = room / (b->header == 12 ? 3 : 4); /* as stb_image counts them */
    if (colors < 1 || colors > 256) return refuse(err, "palette", "BMP", "has no palette of 1 to 256 colours");
    if (colors >= 1 << b->bits) return VR_OK;
    for (uint32_t y = 0; y < b->height; y++)
        for (uint32_t x = 0; x < b->width; x++) {
            const size_t   bit = (size_t)x * b->bits;
            const unsigned byte = file.at[b->data + y * b->stride + bit / 8];
            if ((byte >> (8 - b->bits - bit % 8) & ((1u << b->bits) - 1)) >= (unsigned)colors)
                return refuse(err, "palette", "BMP", "has a pixel with a colour that its palette lacks");
        }
    return VR_OK;
}

/* stb_image widens 5 and 6 bits by repeating their upper ones; Pillow by v * 255 / 31 and v * 255 / 63. */
static void bmp_widen(vr_image *out, bool six)
{
    uint8_t *end = out->rgb + (size_t)out->width * (size_t)out->height * 3;
    for (uint8_t *p = out->rgb; p < end; p += 3) {
        p[0] = (uint8_t)((p[0] >> 3) * 255 / 31);
        p[1] = (uint8_t)(six ? (p[1] >> 2) * 255 / 63 : (p[1] >> 3) * 255 / 31);
        p[2] = (uint8_t)((p[2] >> 3) * 255 / 31);
    }
}

vr_status vr_bmp_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err)
{
    bmp       b = {0};
    vr_status status = bmp_header(&b, file, err);
    if (status != VR_OK) return status;
    if (!bmp_masks_fit(&b)) return refuse(err, "unsupported", "BMP", "has an unusual order of colour bits; convert it to PNG");
    status = vr_image_take(out, "BMP", b.width, b.height, false, limits, err);
    if (status != VR_OK) return status;
    b.stride = ((size_t)b.width * b.bits + 31) / 32 * 4;
    const size_t last_row = ((size_t)b.width * b.bits + 7) / 8; /* whose padding may be missing */
    size_t       bytes;
    if (!vr_mul(b.stride, b.height - 1, &bytes) || !vr_add(bytes, last_row, &bytes) || !vr_add(bytes, b.data, &bytes) ||
        bytes > file.length)
        return cut("BMP", err);
    if (b.bits <= 8) status = bmp_check_palette(&b, file, err);
    if (status == VR_OK) status = load_rgb(out, file, err);
    if (status == VR_OK && b.bits == 16) bmp_widen(out, b.compression == 3 && b.mask[1] == 0x7E0);
    return status;
}

/* ---- TGA ---- */

bool vr_tga_plausible(vr_bytes file)
{
    const uint8_t *p = file.at;
    if (file.length < 18) return false;
    const unsigned kind = p[2], depth = p[16], palette = p[7];
    if (vr_le16(p + 12) == 0 || vr_le16(p + 14) == 0) return false;
    if (p[1] == 1) return (kind == 1 || kind == 9) && depth == 8 && (palette == 16 || palette == 24 || palette == 32);
    if (p[1] != 0) return false;
    if (kind == 3 || kind == 11) return depth == 8 || depth == 16;
    return (kind == 2 || kind == 10) && (depth == 16 || depth == 24 || depth == 32);
}

static void mirror(vr_image *im)
{
    for (int y = 0; y < im->height; y++) {
        uint8_t *left = im->rgb + (size_t)y * (size_t)im->width * 3, *right = left + (size_t)(im->width - 1) * 3;
        for (; left < right; left += 3, right -= 3)
            for (int c = 0; c < 3; c++) {
                uint8_t t = left[c];
                left[c] = right[c], right[c] = t;
            }
    }
}

vr_status vr_tga_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err)
{
    const uint8_t *p = file.at; /* 18 bytes or more, or it would not be plausible */
    const size_t   width = vr_le16(p + 12), height = vr_le16(p + 14), depth = p[16];
    const size_t   palette = p[1] ? vr_le16(p + 5) * (size_t)((p[7] + 7) / 8) : 0;
    if (p[1] && vr_le16(p + 3) != 0) return refuse(err, "unsupported", "TGA", "has a palette that begins past colour 0");
    /* stb_image does not look whether a row of raw pixels could be read. */
    const size_t raw = p[2] < 8 ? width * height * (depth / 8) : 0;
    if (file.length - 18 < p[0] + palette + raw) return cut("TGA", err);
    vr_status status = vr_image_take(out, "TGA", width, height, false, limits, err);
    if (status == VR_OK) status = load_rgb(out, file, err);
    if (status == VR_OK && (p[17] & 0x10)) mirror(out); /* stored from right to left */
    return status;
}

/* ---- PSD ---- */

/* stb_image takes a white background out of half transparent pixels; Pillow drops alpha and leaves colours alone. */
static vr_status psd_take_rgb(vr_image *out, const uint8_t *rgba, unsigned channels, vr_error *err)
{
    const size_t pixels = (size_t)out->width * (size_t)out->height;
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t alpha = rgba[4 * i + 3];
        if (channels >= 4 && alpha != 0 && alpha != 255)
            return refuse(err, "unsupported", "PSD", "has half transparent pixels; flatten it, or convert it to PNG");
        memcpy(out->rgb + 3 * i, rgba + 4 * i, 3);
    }
    return VR_OK;
}

vr_status vr_psd_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err)
{
    uint8_t *rgba;
    if (file.length < 26) return cut("PSD", err);
    const unsigned channels = vr_be16(file.at + 12), depth = vr_be16(file.at + 22), mode = vr_be16(file.at + 24);
    if (vr_be16(file.at + 4) != 1 || mode != 3 || depth != 8 || channels < 3)
        return refuse(err, "unsupported", "PSD", "is not RGB with 8 bits; convert it to PNG");
    vr_status status = vr_image_take(out, "PSD", vr_be32(file.at + 18), vr_be32(file.at + 14), false, limits, err);
    if (status != VR_OK) return status;
    status = load(&rgba, out, 4, file, err);
    if (status != VR_OK) return status;
    status = psd_take_rgb(out, rgba, channels, err);
    stbi_image_free(rgba);
    return status;
}
