#include "product.h"
#include <algorithm>
#include <string.h>
#include <vector>

namespace vr_fake
{

enum { LANES = 16, ROWS = 8, DEPTH = 256 }; // a tile: LANES rows of the product side by side, ROWS of its columns
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

// to[j * m + i] += sum over k of a[k * LANES + i] * b[j * DEPTH + k]
static inline __attribute__((always_inline)) void tile(float *to, size_t m, const float *a, const float *b, size_t depth)
{
    lanes sum[ROWS];
    for (int j = 0; j < ROWS; j++) memcpy(&sum[j], to + (size_t)j * m, sizeof sum[j]);
    for (size_t k = 0; k < depth; k++) {
        lanes x;
        memcpy(&x, a + k * LANES, sizeof x);
        for (int j = 0; j < ROWS; j++) sum[j] += x * b[(size_t)j * DEPTH + k];
    }
    for (int j = 0; j < ROWS; j++) memcpy(to + (size_t)j * m, &sum[j], sizeof sum[j]);
}
typedef void tile_f(float *, size_t, const float *, const float *, size_t);
static void  tile_plain(float *to, size_t m, const float *a, const float *b, size_t depth) { tile(to, m, a, b, depth); }
#ifdef __x86_64__
__attribute__((target("avx2"))) static void tile_avx2(float *to, size_t m, const float *a, const float *b, size_t depth)
{
    tile(to, m, a, b, depth);
}
__attribute__((target("avx512f"))) static void tile_avx512(float *to, size_t m, const float *a, const float *b, size_t depth)
{
    tile(to, m, a, b, depth);
}
static tile_f *best()
{
    return __builtin_cpu_supports("avx512f") ? tile_avx512 : __builtin_cpu_supports("avx2") ? tile_avx2 : tile_plain;
}
#else
static tile_f *best() { return tile_plain; }
#endif

// `count` rows from `first` on, `depth` of their elements from k on; zeros up to `room` rows.  to[i * to_row + k * to_col].
static void pack(float *to, size_t to_row, size_t to_col, size_t room, const float *x, size_t row, size_t col, size_t first,
                 size_t count, size_t k, size_t depth)
{
    for (size_t i = 0; i < room; i++)
        for (size_t c = 0; c < depth; c++) to[i * to_row + c * to_col] = i < count ? x[(first + i) * row + (k + c) * col] : 0;
}

void product(float *out, size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col, const float *b, size_t b_row,
             size_t b_col)
{
    tile_f            *run = best();
    const size_t       wide = (m + LANES - 1) / LANES * LANES, tall = (n + ROWS - 1) / ROWS * ROWS;
    std::vector<float> sums(wide * tall), left(wide * DEPTH), right(ROWS * DEPTH);
    for (size_t at = 0; at < k; at += DEPTH) {
        const size_t depth = std::min((size_t)DEPTH, k - at);
        for (size_t i = 0; i < m; i += LANES)
            pack(&left[i * DEPTH], 1, LANES, LANES, a, a_row, a_col, i, std::min((size_t)LANES, m - i), at, depth);
        for (size_t j = 0; j < n; j += ROWS) {
            pack(right.data(), DEPTH, 1, ROWS, b, b_row, b_col, j, std::min((size_t)ROWS, n - j), at, depth);
            for (size_t i = 0; i < m; i += LANES) run(&sums[j * wide + i], wide, &left[i * DEPTH], right.data(), depth);
        }
    }
    for (size_t j = 0; j < n; j++) memcpy(out + j * m, &sums[j * wide], m * sizeof *out);
}

} // namespace vr_fake
