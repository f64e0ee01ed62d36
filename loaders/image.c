/* image.c: which decoder reads a picture, what is refused before it starts, and reading files.
 * Each format has its own file; this one holds the table of them. */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_formats.h"

static const struct {
    const char *word;      /* in --formats */
    const char *signature; /* its first bytes; NULL: looked at by recognise() */
    size_t      length;
    vr_status (*decode)(vr_image *, vr_bytes, const vr_image_limits *, vr_error *);
} formats[] = {
    {"jpeg", "\xFF\xD8\xFF", 3, vr_jpeg_decode},
    {"png", "\x89PNG\r\n\x1A\n", 8, vr_png_decode},
    {"webp", NULL, 0, vr_webp_decode},
    {"gif", NULL, 0, vr_gif_decode},
    {"bmp", "BM", 2, vr_bmp_decode},
    {"pnm", NULL, 0, vr_pnm_decode},
    {"tga", NULL, 0, vr_tga_decode},
    {"psd", "8BPS", 4, vr_psd_decode},
};
enum { FORMATS = sizeof formats / sizeof *formats, NO_FORMAT = -1, WEBP = 2, GIF = 3, PNM = 5, TGA = 6 };
_Static_assert(VR_FORMAT_ALL == (1 << FORMATS) - 1, "the table holds the formats in the order of their bits");

vr_image_limits vr_image_limits_default(void)
{
    return (vr_image_limits){.max_bytes = 64u << 20,
                             .max_pixels = 50000000,
                             .max_side = 16384,
                             .max_scans = 100,
                             .formats = VR_FORMAT_ALL,
                             .allow_truncated = false};
}

static bool starts_with(vr_bytes file, const char *text, size_t length)
{
    return file.length >= length && memcmp(file.at, text, length) == 0;
}

/* Index into formats. TGA comes last: it has no signature and would claim others' files. */
static int recognise(vr_bytes file)
{
    for (int i = 0; i < FORMATS; i++)
        if (formats[i].signature && starts_with(file, formats[i].signature, formats[i].length)) return i;
    if (file.length >= 12 && starts_with(file, "RIFF", 4) && memcmp(file.at + 8, "WEBP", 4) == 0) return WEBP;
    if (starts_with(file, "GIF87a", 6) || starts_with(file, "GIF89a", 6)) return GIF;
    if (file.length >= 3 && file.at[0] == 'P' && file.at[1] >= '1' && file.at[1] <= '6' &&
        (file.at[2] == ' ' || (file.at[2] >= '\t' && file.at[2] <= '\r')))
        return PNM;
    return vr_tga_plausible(file) ? TGA : NO_FORMAT;
}

/* A name for what somebody may well have meant to be a picture, so that the message can say what to do. */
static const char *guess(vr_bytes file)
{
    static const struct {
        const char *signature;
        size_t      at, length;
        const char *name;
    } known[] = {
        {"ftypavif", 4, 8, "AVIF"},
        {"ftyphei", 4, 7, "HEIC"},
        {"ftypmif1", 4, 8, "HEIC"},
        {"II*\0", 0, 4, "TIFF"},
        {"MM\0*", 0, 4, "TIFF"},
        {"\0\0\1\0", 0, 4, "ICO"},
        {"\0\0\0\x0CjP", 0, 6, "JPEG 2000"},
        {"\xFF\x4F\xFF\x51", 0, 4, "JPEG 2000"},
        {"\xFF\x0A", 0, 2, "JPEG XL"},
        {"DDS ", 0, 4, "DDS"},
        {"%PDF", 0, 4, "PDF"},
        {"PK\3\4", 0, 4, "ZIP"},
        {"\x1F\x8B", 0, 2, "gzip"},
        {"<", 0, 1, "XML or HTML"},
        {"#?RADIANCE", 0, 10, "Radiance HDR"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (file.length >= known[i].at + known[i].length &&
            memcmp(file.at + known[i].at, known[i].signature, known[i].length) == 0)
            return known[i].name;
    return NULL;
}

static vr_status refuse_unknown(vr_bytes file, vr_error *err)
{
    static const char lfs[] = "version https://git-lfs";
    if (starts_with(file, lfs, sizeof lfs - 1))
        return vr_fail(err, VR_E_IMAGE, "format", "this is a Git LFS pointer; get the picture itself with git lfs pull");
    const char *name = guess(file);
    if (name)
        return vr_fail(err, VR_E_IMAGE, "format", "this is %s %s file, which is not read; convert it to JPEG or PNG",
                       strchr("AIX", name[0]) ? "an" : "a", name);
    return vr_fail(err, VR_E_IMAGE, "format",
                   "this is no picture of a known format (JPEG, PNG, WebP, GIF, BMP, PNM, TGA, PSD); it begins with \"%s\"",
                   vr_quote((const char *)file.at, file.length < 8 ? file.length : 8).text);
}

vr_status vr_image_decode(vr_image *out, const void *bytes, size_t length, const vr_image_limits *limits, vr_error *err)
{
    const vr_image_limits usual = vr_image_limits_default();
    const vr_bytes        file = {bytes, length};
    *out = (vr_image){0};
    if (!limits) limits = &usual;
    if (length == 0) return vr_fail(err, VR_E_IMAGE, "empty", "the file is empty; a picture has at least some bytes");
    if (length > limits->max_bytes)
        return vr_fail(err, VR_E_IMAGE, "too-large", "the file has %zu bytes; at most %zu are read (--max-file-size)", length,
                       limits->max_bytes);
    int i = recognise(file);
    if (i == NO_FORMAT) return refuse_unknown(file, err);
    if (!(limits->formats & 1u << i))
        return vr_fail(err, VR_E_IMAGE, "switched-off", "this is a %s file, a format that --formats switches off",
                       formats[i].word);
    vr_status status = formats[i].decode(out, file, limits, err);
    if (status != VR_OK) vr_image_free(out);
    return status;
}

vr_status vr_image_take(vr_image *out, const char *format, uint64_t width, uint64_t height, bool zeroed,
                        const vr_image_limits *limits, vr_error *err)
{
    *out = (vr_image){0};
    if (width == 0 || height == 0)
        return vr_fail(err, VR_E_IMAGE, "size", "the %s header says %llu x %llu pixels; both sides must be at least 1", format,
                       (unsigned long long)width, (unsigned long long)height);
    const uint64_t side = limits->max_side > 0 ? (uint64_t)limits->max_side : 0;
    if (width > side || height > side)
        return vr_fail(err, VR_E_IMAGE, "too-large",
                       "the %s header says %llu x %llu pixels; a side may have at most %d (--max-side)", format,
                       (unsigned long long)width, (unsigned long long)height, limits->max_side);
    size_t pixels, size;
    if (!vr_mul((size_t)width, (size_t)height, &pixels) || pixels > limits->max_pixels || !vr_mul(pixels, 3, &size))
        return vr_fail(err, VR_E_IMAGE, "too-large",
                       "the %s header says %llu x %llu pixels; a picture may have at most %llu (--max-pixels)", format,
                       (unsigned long long)width, (unsigned long long)height, (unsigned long long)limits->max_pixels);
    uint8_t *rgb = zeroed ? vr_alloc_zeroed(size, 1) : vr_alloc(size, 1);
    if (!rgb)
        return vr_fail(err, VR_E_MEMORY, "", "no memory for %zu bytes of pixels (%d x %d)", size, (int)width, (int)height);
    *out = (vr_image){.rgb = rgb, .width = (int)width, .height = (int)height, .orientation = 1, .format = format};
    return VR_OK;
}

void vr_image_free(vr_image *im)
{
    if (!im) return;
    free(im->rgb);
    *im = (vr_image){0};
}

/* ---- turning upright ---- */

vr_status vr_image_upright(vr_image *im, vr_error *err)
{
    const int  o = im->orientation;
    const bool swap = o >= 5; /* rows become columns */
    if (o < 2 || o > 8) {
        im->orientation = 1;
        return VR_OK;
    }
    const size_t w = (size_t)im->width, h = (size_t)im->height;
    uint8_t     *upright = vr_alloc(w * h, 3); /* w * h * 3 bytes exist already */
    if (!upright) return vr_fail(err, VR_E_MEMORY, "", "no memory to turn a picture of %d x %d", im->width, im->height);
    /* Whether the stored columns, and the stored rows, are read from their far end. */
    const bool   flip_x = o == 2 || o == 3 || o == 7 || o == 8;
    const bool   flip_y = o == 3 || o == 4 || o == 6 || o == 7;
    const size_t new_w = swap ? h : w, new_h = swap ? w : h;
    uint8_t     *to = upright;
    for (size_t y = 0; y < new_h; y++)
        for (size_t x = 0; x < new_w; x++, to += 3) {
            size_t sx = swap ? y : x, sy = swap ? x : y;
            if (flip_x) sx = w - 1 - sx;
            if (flip_y) sy = h - 1 - sy;
            memcpy(to, im->rgb + (sy * w + sx) * 3, 3);
        }
    free(im->rgb);
    im->rgb = upright, im->width = (int)new_w, im->height = (int)new_h, im->orientation = 1;
    return VR_OK;
}

/* ---- --formats ---- */

static unsigned format_bits(const char *word, size_t length)
{
    if (length == 3 && memcmp(word, "all", 3) == 0) return VR_FORMAT_ALL;
    for (int i = 0; i < FORMATS; i++)
        if (strlen(formats[i].word) == length && memcmp(word, formats[i].word, length) == 0) return 1u << i;
    return 0;
}

vr_status vr_image_formats_parse(const char *text, unsigned *out, vr_error *err)
{
    unsigned chosen = *text == '-' ? VR_FORMAT_ALL : 0; /* a list that only takes away begins with everything */
    for (const char *word = text;;) {
        const size_t length = strcspn(word, ",");
        const bool   without = *word == '-';
        unsigned     bits = format_bits(word + without, length - without);
        if (bits == 0)
            return vr_fail(err, VR_E_USAGE, "formats",
                           "--formats: \"%s\" is no format; known are jpeg, png, webp, gif, bmp, pnm, tga, psd and all, "
                           "each with - in front to leave it out",
                           vr_quote(word, length).text);
        chosen = without ? chosen & ~bits : chosen | bits;
        if (word[length] == 0) break;
        word += length + 1;
    }
    *out = chosen;
    return VR_OK;
}

/* ---- files ---- */

/* Open for reading without ever waiting for a FIFO's other end; directories are refused here. */
static vr_status open_input(int *fd, uint64_t *size, const char *path, vr_error *err)
{
    struct stat st;
    *size = 0;
    if (strcmp(path, "-") == 0) {
        *fd = STDIN_FILENO;
        return VR_OK;
    }
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0) return vr_fail(err, VR_E_IO, "open", "%s: cannot be opened: %s", vr_quotez(path).text, strerror(errno));
    int flags = fcntl(*fd, F_GETFL);
    if (fstat(*fd, &st) != 0 || flags < 0 || fcntl(*fd, F_SETFL, flags & ~O_NONBLOCK) != 0) {
        vr_fail(err, VR_E_IO, "open", "%s: cannot be read: %s", vr_quotez(path).text, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        vr_fail(err, VR_E_IO, "directory", "%s: is a folder; name a file", vr_quotez(path).text);
    } else {
        if (S_ISREG(st.st_mode) && st.st_size > 0) *size = (uint64_t)st.st_size;
        return VR_OK;
    }
    close(*fd);
    return VR_E_IO;
}

typedef struct {
    uint8_t *at;
    size_t   length, room;
} buffer;

static bool make_room(buffer *b, size_t room, size_t max_bytes)
{
    if (room > max_bytes) room = max_bytes;
    if (!vr_add(room, 1, &room)) return false; /* one byte more shows that a file is too long */
    uint8_t *more = realloc(b->at, room);
    if (!more) return false;
    b->at = more, b->room = room;
    return true;
}

static vr_status too_long(const char *path, size_t max_bytes, vr_error *err)
{
    return vr_fail(err, VR_E_IMAGE, "too-large", "%s: has more than %zu bytes, the most that is read (--max-file-size)",
                   vr_quotez(path).text, max_bytes);
}

static vr_status read_all(buffer *b, int fd, size_t expected, const char *path, size_t max_bytes, vr_error *err)
{
    size_t room = expected ? expected : 32768;
    for (;;) {
        if (b->length == b->room && (!make_room(b, room, max_bytes) || !vr_mul(b->room, 2, &room)))
            return vr_fail(err, VR_E_MEMORY, "", "%s: no memory for a file of this length", vr_quotez(path).text);
        ssize_t got = read(fd, b->at + b->length, b->room - b->length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return vr_fail(err, VR_E_IO, "read", "%s: cannot be read: %s", vr_quotez(path).text, strerror(errno));
        if (got == 0) return VR_OK;
        b->length += (size_t)got;
        if (b->length > max_bytes) return too_long(path, max_bytes, err);
    }
}

vr_status vr_image_file_read(uint8_t **out, size_t *length, const char *path, size_t max_bytes, vr_error *err)
{
    int      fd;
    uint64_t size;
    *out = NULL, *length = 0;
    vr_status status = open_input(&fd, &size, path, err);
    if (status != VR_OK) return status;

    buffer b = {0};
    if (size > max_bytes)
        status = too_long(path, max_bytes, err);
    else
        status = read_all(&b, fd, (size_t)size, path, max_bytes, err);
    if (fd != STDIN_FILENO) close(fd);
    if (status == VR_OK && b.length == 0) status = vr_fail(err, VR_E_IMAGE, "empty", "%s: is empty", vr_quotez(path).text);
    if (status != VR_OK) {
        free(b.at);
        return status;
    }
    *out = b.at, *length = b.length;
    return VR_OK;
}

vr_status vr_image_read(vr_image *out, const char *path, const vr_image_limits *limits, vr_error *err)
{
    const vr_image_limits usual = vr_image_limits_default();
    uint8_t              *bytes;
    size_t                length;
    vr_error              why = {0};
    *out = (vr_image){0};
    if (!limits) limits = &usual;
    vr_status status = vr_image_file_read(&bytes, &length, path, limits->max_bytes, err);
    if (status != VR_OK) return status;
    status = vr_image_decode(out, bytes, length, limits, &why);
    free(bytes);
    if (status != VR_OK) return vr_fail(err, status, why.rule, "%s: %s", vr_quotez(path).text, why.text);
    return VR_OK;
}
