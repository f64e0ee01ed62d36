/* pack.c: rows of a weight, or keys of a head, turned into a panel that a tile reads straight through.
 *
 * Blocks of 4 x 4 go through registers; 8 rows x 16 columns at a time, which reads each cache line of the source
 * while it is sure to stay (8 ways, even where the rows lie a multiple of 4 KiB apart). */
#include "isa.h"

#include <math.h>
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

/* ---- pairs ---- */

enum { BLOCK = 8, GROUPS = 16 }; /* rows and groups that are turned at once */

typedef uint32_t words __attribute__((vector_size(16)));

static inline words rounded(words bits)
{
    const words nan = (words)((bits & 0x7fffffff) > 0x7f800000), even = bits + 0x7fff + (bits >> 16 & 1);
    return (nan & (bits | 0x400000)) | (~nan & even);
}

/* Groups [GROUPS] of one row with `left` numbers to go, zero beyond. */
static void round_row(float *groups, const float *row, int left)
{
    float padded[2 * GROUPS] = {0};
    if (left < 2 * GROUPS) memcpy(padded, row, (size_t)left * sizeof *row), row = padded;
    for (int g = 0; g < GROUPS; g += 4) {
        words a = rounded((words)load(row + 2 * g)), b = rounded((words)load(row + 2 * g + 4));
        words low = __builtin_shufflevector(a, b, 0, 2, 4, 6), high = __builtin_shufflevector(a, b, 1, 3, 5, 7);
        store(groups + g, (quad)(low >> 16 | (high & 0xffff0000)));
    }
}

static void copy_row(float *groups, const uint16_t *row, int left)
{
    const int count = left < 2 * GROUPS ? left : 2 * GROUPS;
    memset(groups + count / 2, 0, (size_t)(GROUPS - count / 2) * sizeof *groups);
    memcpy(groups, row, (size_t)count * sizeof *row);
}

void vr_pack_pairs(float *panel, int width, const void *rows, vr_dtype type, size_t stride, int cols, int depth)
{
    float block[BLOCK * GROUPS];
    for (int d = 0; d < depth; d += 2 * GROUPS, panel += (size_t)GROUPS * (size_t)width) {
        for (int j = 0; j < cols; j += BLOCK) {
            const int count = cols - j < BLOCK ? cols - j : BLOCK;
            for (int i = 0; i < count; i++) {
                const size_t at = (size_t)(j + i) * stride + (size_t)d;
                if (type == VR_F32)
                    round_row(block + i * GROUPS, (const float *)rows + at, depth - d);
                else
                    copy_row(block + i * GROUPS, (const uint16_t *)rows + at, depth - d);
            }
            pack_block(panel + j, (size_t)width, block, GROUPS, 0, count, 0, GROUPS);
        }
        for (int g = 0; g < GROUPS && cols < width; g++)
            memset(panel + g * width + cols, 0, (size_t)(width - cols) * sizeof *panel);
    }
}

/* ---- bytes ---- */

/* The weights of one column: how far the largest lies from 0, and a NaN in *watch unless all are finite. */
static float largest_of(const float *row, int depth, float *watch)
{
    float largest = 0;
    *watch = 0;
    for (int d = 0; d < depth; d++) {
        const float size = fabsf(row[d]);
        largest = size > largest ? size : largest;
        *watch += row[d] * 0;
    }
    return largest;
}

/* Column j of the panel, and its sum. */
static int32_t pack_column(int8_t *groups, size_t width, const float *row, int depth, float factor)
{
    const float whole = 12582912.0f; /* 1.5 * 2^23: added, a number is rounded to an integer, which lies in its low bits */
    int32_t     sum = 0;
    for (int d = 0; d < depth; d++) {
        const float   shifted = row[d] * factor + whole;
        const int32_t q = (int32_t)(shifted - whole);
        groups[(size_t)(d / 4) * 4 * width + (size_t)(d % 4)] = (int8_t)q;
        sum += q;
    }
    return sum;
}

void vr_pack_bytes(float *panel, int width, const float *rows, size_t stride, int cols, int depth)
{
    const size_t groups = vr_groups(depth, VR_I8);
    float       *scale = panel + groups * (size_t)width;
    int32_t     *total = (int32_t *)(scale + width);
    memset(panel, 0, vr_panel_words(depth, width, VR_I8) * sizeof *panel);
    for (int j = 0; j < cols; j++) {
        const float *row = rows + (size_t)j * stride;
        float        watch;
        const float  largest = largest_of(row, depth, &watch), factor = largest > 1e-30f && watch == 0 ? 127 / largest : 0;
        scale[j] = factor > 0 ? largest / 127 : watch;
        total[j] = factor > 0 ? pack_column((int8_t *)(panel + j), (size_t)width, row, depth, factor) : 0;
    }
}
