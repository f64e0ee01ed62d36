/* gif.c: the first frame of a GIF, on its canvas as Pillow composes it: transparent pixels keep their colour, and what the
 * frame does not cover has the transparent colour, or colour 0 where none is declared.
 * Written here because giflib lets impossible codes pass and refuses code sizes above 8, which occur. */
#include <string.h>

#include "image_formats.h"

typedef struct {
    vr_bytes  left; /* of the file */
    vr_error *err;
    unsigned  screen_width, screen_height;
    uint8_t   colors[256][3]; /* of the frame, or of all frames; greys where neither has any */
    int       color_count;
    int       transparent; /* index, -1: none */
    unsigned  left_edge, top, width, height;
    bool      interlaced;
} gif;

static vr_status cut(vr_error *err)
{
    return vr_fail(err, VR_E_IMAGE, "truncated", "the GIF data ends too early; get the file again");
}

/* The next `length` bytes, NULL where they are not there. */
static const uint8_t *take(gif *g, size_t length)
{
    const uint8_t *at = g->left.at;
    if (length > g->left.length) return NULL;
    g->left.at += length, g->left.length -= length;
    return at;
}

/* The next block of a chain: its bytes, and their number, 0 at the chain's end or the file's. */
static const uint8_t *take_block(gif *g, size_t *length)
{
    const uint8_t *size = take(g, 1), *bytes = size ? take(g, *size) : NULL;
    *length = bytes ? *size : 0;
    return bytes;
}

/* The colours that the flags announce, if they do. */
static bool take_colors(gif *g, unsigned flags)
{
    if (!(flags & 0x80)) return true;
    g->color_count = 2 << (flags & 7);
    const uint8_t *colors = take(g, (size_t)g->color_count * 3);
    if (colors) memcpy(g->colors, colors, (size_t)g->color_count * 3);
    return colors != NULL;
}

/* Of all extensions only the graphic control matters, for its transparent colour. */
static bool take_extension(gif *g)
{
    const uint8_t *kind = take(g, 1), *block;
    size_t         length;
    if (!kind || !(block = take_block(g, &length))) return false;
    if (*kind == 0xF9 && length >= 4 && (block[0] & 1)) g->transparent = block[3];
    while (length > 0)
        if (!take_block(g, &length)) return false;
    return true;
}

static vr_status find_frame(gif *g)
{
    const uint8_t *p = take(g, 13); /* signature, screen size, flags, background, aspect ratio */
    if (!p || (g->screen_width = vr_le16(p + 6), g->screen_height = vr_le16(p + 8), !take_colors(g, p[10]))) return cut(g->err);
    for (;;) {
        const uint8_t *kind = take(g, 1);
        if (!kind) return cut(g->err);
        if (*kind == ',') break;
        if (*kind != '!') return vr_fail(g->err, VR_E_IMAGE, "damaged", "the GIF file holds no picture");
        if (!take_extension(g)) return cut(g->err);
    }
    if (!(p = take(g, 9))) return cut(g->err);
    g->left_edge = vr_le16(p), g->top = vr_le16(p + 2), g->width = vr_le16(p + 4), g->height = vr_le16(p + 6);
    g->interlaced = p[8] & 0x40;
    if (!take_colors(g, p[8])) return cut(g->err);
    if (g->width == 0 || g->height == 0)
        return vr_fail(g->err, VR_E_IMAGE, "size", "the first GIF frame has %u x %u pixels", g->width, g->height);
    return VR_OK;
}

static void begin_with_greys(gif *g)
{
    g->color_count = 256;
    for (int i = 0; i < 256; i++) memset(g->colors[i], i, 3);
}

static void fill(vr_image *out, const uint8_t color[3])
{
    uint8_t *end = out->rgb + (size_t)out->width * (size_t)out->height * 3;
    for (uint8_t *p = out->rgb; p < end; p += 3) memcpy(p, color, 3);
}

/* ---- LZW ---- */

enum { CODES = 4096, MAX_BITS = 12, ENDED = -1 };

/* Codes of `bits` bits, low ones first, from a chain of blocks of at most 255 bytes. */
typedef struct {
    gif           *file;
    const uint8_t *block; /* [left] not yet used */
    size_t         left;
    uint32_t       held; /* bits read but not used, */
    int            held_bits;
} code_reader;

static int next_code(code_reader *r, int bits)
{
    while (r->held_bits < bits) {
        if (r->left == 0) r->block = take_block(r->file, &r->left);
        if (r->left == 0) return ENDED;
        r->held |= (uint32_t)*r->block++ << r->held_bits;
        r->left--, r->held_bits += 8;
    }
    const int code = (int)(r->held & ((1u << bits) - 1));
    r->held >>= bits, r->held_bits -= bits;
    return code;
}

/* Where the next pixel goes. */
typedef struct {
    vr_image  *out;
    const gif *file;
    unsigned   x, y, pass; /* within the frame; y == its height or more: complete */
} canvas;

/* Rows come in order, or interlaced: every eighth, those between, every fourth of the rest, every second. */
static void next_row(canvas *c)
{
    static const unsigned step[] = {8, 8, 4, 2}, first[] = {0, 4, 2, 1};
    c->x = 0;
    c->y += c->file->interlaced ? step[c->pass] : 1;
    while (c->file->interlaced && c->y >= c->file->height && c->pass < 3) c->y = first[++c->pass];
}

static bool complete(const canvas *c) { return c->y >= c->file->height; }

static bool put_pixel(canvas *c, int index)
{
    if (index >= c->file->color_count) return false;
    const size_t row = c->file->top + c->y, column = c->file->left_edge + c->x;
    memcpy(c->out->rgb + (row * (size_t)c->out->width + column) * 3, c->file->colors[index], 3);
    if (++c->x == c->file->width) next_row(c);
    return true;
}

/* Each code stands for a string: that of its prefix and one pixel more. */
typedef struct {
    int      clear, next, bits;
    uint16_t prefix[CODES];
    uint8_t  suffix[CODES];
    uint8_t  string[CODES]; /* the one that is being put, last pixel first */
} lzw;

/* Put code's string and return its first pixel; -1: a pixel is outside the palette. */
static int put_string(lzw *z, canvas *c, int code, int previous, int previous_first)
{
    int n = 0, at = code;
    if (code == z->next) z->string[n++] = (uint8_t)previous_first, at = previous; /* the string that is just being made */
    for (; at >= z->clear; at = z->prefix[at]) z->string[n++] = z->suffix[at];    /* prefixes are always smaller */
    if (!put_pixel(c, at)) return -1;
    while (n > 0 && !complete(c))
        if (!put_pixel(c, z->string[--n])) return -1;
    return at;
}

static void learn(lzw *z, int previous, int first)
{
    if (previous < 0 || z->next >= CODES) return;
    z->prefix[z->next] = (uint16_t)previous, z->suffix[z->next] = (uint8_t)first;
    if (++z->next == 1 << z->bits && z->bits < MAX_BITS) z->bits++;
}

/* Until the frame is complete; what follows is not looked at. */
static vr_status unpack(gif *g, canvas *c, int size, vr_error *err)
{
    code_reader r = {.file = g};
    lzw         z = {.clear = 1 << size, .next = (1 << size) + 2, .bits = size + 1};
    int         previous = -1, first = 0;
    while (!complete(c)) {
        const int code = next_code(&r, z.bits);
        if (code == ENDED || code == z.clear + 1) return cut(err);
        if (code == z.clear) {
            z.next = z.clear + 2, z.bits = size + 1, previous = -1;
            continue;
        }
        if (previous < 0 ? code > z.clear : code > z.next)
            return vr_fail(err, VR_E_IMAGE, "damaged", "the GIF data has a code that cannot be; get the file again");
        first = put_string(&z, c, code, previous, first);
        if (first < 0) return vr_fail(err, VR_E_IMAGE, "palette", "a GIF pixel has a colour that its palette lacks");
        learn(&z, previous, first);
        previous = code;
    }
    return VR_OK;
}

static unsigned larger(unsigned a, unsigned b) { return a > b ? a : b; }

vr_status vr_gif_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err)
{
    vr_error ignored = {0};
    gif      g = {.left = file, .err = err, .transparent = -1};
    begin_with_greys(&g);
    vr_status status = find_frame(&g);
    if (status != VR_OK) return status;
    const uint8_t *size = take(&g, 1);
    if (!size) return cut(err);
    if (*size < 1 || *size >= MAX_BITS) return vr_fail(err, VR_E_IMAGE, "damaged", "the GIF data has codes of %u bits", *size);
    /* A frame may reach beyond the screen the header declares: the canvas grows. */
    status = vr_image_take(out, "GIF", larger(g.screen_width, g.left_edge + g.width), larger(g.screen_height, g.top + g.height),
                           true, limits, err);
    if (status != VR_OK) return status;
    const int background = g.transparent >= 0 ? g.transparent : 0;
    if (background < g.color_count) fill(out, g.colors[background]);
    canvas c = {.out = out, .file = &g};
    status = unpack(&g, &c, *size, limits->allow_truncated ? &ignored : err);
    return limits->allow_truncated ? VR_OK : status;
}
