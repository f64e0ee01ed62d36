/* pack.c: rows of a weight, or keys of a head, turned into a panel that a tile reads straight through.
 *
 * Blocks of 4 x 4 go through registers; 8 rows x 16 columns at a time, which reads each cache line of the source
 * while it is sure to stay (8 ways, even where the rows lie a multiple of 4 KiB apart). */
#include "isa.h"

#include <string.h>

typedef float quad __attribute__((vector_size(16)));

static inline quad load(const float *p)
{
    quad v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store(float *p, quad v) { memcpy(p, &v, sizeof v); }

/* panel[d * width + j] = rows[j * stride + d] for j, d < 4 */
static inline void transpose4(float *panel, size_t width, const float *rows, size_t stride)
{
    quad a = load(rows), b = load(rows + stride), c = load(rows + 2 * stride), d = load(rows + 3 * stride);
    quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    quad cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    store(panel, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
    store(panel + width, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
    store(panel + 2 * width, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
    store(panel + 3 * width, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
}

/* Columns from .. to-1 of rows j .. j+count-1, count at most 8. */
static void pack_block(float *panel, size_t width, const float *rows, size_t stride, int j, int count, int from, int to)
{
    int d = from;
    if (count == 8)
        for (; d + 4 <= to; d += 4) {
            const float *source = rows + (size_t)j * stride + d;
            float       *target = panel + (size_t)d * width + j;
            transpose4(target, width, source, stride);
            transpose4(target + 4, width, source + 4 * stride, stride);
        }
    for (; d < to; d++)
        for (int i = j; i < j + count; i++) panel[(size_t)d * width + (size_t)i] = rows[(size_t)i * stride + (size_t)d];
}

void vr_pack_panel(float *panel, int width, const float *rows, size_t stride, int cols, int depth)
{
    for (int d = 0; d < depth; d += 16) {
        int to = d + 16 < depth ? d + 16 : depth;
        for (int j = 0; j < cols; j += 8) pack_block(panel, (size_t)width, rows, stride, j, cols - j < 8 ? cols - j : 8, d, to);
    }
    if (cols < width)
        for (int d = 0; d < depth; d++)
            memset(panel + (size_t)d * (size_t)width + cols, 0, (size_t)(width - cols) * sizeof *panel);
}
