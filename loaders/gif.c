/* gif.c: the first frame of a GIF through giflib, on its canvas as Pillow composes it: transparent pixels keep their colour,
 * and what the frame does not cover has the transparent colour, or colour 0 where none is declared. */
#include <string.h>

#include <gif_lib.h>

#include "image_formats.h"

enum { GRAPHIC_CONTROL = 0xF9 };

typedef struct {
    GifFileType           *gif;
    vr_bytes               left;
    const vr_image_limits *limits;
    vr_error              *err;
    int                    transparent; /* index, -1: none */
} decoder;

static int take_bytes(GifFileType *gif, GifByteType *to, int length)
{
    decoder *d = gif->UserData;
    size_t   n = length < 0 ? 0 : (size_t)length;
    if (n > d->left.length) n = d->left.length;
    memcpy(to, d->left.at, n);
    d->left.at += n, d->left.length -= n;
    return (int)n;
}

static vr_status damaged(decoder *d)
{
    const char *text = GifErrorString(d->gif->Error);
    const bool  cut = d->left.length == 0;
    return vr_fail(d->err, VR_E_IMAGE, cut ? "truncated" : "damaged", "the GIF data %s: %s; get the file again",
                   cut ? "ends too early" : "is damaged", text ? text : "no reason given");
}

/* An extension: only the graphic control's transparent colour matters. */
static vr_status read_extension(decoder *d)
{
    int          code;
    GifByteType *block; /* length, then bytes; NULL at the end */
    if (DGifGetExtension(d->gif, &code, &block) == GIF_ERROR) return damaged(d);
    if (code == GRAPHIC_CONTROL && block && block[0] >= 4 && (block[1] & 1)) d->transparent = block[4];
    while (block)
        if (DGifGetExtensionNext(d->gif, &block) == GIF_ERROR) return damaged(d);
    return VR_OK;
}

/* Go to the first picture's description. */
static vr_status find_frame(decoder *d)
{
    for (;;) {
        GifRecordType type;
        if (DGifGetRecordType(d->gif, &type) == GIF_ERROR) return damaged(d);
        if (type == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(d->gif) == GIF_ERROR ? damaged(d) : VR_OK;
        if (type == TERMINATE_RECORD_TYPE) return vr_fail(d->err, VR_E_IMAGE, "damaged", "the GIF file holds no picture");
        vr_status status = type == EXTENSION_RECORD_TYPE ? read_extension(d) : damaged(d);
        if (status != VR_OK) return status;
    }
}

/* The colours of this frame: its own, the file's, or greys. */
static int frame_palette(const GifFileType *gif, uint8_t palette[256][3])
{
    const ColorMapObject *map = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
    const int             colors = map ? map->ColorCount : 256;
    for (int i = 0; i < colors && i < 256; i++) {
        palette[i][0] = map ? map->Colors[i].Red : (uint8_t)i;
        palette[i][1] = map ? map->Colors[i].Green : (uint8_t)i;
        palette[i][2] = map ? map->Colors[i].Blue : (uint8_t)i;
    }
    return colors;
}

static void fill(vr_image *out, const uint8_t color[3])
{
    uint8_t *end = out->rgb + (size_t)out->width * (size_t)out->height * 3;
    for (uint8_t *p = out->rgb; p < end; p += 3) memcpy(p, color, 3);
}

/* ---- the frame's pixels: LZW, of which giflib only finds the blocks, as its own decoder lets impossible codes pass ---- */

enum { CODES = 4096, MAX_BITS = 12, ENDED = -1 };

/* Codes of `bits` bits, low ones first, from a chain of blocks of at most 255 bytes. */
typedef struct {
    GifFileType *gif;
    GifByteType *block; /* its length, then its bytes; NULL: no more */
    int          at;    /* next of them, from 1 */
    uint32_t     held;  /* bits read but not used, */
    int          held_bits;
} code_reader;

static int next_code(code_reader *r, int bits)
{
    while (r->held_bits < bits) {
        if (!r->block) return ENDED;
        if (r->at > r->block[0]) {
            if (DGifGetCodeNext(r->gif, &r->block) == GIF_ERROR) return ENDED;
            r->at = 1;
            continue;
        }
        r->held |= (uint32_t)r->block[r->at++] << r->held_bits;
        r->held_bits += 8;
    }
    const int code = (int)(r->held & ((1u << bits) - 1));
    r->held >>= bits, r->held_bits -= bits;
    return code;
}

/* Where the next pixel goes. */
typedef struct {
    vr_image           *out;
    const GifImageDesc *frame;
    uint8_t             palette[256][3];
    int                 colors;
    int                 x, y, pass; /* within the frame; y == its height: complete */
} canvas;

/* Rows come in order, or interlaced: every eighth, those between, every fourth of the rest, every second. */
static void next_row(canvas *c)
{
    static const int step[] = {8, 8, 4, 2}, first[] = {0, 4, 2, 1};
    c->x = 0;
    c->y += c->frame->Interlace ? step[c->pass] : 1;
    while (c->frame->Interlace && c->y >= c->frame->Height && c->pass < 3) c->y = first[++c->pass];
}

static bool complete(const canvas *c) { return c->y >= c->frame->Height; }

static bool put_pixel(canvas *c, int index)
{
    if (index >= c->colors) return false;
    const size_t row = (size_t)(c->frame->Top + c->y), column = (size_t)(c->frame->Left + c->x);
    memcpy(c->out->rgb + (row * (size_t)c->out->width + column) * 3, c->palette[index], 3);
    if (++c->x == c->frame->Width) next_row(c);
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

static vr_status unpack(decoder *d, canvas *c, code_reader *r, int size)
{
    lzw z = {.clear = 1 << size, .next = (1 << size) + 2, .bits = size + 1};
    int previous = -1, first = 0;
    while (!complete(c)) {
        const int code = next_code(r, z.bits);
        if (code == ENDED || code == z.clear + 1)
            return vr_fail(d->err, VR_E_IMAGE, "truncated", "the GIF data ends too early; get the file again");
        if (code == z.clear) {
            z.next = z.clear + 2, z.bits = size + 1, previous = -1;
            continue;
        }
        if (previous < 0 ? code > z.clear : code > z.next)
            return vr_fail(d->err, VR_E_IMAGE, "damaged", "the GIF data has a code that cannot be; get the file again");
        first = put_string(&z, c, code, previous, first);
        if (first < 0)
            return vr_fail(d->err, VR_E_IMAGE, "palette", "a GIF pixel has a colour that its palette of %d lacks", c->colors);
        learn(&z, previous, first);
        previous = code;
    }
    return VR_OK;
}

static vr_status read_pixels(decoder *d, vr_image *out)
{
    canvas      c = {.out = out, .frame = &d->gif->Image};
    code_reader r = {.gif = d->gif, .at = 1};
    int         size;
    c.colors = frame_palette(d->gif, c.palette);
    fill(out, c.palette[d->transparent >= 0 ? d->transparent : 0]);
    if (DGifGetCode(d->gif, &size, &r.block) == GIF_ERROR) return damaged(d);
    if (size < 1 || size > 8) return vr_fail(d->err, VR_E_IMAGE, "damaged", "the GIF data has codes of %d bits", size);
    vr_status status = unpack(d, &c, &r, size);
    return status == VR_E_IMAGE && d->limits->allow_truncated ? VR_OK : status;
}

static int larger(int a, int b) { return a > b ? a : b; }

vr_status vr_gif_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err)
{
    decoder d = {.left = file, .limits = limits, .err = err, .transparent = -1};
    int     why = 0;
    d.gif = DGifOpen(&d, take_bytes, &why);
    if (!d.gif) {
        const char *text = GifErrorString(why);
        return vr_fail(err, VR_E_IMAGE, "damaged", "the GIF header is damaged: %s", text ? text : "no reason given");
    }
    vr_status status = find_frame(&d);
    if (status == VR_OK) { /* a frame may reach beyond the screen the header declares: the canvas grows */
        const GifImageDesc *frame = &d.gif->Image;
        if (frame->Width < 1 || frame->Height < 1)
            status = vr_fail(err, VR_E_IMAGE, "size", "the first GIF frame has %d x %d pixels", frame->Width, frame->Height);
        const int width = larger(d.gif->SWidth, frame->Left + frame->Width);
        const int height = larger(d.gif->SHeight, frame->Top + frame->Height);
        if (status == VR_OK) status = vr_image_take(out, "GIF", (uint64_t)width, (uint64_t)height, false, limits, err);
    }
    if (status == VR_OK) status = read_pixels(&d, out);
    DGifCloseFile(d.gif, &why);
    return status;
}
