/* tile.c: the product in vector registers, for f32, for bf16 weights that are widened, for pairs of bf16, and for bytes: they
 * differ in what a group is and how it is multiplied. */
#include "tile.h"

#if defined(VR_PAIRS)
#define GROUP 2 /* numbers of a group */
#define STEPS 1 /* multiplications that it takes */
INLINE vec right_of(const float *group, int step) { return (void)step, vec_load(group); }
INLINE vec left_of(const element *x, int step)
{
    uint32_t pair;
    memcpy(&pair, x, sizeof pair);
    return (void)step, (vec)_mm512_set1_epi32((int)pair);
}
INLINE vec last_left_of(const element *x) { return (vec)_mm512_set1_epi32(*x); /* the other is 0, not what lies behind */ }
INLINE vec dot(vec sum, vec a, vec b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }
#elif defined(VR_BYTES)
#define GROUP 4
#define STEPS 1
#define WHOLE vec_bits /* gcc 12 keeps sums of type __m512i in memory */
INLINE WHOLE right_of(const float *group, int step) { return (void)step, (WHOLE)vec_load(group); }
INLINE WHOLE left_of(const element *x, int step)
{
    int32_t group;
    memcpy(&group, x, sizeof group);
    return (void)step, (WHOLE)_mm512_set1_epi32(group);
}
INLINE WHOLE last_left_of(const element *x) { return left_of(x, 0); /* rows are filled up */ }
INLINE WHOLE dot(WHOLE sum, WHOLE a, WHOLE b) { return (WHOLE)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b); }
#else
#if defined(VR_WIDENED)
#define GROUP 2
#define STEPS 2
INLINE vec right_of(const float *group, int step)
{
#if defined(__AVX512BW__) /* a vector for the mask would be one too many beside the sums: gcc 12 kept some of them in memory */
    if (step) return (vec)_mm512_maskz_loadu_epi16(0xAAAAAAAA, group);
#endif
    const vec_word pair = (vec_word)vec_load(group);
    return (vec)(step ? pair & 0xffff0000 : pair << 16);
}
#else
#define GROUP 1
#define STEPS 1
INLINE vec right_of(const float *group, int step) { return (void)step, vec_load(group); }
#endif
INLINE vec left_of(const element *x, int step) { return vec_all(x[step]); }
INLINE vec last_left_of(const element *x) { return vec_all(*x); }
INLINE vec dot(vec sum, vec a, vec b)
{
    sum = vec_fma(a, b, sum);
#if defined(VR_WIDENED) && defined(__AVX2__)
    __asm__("" : "+v"(sum)); /* a register: gcc 12 would keep the sums of two steps in memory */
#endif
    return sum;
}
#endif

#if defined(WHOLE)
typedef WHOLE number;
#else
typedef vec  number;
#endif

/* Three rows share a pointer: base, base + stride and base + 2 stride are all addresses of one instruction, and 14
 * pointers would not fit the registers. */
#define POINTERS ((TILE + 2) / 3)

/* One step of a group; last: of the last group, which is not full. */
INLINE void multiply(number (*sum)[TILE_VECS], const element *const *base, size_t stride, const float *right, int rows,
                     int vecs, int step, bool last)
{
    number b[TILE_VECS];
    UNROLL for (int j = 0; j < vecs; j++) b[j] = right_of(right + j * VEC, step);
    UNROLL for (int i = 0; i < rows; i++)
    {
        const element *x = base[i / 3] + (size_t)(i % 3) * stride;
        number         a = last ? last_left_of(x) : left_of(x, step);
        UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = dot(sum[i][j], a, b[j]);
    }
}

/* A row of the panel, some steps before its turn.  A panel of f32 is larger than the first cache, from whose back the processor
 * fetches it too late by itself (Ice Lake: 3 to 5 % of the time); half as large it made no difference. */
INLINE void fetch_row(const float *row, int vecs)
{
    UNROLL for (int at = 0; at < vecs * VEC; at += 16) __builtin_prefetch(row + at);
}

#if defined(VR_HEADS)
#define FETCH 0 /* what attention reads lies in the second cache, and soon in the first */
#else
#define FETCH 1
#endif

INLINE void tile(const tile_product *p, int rows, int vecs)
{
    number         sum[TILE][TILE_VECS];
    const element *base[POINTERS];
    const float   *right = p->right;
    const char    *ahead = p->ahead;
    const size_t   stride = p->left_stride, pace = p->pace;
    UNROLL for (int i = 0; i < (rows + 2) / 3; i++) base[i] = p->left + (size_t)(3 * i) * stride;
    UNROLL for (int i = 0; i < rows; i++)
    {
        const float *before = p->out + (size_t)i * p->out_stride;
        UNROLL for (int j = 0; j < vecs; j++) sum[i][j] = p->more ? (number)vec_load(before + j * VEC) : (number){0};
    }
    for (int k = 0; k < p->depth / GROUP; k++) {
        if (FETCH) __builtin_prefetch(ahead);
        ahead += pace;
        if (FETCH && GROUP == 1) fetch_row(right + 4 * PANEL, vecs);
        UNROLL for (int step = 0; step < STEPS; step++) multiply(sum, base, stride, right, rows, vecs, step, false);
        right += PANEL;
        UNROLL for (int i = 0; i < (rows + 2) / 3; i++) base[i] += GROUP;
    }
    if (p->depth % GROUP) multiply(sum, base, stride, right, rows, vecs, 0, true);
    UNROLL for (int i = 0; i < rows; i++)
    {
        float *out = p->out + (size_t)i * p->out_stride;
        UNROLL for (int j = 0; j < vecs; j++) vec_store(out + j * VEC, (vec)sum[i][j]);
    }
}

typedef void (*tile_fn)(const tile_product *p);

#define TILE_FN(rows, vecs) \
    static void tile_##vecs##_##rows(const tile_product *p) { tile(p, rows, vecs); }
#define TILE_NAME(rows, vecs) tile_##vecs##_##rows,
#define TO_6(X, v)            X(1, v) X(2, v) X(3, v) X(4, v) X(5, v) X(6, v)
#define TO_9(X, v)            TO_6(X, v) X(7, v) X(8, v) X(9, v)
#define TO_14(X, v)           TO_9(X, v) X(10, v) X(11, v) X(12, v) X(13, v) X(14, v)
#if TILE == 14
#define EACH_ROWS TO_14
#elif TILE == 9
#define EACH_ROWS TO_9
#else
#define EACH_ROWS TO_6
#endif

EACH_ROWS(TILE_FN, 1)
EACH_ROWS(TILE_FN, 2)
#if TILE_VECS == 2
#define EACH_VECS(X) \
    {EACH_ROWS(X, 1)}, { EACH_ROWS(X, 2) }
#elif TILE_VECS == 3
EACH_ROWS(TILE_FN, 3)
#define EACH_VECS(X) \
    {EACH_ROWS(X, 1)}, {EACH_ROWS(X, 2)}, { EACH_ROWS(X, 3) }
#else
EACH_ROWS(TILE_FN, 3)
EACH_ROWS(TILE_FN, 4)
#define EACH_VECS(X) \
    {EACH_ROWS(X, 1)}, {EACH_ROWS(X, 2)}, {EACH_ROWS(X, 3)}, { EACH_ROWS(X, 4) }
#endif
static const tile_fn table[TILE_VECS][TILE] = {EACH_VECS(TILE_NAME)};

void VR_NAME(vr_tile)(const tile_product *p, int rows, int vecs) { table[vecs - 1][rows - 1](p); }
