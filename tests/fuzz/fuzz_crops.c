/* libFuzzer: any bytes as a cache of crops.
 *
 *   clang -g -O1 -std=c17 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all tests/fuzz/fuzz_crops.c \
 *       loaders/{crops,crops_write,file,picture_list,sum,preprocess,resample,image,exif,jpeg,png,webp,gif,stb,pnm}.c kernels/base.c \
 *       $(pkg-config --cflags --libs libjpeg libpng libwebp libwebpdemux) -lm -o build/fuzz_crops
 *   python3 tests/fuzz/make_corpus.py build/corpus && build/fuzz_crops -max_len=2048 -max_total_time=180 build/corpus/crops
 *
 * An input is the fields of a header, a byte that says how many crops follow, and what stands behind the crops: the padding
 * in between would only be in the way.  It is read as it is, and again with its checksums and its length put right, as nearly
 * every mutation is refused for these before anything interesting happens. */
#include "../../loaders/crops.h"
#include "../../loaders/crops_parts.h"
#include "../../loaders/sum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MUST(condition)            \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* Everything that an accepted cache promises. */
static void check(const vr_crops *c)
{
    vr_picture_list list;
    vr_error        err = {0};
    uint8_t        *rgb = malloc(vr_crops_bytes(c));
    MUST(rgb && vr_crops_list(c, &list, &err) == VR_OK && list.count == vr_crops_count(c));
    for (size_t i = 0; i < list.count; i++) {
        const vr_crop_entry e = vr_crops_entry(c, i);
        MUST(strcmp(e.name, vr_picture_list_name(&list, i)) == 0 && e.name[0] != '/' && !strstr(e.name, "/../"));
        MUST(list.folder[i] >= VR_NO_FOLDER && list.folder[i] < (int)list.folders);
        MUST((e.code == VR_OK) == (e.error == NULL));
        if (e.code == VR_OK) vr_crops_read(c, i, rgb, &(vr_error){0});
    }
    MUST(vr_crops_fit(c, vr_crops_settings(c), &err) == VR_OK);
    vr_picture_list_free(&list);
    free(rgb);
}

static void judge(const char *file, size_t length)
{
    char      path[40];
    vr_error  err = {0};
    vr_crops *c;
    const int fd = memfd_create("crops", 0);
    MUST(fd >= 0 && write(fd, file, length) == (ssize_t)length);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (vr_crops_open(&c, path, &err))
        MUST(err.rule && err.rule[0] && vr_utf8_valid(err.text, strlen(err.text)) && !c);
    else
        check(c);
    vr_crops_close(c);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    vr_crops_header h;
    if (length < sizeof h + 1) return 0;
    memcpy(&h, bytes, sizeof h);
    const size_t tail = length - sizeof h - 1, crop = (size_t)(h.crop_height % 8) * (h.crop_width % 8) * 3,
                 crops = bytes[sizeof h] * crop, total = VR_CROPS_HEADER + crops + tail;
    char *file = calloc(1, total);
    MUST(file);
    memcpy(file, bytes, sizeof h);
    memcpy(file + VR_CROPS_HEADER + crops, bytes + sizeof h + 1, tail);
    judge(file, total);
    h.file_bytes = total;
    h.tail_sum = vr_sum64(file + VR_CROPS_HEADER + crops, tail);
    h.head_sum = vr_sum64(&h, offsetof(vr_crops_header, head_sum));
    memcpy(file, &h, sizeof h);
    judge(file, total);
    free(file);
    return 0;
}
