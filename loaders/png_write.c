/* png_write.c: see png_write.h. */
#include "png_write.h"

#include <setjmp.h>
#include <string.h>

#include <png.h>

static void on_error(png_structp png, png_const_charp text)
{
    vr_error *err = png_get_error_ptr(png);
    if (!err->code) {
        const bool memory = strstr(text, "memory") != NULL;
        vr_fail(err, memory ? VR_E_MEMORY : VR_E_IO, memory ? "" : "write", "the PNG picture could not be written: %s",
                vr_quotez(text).text);
    }
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void put_bytes(png_structp png, png_bytep bytes, size_t length)
{
    FILE *f = png_get_io_ptr(png);
    if (fwrite(bytes, 1, length, f) == length) return;
    vr_fail(png_get_error_ptr(png), VR_E_IO, "write", "the PNG picture could not be written");
    png_error(png, "write");
}

static void flush_nothing(png_structp png) { (void)png; }

/* Everything that can leave through on_error. */
static void encode(png_structp png, png_infop info, FILE *f, const uint8_t *rgb, int width, int height)
{
    png_set_write_fn(png, f, put_bytes, flush_nothing);
    png_set_compression_level(png, 9);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < height; y++) png_write_row(png, rgb + (size_t)y * (size_t)width * 3);
    png_write_end(png, info);
}

vr_status vr_png_write(FILE *f, const uint8_t *rgb, int width, int height, vr_error *err)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, err, on_error, on_warning);
    png_infop   info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return vr_fail(err, VR_E_MEMORY, "", "no memory to write a PNG picture");
    }
    if (setjmp(png_jmpbuf(png)) == 0) encode(png, info, f, rgb, width, height);
    png_destroy_write_struct(&png, &info);
    return err->code;
}
