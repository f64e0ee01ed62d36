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

/* Row y of the frame, from indices to colours; the indices are read into the row's own last third. */
static vr_status read_row(decoder *d, vr_image *out, int y, uint8_t palette[256][3], int colors)
{
    const GifImageDesc *frame = &d->gif->Image;
    const size_t        width = (size_t)frame->Width;
    uint8_t            *row = out->rgb + ((size_t)(frame->Top + y) * (size_t)out->width + (size_t)frame->Left) * 3;
    uint8_t            *index = row + 2 * width;
    if (DGifGetLine(d->gif, index, frame->Width) == GIF_ERROR) return damaged(d);
    for (size_t x = 0; x < width; x++) {
        const int i = index[x];
        if (i >= colors)
            return vr_fail(d->err, VR_E_IMAGE, "palette", "a GIF pixel has colour %d of a palette with %d", i, colors);
        memcpy(row + 3 * x, palette[i], 3); /* 3x + 2 <= 2 width + x: never ahead of the indices still to be read */
    }
    return VR_OK;
}

static vr_status read_rows(decoder *d, vr_image *out)
{
    static const int first[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    const int        height = d->gif->Image.Height, passes = d->gif->Image.Interlace ? 4 : 1;
    uint8_t          palette[256][3] = {{0}};
    const int        colors = frame_palette(d->gif, palette);
    fill(out, palette[d->transparent >= 0 ? d->transparent : 0]);
    for (int pass = 0; pass < passes; pass++)
        for (int y = passes == 1 ? 0 : first[pass]; y < height; y += passes == 1 ? 1 : step[pass]) {
            vr_status status = read_row(d, out, y, palette, colors);
            if (status != VR_OK) return status;
        }
    return VR_OK;
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
        const int           width = larger(d.gif->SWidth, frame->Left + frame->Width);
        const int           height = larger(d.gif->SHeight, frame->Top + frame->Height);
        status = vr_image_take(out, "GIF", (uint64_t)width, (uint64_t)height, false, limits, err);
    }
    if (status == VR_OK) status = read_rows(&d, out);
    DGifCloseFile(d.gif, &why);
    return status;
}
