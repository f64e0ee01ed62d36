/* The tile: the one loop where the time goes.
 *
 *   out[i][n] = sum over k of left[i][k] * right[k][n]      i < rows <= TILE, n < vecs * VEC <= PANEL
 *
 * The sums stay in registers over the whole depth (measured on Zen 4: blocking the depth lost up to 11 % and never
 * gained), so each is added up in the order of k, whatever the tile's shape: a row's result does not depend on its
 * neighbours.  Rows are read as broadcasts from where they lie, the right side straight through its panel.
 *
 * The operands are 32-bit groups and the loop only moves their bits: another element type is another DOT. */
#ifndef VR_CPU_TILE_H
#define VR_CPU_TILE_H

#include "vec.h"

/* out [rows, vecs * VEC], left [rows, depth], right [depth, PANEL] */
typedef void (*vr_tile_fn)(float *out, size_t out_stride, const float *left, size_t left_stride, const float *right, int depth);

/* By vectors and rows: vr_tile[vecs - 1][rows - 1]. */
extern const vr_tile_fn VR_NAME(vr_tile)[TILE_VECS][TILE];

#endif
