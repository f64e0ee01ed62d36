/* The arithmetic of the fake cuBLASLt on plain f32 arrays, quick enough for models of full size. */
#ifndef VR_PRODUCT_H
#define VR_PRODUCT_H

#include <stddef.h>

namespace vr_fake
{

// out [m, n] by columns (element (i, j) at j * m + i) = sum over k of a(i, k) b(j, k).
//   a  element (i, k) at i * a_row + k * a_col; likewise b, whose rows are the columns of the product
// Each sum runs over k in one order, whatever m and n are.
void product(float *out, size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col, const float *b, size_t b_row,
             size_t b_col);

} // namespace vr_fake

#endif
