/* libFuzzer: any bytes as a safetensors file.
 *
 *   clang -g -O1 -std=c17 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *       tests/fuzz/fuzz_safetensors.c loaders/{file,halves,json,lex,safetensors,safetensors_header,shards}.c kernels/base.c \
 *       $(pkg-config --cflags --libs libcjson) -lm -o build/fuzz_safetensors
 *   python3 tests/fuzz/make_corpus.py build/corpus && build/fuzz_safetensors -dict=tests/fuzz/safetensors.dict \
 *       -max_len=2048 -max_total_time=180 build/corpus/safetensors
 *
 * Two files are made of each input: the bytes as they are, and the bytes as a header whose length and data are right, as
 * nearly every mutation of a length prefix is refused before anything interesting happens. */
#include "../../loaders/safetensors.h"

#include <stdlib.h>
#include <string.h>

#define MUST(condition)            \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* Everything that an accepted file promises; and its bytes can be read. */
static void check(const vr_safetensors *st)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < vr_safetensors_count(st); i++) {
        const vr_tensor *t = vr_safetensors_at(st, i);
        uint64_t         elements = 1;
        for (int d = 0; d < t->rank; d++) elements *= t->shape[d];
        MUST(t->elements == elements && t->bytes * 8 == elements * vr_dtype_bits(t->dtype));
        MUST(t->bytes <= vr_safetensors_bytes(st) && t->begin <= vr_safetensors_bytes(st) - t->bytes);
        MUST(vr_safetensors_find(st, t->name) == t);
        MUST(strlen(t->name) > 0 && vr_utf8_valid(t->name, strlen(t->name)));
        unsigned char *raw = malloc(t->bytes ? t->bytes : 1);
        MUST(raw && vr_safetensors_read_raw(st, t, raw, NULL) == VR_OK);
        free(raw);
        float f;
        if (elements > 0) (void)vr_safetensors_read_f32(st, t, elements - 1, 1, &f, NULL);
        sum += t->bytes;
    }
    MUST(sum == vr_safetensors_bytes(st));
    (void)vr_safetensors_metadata(st, "format");
}

static void judge(const void *bytes, size_t length)
{
    vr_error        err = {0};
    vr_safetensors *st;
    if (vr_safetensors_open_memory(&st, bytes, length, 0, &err)) {
        MUST(err.code != VR_OK && err.rule && err.rule[0] && err.text[0] && !st);
        MUST(vr_utf8_valid(err.text, strlen(err.text)));
        return;
    }
    check(st);
    vr_safetensors_close(st);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    judge(bytes, length);
    if (length == 0) return 0;
    const size_t   data = bytes[length - 1] / 2, header = length - 1; /* the last byte says how much data follows */
    const uint64_t n = header;
    unsigned char *file = malloc(8 + header + data);
    MUST(file);
    memcpy(file, &n, 8);
    memcpy(file + 8, bytes, header);
    memset(file + 8 + header, 0x3C, data);
    judge(file, 8 + header + data);
    free(file);
    return 0;
}
