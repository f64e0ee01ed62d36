/* Caches of crops: written, read again, and broken. */
#include "../../loaders/crops.h"
#include "../../loaders/crops_parts.h"
#include "../../loaders/sum.h"
#include "faults.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(crops, .init = scratch_begin, .fini = scratch_end);

enum { SIDE = 4, CROP = SIDE * SIDE * 3, PICTURES = 4, TABLE = VR_CROPS_HEADER + PICTURES * CROP };
static const char *const names[PICTURES] = {"a/2.jpg", "a/10.jpg", "b/deep/x.png", "z.jpg"};
static const int         folders[PICTURES] = {0, 0, 1, VR_NO_FOLDER};
static const char        why[] = "it is no picture, but says \u201cbonjour\u201d";

static vr_crop_settings usual(void)
{
    return (vr_crop_settings){.recipe = {.name = "bicubic-6-crop4",
                                         .resize = VR_RESIZE_SHORTER,
                                         .resize_height = 6,
                                         .resize_width = 6,
                                         .filter = VR_BICUBIC,
                                         .crop_height = SIDE,
                                         .crop_width = SIDE},
                              .limits = vr_image_limits_default()};
}

static void pixels_of(size_t i, uint8_t rgb[CROP])
{
    for (size_t k = 0; k < CROP; k++) rgb[k] = (uint8_t)(i * 50 + k);
}

/* The second picture has no crop. */
static vr_status write_cache(const char *path, vr_error *err)
{
    const vr_crop_settings s = usual();
    vr_picture_list        list;
    vr_crops_writer       *w = NULL;
    uint8_t                rgb[CROP];
    const int              fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0666);
    vr_picture_list_begin(&list, "/data", err);
    for (int f = 0; f < 3 && !err->code; f++) vr_picture_list_add_folder(&list, (const char *[]){"a", "b", "c"}[f], err);
    for (size_t i = 0; i < PICTURES && !err->code; i++) {
        char name[40];
        snprintf(name, sizeof name, "/data/%s", names[i]);
        vr_picture_list_add(&list, name, folders[i], err);
    }
    if (!err->code) vr_crops_begin(&w, fd, path, &s, &list, err);
    for (size_t i = 0; i < PICTURES && !err->code; i++) {
        const vr_crop_source from = {.bytes = 100 + i, .sha256 = {[31] = (uint8_t)i}, .width = 9, .height = 7};
        vr_error             no = {0};
        vr_fail(&no, VR_E_IMAGE, "format", "%s", why);
        pixels_of(i, rgb);
        vr_crops_put(w, i, &from, i == 1 ? NULL : rgb, &no, err);
    }
    if (!err->code) vr_crops_end(w, "0.1.0", err);
    vr_crops_writer_free(w);
    vr_picture_list_free(&list);
    close(fd);
    return err->code;
}

static vr_status read_cache(const char *path, vr_error *err)
{
    vr_crops       *c;
    vr_picture_list list = {0};
    uint8_t         rgb[CROP];
    if (vr_crops_open(&c, path, err)) return err->code;
    for (size_t i = 0; i < vr_crops_count(c) && !err->code; i++)
        if (!vr_crops_entry(c, i).code) vr_crops_read(c, i, rgb, err);
    if (!err->code) vr_crops_list(c, &list, err);
    vr_picture_list_free(&list);
    vr_crops_close(c);
    return err->code;
}

/* Broken: a crop comes back as another one, under another name, or in another folder. */
Test(crops, round_trip)
{
    vr_error        err = {0};
    vr_crops       *c;
    vr_picture_list list;
    uint8_t         rgb[CROP], want[CROP];
    cr_assert_eq(write_cache(scratch_path("x.vrc"), &err), VR_OK, "%s", err.text);
    cr_assert_eq(vr_crops_open(&c, scratch_path("x.vrc"), &err), VR_OK, "%s", err.text);
    cr_assert(vr_crops_count(c) == PICTURES && vr_crops_bytes(c) == CROP);
    cr_expect_str_eq(vr_crops_version(c), "0.1.0");
    cr_expect_str_eq(vr_crops_settings(c)->recipe.name, "bicubic-6-crop4");
    for (size_t i = 0; i < PICTURES; i++) {
        const vr_crop_entry e = vr_crops_entry(c, i);
        cr_expect_str_eq(e.name, names[i]);
        cr_expect(e.bytes == 100 + i && e.sha256[31] == i && e.width == 9 && e.height == 7);
        if (i == 1) {
            cr_expect_eq(e.code, VR_E_IMAGE);
            cr_expect_str_eq(e.error, why);
            continue;
        }
        pixels_of(i, want);
        cr_assert(e.code == VR_OK && vr_crops_read(c, i, rgb, &err) == VR_OK, "%s", err.text);
        cr_expect_arr_eq(rgb, want, CROP);
    }
    cr_assert_eq(vr_crops_list(c, &list, &err), VR_OK);
    cr_expect(list.count == PICTURES && list.folders == 3);
    cr_expect_str_eq(list.folder_name[2], "c");
    cr_expect_arr_eq(list.folder, folders, sizeof folders);
    cr_expect_str_eq(vr_picture_list_name(&list, 2), names[2]);
    cr_expect_str_eq(list.path[2] + strlen(list.path[2]) - 18, "x.vrc/b/deep/x.png");
    vr_picture_list_free(&list);
    vr_crops_close(c);
}

static vr_status fit(vr_crop_settings wanted, vr_error *err)
{
    vr_crops *c;
    *err = (vr_error){0};
    cr_assert_eq(vr_crops_open(&c, scratch_path("x.vrc"), err), VR_OK, "%s", err->text);
    vr_crops_fit(c, &wanted, err);
    vr_crops_close(c);
    return err->code;
}

/* Broken: a sentence that cannot be shown as it is makes a cache that nobody can read. */
Test(crops, sentences)
{
    static const char *const odd[] = {"", "two\nlines", "cut in \xE2\x80", "\x1B[31mred", "plain"};
    static const char *const kept[] = {"no reason was given", "two\\x0alines", "cut in \\xe2\\x80", "\\x1b[31mred", "plain"};
    for (size_t k = 0; k < 5; k++) {
        const vr_crop_settings s = usual();
        vr_picture_list        list;
        vr_crops_writer       *w;
        vr_crops              *c;
        vr_error               err = {0}, no = {.code = VR_E_IMAGE};
        const int              fd = open(scratch_path("x.vrc"), O_CREAT | O_TRUNC | O_RDWR, 0666);
        snprintf(no.text, sizeof no.text, "%s", odd[k]);
        vr_picture_list_begin(&list, "/data", &err);
        vr_picture_list_add(&list, "/data/x.jpg", VR_NO_FOLDER, &err);
        cr_assert_eq(vr_crops_begin(&w, fd, "x.vrc", &s, &list, &err), VR_OK, "%s", err.text);
        vr_crops_put(w, 0, &(vr_crop_source){0}, NULL, &no, &err);
        cr_expect_str_eq(vr_crops_why(w, 0), kept[k]);
        cr_assert_eq(vr_crops_end(w, "0.1.0", &err), VR_OK, "%s", err.text);
        vr_crops_writer_free(w);
        vr_picture_list_free(&list);
        close(fd);
        cr_assert_eq(vr_crops_open(&c, scratch_path("x.vrc"), &err), VR_OK, "%s", err.text);
        cr_expect_str_eq(vr_crops_entry(c, 0).error, kept[k]);
        vr_crops_close(c);
    }
}

/* Broken: a model is fed with crops that are not its own. */
Test(crops, fit)
{
    vr_error         err = {0};
    vr_crop_settings s = usual();
    cr_assert_eq(write_cache(scratch_path("x.vrc"), &err), VR_OK, "%s", err.text);
    cr_expect_eq(fit(s, &err), VR_OK, "%s", err.text);
    s.recipe.mean[0] = 0.5f;
    cr_expect_eq(fit(s, &err), VR_OK, "normalisation is not in it");
    s.recipe.resize_height = 5;
    vr_recipe_name(&s.recipe);
    cr_expect_eq(fit(s, &err), VR_E_USAGE);
    cr_expect(strstr(err.text, "bicubic-6-crop4") && strstr(err.text, "bicubic-5-crop4"), "%s", err.text);
    s = usual(), s.recipe.offset = VR_OFFSET_FLOOR;
    cr_expect(fit(s, &err) == VR_E_USAGE && strcmp(err.rule, "cache-recipe") == 0);
    s = usual(), s.uncropped = true;
    cr_expect(fit(s, &err) == VR_E_USAGE && strcmp(err.rule, "cache-recipe") == 0);
    s = usual(), s.exif = true;
    cr_expect(fit(s, &err) == VR_E_USAGE && strstr(err.text, "--exif"), "%s", err.text);
    s = usual(), s.limits.max_pixels = 7;
    cr_expect(fit(s, &err) == VR_E_USAGE && strstr(err.text, "--max-pixels"), "%s", err.text);
    s = usual(), s.limits.allow_truncated = true;
    cr_expect(fit(s, &err) == VR_E_USAGE && strstr(err.text, "--allow-truncated"), "%s", err.text);
}

/* Broken: a file that was cut or changed anywhere passes for what was written. */
Test(crops, damage)
{
    vr_error err = {0};
    size_t   length, again;
    cr_assert_eq(write_cache(scratch_path("x.vrc"), &err), VR_OK, "%s", err.text);
    char *bytes = scratch_read("x.vrc", &length);
    cr_assert_eq(write_cache(scratch_path("y.vrc"), &err), VR_OK);
    char *other = scratch_read("y.vrc", &again);
    cr_assert(length == again && memcmp(bytes, other, length) == 0, "the same pictures give the same bytes");
    free(other);
    for (size_t n = 0; n<length; n += n> 300 && n + 300 < length ? 97 : 1) {
        err = (vr_error){0};
        scratch_write("x.vrc", bytes, n);
        cr_expect_eq(read_cache(scratch_path("x.vrc"), &err), VR_E_IO, "cut to %zu bytes", n);
    }
    for (size_t at = 0; at<length; at += at> 300 && at < VR_CROPS_HEADER ? 31 : 1) {
        const bool lost = at >= VR_CROPS_HEADER + CROP && at < VR_CROPS_HEADER + 2 * CROP; /* nobody's crop */
        bytes[at] ^= 1;
        scratch_write("x.vrc", bytes, length);
        bytes[at] ^= 1;
        err = (vr_error){0};
        cr_expect_eq(read_cache(scratch_path("x.vrc"), &err), lost ? VR_OK : VR_E_IO, "byte %zu changed", at);
    }
    char *longer = calloc(1, length + 1);
    memcpy(longer, bytes, length);
    scratch_write("x.vrc", longer, length + 1);
    err = (vr_error){0};
    cr_expect(read_cache(scratch_path("x.vrc"), &err) == VR_E_IO && strcmp(err.rule, "cache-size") == 0);
    free(longer);
    free(bytes);
}

static char  *lie;
static size_t lie_length;

/* What the file says, its checksums put right; the rule that refuses it, "" where none does. */
static const char *verdict(void)
{
    static vr_error  err;
    vr_crops_header *h = (vr_crops_header *)(void *)lie;
    h->tail_sum = vr_sum64(lie + TABLE, lie_length - TABLE);
    h->head_sum = vr_sum64(lie, offsetof(vr_crops_header, head_sum));
    scratch_write("lie.vrc", lie, lie_length);
    err = (vr_error){0};
    return read_cache(scratch_path("lie.vrc"), &err) ? err.rule : "";
}

#define LIE(where, value, rule)                                            \
    do {                                                                   \
        const __typeof__(where) kept = where;                              \
        where = (__typeof__(where))(value);                                \
        const char *said = verdict();                                      \
        cr_expect_str_eq(said, rule, "%s = %s: %s", #where, #value, said); \
        where = kept;                                                      \
    } while (0)

/* Broken: sizes, offsets, names or numbers of a forged file are believed. */
Test(crops, lies)
{
    vr_error err = {0};
    cr_assert_eq(write_cache(scratch_path("x.vrc"), &err), VR_OK, "%s", err.text);
    lie = scratch_read("x.vrc", &lie_length);
    vr_crops_header *h = (vr_crops_header *)(void *)lie;
    vr_crops_item   *item = (vr_crops_item *)(void *)(lie + TABLE);
    char            *text = (char *)(item + PICTURES), *name = memmem(text, lie_length - (size_t)(text - lie), "b/deep", 6);
    cr_assert_str_eq(verdict(), "");
    LIE(h->magic[0], 'V', "cache-magic");
    LIE(h->file_bytes, 1u << 20, "cache-size");
    LIE(h->pictures, 0, "cache-size");
    LIE(h->pictures, 5, "cache-size");
    LIE(h->pictures, UINT64_MAX, "cache-size");
    LIE(h->pictures, UINT64_MAX / 64, "cache-size");
    LIE(h->folders, 2, "cache-name"); /* the third is then a picture's */
    LIE(h->folders, 4, "cache-name");
    LIE(h->folders, UINT64_MAX, "cache-size");
    LIE(h->text_bytes, UINT64_MAX - 63, "cache-size");
    LIE(h->crop_height, 0, "cache-header");
    LIE(h->crop_height, 5, "cache-size");
    LIE(h->crop_width, 1u << 30, "cache-header");
    LIE(h->resize, 7, "cache-header");
    LIE(h->filter, 2, "cache-header");
    LIE(h->offset, 2, "cache-header");
    LIE(h->exif, 2, "cache-header");
    LIE(h->zero, 1, "cache-header");
    LIE(h->formats, 256, "cache-header");
    LIE(h->max_side, UINT32_MAX, "cache-header");
    LIE(h->max_side, 8, "cache-table");
    LIE(lie[sizeof *h + 5], 'x', "cache-header");
    LIE(item[0].folder, 1, "cache-name");
    LIE(item[0].folder, 3, "cache-table");
    LIE(item[0].folder, -2, "cache-table");
    LIE(item[0].folder, VR_NO_FOLDER, "cache-name");
    LIE(item[0].width, 0, "cache-table");
    LIE(item[0].width, 20000, "cache-table");
    LIE(item[0].sum, 1, "cache-crop");
    LIE(item[0].code, VR_E_IMAGE, "cache-name"); /* the next name is its sentence */
    LIE(item[1].code, VR_OK, "cache-name");
    LIE(item[1].code, VR_E_MEMORY, "cache-table");
    LIE(item[3].code, VR_E_IO, "cache-table");
    LIE(name[0], '/', "cache-name");
    LIE(name[2], '/', "cache-name");
    LIE(name[1], 'b', "cache-name");
    LIE(name[6], 0, "cache-table");
    memcpy(name + 2, "../x", 4);
    cr_expect_str_eq(verdict(), "cache-name");
    memcpy(name + 2, "deep", 4);
    LIE(text[0], '.', "cache-name");
    LIE(text[0], '/', "cache-name");
    LIE(text[0], 'b', "cache-name");
    LIE(text[2], 'c', "cache-name");
    char *sentence = memmem(text, lie_length - (size_t)(text - lie), "no picture", 10);
    LIE(sentence[0], '\x1B', "cache-table");
    LIE(sentence[0], '\xFF', "cache-table");
    cr_expect_str_eq(verdict(), "");
    free(lie);
}

/* Broken: memory or a disk that gives out while a cache is written or read is a crash, or a cache that is none. */
Test(crops, faults)
{
    char *path = strdup(scratch_path("x.vrc"));
    for (int writing = 1; writing >= 0; writing--)
        for (int kind = FAULT_MALLOC; kind <= FAULT_INTERRUPT; kind++) {
            const vr_status want = kind == FAULT_MALLOC ? VR_E_MEMORY : kind == FAULT_IO ? VR_E_IO : VR_OK;
            if (kind == FAULT_MALLOC && !faults_in_malloc()) continue;
            for (long n = 0;; n++) {
                vr_error err = {0};
                faults_begin((fault_kind)kind, n, false);
                const vr_status status = writing ? write_cache(path, &err) : read_cache(path, &err);
                const long      live = faults_live();
                if (!faults_end() || want == VR_OK) {
                    cr_expect_eq(status, VR_OK, "%s", err.text);
                    break;
                }
                /* Some failures cost nothing: what asprintf gives back is not cut to size, a file was read before close. */
                cr_expect((status == want || status == VR_OK) && live == 0, "%s, fault %d, call %ld: status %d, %ld left: %s",
                          writing ? "writing" : "reading", kind, n, status, live, err.text);
            }
        }
    free(path);
}

/* Broken: a change of one word goes unnoticed, or what stands behind the end counts. */
Test(crops, sum)
{
    uint8_t        bytes[200] = {0};
    const uint64_t none = vr_sum64(bytes, 0);
    for (size_t n = 1; n <= sizeof bytes; n++) {
        const uint64_t before = vr_sum64(bytes, n);
        cr_expect_neq(before, n > 1 ? vr_sum64(bytes, n - 1) : none, "%zu zeros", n);
        for (size_t at = 0; at < sizeof bytes; at++) {
            bytes[at] = 0x80;
            cr_expect_eq(vr_sum64(bytes, n) == before, at >= n, "byte %zu of %zu", at, n);
            bytes[at] = 0;
        }
    }
}

/* Broken: a list is in another order than the walk of its folder. */
Test(crops, order)
{
    static const char *const rising[] = {"a", "a/b", "a/b2", "a/b10", "a.jpg/x", "b/9", "b/10/1", "c"};
    for (size_t i = 0; i < 8; i++)
        for (size_t k = 0; k < 8; k++) {
            const int order = vr_picture_order(rising[i], rising[k]);
            cr_expect((order > 0) - (order < 0) == (i > k) - (i < k), "%s, %s: %d", rising[i], rising[k], order);
        }
}
