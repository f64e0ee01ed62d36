/* merge.c: the elementwise part of MaMe, on blocks [rows, PANEL] of the tile's results: a lane is a source.  Similarities
 * are read twice and three times rather than kept as differences: they lie in L1 or L2, and nothing else is stored. */
#include "../isa.h"
#include "vec.h"

/* max(0, S - tau); 0 for a NaN, which is no match */
INLINE vec above(const float *s, vec tau) { return vec_max(vec_load(s) - tau, (vec){0}); }

/* max(0, factor q - less), and 0 up to the guard */
INLINE vec excess(vec q, vec factor, vec less, vec guard)
{
    vec e = factor * q - less;
    return vec_pick(e > guard, e, (vec){0});
}

void VR_NAME(vr_merge_sums)(vr_merge *m, const float *block, int rows, float tau)
{
    const vec one = vec_all(1), t = vec_all(tau);
    for (int c = 0; c < PANEL; c += VEC) {
        vec matches = {0}, sum = {0}, rest = {0};
        for (int i = 0; i < rows; i++) {
            vec q = above(block + i * PANEL + c, t);
            matches += vec_pick(q > 0, one, (vec){0});
            sum += q;
        }
        for (int i = 0; i < rows; i++) rest += excess(above(block + i * PANEL + c, t), matches, sum, matches * vec_all(1e-6f));
        vec_store(m->matches + c, matches);
        vec_store(m->sum + c, sum);
        vec_store(m->rest + c, rest);
    }
}

void VR_NAME(vr_merge_weights)(float *weight, size_t stride, const vr_merge *m, const float *block, int rows, int cols,
                               float tau)
{
    for (int c = 0; c < cols; c += VEC) {
        const vec factor = vec_load(m->factor + c), less = vec_load(m->less + c), guard = vec_load(m->guard + c);
        const vec total = vec_load(m->total + c), t = vec_all(tau);
        for (int i = 0; i < rows; i++)
            vec_store_first(weight + (size_t)i * stride + c, cols - c < VEC ? cols - c : VEC,
                            excess(above(block + i * PANEL + c, t), factor, less, guard) / total);
    }
}

void VR_NAME(vr_merge_scale)(float *block, const float *row_scale, const float *col_scale, int rows, int cols)
{
    for (int c = 0; c < cols; c += VEC) {
        const vec scale = vec_load_first(col_scale + c, cols - c < VEC ? cols - c : VEC);
        for (int i = 0; i < rows; i++)
            vec_store(block + i * PANEL + c, vec_load(block + i * PANEL + c) * vec_all(row_scale[i]) * scale);
    }
}

void VR_NAME(vr_merge_pack)(float *packed, const float *x, float mass, int cols)
{
    for (int c = 0; c < PANEL; c += VEC) {
        const int left = cols - c;
        vec_store(packed + c, left <= 0 ? (vec){0} : vec_load_first(x + c, left < VEC ? left : VEC) * vec_all(mass));
    }
}

void VR_NAME(vr_merge_finish)(float *y, const float *x, float mass, float total, int cols)
{
    for (int c = 0; c < cols; c += VEC) {
        const int n = cols - c < VEC ? cols - c : VEC;
        vec_store_first(y + c, n, (vec_all(mass) * vec_load_first(x + c, n) + vec_load_first(y + c, n)) / vec_all(total));
    }
}
