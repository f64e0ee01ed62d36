/* halves.c: half precision to float and back, and the search for values that are not finite.
 *
 * Loops run over blocks of a fixed length, because that is what gcc -O2 turns into vector code without being asked. */
#include "safetensors_parts.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { BLOCK = 64 };

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float vr_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) return float_of(sign | 0x7F800000 | (fraction ? 0x400000 : 0) | fraction << 13);
    if (exponent > 0) return float_of(sign | (exponent + 112) << 23 | fraction << 13);
    /* A subnormal is fraction * 2^-24: put the fraction under the exponent of 0.5 * 2^10 * 2^-23 and take that away. */
    return float_of(sign | bits_of(float_of(113u << 23 | fraction << 13) - 0x1p-14f));
}

float vr_bf16_to_f32(uint16_t h) { return float_of((uint32_t)h << 16); }

uint16_t vr_f32_to_f16(float f)
{
    const uint32_t bits = bits_of(f), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 1023)); /* NaN, made quiet */
    if (magnitude >= 0x477FF000) return (uint16_t)(sign | 0x7C00); /* 65,520 and above round to infinity */
    if (magnitude < 0x38800000)                                    /* below 2^-14: let the FPU round at 2^-24 */
        return (uint16_t)(sign | (bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f)));
    /* Add half of the last place kept, less one bit where that place is even; a carry walks into the exponent. */
    const uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - (112u << 23) + 0xFFF + odd) >> 13);
}

uint16_t vr_f32_to_bf16(float f)
{
    const uint32_t bits = bits_of(f);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40); /* rounding could turn a NaN into infinity */
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#if defined(__x86_64__)
/* Two to four times as fast as the bit code; returns how many it did. */
__attribute__((target("avx,f16c"))) static size_t convert_f16c(float *out, const uint16_t *in, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(in + i))));
    return i;
}

/* clang 14's __builtin_cpu_supports does not know the word f16c; "avx" also says that the system saves the registers.
 * The answer is kept: in the virtual machine this was measured on, each cpuid costs 8 microseconds. */
static bool have_f16c(void)
{
    static int known; /* 0: not asked yet, 1: no, 2: yes */
    int        answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (answer == 0) {
        unsigned a, b, c = 0, d;
        answer = __builtin_cpu_supports("avx") && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) ? 2 : 1;
        __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    }
    return answer == 2;
}
#else
static size_t convert_f16c(float *out, const uint16_t *in, size_t count)
{
    (void)out, (void)in, (void)count;
    return 0;
}

static bool have_f16c(void) { return false; }
#endif

void vr_f16_to_f32_many(float *out, const uint16_t *in, size_t count)
{
    size_t i = have_f16c() ? convert_f16c(out, in, count) : 0;
    for (; i < count; i++) out[i] = vr_f16_to_f32(in[i]);
}

void vr_bf16_to_f32_many(float *restrict out, const uint16_t *restrict in, size_t count)
{
    for (; count >= BLOCK; count -= BLOCK, out += BLOCK, in += BLOCK)
        for (int j = 0; j < BLOCK; j++) out[j] = vr_bf16_to_f32(in[j]);
    for (size_t i = 0; i < count; i++) out[i] = vr_bf16_to_f32(in[i]);
}

/* All bits of the exponent set: a NaN or an infinity. */
static uint32_t not_finite(float f) { return (bits_of(f) & 0x7F800000) == 0x7F800000; }

bool vr_all_finite(const float *x, size_t count)
{
    uint32_t found = 0;
    for (; count >= BLOCK; count -= BLOCK, x += BLOCK) {
        for (int j = 0; j < BLOCK; j++) found |= not_finite(x[j]);
        if (found) return false;
    }
    for (size_t i = 0; i < count; i++) found |= not_finite(x[i]);
    return !found;
}
