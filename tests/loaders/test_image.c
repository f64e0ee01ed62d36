/* Decoding: the small pictures of tests/pictures against what Pillow says of them, and everything that must be refused. */
#include "../../loaders/image.h"
#include "../../loaders/preprocess.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(image, .init = scratch_begin, .fini = scratch_end);

static const char folder[] = "tests/pictures/"; /* tests run in the repository's root */

static uint32_t crc32_of(const uint8_t *bytes, size_t length)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++) crc = crc & 1 ? 0xEDB88320u ^ crc >> 1 : crc >> 1;
    }
    return ~crc;
}

static uint32_t crc32_of_image(const vr_image *im) { return crc32_of(im->rgb, (size_t)im->width * (size_t)im->height * 3); }

typedef struct {
    char     name[64];
    int      width, height, orientation, turned_width, turned_height;
    uint32_t crc, turned_crc, recipes[6];
} golden;

enum { MAX_GOLDENS = 100 };

static size_t read_goldens(golden *all)
{
    char   line[512];
    size_t n = 0;
    FILE  *f = fopen("tests/pictures/goldens.txt", "r");
    cr_assert_not_null(f, "run the tests from the repository's root");
    while (fgets(line, sizeof line, f)) {
        golden *g = &all[n];
        if (line[0] == '#') continue;
        cr_assert_lt(n, MAX_GOLDENS);
        int found = sscanf(line, "%63s %d %d %x %d %d %d %x %x %x %x %x %x %x", g->name, &g->width, &g->height, &g->crc,
                           &g->orientation, &g->turned_width, &g->turned_height, &g->turned_crc, &g->recipes[0], &g->recipes[1],
                           &g->recipes[2], &g->recipes[3], &g->recipes[4], &g->recipes[5]);
        cr_assert_eq(found, 14, "%s", line);
        n++;
    }
    fclose(f);
    return n;
}

static uint8_t *read_picture(const char *name, size_t *length)
{
    char     path[128];
    uint8_t *bytes;
    vr_error err = {0};
    snprintf(path, sizeof path, "%s%s", folder, name);
    cr_assert_eq(vr_image_file_read(&bytes, length, path, 1 << 24, &err), VR_OK, "%s", err.text);
    return bytes;
}

static void check_recipes(const golden *g, const vr_image *im)
{
    void    *scratch = NULL;
    size_t   scratch_bytes = 0;
    uint8_t *out = malloc(512 * 512 * 3);
    for (size_t i = 0; i < vr_recipes_count; i++) {
        int      w, h, out_w, out_h;
        vr_error err = {0};
        cr_assert_eq(vr_recipe_sizes(&vr_recipes[i], im->width, im->height, &w, &h, &out_w, &out_h, &err), VR_OK);
        cr_assert_eq(vr_resize_crop(out, im, &vr_recipes[i], &scratch, &scratch_bytes, &err), VR_OK, "%s", err.text);
        cr_assert_eq(crc32_of(out, (size_t)out_w * (size_t)out_h * 3), g->recipes[i], "%s by %s", g->name, vr_recipes[i].name);
    }
    free(out);
    free(scratch);
}

/* Broken: a decoder, the EXIF reader, the resampler or the crop gives other pixels than Pillow. */
Test(image, pixels_are_pillows)
{
    golden all[MAX_GOLDENS];
    size_t n = read_goldens(all);
    cr_assert_gt(n, 50);
    for (size_t i = 0; i < n; i++) {
        const golden *g = &all[i];
        char          path[128];
        vr_image      im;
        vr_error      err = {0};
        snprintf(path, sizeof path, "%s%s", folder, g->name);
        cr_assert_eq(vr_image_read(&im, path, NULL, &err), VR_OK, "%s", err.text);
        cr_assert(im.width == g->width && im.height == g->height && im.orientation == g->orientation, "%s: %d x %d, turned %d",
                  g->name, im.width, im.height, im.orientation);
        cr_assert_eq(crc32_of_image(&im), g->crc, "%s: other pixels", g->name);
        check_recipes(g, &im);
        cr_assert_eq(vr_image_upright(&im, &err), VR_OK);
        cr_assert(im.width == g->turned_width && im.height == g->turned_height && im.orientation == 1, "%s upright", g->name);
        cr_assert_eq(crc32_of_image(&im), g->turned_crc, "%s: other pixels upright", g->name);
        vr_image_free(&im);
    }
}

/* Decode from memory that ends where the file does; returns "" or the rule. A picture that is accepted is looked at. */
static const char *verdict(const uint8_t *bytes, size_t length, const vr_image_limits *limits)
{
    uint8_t *exact = malloc(length ? length : 1);
    vr_image im;
    vr_error err = {0};
    cr_assert_not_null(exact);
    memcpy(exact, bytes, length);
    vr_status status = vr_image_decode(&im, exact, length, limits, &err);
    free(exact);
    if (status != VR_OK) {
        cr_assert(!im.rgb && err.code == status && err.rule && err.text[0]);
        return err.rule;
    }
    cr_assert(im.rgb && im.width > 0 && im.height > 0 && im.orientation >= 1 && im.orientation <= 8);
    volatile uint32_t looked = crc32_of_image(&im);
    (void)looked;
    vr_image_free(&im);
    return "";
}

static const char *const small[] = {"rgb-420.jpg",
                                    "progressive.jpg",
                                    "cmyk.jpg",
                                    "exif-6.jpg",
                                    "palette-2-adam7.png",
                                    "rgb-16.png",
                                    "la.png",
                                    "lossy.webp",
                                    "alpha.webp",
                                    "animated.webp",
                                    "orientation-8.webp",
                                    "plain.gif",
                                    "interlaced.gif",
                                    "palette.bmp",
                                    "mono.bmp",
                                    "rgb.bmp",
                                    "rle.tga",
                                    "rgba.tga",
                                    "binary.ppm",
                                    "text.pgm",
                                    "text.pbm",
                                    "deep.ppm",
                                    "raw.psd"};
enum { SMALL = sizeof small / sizeof *small };

/* How many of a file's last bytes say nothing of its pixels. */
static size_t may_be_missing(const char *ending)
{
    if (strcmp(ending, ".gif") == 0) return 2;  /* the marks of its end */
    if (strcmp(ending, ".pgm") == 0) return 3;  /* white space, and digits: 18 is a number as well as 187 */
    if (strcmp(ending, ".bmp") == 0) return 3;  /* what fills the last row up */
    if (strcmp(ending, ".tga") == 0) return 26; /* a footer */
    return 0;
}

/* Broken: half a picture is taken for a whole one, a cut file crashes, or --allow-truncated leaks. */
Test(image, every_prefix_is_refused)
{
    vr_image_limits lenient = vr_image_limits_default();
    lenient.allow_truncated = true;
    for (size_t i = 0; i < SMALL; i++) {
        size_t       length;
        uint8_t     *bytes = read_picture(small[i], &length);
        const size_t spare = may_be_missing(strrchr(small[i], '.'));
        cr_assert_str_eq(verdict(bytes, length, NULL), "", "%s", small[i]);
        for (size_t n = 0; n < length; n += n < 700 || length - n < 40 ? 1 : 7) {
            const char *rule = verdict(bytes, n, NULL);
            cr_assert(rule[0] || n + spare >= length, "%s: %zu bytes of %zu are accepted", small[i], n, length);
            verdict(bytes, n, &lenient);
        }
        free(bytes);
    }
}

/* Broken: a flipped byte makes a decoder read or write outside its memory, hang or leak, as the sanitizer sees. */
Test(image, flipped_bytes)
{
    vr_image_limits limits = vr_image_limits_default();
    uint64_t        state = 7;
    limits.max_pixels = 4000000;
    for (size_t i = 0; i < SMALL; i++) {
        size_t   length;
        uint8_t *bytes = read_picture(small[i], &length);
        for (size_t at = 0; at < length; at += at < 200 ? 1 : 1 + scratch_random(&state) % 16) {
            static const uint8_t changes[] = {0x01, 0x80, 0xFF};
            for (size_t k = 0; k < sizeof changes; k++) {
                bytes[at] ^= changes[k];
                limits.allow_truncated = k == 1;
                verdict(bytes, length, &limits);
                bytes[at] ^= changes[k];
            }
        }
        free(bytes);
    }
}

/* Broken: the name or a wish decides what a file is, rather than its content. */
Test(image, what_is_no_picture)
{
#define TEXT(literal) (const uint8_t *)literal, sizeof(literal) - 1
    cr_assert_str_eq(verdict(TEXT(""), NULL), "empty");
    cr_assert_str_eq(verdict(TEXT("x"), NULL), "format");
    cr_assert_str_eq(verdict(TEXT("<html><body>404 Not Found</body></html>"), NULL), "format");
    cr_assert_str_eq(verdict(TEXT("II*\0\10\0\0\0"), NULL), "format");
    cr_assert_str_eq(verdict(TEXT("P7\nWIDTH 1\n"), NULL), "format");
    cr_assert_str_eq(verdict(TEXT("P6 2 2 255\n123456789"), NULL), "truncated");
    cr_assert_str_eq(verdict(TEXT("P6 2 1 0\n123456"), NULL), "maxval");
    cr_assert_str_eq(verdict(TEXT("P6 2 1 65536\n123456"), NULL), "maxval");
    cr_assert_str_eq(verdict(TEXT("P6 -2 1 255\n123456"), NULL), "number");
    cr_assert_str_eq(verdict(TEXT("P6 2 0 255\n123456"), NULL), "size");
    cr_assert_str_eq(verdict(TEXT("P2 1 1 9\n10"), NULL), "number");
    cr_assert_str_eq(verdict(TEXT("P1 1 1 2"), NULL), "number");
    cr_assert_str_eq(verdict(TEXT("P6 00000000002 1 255\n123456"), NULL), "number");
    cr_assert_str_eq(verdict(TEXT("P6 2 1 255\n123456"), NULL), "");
    cr_assert_str_eq(verdict(TEXT("GIF89a\1\0\1\0\0\0\0;"), NULL), "damaged");
    vr_error err = {0};
    vr_image im;
    cr_assert_eq(vr_image_decode(&im,
                                 "\0\0\0\x1C"
                                 "ftypavif",
                                 12, NULL, &err),
                 VR_E_IMAGE);
    cr_assert(strstr(err.text, "AVIF"), "%s", err.text);
}

/* Broken: a header can ask for more memory than the limits allow. */
Test(image, limits)
{
    vr_image_limits limits = vr_image_limits_default();
    size_t          length;
    uint8_t        *bytes = read_picture("rgb-420.jpg", &length);
    cr_assert_str_eq(verdict(TEXT("P6 50000 50000 255\nabc"), NULL), "too-large");
    cr_assert_str_eq(verdict(TEXT("P6 4294967295 4294967295 255\nabc"), NULL), "too-large");
    cr_assert_str_eq(verdict(TEXT("GIF89a\xFF\xFF\xFF\xFF\0\0\0,\0\0\0\0\1\0\1\0\0\2"), NULL), "too-large");
    limits.max_side = 36;
    cr_assert_str_eq(verdict(bytes, length, &limits), "too-large");
    limits = vr_image_limits_default(), limits.max_pixels = 37 * 29 - 1;
    cr_assert_str_eq(verdict(bytes, length, &limits), "too-large");
    limits.max_pixels++;
    cr_assert_str_eq(verdict(bytes, length, &limits), "");
    limits = vr_image_limits_default(), limits.max_bytes = length - 1;
    cr_assert_str_eq(verdict(bytes, length, &limits), "too-large");
    limits = vr_image_limits_default(), limits.formats &= ~(unsigned)VR_FORMAT_JPEG;
    cr_assert_str_eq(verdict(bytes, length, &limits), "switched-off");
    free(bytes);
    bytes = read_picture("progressive.jpg", &length);
    limits = vr_image_limits_default(), limits.max_scans = 3;
    cr_assert_str_eq(verdict(bytes, length, &limits), "too-many-scans");
    free(bytes);
}

/* Broken: --formats understands something else than it says. */
Test(image, formats)
{
    static const struct {
        const char *text;
        unsigned    bits;
    } good[] = {{"all", VR_FORMAT_ALL},
                {"jpeg", VR_FORMAT_JPEG},
                {"jpeg,png", VR_FORMAT_JPEG | VR_FORMAT_PNG},
                {"all,-psd", VR_FORMAT_ALL & ~VR_FORMAT_PSD},
                {"-psd,-tga", VR_FORMAT_ALL & ~VR_FORMAT_PSD & ~VR_FORMAT_TGA},
                {"webp,gif,bmp,pnm,tga,psd", VR_FORMAT_ALL & ~VR_FORMAT_JPEG & ~VR_FORMAT_PNG},
                {"jpeg,-jpeg", 0}};
    static const char *const bad[] = {"", "jpg", "jpeg,", ",", "jpeg,,png", "-", "JPEG", "all psd", "jpeg,--png"};
    unsigned                 bits;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_assert_eq(vr_image_formats_parse(good[i].text, &bits, NULL), VR_OK, "%s", good[i].text);
        cr_assert_eq(bits, good[i].bits, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(vr_image_formats_parse(bad[i], &bits, NULL), VR_E_USAGE, "%s", bad[i]);
}

static const char *read_rule(const char *path, vr_status *status)
{
    static vr_error err;
    uint8_t        *bytes;
    size_t          length;
    err = (vr_error){0};
    *status = vr_image_file_read(&bytes, &length, path, 1000, &err);
    if (*status != VR_OK) {
        cr_assert(!bytes && !length);
        return err.rule;
    }
    free(bytes);
    return "";
}

/* Broken: a folder, a FIFO that nobody writes to, a device without an end or a file too large makes it hang or swell. */
Test(image, what_is_no_file)
{
    vr_status status;
    uint8_t   bytes[1001] = {0};
    alarm(10); /* kills the test where a read waits for ever */
    cr_assert_str_eq(read_rule(scratch_path("absent"), &status), "open");
    cr_assert_eq(status, VR_E_IO);
    cr_assert_str_eq(read_rule("/", &status), "directory");
    cr_assert_str_eq(read_rule("/dev/zero", &status), "too-large");
    cr_assert_str_eq(read_rule("/dev/null", &status), "empty");
    cr_assert_eq(status, VR_E_IMAGE);
    cr_assert_eq(mkfifo(scratch_path("fifo"), 0600), 0);
    cr_assert_str_eq(read_rule(scratch_path("fifo"), &status), "empty");
    scratch_write("file", bytes, 1001);
    cr_assert_str_eq(read_rule(scratch_path("file"), &status), "too-large");
    scratch_write("file", bytes, 1000);
    cr_assert_str_eq(read_rule(scratch_path("file"), &status), "");
    scratch_write("file", bytes, 0);
    cr_assert_str_eq(read_rule(scratch_path("file"), &status), "empty");
    cr_assert_eq(symlink("loop", scratch_path("loop")), 0);
    cr_assert_str_eq(read_rule(scratch_path("loop"), &status), "open");
}

/* Broken: a hostile name reaches the terminal as it is. */
Test(image, names_are_quoted)
{
    vr_error err = {0};
    vr_image im;
    cr_assert_eq(vr_image_read(&im, scratch_path("a\033[2Jb"), NULL, &err), VR_E_IO);
    cr_assert(strstr(err.text, "a\\x1b[2Jb") && !strchr(err.text, '\033'), "%s", err.text);
    scratch_write("c\nd.jpg", "no picture", 10);
    err = (vr_error){0};
    cr_assert_eq(vr_image_read(&im, scratch_path("c\nd.jpg"), NULL, &err), VR_E_IMAGE);
    cr_assert(strstr(err.text, "c\\x0ad.jpg: this is no picture") && err.rule, "%s", err.text);
}
