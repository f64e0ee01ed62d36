/* The vector of the instruction set that this file is compiled for: VEC lanes of f32.  The arithmetic operators are
 * the compiler's; only what they lack is named here.
 *
 * An element of an activation is an f32, but a bf16 where VR_PAIRS is defined, which comes with AVX-512 and AVX512-BF16.
 * Where VR_WIDENED is defined weights are bf16 and the rest is f32; where VR_HEADS is, tiles are those of attention.  Where
 * VR_BYTES is defined, which comes with AVX-512 and its VNNI, a product's operands are bytes: elements are.
 *
 * A NaN must reach the result, where the caller looks for it: vec_max and vec_min give their SECOND operand where one
 * is a NaN, so bounds are written first. */
#ifndef VR_CPU_VEC_H
#define VR_CPU_VEC_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(VR_ISA_avx512)
#include <immintrin.h>
#define VEC 16
#if defined(VR_AMX)
#define TILE      32 /* rows; two tiles of 16 */
#define TILE_VECS 2
#elif defined(VR_PAIRS)
#define TILE      14 /* 28 of 32 registers hold sums */
#define TILE_VECS 2
#elif defined(VR_HEADS)
#define TILE      6 /* 24 of 32; a head of 64 is one panel */
#define TILE_VECS 4
#else
#define TILE      9 /* 27 of 32; 12 loads for 27 products, where 14 x 2 takes 16 for 28 and is 12 % slower on Ice Lake */
#define TILE_VECS 3
#endif
#elif defined(VR_ISA_avx2)
#include <immintrin.h>
#define VEC       8
#define TILE      6 /* 12 of 16 */
#define TILE_VECS 2
#else
#define VEC       4
#define TILE      6 /* 12 of the 16 of SSE2 and of the 32 of NEON */
#define TILE_VECS 2
#endif
#define PANEL (TILE_VECS * VEC)

/* How deep a product goes at once, in bytes of a row: all of it, or as far as that part of a panel and of the rows stay in the
 * second cache together; sums wait for the rest (Ice Lake, f32 3072 deep: 6 % of the time; a quarter of it loses again).  And how
 * many bytes of such rows a task takes: most of that cache; for pairs what was best on Zen 4. */
#if defined(VR_PAIRS)
#define SPAN_BYTES  INT_MAX
#define BLOCK_BYTES 2500000
#else
#define SPAN_BYTES  3072
#define BLOCK_BYTES 900000
#endif

/* Sums that the peak's loop keeps going at once: more than two units of latency 4 need, few enough for 16 registers. */
#define PEAK_CHAINS 12

/* vr_x of this instruction set: VR_NAME(vr_x) is vr_x_avx2 */
#define VR_NAME3(name, isa) name##_##isa
#define VR_NAME2(name, isa) VR_NAME3(name, isa)
#if defined(VR_WIDENED)
#define VR_NAME(name) VR_NAME2(name##_widened, VR_ISA)
#elif defined(VR_HEADS)
#define VR_NAME(name) VR_NAME2(name##_heads, VR_ISA)
#else
#define VR_NAME(name) VR_NAME2(name, VR_ISA)
#endif

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

typedef float    vec __attribute__((vector_size(4 * VEC)));
typedef int32_t  vec_bits __attribute__((vector_size(4 * VEC)));
typedef uint32_t vec_word __attribute__((vector_size(4 * VEC)));

INLINE vec vec_all(float x) { return x - (vec){0}; /* -0 stays -0 */ }

INLINE vec vec_load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void vec_store(float *p, vec v) { memcpy(p, &v, sizeof v); }

/* The first n lanes, n from 1 to VEC; the others read as 0 and are not written. */
#if VEC == 16
INLINE vec  vec_load_first(const float *p, int n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
INLINE void vec_store_first(float *p, int n, vec v) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v); }
#else
INLINE vec vec_load_first(const float *p, int n)
{
    vec v = {0};
    if (n == VEC) return vec_load(p);
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

INLINE void vec_store_first(float *p, int n, vec v)
{
    if (n == VEC)
        vec_store(p, v);
    else
        memcpy(p, &v, (size_t)n * sizeof *p);
}
#endif

/* ---- elements of activations ---- */

#if defined(VR_PAIRS)
typedef uint16_t element;

/* n from 0 to 16 of them, zero beyond, each widened */
INLINE vec load_first(const element *p, int n)
{
    const __m256i halves = _mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p);
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
}

INLINE void store_first(element *p, int n, vec v)
{
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), (__m256i)_mm512_cvtneps_pbh(v));
}
#elif defined(VR_BYTES)
typedef uint8_t element;
#else
typedef float element;

INLINE vec  load_first(const element *p, int n) { return vec_load_first(p, n); }
INLINE void store_first(element *p, int n, vec v) { vec_store_first(p, n, v); }
#endif

/* a * b + c; rounded once where the instruction set can */
INLINE vec vec_fma(vec a, vec b, vec c)
{
#if defined(VR_ISA_avx512)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(VR_ISA_avx2)
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}

/* mask ? a : b, lane by lane; the mask's lanes are 0 or -1 */
INLINE vec vec_pick(vec_bits mask, vec a, vec b) { return (vec)((mask & (vec_bits)a) | (~mask & (vec_bits)b)); }

INLINE vec vec_max(vec a, vec b)
{
#if defined(VR_ISA_avx512)
    return _mm512_max_ps(a, b);
#elif defined(VR_ISA_avx2)
    return _mm256_max_ps(a, b);
#else
    return vec_pick(a > b, a, b);
#endif
}

INLINE vec vec_min(vec a, vec b)
{
#if defined(VR_ISA_avx512)
    return _mm512_min_ps(a, b);
#elif defined(VR_ISA_avx2)
    return _mm256_min_ps(a, b);
#else
    return vec_pick(a < b, a, b);
#endif
}

/* The first n lanes of v, `rest` in the others. */
INLINE vec vec_first(vec v, int n, vec rest)
{
    vec_bits lane;
    for (int i = 0; i < VEC; i++) lane[i] = i;
    return vec_pick(lane < n, v, rest);
}

/* Lane i of it is lane i + n of v, around the end. */
#define LANE(n, i) (((n) + (i)) % VEC)
#if VEC == 16
#define TURNED(v, n)                                                                                                  \
    __builtin_shufflevector(v, v, LANE(n, 0), LANE(n, 1), LANE(n, 2), LANE(n, 3), LANE(n, 4), LANE(n, 5), LANE(n, 6), \
                            LANE(n, 7), LANE(n, 8), LANE(n, 9), LANE(n, 10), LANE(n, 11), LANE(n, 12), LANE(n, 13),   \
                            LANE(n, 14), LANE(n, 15))
#elif VEC == 8
#define TURNED(v, n)                                                                                                  \
    __builtin_shufflevector(v, v, LANE(n, 0), LANE(n, 1), LANE(n, 2), LANE(n, 3), LANE(n, 4), LANE(n, 5), LANE(n, 6), \
                            LANE(n, 7))
#else
#define TURNED(v, n) __builtin_shufflevector(v, v, LANE(n, 0), LANE(n, 1), LANE(n, 2), LANE(n, 3))
#endif

/* The sum of the lanes, by halves: the same order on every call. */
INLINE float vec_sum(vec v)
{
#if VEC == 16
    v += TURNED(v, 8);
#endif
#if VEC >= 8
    v += TURNED(v, 4);
#endif
    v += TURNED(v, 2);
    v += TURNED(v, 1);
    return v[0];
}

/* The largest lane; a NaN may be lost. */
INLINE float vec_largest(vec v)
{
#if VEC == 16
    v = vec_max(v, TURNED(v, 8));
#endif
#if VEC >= 8
    v = vec_max(v, TURNED(v, 4));
#endif
    v = vec_max(v, TURNED(v, 2));
    v = vec_max(v, TURNED(v, 1));
    return v[0];
}

/* 2^x for x <= 0, to 1e-7 of the result; what is below 2^-126 becomes 2^-126.
 *   2^x = 2^n 2^f,  n = round(x),  f = x - n,  2^f = 1 + f q(f)
 * Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.  q makes the relative error of 2^f level at
 * 2e-9 on |f| <= 1/2; it comes from a least-squares fit of (2^f - 1) / f on 2001 Chebyshev nodes, reweighted until the
 * error was level (Lawson). */
INLINE vec vec_exp2(vec x)
{
    const vec round = vec_all(12582912.0f);
    x = vec_max(vec_all(-126), x);
    vec shifted = x + round;
    vec f = x - (shifted - round);
    vec q = vec_fma(vec_all(1.535330957e-4f), f, vec_all(1.339893905e-3f));
    q = vec_fma(q, f, vec_all(9.618437849e-3f));
    q = vec_fma(q, f, vec_all(5.550332367e-2f));
    q = vec_fma(q, f, vec_all(2.402264774e-1f));
    q = vec_fma(q, f, vec_all(6.931471825e-1f));
    q = vec_fma(q, f, vec_all(1));
    /* A product, not a sum of exponents: NaN times anything stays a NaN. */
    return q * (vec)(((vec_word)shifted + 127) << 23);
}

#endif
