/* png.c: PNG through libpng.  Palettes are expanded, alpha is dropped and not blended, 16 bits become their high byte, gamma
 * and profiles are ignored.  All chunks but the picture's own and eXIf are skipped unread, so that a text or a profile that
 * unpacks to a gigabyte never does. */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "image_formats.h"

typedef struct {
    png_structp            png;
    png_infop              info;
    vr_bytes               left; /* of the file */
    vr_image              *out;
    const vr_image_limits *limits;
    vr_error              *err;
    vr_status              status;
    bool                   rows_begun; /* from here on an error may leave a picture that --allow-truncated accepts */
    uint8_t                palette[256][3];
    int                    colors; /* 0: no palette */
} decoder;

static void stop(decoder *d, vr_status status)
{
    d->status = status;
    png_longjmp(d->png, 1);
}

static void on_error(png_structp png, png_const_charp text)
{
    decoder *d = png_get_error_ptr(png);
    if (strstr(text, "memory")) { /* "Out of memory", "IDAT: insufficient memory" */
        d->status = vr_fail(d->err, VR_E_MEMORY, "", "no memory to decode a PNG picture");
    } else if (!(d->rows_begun && d->limits->allow_truncated)) {
        const char *rule = strcmp(text, "truncated") == 0 ? "truncated" : "damaged";
        d->status = vr_fail(d->err, VR_E_IMAGE, rule, "the PNG data cannot be decoded: %s", vr_quotez(text).text);
    }
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void take_bytes(png_structp png, png_bytep to, size_t length)
{
    decoder *d = png_get_io_ptr(png);
    if (length > d->left.length) png_error(png, "truncated");
    memcpy(to, d->left.at, length);
    d->left.at += length, d->left.length -= length;
}

static void skip_other_chunks(png_structp png)
{
    static const png_byte names[] = "bKGD\0cHRM\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0sTER\0"
                                    "tEXt\0tIME\0tRNS\0zTXt";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, (int)(sizeof names / 5));
}

/* Rows are delivered as RGB, or as one palette index in a byte: the indices are checked before they become colours. */
static void choose_rows(decoder *d)
{
    const int  color = png_get_color_type(d->png, d->info), depth = png_get_bit_depth(d->png, d->info);
    png_colorp entries;
    if (color == PNG_COLOR_TYPE_PALETTE) {
        if (!png_get_PLTE(d->png, d->info, &entries, &d->colors)) png_error(d->png, "no palette");
        for (int i = 0; i < d->colors && i < 256; i++) {
            d->palette[i][0] = entries[i].red, d->palette[i][1] = entries[i].green, d->palette[i][2] = entries[i].blue;
        }
        png_set_packing(d->png);
        return;
    }
    if (depth == 16) png_set_strip_16(d->png);
    if (depth < 8) png_set_expand_gray_1_2_4_to_8(d->png);
    if (color & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(d->png);
    if (!(color & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(d->png);
}

static void read_rows(decoder *d)
{
    const size_t stride = (size_t)d->out->width * 3;
    const int    passes = png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    if (png_get_rowbytes(d->png, d->info) > stride) png_error(d->png, "rows are longer than their pixels");
    d->rows_begun = true;
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < d->out->height; y++) png_read_row(d->png, d->out->rgb + (size_t)y * stride, NULL);
}

static void read_orientation(decoder *d)
{
    png_bytep   exif;
    png_uint_32 length;
    if (png_get_eXIf_1(d->png, d->info, &length, &exif)) d->out->orientation = vr_exif_orientation((vr_bytes){exif, length});
}

/* Everything that can leave through on_error. */
static void decode(decoder *d)
{
    png_set_read_fn(d->png, d, take_bytes);
    png_set_user_limits(d->png, 0x7FFFFFFF, 0x7FFFFFFF); /* vr_image_take says it better */
    skip_other_chunks(d->png);
    png_read_info(d->png, d->info);
    vr_status status = vr_image_take(d->out, "PNG", png_get_image_width(d->png, d->info), png_get_image_height(d->png, d->info),
                                     true, d->limits, d->err);
    if (status != VR_OK) stop(d, status);
    choose_rows(d);
    read_rows(d);
    png_read_end(d->png, d->info);
}

static vr_status apply_palette(decoder *d)
{
    const int width = d->out->width;
    for (int y = 0; y < d->out->height; y++) {
        uint8_t *row = d->out->rgb + (size_t)y * (size_t)width * 3;
        for (int x = width - 1; x >= 0; x--) { /* from the right, as colours overwrite the indices they come from */
            const int index = row[x];
            if (index >= d->colors)
                return vr_fail(d->err, VR_E_IMAGE, "palette", "a PNG pixel has colour %d of a palette with %d", index,
                               d->colors);
            memcpy(row + 3 * x, d->palette[index], 3);
        }
    }
    return VR_OK;
}

vr_status vr_png_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err)
{
    decoder d = {.left = file, .out = out, .limits = limits, .err = err, .status = VR_OK};
    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, on_error, on_warning);
    if (d.png) d.info = png_create_info_struct(d.png);
    if (!d.info) {
        png_destroy_read_struct(&d.png, NULL, NULL);
        return vr_fail(err, VR_E_MEMORY, "", "no memory to decode a PNG picture");
    }
    if (setjmp(png_jmpbuf(d.png)) == 0) decode(&d);
    if (d.status == VR_OK) read_orientation(&d);
    png_destroy_read_struct(&d.png, &d.info, NULL);
    if (d.status == VR_OK && d.colors) d.status = apply_palette(&d);
    return d.status;
}
