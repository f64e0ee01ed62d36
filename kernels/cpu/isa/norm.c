/* norm.c: LayerNorm.  The mean is taken first and the squares of the differences from it second, never E[x^2] -
 * E[x]^2, which cancels.  The second pass also adds up the differences themselves: they would be 0 if the first mean
 * were exact, and their mean corrects it (Chan, Golub and LeVeque 1983, the corrected two-pass algorithm).  So rows
 * whose mean is large beside their spread keep their digits. */
#include "../isa.h"
#include "vec.h"

#include <math.h>

static float row_mean(const float *x, int cols)
{
    vec sum = {0};
    int c = 0;
    for (; c + VEC <= cols; c += VEC) sum += vec_load(x + c);
    if (c < cols) sum += vec_load_first(x + c, cols - c);
    return vec_sum(sum) / (float)cols;
}

/* With d = x - mean: the mean of d, and the variance of x. */
static void row_spread(float *shift, float *variance, const float *x, float mean, int cols)
{
    vec sum = {0}, squares = {0}, m = vec_all(mean);
    int c = 0;
    for (; c + VEC <= cols; c += VEC) {
        vec d = vec_load(x + c) - m;
        sum += d;
        squares = vec_fma(d, d, squares);
    }
    if (c < cols) {
        vec d = vec_first(vec_load_first(x + c, cols - c) - m, cols - c, (vec){0});
        sum += d;
        squares = vec_fma(d, d, squares);
    }
    *shift = vec_sum(sum) / (float)cols;
    *variance = fmaxf(vec_sum(squares) / (float)cols - *shift * *shift, 0);
}

static void norm_row(element *y, const float *x, int cols, const vr_norm *w)
{
    float mean = row_mean(x, cols), shift, variance;
    row_spread(&shift, &variance, x, mean, cols);
    vec m = vec_all(mean), s = vec_all(shift), factor = vec_all(1 / sqrtf(variance + w->eps));
    for (int c = 0; c < cols; c += VEC) {
        int n = cols - c < VEC ? cols - c : VEC;
        vec normal = (vec_load_first(x + c, n) - m - s) * factor;
        store_first(y + c, n, vec_fma(normal, vec_load_first(w->weight + c, n), vec_load_first(w->bias + c, n)));
    }
}

void VR_NAME(vr_layernorm)(vr_mat y, vr_mat x, const vr_norm *w)
{
    element *out = (element *)y.data;
    for (int r = 0; r < x.rows; r++) norm_row(out + (size_t)r * y.stride, x.data + (size_t)r * x.stride, x.cols, w);
}
