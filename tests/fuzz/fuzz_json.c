/* libFuzzer: any bytes as a JSON document; what is accepted is walked completely.
 *
 *   clang -g -O1 -std=c17 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *       tests/fuzz/fuzz_json.c loaders/{file,json,lex}.c kernels/base.c $(pkg-config --cflags --libs libcjson) -lm \
 *       -o build/fuzz_json
 *   python3 tests/fuzz/make_corpus.py build/corpus && build/fuzz_json -dict=tests/fuzz/safetensors.dict -max_len=1024 \
 *       -max_total_time=180 build/corpus/json */
#include "../../loaders/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)            \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static size_t walk(const vr_json *v, int depth)
{
    int64_t     n;
    double      d;
    bool        b;
    const char *s;
    size_t      values = 1;
    MUST(v && depth <= 33 && vr_json_type_name(v));
    if (vr_json_int(v, INT64_MIN, INT64_MAX, &n)) MUST(vr_json_double(v, &d) && (double)n == d);
    if (vr_json_double(v, &d)) MUST(isfinite(d));
    (void)vr_json_bool(v, &b);
    if (vr_json_string(v, &s)) MUST(vr_utf8_valid(s, strlen(s)));
    for (size_t i = 0; i < vr_json_size(v); i++) {
        const vr_json *item = vr_json_item(v, i);
        if (vr_json_type(v) == VR_JSON_OBJECT) MUST(vr_json_get(v, vr_json_key(item)) == item); /* no key twice */
        values += walk(item, depth + 1);
    }
    return values;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    vr_error err = {0};
    vr_json *doc;
    if (vr_json_parse(&doc, (const char *)bytes, length, "text", &err)) {
        MUST(err.code == VR_E_MODEL && err.rule[0] && !doc); /* VR_E_MEMORY would mean that lex.c and cJSON disagree */
        return 0;
    }
    MUST(walk(doc, 1) <= 131072);
    vr_json_free(doc);
    return 0;
}
