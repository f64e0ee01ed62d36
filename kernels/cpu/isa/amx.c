/* amx.c: the product of pairs of bf16 on the tile unit: 32 rows by 32 columns in four tiles of sums, 16 groups of the depth
 * at a time.  A tile of the right side is 16 groups of the panel as it lies, one of the left 16 rows where they lie; only
 * the end of a depth that is no multiple of 32 is copied, so that nothing behind a row is read. */
#include "tile.h"

enum { SIDE = 16, BLOCK = 2 * SIDE }; /* rows or groups of a tile; numbers of a tile's row */

/* How the unit is told the shapes of its eight tiles. */
typedef struct {
    uint8_t  palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t  rows[16];
} shapes;

/* Some compilers do not know that the unit's instructions read memory: what was written to p before is there after this. */
INLINE void settle(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

/* Tiles 0 and 1 are sums of the upper rows, 2 and 3 of the lower; 4 and 5 upper and lower left, 6 and 7 the right side. */
void VR_NAME(vr_tile_begin)(int rows)
{
    static const bool lower[8] = {[2] = true, [3] = true, [5] = true};
    if (rows == 0) return;
    shapes s = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        s.row_bytes[t] = 64;
        s.rows[t] = (uint8_t)(t >= 6 ? SIDE : lower[t] ? (rows > SIDE ? rows - SIDE : 1) : rows < SIDE ? rows : SIDE);
    }
    settle(&s);
    _tile_loadconfig(&s);
}

void VR_NAME(vr_tile_end)(void) { _tile_release(); }

/* One block of the depth; left_bytes from row to row. */
INLINE void multiply(const void *left, size_t left_bytes, const float *right, bool lower, bool wide)
{
    _tile_loadd(4, left, left_bytes);
    _tile_loadd(6, right, PANEL * sizeof *right);
    _tile_dpbf16ps(0, 4, 6);
    if (wide) {
        _tile_loadd(7, right + SIDE, PANEL * sizeof *right);
        _tile_dpbf16ps(1, 4, 7);
    }
    if (lower) {
        _tile_loadd(5, (const char *)left + SIDE * left_bytes, left_bytes);
        _tile_dpbf16ps(2, 5, 6);
        if (wide) _tile_dpbf16ps(3, 5, 7);
    }
}

/* The sums after all of the depth, in the tiles. */
INLINE void sum_up(const element *left, size_t stride, const float *right, int depth, int rows, bool lower, bool wide)
{
    const int whole = depth / BLOCK, rest = depth % BLOCK;
    for (int b = 0; b < whole; b++, left += BLOCK, right += SIDE * PANEL)
        multiply(left, stride * sizeof *left, right, lower, wide);
    if (rest == 0) return;
    _Alignas(64) element end[2 * SIDE][BLOCK] = {0};
    for (int i = 0; i < rows; i++) memcpy(end[i], left + (size_t)i * stride, (size_t)rest * sizeof *left);
    settle(end);
    multiply(end, sizeof *end, right, lower, wide);
}

/* What fetching ahead would gain here has not been measured. */
void VR_NAME(vr_tile)(const tile_product *p, int rows, int vecs)
{
    const bool   lower = rows > SIDE, wide = vecs > 1;
    float       *out = p->out;
    const size_t bytes = p->out_stride * sizeof *out;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (lower && wide)
        sum_up(p->left, p->left_stride, p->right, p->depth, rows, true, true);
    else
        sum_up(p->left, p->left_stride, p->right, p->depth, rows, lower, wide);
    _tile_stored(0, out, bytes);
    if (wide) _tile_stored(1, out + SIDE, bytes);
    if (lower) _tile_stored(2, out + SIDE * p->out_stride, bytes);
    if (lower && wide) _tile_stored(3, out + SIDE * p->out_stride + SIDE, bytes);
}
