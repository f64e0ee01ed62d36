/* cutouts: many pictures from a few photographs, always the same ones.
 *
 *     cutouts FOLDER COUNT PHOTOGRAPH...
 *
 * Writes FOLDER/cutout_000.jpg and so on: squares of 192 to 288 pixels cut out of the photographs in turn, every other one
 * mirrored.  Noise merges unlike photographs, so what is to be measured on merging needs pixels that a camera saw. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "../../loaders/image.h"

enum { LEAST_SIDE = 192, MOST_SIDE = 288, QUALITY = 75 };

/* The next of a fixed sequence of numbers (a linear congruence; its upper bits), from 0 to below `end`. */
static int next_below(int end)
{
    static uint64_t state = 2026;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)end);
}

static void mirror(uint8_t *row, int pixels)
{
    for (int left = 0, right = pixels - 1; left < right; left++, right--)
        for (int c = 0; c < 3; c++) {
            const uint8_t kept = row[3 * left + c];
            row[3 * left + c] = row[3 * right + c];
            row[3 * right + c] = kept;
        }
}

static bool write_cutout(const char *path, const vr_image *photo, int left, int top, int side, bool mirrored)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr       errors;
    uint8_t                     line[3 * MOST_SIDE], *row = line;
    FILE                       *file = fopen(path, "wb");
    if (!file) return false;
    jpeg.err = jpeg_std_error(&errors); /* ends the program where a file cannot be written */
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = jpeg.image_height = (JDIMENSION)side;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, QUALITY, TRUE);
    jpeg.optimize_coding = TRUE;
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = top; y < top + side; y++) {
        memcpy(line, photo->rgb + 3 * ((size_t)y * (size_t)photo->width + (size_t)left), 3 * (size_t)side);
        if (mirrored) mirror(line, side);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return fclose(file) == 0;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: cutouts FOLDER COUNT PHOTOGRAPH...\n");
        return 2;
    }
    const int             count = atoi(argv[2]), photographs = argc - 3;
    const vr_image_limits limits = vr_image_limits_default();
    vr_image             *photos = calloc((size_t)photographs, sizeof *photos);
    if (!photos) return 6;
    for (int i = 0; i < photographs; i++) {
        vr_error err = {0};
        if (vr_image_read(&photos[i], argv[3 + i], &limits, &err)) {
            fprintf(stderr, "cutouts: %s: %s\n", argv[3 + i], err.text);
            return 4;
        }
        if (photos[i].width < MOST_SIDE || photos[i].height < MOST_SIDE) {
            fprintf(stderr, "cutouts: %s is %d x %d; at least %d on each side is wanted\n", argv[3 + i], photos[i].width,
                    photos[i].height, MOST_SIDE);
            return 4;
        }
    }
    for (int i = 0; i < count; i++) {
        char            path[4096];
        const vr_image *photo = &photos[i % photographs];
        const int       side = LEAST_SIDE + next_below(MOST_SIDE - LEAST_SIDE + 1);
        const int       left = next_below(photo->width - side + 1), top = next_below(photo->height - side + 1);
        if (snprintf(path, sizeof path, "%s/cutout_%03d.jpg", argv[1], i) >= (int)sizeof path ||
            !write_cutout(path, photo, left, top, side, i / photographs % 2 == 1)) {
            fprintf(stderr, "cutouts: cannot write into %s\n", argv[1]);
            return 5;
        }
    }
    for (int i = 0; i < photographs; i++) vr_image_free(&photos[i]);
    free(photos);
    return 0;
}
