/* The product: the one loop where the time goes.
 *
 *   out[i][n] = sum over k of left[i][k] * right[k][n]      i < rows <= TILE, n < vecs * VEC <= PANEL
 *
 * Each sum is added up in the order of k, whatever the tile's shape: a row's result does not depend on its neighbours.  Rows are
 * read from where they lie, the right side straight through its panel of 32-bit groups.
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

/* A product's operands. */
typedef struct {
    float         *out;   /* [rows, vecs * VEC] */
    const element *left;  /* [rows, depth] */
    const float   *right; /* [groups, PANEL] */
    size_t         out_stride, left_stride;
    int            depth;
    bool           more; /* out holds the sums of what came before in the depth, to be gone on with; AMX takes all at once */
    /* What is fetched into the cache meanwhile: `pace` bytes for each group of the depth.  A pace of 0 fetches nothing, and `ahead`
     * is memory that is used anyway. */
    const char *ahead;
    size_t      pace;
} tile_product;

void VR_NAME(vr_tile)(const tile_product *p, int rows, int vecs);

/* Rows first .. first+count-1 of such a run end at `end`: the product's first row. */
INLINE int tile_start(int first, int end, int most) { return SAME_ROWS && first > end - most ? end - most : first; }

#endif
