/* The instructions of AVX512-BF16, AMX-BF16 and AVX512-VNNI that kernels/cpu/isa uses, put together from AVX-512: in front of those sources
 * (-include) it takes the place of the compiler's.  Sums are rounded and ordered as Intel's manual (volume 2, VDPBF16PS,
 * VCVTNEPS2BF16, TDPBF16PS) has it, but numbers below 2^-126, which the processor takes for 0, are kept.  Tiles read and write
 * just the rows and bytes of their shape, so that a sanitizer sees what lies beyond, and a shape that was not loaded fails. */
#ifndef VR_EMULATED_H
#define VR_EMULATED_H

#include <assert.h>
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline __m512 emulated_low(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
static inline __m512 emulated_high(__m512i pairs)
{
    return _mm512_castsi512_ps(_mm512_and_epi32(pairs, _mm512_set1_epi32((int)0xffff0000)));
}

/* The second number of each pair first. */
static inline __m512 emulated_dpbf16(__m512 sum, __m512i a, __m512i b)
{
    sum = _mm512_fmadd_ps(emulated_high(a), emulated_high(b), sum);
    return _mm512_fmadd_ps(emulated_low(a), emulated_low(b), sum);
}

static inline __m256i emulated_cvtneps(__m512 x)
{
    const __m512i   bits = _mm512_castps_si512(x), upper = _mm512_srli_epi32(bits, 16);
    const __m512i   even = _mm512_add_epi32(_mm512_set1_epi32(0x7fff), _mm512_and_epi32(upper, _mm512_set1_epi32(1)));
    const __m512i   rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, even), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, nan, upper, _mm512_set1_epi32(0x40)));
}

#undef _mm512_dpbf16_ps
#undef _mm512_cvtneps_pbh
#define _mm512_dpbf16_ps(sum, a, b) emulated_dpbf16((sum), (__m512i)(a), (__m512i)(b))
#define _mm512_cvtneps_pbh(x)       emulated_cvtneps(x)

/* ---- bytes ---- */

/* Each sum gains four products of an unsigned byte and a signed one, whole: two of them fill 17 bits, and nothing saturates. */
static inline __m512i emulated_dpbusd(__m512i sum, __m512i a, __m512i b)
{
    const __m512i even_a = _mm512_and_si512(a, _mm512_set1_epi16(0xff)), odd_a = _mm512_srli_epi16(a, 8);
    const __m512i even_b = _mm512_srai_epi16(_mm512_slli_epi16(b, 8), 8), odd_b = _mm512_srai_epi16(b, 8);
    const __m512i four = _mm512_add_epi32(_mm512_madd_epi16(even_a, even_b), _mm512_madd_epi16(odd_a, odd_b));
    return _mm512_add_epi32(sum, four);
}

#undef _mm512_dpbusd_epi32
#define _mm512_dpbusd_epi32(sum, a, b) emulated_dpbusd((sum), (a), (b))

/* ---- the tile unit of a thread ---- */

typedef struct {
    struct {
        uint8_t  palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t  rows[16];
    } shape;
    uint8_t tile[8][16][64];
} emulated_unit;

static inline emulated_unit *emulated_tiles(void)
{
    static _Thread_local emulated_unit unit;
    return &unit;
}

static inline void emulated_loadconfig(const void *shape)
{
    emulated_unit *u = emulated_tiles();
    memset(u, 0, sizeof *u);
    memcpy(&u->shape, shape, sizeof u->shape);
}

static inline void emulated_release(void) { memset(emulated_tiles(), 0, sizeof(emulated_unit)); }

static inline void emulated_zero(int t) { memset(emulated_tiles()->tile[t], 0, sizeof emulated_tiles()->tile[t]); }

static inline void emulated_loadd(int t, const void *from, size_t stride)
{
    emulated_unit *u = emulated_tiles();
    assert(u->shape.palette == 1 && u->shape.rows[t] > 0);
    for (int r = 0; r < u->shape.rows[t]; r++)
        memcpy(u->tile[t][r], (const char *)from + (size_t)r * stride, u->shape.row_bytes[t]);
}

static inline void emulated_stored(int t, void *to, size_t stride)
{
    const emulated_unit *u = emulated_tiles();
    assert(u->shape.palette == 1 && u->shape.rows[t] > 0);
    for (int r = 0; r < u->shape.rows[t]; r++) memcpy((char *)to + (size_t)r * stride, u->tile[t][r], u->shape.row_bytes[t]);
}

/* Even and odd numbers are summed apart, from 0, and then added to what was there. */
static inline void emulated_tdpbf16(int sum, int a, int b)
{
    emulated_unit *u = emulated_tiles();
    assert(u->shape.palette == 1 && u->shape.rows[sum] == u->shape.rows[a] && u->shape.row_bytes[a] == 4 * u->shape.rows[b]);
    for (int m = 0; m < u->shape.rows[sum]; m++) {
        __m512 even = _mm512_setzero_ps(), odd = even;
        for (int k = 0; k < u->shape.rows[b]; k++) {
            int32_t pair;
            memcpy(&pair, u->tile[a][m] + 4 * k, sizeof pair);
            const __m512i left = _mm512_set1_epi32(pair), right = _mm512_loadu_si512(u->tile[b][k]);
            even = _mm512_fmadd_ps(emulated_low(left), emulated_low(right), even);
            odd = _mm512_fmadd_ps(emulated_high(left), emulated_high(right), odd);
        }
        _mm512_storeu_ps(u->tile[sum][m], _mm512_add_ps(_mm512_loadu_ps(u->tile[sum][m]), _mm512_add_ps(even, odd)));
    }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig(shape)          emulated_loadconfig(shape)
#define _tile_release()                  emulated_release()
#define _tile_zero(t)                    emulated_zero(t)
#define _tile_loadd(t, from, stride)     emulated_loadd(t, from, stride)
#define _tile_stored(t, to, stride)      emulated_stored(t, to, stride)
#define _tile_dpbf16ps(sum, left, right) emulated_tdpbf16(sum, left, right)

#endif
