/* bytes.c: the linear layer on bytes, four times the work of f32 in an instruction (VNNI), and the rounding of rows to them. */
#include "gemm.c"
#include "tile.c"

#include <math.h>

/* The least and the largest of x and 0, and a NaN in *all unless every number is finite. */
static void range_of(const float *x, int cols, float *least, float *largest, float *all)
{
    vec low = {0}, high = {0}, watch = {0};
    for (int c = 0; c < cols; c += VEC) {
        const vec v = vec_load_first(x + c, cols - c < VEC ? cols - c : VEC);
        low = vec_min(low, v);
        high = vec_max(high, v);
        watch += v * vec_all(0);
    }
    *least = -vec_largest(-low);
    *largest = vec_largest(high);
    *all = vec_sum(watch);
}

/* Zero has a byte of its own, so that what is 0 stays 0; the range from the least to the largest number has all the others.
 * One below 1e-30 is taken for nothing: its inverse would not be finite. */
static void round_row(uint8_t *bytes, vr_rounding *how, const float *x, int cols)
{
    float least, largest, all;
    range_of(x, cols, &least, &largest, &all);
    const float range = largest - least, factor = range > 1e-30f && range < INFINITY ? 255 / range : 0;
    const int   zero = factor > 0 ? (int)lrintf(-least * factor) : 0;
    *how = (vr_rounding){range / 255 + all, zero};
    const vec factors = vec_all(factor);
    for (int c = 0; c < cols; c += VEC) {
        const int     n = cols - c < VEC ? cols - c : VEC, filled = (n + 3) / 4 * 4;
        const __m512i q = _mm512_add_epi32(_mm512_cvtps_epi32(vec_load_first(x + c, n) * factors), _mm512_set1_epi32(zero));
        const __m512i held = _mm512_max_epi32(_mm512_min_epi32(q, _mm512_set1_epi32(255)), _mm512_setzero_si512());
        _mm_mask_storeu_epi8(bytes + c, (__mmask16)((1u << filled) - 1), _mm512_cvtepi32_epi8(held));
    }
}

void VR_NAME(vr_gemm)(const vr_gemm *g, int from, int rows, int panel);

#define TEXT2(x) #x
#define TEXT(x)  TEXT2(x)

const vr_bytes VR_NAME(vr_bytes) = {TEXT(VR_ISA), {PANEL, TILE, SPAN_BYTES, BLOCK_BYTES, VR_NAME(vr_gemm)}, round_row};
