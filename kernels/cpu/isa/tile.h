/* The product: the one loop where the time goes.
 *
 *   out[i][n] = sum over k of left[i][k] * right[k][n]      i < rows <= TILE, n < vecs * VEC <= PANEL
 *
 * The sums stay in registers over the whole depth (measured on Zen 4: blocking the depth lost up to 11 % and never
 * gained), so each is added up in the order of k, whatever the tile's shape: a row's result does not depend on its
 * neighbours.  Rows are read from where they lie, the right side straight through its panel of 32-bit groups.
 *
 * Between vr_tile_begin(most) and vr_tile_end() products are of at most `most` rows.  Where SAME_ROWS is 1 (AMX) they are of
 * just that many: the caller goes back a few rows that it has already done. */
#ifndef VR_CPU_TILE_H
#define VR_CPU_TILE_H

#include "vec.h"

#if defined(VR_AMX)
#define SAME_ROWS 1
void VR_NAME(vr_tile_begin)(int rows);
void VR_NAME(vr_tile_end)(void);
#else
#define SAME_ROWS 0
INLINE void VR_NAME(vr_tile_begin)(int rows) { (void)rows; }
INLINE void VR_NAME(vr_tile_end)(void) {}
#endif

/* What is fetched into the cache meanwhile: `pace` bytes from `at` on for each group of the depth. */
typedef struct {
    const char *at;
    size_t      pace; /* 0: nothing, and `at` is memory that is used anyway */
} tile_ahead;

/* out [rows, vecs * VEC], of which AMX may write all PANEL columns; left [rows, depth]; right [groups, PANEL] */
void VR_NAME(vr_tile)(float *out, size_t out_stride, const element *left, size_t left_stride, const float *right, int depth,
                      int rows, int vecs, tile_ahead ahead);

/* Rows first .. first+count-1 of such a run end at `end`: the product's first row. */
INLINE int tile_start(int first, int end, int most) { return SAME_ROWS && first > end - most ? end - most : first; }

#endif
