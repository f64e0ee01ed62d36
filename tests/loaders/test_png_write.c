/* Pictures that vitrun writes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../loaders/image.h"
#include "../../loaders/png_write.h"

/* Broken if it fails: what is written as PNG is not what is read back, byte by byte. */
Test(png_write, is_read_back)
{
    enum { WIDTH = 13, HEIGHT = 7 };
    uint8_t         rgb[3 * WIDTH * HEIGHT];
    char           *bytes = NULL;
    size_t          length = 0;
    vr_error        err = {0};
    vr_image        im;
    vr_image_limits limits = vr_image_limits_default();
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * i * 31);
    FILE *f = open_memstream(&bytes, &length);
    cr_assert_eq(vr_png_write(f, rgb, WIDTH, HEIGHT, &err), VR_OK, "%s", err.text);
    fclose(f);
    cr_assert_eq(vr_image_decode(&im, bytes, length, &limits, &err), VR_OK, "%s", err.text);
    cr_expect_str_eq(im.format, "PNG");
    cr_assert(im.width == WIDTH && im.height == HEIGHT);
    cr_expect_arr_eq(im.rgb, rgb, sizeof rgb);
    vr_image_free(&im);
    free(bytes);
}

/* Broken if it fails: a full disk, or a size that no PNG has, goes unnoticed. */
Test(png_write, failures_are_told)
{
    static uint8_t rgb[3];
    vr_error       full = {0}, size = {0};
    FILE          *f = fopen("/dev/full", "w");
    cr_assert(f);
    setvbuf(f, NULL, _IONBF, 0);
    cr_expect_eq(vr_png_write(f, rgb, 1, 1, &full), VR_E_IO);
    cr_expect_eq(vr_png_write(f, rgb, 0, 1, &size), VR_E_IO);
    cr_expect(full.text[0] && size.text[0]);
    fclose(f);
}
