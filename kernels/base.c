/* base.c: errors, checked sizes, element types, the clock. */
#include "base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

vr_status vr_fail(vr_error *err, vr_status code, const char *rule, const char *format, ...)
{
    if (err && err->code == VR_OK) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        err->code = code;
        err->rule = rule;
    }
    return code;
}

/* The length of the UTF-8 sequence that starts at p, 0 where none does. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xC2) return 0;
    size_t n = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    if (n == 0 || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if (p[0] == 0xE0 && p[1] < 0xA0) return 0;  /* overlong */
    if (p[0] == 0xED && p[1] >= 0xA0) return 0; /* surrogate */
    if (p[0] == 0xF0 && p[1] < 0x90) return 0;  /* overlong */
    if (p[0] == 0xF4 && p[1] >= 0x90) return 0; /* above U+10FFFF */
    return n;
}

bool vr_utf8_valid(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(p + i, length - i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

vr_quoted vr_quote(const char *text, size_t length)
{
    static const char    hex[] = "0123456789abcdef";
    const unsigned char *p = (const unsigned char *)text;
    vr_quoted            q;
    size_t               at = 0;
    const size_t         room = sizeof q.text - 4; /* "..." and NUL */
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(p + i, length - i);
        /* C1 controls and the bidirectional overrides can rewrite a terminal line as well as C0 does. */
        bool c1 = n == 2 && p[i] == 0xC2 && p[i + 1] < 0xA0;
        bool bidi = n == 3 && p[i] == 0xE2 &&
                    ((p[i + 1] == 0x80 && p[i + 2] >= 0xAA && p[i + 2] <= 0xAE) ||
                     (p[i + 1] == 0x81 && p[i + 2] >= 0xA6 && p[i + 2] <= 0xA9));
        bool plain = n > 0 && !c1 && !bidi && p[i] >= 0x20 && p[i] != 0x7F;
        if (plain ? at + n > room : at + 4 > room) {
            memcpy(q.text + at, "...", 4);
            return q;
        }
        if (plain) {
            memcpy(q.text + at, p + i, n);
            at += n, i += n;
        } else {
            q.text[at++] = '\\', q.text[at++] = 'x';
            q.text[at++] = hex[p[i] >> 4], q.text[at++] = hex[p[i] & 15];
            i++;
        }
    }
    q.text[at] = 0;
    return q;
}

vr_quoted vr_quotez(const char *text) { return vr_quote(text, strlen(text)); }

bool vr_mul(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

bool vr_add(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out = sum;
    return true;
}

void *vr_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (!vr_mul(count, size, &bytes) || !vr_add(bytes, 63, &bytes)) return NULL;
    bytes &= ~(size_t)63;
    return aligned_alloc(64, bytes ? bytes : 64);
}

void *vr_alloc_large(size_t count, size_t size)
{
    enum { PAGE = 2 << 20 };
    size_t bytes;
    if (!vr_mul(count, size, &bytes) || bytes < PAGE || !vr_add(bytes, 4095, &bytes)) return vr_alloc(count, size);
    bytes &= ~(size_t)4095;
    void *p = NULL;
    if (posix_memalign(&p, PAGE, bytes)) return NULL;
    madvise(p, bytes, MADV_HUGEPAGE); /* a wish: without it the pages are small */
    return p;
}

void *vr_alloc_zeroed(size_t count, size_t size)
{
    void *p = vr_alloc(count, size);
    if (p) memset(p, 0, count * size); /* the product was checked by vr_alloc */
    return p;
}

static const struct {
    const char *name;
    unsigned    bits;
} dtypes[VR_DTYPES] = {
    [VR_F32] = {"F32", 32},
    [VR_F16] = {"F16", 16},
    [VR_BF16] = {"BF16", 16},
    [VR_F64] = {"F64", 64},
    [VR_BOOL] = {"BOOL", 8},
    [VR_U8] = {"U8", 8},
    [VR_I8] = {"I8", 8},
    [VR_U16] = {"U16", 16},
    [VR_I16] = {"I16", 16},
    [VR_U32] = {"U32", 32},
    [VR_I32] = {"I32", 32},
    [VR_U64] = {"U64", 64},
    [VR_I64] = {"I64", 64},
    [VR_C64] = {"C64", 64},
    [VR_F8_E5M2] = {"F8_E5M2", 8},
    [VR_F8_E4M3] = {"F8_E4M3", 8},
    [VR_F8_E8M0] = {"F8_E8M0", 8},
    [VR_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [VR_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [VR_F6_E2M3] = {"F6_E2M3", 6},
    [VR_F6_E3M2] = {"F6_E3M2", 6},
    [VR_F4] = {"F4", 4},
};

const char *vr_dtype_name(vr_dtype dtype) { return dtypes[dtype].name; }
unsigned    vr_dtype_bits(vr_dtype dtype) { return dtypes[dtype].bits; }

double vr_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
