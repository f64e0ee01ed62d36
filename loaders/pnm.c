/* pnm.c: P1 .. P6, text and binary.  Written here because stb_image reads neither the text kinds nor bitmaps.  Samples are
 * scaled to 0 .. 255 by round(v / maxval * 255), half to even, as Pillow does. */
#include <math.h>
#include <string.h>

#include "image_formats.h"

typedef struct {
    vr_bytes  left;
    int       kind;     /* 1 .. 6 */
    unsigned  maxval;   /* 1 for bitmaps */
    int       channels; /* 1 or 3 */
    vr_error *err;
} reader;

static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static vr_status cut(reader *r)
{
    return vr_fail(r->err, VR_E_IMAGE, "truncated", "the PNM data ends too early; get the file again");
}

static void skip_comment(reader *r)
{
    while (r->left.length && r->left.at[0] != '\n' && r->left.at[0] != '\r') r->left.at++, r->left.length--;
}

/* The next number, with the one white character that ends it; comments run from # to the end of their line. */
static vr_status next_number(reader *r, unsigned *out)
{
    unsigned long long value = 0;
    int                digits = 0;
    for (; r->left.length; r->left.at++, r->left.length--) {
        const uint8_t c = r->left.at[0];
        if (c == '#') {
            skip_comment(r);
            if (r->left.length == 0) break;
        } else if (is_space(c)) {
            if (digits == 0) continue;
            r->left.at++, r->left.length--;
            break;
        } else if (c >= '0' && c <= '9' && digits < 10) {
            value = value * 10 + (c - '0'), digits++;
        } else {
            return vr_fail(r->err, VR_E_IMAGE, "number", "the PNM data has \"%s\" where a number of at most 10 digits must be",
                           vr_quote((const char *)r->left.at, 1).text);
        }
    }
    if (digits == 0) return cut(r);
    *out = value > 0xFFFFFFFFu ? 0xFFFFFFFFu : (unsigned)value;
    return VR_OK;
}

static uint8_t scale(unsigned value, unsigned maxval)
{
    if (value >= maxval) return 255;
    return (uint8_t)nearbyint((double)value / maxval * 255.0);
}

/* Whether the samples can be there at all, asked before memory is taken for them. */
static bool enough_bytes(const reader *r, uint64_t width, uint64_t height)
{
    uint64_t row = width * (uint64_t)r->channels; /* both sides have at most 32 bits */
    if (r->kind == 4) row = (width + 7) / 8;
    if (r->kind > 4 && r->maxval > 255) row *= 2;
    return row == 0 || height <= r->left.length / row;
}

static vr_status read_bitmap_text(reader *r, uint8_t *to, size_t count)
{
    for (size_t i = 0; i < count; r->left.at++, r->left.length--) {
        if (r->left.length && r->left.at[0] == '#') skip_comment(r);
        if (r->left.length == 0) return cut(r);
        const uint8_t c = r->left.at[0];
        if (is_space(c)) continue;
        if (c != '0' && c != '1')
            return vr_fail(r->err, VR_E_IMAGE, "number", "the PBM data has \"%s\" where 0 or 1 must be",
                           vr_quote((const char *)&c, 1).text);
        to[i++] = c == '0' ? 255 : 0;
    }
    return VR_OK;
}

static vr_status read_text(reader *r, uint8_t *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned  value;
        vr_status status = next_number(r, &value);
        if (status != VR_OK) return status;
        if (value > r->maxval)
            return vr_fail(r->err, VR_E_IMAGE, "number", "a PNM sample is %u; the header allows at most %u", value, r->maxval);
        to[i] = scale(value, r->maxval);
    }
    return VR_OK;
}

static void read_bitmap(const reader *r, uint8_t *to, size_t width, size_t height)
{
    const size_t stride = (width + 7) / 8;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) *to++ = r->left.at[y * stride + x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
}

static void read_binary(const reader *r, uint8_t *to, size_t count)
{
    uint8_t table[256];
    if (r->maxval > 255) {
        for (size_t i = 0; i < count; i++) to[i] = scale(vr_be16(r->left.at + 2 * i), r->maxval);
        return;
    }
    for (unsigned v = 0; v < 256; v++) table[v] = scale(v, r->maxval);
    for (size_t i = 0; i < count; i++) to[i] = table[r->left.at[i]];
}

static vr_status read_header(reader *r, vr_bytes file, unsigned *width, unsigned *height)
{
    r->kind = file.at[1] - '0';
    r->left = (vr_bytes){file.at + 3, file.length - 3};
    r->channels = r->kind == 3 || r->kind == 6 ? 3 : 1;
    r->maxval = 1;
    vr_status status = next_number(r, width);
    if (status == VR_OK) status = next_number(r, height);
    if (status == VR_OK && r->kind != 1 && r->kind != 4) status = next_number(r, &r->maxval);
    if (status == VR_OK && (r->maxval == 0 || r->maxval > 65535))
        status = vr_fail(r->err, VR_E_IMAGE, "maxval", "the PNM header says a largest value of %u; 1 to 65535 are possible",
                         r->maxval);
    return status;
}

vr_status vr_pnm_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err)
{
    reader    r = {.err = err};
    unsigned  width, height;
    vr_status status = read_header(&r, file, &width, &height);
    if (status != VR_OK) return status;
    if (width && height && width <= (unsigned)limits->max_side && height <= (unsigned)limits->max_side &&
        !enough_bytes(&r, width, height))
        return cut(&r);
    status = vr_image_take(out, "PNM", width, height, false, limits, err);
    if (status != VR_OK) return status;

    const size_t pixels = (size_t)width * height, count = pixels * (size_t)r.channels;
    if (r.kind == 1) status = read_bitmap_text(&r, out->rgb, count);
    if (r.kind == 2 || r.kind == 3) status = read_text(&r, out->rgb, count);
    if (r.kind == 4) read_bitmap(&r, out->rgb, width, height);
    if (r.kind > 4) read_binary(&r, out->rgb, count);
    if (status == VR_OK && r.channels == 1) /* grey: spread from the end, so that nothing unread is overwritten */
        for (size_t i = pixels; i-- > 0;) memset(out->rgb + 3 * i, out->rgb[i], 3);
    return status;
}
