/* resample.c: the separable resampler of Pillow 13, with the same pixels on every path.
 *
 * Output i of a pass is the sum of the inputs in a window around (i + 0.5) * in / out, weighted by a triangle (bilinear) or
 * a cubic with a = -0.5 (bicubic) that is widened when the picture shrinks.  Weights are computed in double, rounded to 22
 * fractional bits, summed in 32-bit integers, and each pass is rounded to 8 bits.  Only what the caller keeps is computed.
 *
 * SIMD has no quick 32-bit multiplication, so each weight w is split as high * 2^15 + low with 0 <= low < 2^15, and both
 * halves go through the 16-bit multiply-add, two taps at once.  Sums may wrap on the way; as the result fits in 32 bits and
 * all arithmetic is modulo 2^32, it is exact. */
#include "resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined __x86_64__
#include <immintrin.h>
#endif

enum { BITS = 22, HALF = 1 << (BITS - 1), GROUP = 4, MARGIN = 16 }; /* MARGIN: what a SIMD load may read too much */

/* ---- weights ---- */

/* Windows and weights of `outputs` neighbouring results of a pass. */
typedef struct {
    int      outputs, taps; /* taps: room for one window, a multiple of GROUP, unused ones zero */
    int     *first, *count; /* [outputs] windows */
    int32_t *weight;        /* [outputs, taps] */
    int16_t *split;         /* [outputs, taps / GROUP, 8] low halves of 4 weights, then high halves */
    int      begin, end;    /* the inputs that all windows need together */
} axis;

static double support_of(vr_filter filter) { return filter == VR_BICUBIC ? 2.0 : 1.0; }

static double filter_at(vr_filter filter, double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (filter == VR_BILINEAR) return x < 1.0 ? 1.0 - x : 0.0;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static void split_weights(int16_t *split, const int32_t *weight, int taps)
{
    for (int g = 0; g < taps; g += GROUP, split += 2 * GROUP)
        for (int k = 0; k < GROUP; k++) {
            split[k] = (int16_t)(weight[g + k] & 0x7FFF);
            split[GROUP + k] = (int16_t)(weight[g + k] >> 15); /* at most a few hundred */
        }
}

/* One window: its place, its weights in double (real [taps]), and then as integers. */
static void weigh(axis *a, int i, int output, int in, int out, vr_filter filter, double *real)
{
    const double scale = (double)in / out, widened = scale < 1.0 ? 1.0 : scale;
    const double support = support_of(filter) * widened, center = (output + 0.5) * scale, inverse = 1.0 / widened;
    int          first = (int)(center - support + 0.5), last = (int)(center + support + 0.5);
    double       sum = 0.0;
    if (first < 0) first = 0;
    if (last > in) last = in;
    const int count = last - first;
    for (int k = 0; k < count; k++) {
        real[k] = filter_at(filter, (k + first - center + 0.5) * inverse);
        sum += real[k];
    }
    int32_t *weight = a->weight + (size_t)i * (size_t)a->taps;
    for (int k = 0; k < count; k++) {
        const double w = (sum != 0.0 ? real[k] / sum : real[k]) * (1 << BITS);
        weight[k] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    a->first[i] = first, a->count[i] = count;
}

static int taps_of(int in, int out, vr_filter filter)
{
    const double scale = (double)in / out, support = support_of(filter) * (scale < 1.0 ? 1.0 : scale);
    return ((int)ceil(support) * 2 + 1 + GROUP - 1) / GROUP * GROUP;
}

/* ---- memory: laid out once to count it, once to place it ---- */

typedef struct {
    uint8_t *base; /* NULL while counting */
    size_t   used;
    bool     fits;
} arena;

static void *place(arena *m, size_t count, size_t size)
{
    size_t bytes, end;
    if (!vr_mul(count, size, &bytes) || !vr_add(bytes, 63, &bytes) || !vr_add(m->used, bytes & ~(size_t)63, &end)) {
        m->fits = false;
        return NULL;
    }
    void *at = m->base ? m->base + m->used : NULL;
    m->used = end;
    return at;
}

typedef struct {
    axis     x, y;
    double  *real;    /* [most taps] */
    uint8_t *between; /* [rows, stride] after the first pass */
    uint8_t *rows[4]; /* copies of rows too near to the end of memory for SIMD loads */
} workspace;

static void place_axis(arena *m, axis *a)
{
    const size_t n = (size_t)a->outputs, taps = (size_t)a->taps;
    a->first = place(m, n, sizeof *a->first);
    a->count = place(m, n, sizeof *a->count);
    a->weight = place(m, n * taps, sizeof *a->weight); /* both are below 2^31 */
    a->split = place(m, n * taps * 2, sizeof *a->split);
}

static void fill_axis(axis *a, int in, int out, int from, vr_filter filter, double *real)
{
    memset(a->weight, 0, (size_t)a->outputs * (size_t)a->taps * sizeof *a->weight);
    a->begin = in, a->end = 0;
    for (int i = 0; i < a->outputs; i++) {
        weigh(a, i, from + i, in, out, filter, real);
        if (a->first[i] < a->begin) a->begin = a->first[i];
        if (a->first[i] + a->count[i] > a->end) a->end = a->first[i] + a->count[i];
    }
    split_weights(a->split, a->weight, a->outputs * a->taps);
}

/* ---- the two passes, plainly ---- */

static uint8_t clip(int32_t sum)
{
    sum >>= BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* Four rows at once; out and in point at where column 0 of each is, in pixels of the axis. */
static void across_portable(uint8_t *const out[4], const uint8_t *const in[4], const axis *a)
{
    for (int r = 0; r < 4; r++)
        for (int i = 0; i < a->outputs; i++) {
            const uint8_t *p = in[r] + (size_t)a->first[i] * 3;
            const int32_t *w = a->weight + (size_t)i * (size_t)a->taps;
            int32_t        red = HALF, green = HALF, blue = HALF;
            for (int k = 0; k < a->count[i]; k++, p += 3) red += p[0] * w[k], green += p[1] * w[k], blue += p[2] * w[k];
            uint8_t *to = out[r] + 3 * i;
            to[0] = clip(red), to[1] = clip(green), to[2] = clip(blue);
        }
}

/* Bytes from .. bytes-1 of output row i; in is the first row of its window. */
static void down_portable(uint8_t *out, const uint8_t *in, size_t stride, const axis *a, int i, size_t from, size_t bytes)
{
    const int32_t *w = a->weight + (size_t)i * (size_t)a->taps;
    for (size_t x = from; x < bytes; x++) {
        int32_t sum = HALF;
        for (int k = 0; k < a->count[i]; k++) sum += in[(size_t)k * stride + x] * w[k];
        out[x] = clip(sum);
    }
}

/* ---- the same with AVX2 ---- */

#if defined __x86_64__
#define AVX2 __attribute__((target("avx2")))

/* (high << 15) + low + HALF, shifted right */
AVX2 static inline __m256i join(__m256i low, __m256i high)
{
    return _mm256_srai_epi32(_mm256_add_epi32(_mm256_add_epi32(low, _mm256_slli_epi32(high, 15)), _mm256_set1_epi32(HALF)),
                             BITS);
}

/* Lane 0 holds taps 0 and 1 of the three colours, lane 1 taps 2 and 3; the lanes are added in the end. */
AVX2 static inline void put_pixel(uint8_t *to, __m256i low, __m256i high)
{
    const __m256i sum = _mm256_add_epi32(low, _mm256_slli_epi32(high, 15));
    __m128i       v = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    v = _mm_srai_epi32(_mm_add_epi32(v, _mm_set1_epi32(HALF)), BITS);
    v = _mm_packs_epi32(v, v);
    const int rgb = _mm_cvtsi128_si32(_mm_packus_epi16(v, v));
    memcpy(to, &rgb, 3);
}

AVX2 static inline __m256i four_pixels(const uint8_t *p)
{
    const __m256i pairs = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, /* r r g g b b, 16 bits */
                                           6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p)), pairs);
}

AVX2 static void across_avx2(uint8_t *const out[4], const uint8_t *const in[4], const axis *a)
{
    const __m256i spread_low = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1),
                  spread_high = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
    for (int i = 0; i < a->outputs; i++) {
        const int16_t *split = a->split + (size_t)i * (size_t)a->taps * 2;
        size_t         at = (size_t)a->first[i] * 3;
        __m256i        low[4], high[4];
        for (int r = 0; r < 4; r++) low[r] = high[r] = _mm256_setzero_si256();
        for (int k = 0; k < a->count[i]; k += GROUP, at += 3 * GROUP, split += 2 * GROUP) {
            const __m256i w = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)split));
            const __m256i w_low = _mm256_permutevar8x32_epi32(w, spread_low);
            const __m256i w_high = _mm256_permutevar8x32_epi32(w, spread_high);
            for (int r = 0; r < 4; r++) {
                const __m256i pixels = four_pixels(in[r] + at);
                low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(pixels, w_low));
                high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(pixels, w_high));
            }
        }
        for (int r = 0; r < 4; r++) put_pixel(out[r] + 3 * i, low[r], high[r]);
    }
}

AVX2 static inline void add_pair(__m256i *low, __m256i *high, __m256i pixels, __m256i w_low, __m256i w_high)
{
    *low = _mm256_add_epi32(*low, _mm256_madd_epi16(pixels, w_low));
    *high = _mm256_add_epi32(*high, _mm256_madd_epi16(pixels, w_high));
}

/* 32 bytes of an output row. */
AVX2 static inline void down_32(uint8_t *out, const uint8_t *in, size_t stride, const int32_t *w, int count)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i       low[4] = {zero, zero, zero, zero}, high[4] = {zero, zero, zero, zero};
    for (int k = 0; k < count; k += 2) { /* weights behind the last are zero */
        const uint8_t *p = in + (size_t)k * stride, *q = k + 1 < count ? p + stride : p;
        const __m256i  a = _mm256_loadu_si256((const __m256i *)(const void *)p);
        const __m256i  b = _mm256_loadu_si256((const __m256i *)(const void *)q);
        const __m256i  left = _mm256_unpacklo_epi8(a, b), right = _mm256_unpackhi_epi8(a, b);
        const __m256i  w_low = _mm256_set1_epi32((w[k] & 0x7FFF) | (int32_t)((uint32_t)(w[k + 1] & 0x7FFF) << 16));
        const __m256i  w_high = _mm256_set1_epi32((w[k] >> 15 & 0xFFFF) | (int32_t)((uint32_t)(w[k + 1] >> 15) << 16));
        add_pair(&low[0], &high[0], _mm256_unpacklo_epi8(left, zero), w_low, w_high);
        add_pair(&low[1], &high[1], _mm256_unpackhi_epi8(left, zero), w_low, w_high);
        add_pair(&low[2], &high[2], _mm256_unpacklo_epi8(right, zero), w_low, w_high);
        add_pair(&low[3], &high[3], _mm256_unpackhi_epi8(right, zero), w_low, w_high);
    }
    const __m256i first = _mm256_packs_epi32(join(low[0], high[0]), join(low[1], high[1]));
    const __m256i second = _mm256_packs_epi32(join(low[2], high[2]), join(low[3], high[3]));
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_packus_epi16(first, second));
}

AVX2 static void down_avx2(uint8_t *out, const uint8_t *in, size_t stride, const axis *a, int i, size_t from, size_t bytes)
{
    const int32_t *w = a->weight + (size_t)i * (size_t)a->taps;
    for (; from + 32 <= bytes; from += 32) down_32(out + from, in + from, stride, w, a->count[i]);
    down_portable(out, in, stride, a, i, from, bytes);
}
#endif

typedef struct {
    void (*across)(uint8_t *const out[4], const uint8_t *const in[4], const axis *a);
    void (*down)(uint8_t *out, const uint8_t *in, size_t stride, const axis *a, int i, size_t from, size_t bytes);
} passes;

bool vr_simd_available(vr_simd simd)
{
#if defined __x86_64__
    if (simd == VR_SIMD_AVX2) return __builtin_cpu_supports("avx2");
#endif
    return simd != VR_SIMD_AVX2;
}

static passes choose(vr_simd simd)
{
    const char *forced = simd == VR_SIMD_AUTO ? getenv("VITRUN_ISA") : NULL;
    if (forced && strcmp(forced, "portable") == 0) simd = VR_SIMD_PORTABLE;
#if defined __x86_64__ /* avx512 means AVX2 here: wider vectors gain nothing next to decoding */
    if (simd != VR_SIMD_PORTABLE && vr_simd_available(VR_SIMD_AVX2)) return (passes){across_avx2, down_avx2};
#endif
    return (passes){across_portable, down_portable};
}

/* ---- a whole picture ---- */

/* The first or second pass, from one block of memory to another. */
typedef struct {
    const uint8_t *in, *in_end; /* in_end: bytes from here on may not be read */
    size_t         in_stride;
    uint8_t       *out;
    size_t         out_stride;
    int            rows; /* of the output */
} block;

/* Shrink or stretch each row. */
static void across(const block *b, const axis *a, const passes *p, uint8_t *const copies[4])
{
    const size_t row_bytes = (size_t)a->end * 3, reach = row_bytes + GROUP * 3 + MARGIN;
    for (int y = 0; y < b->rows; y += 4) {
        const uint8_t *in[4];
        uint8_t       *out[4];
        for (int r = 0; r < 4; r++) {
            const size_t at = (size_t)(y + r < b->rows ? y + r : b->rows - 1); /* the last row again where none is left */
            in[r] = b->in + at * b->in_stride;
            out[r] = b->out + at * b->out_stride;
            if ((size_t)(b->in_end - in[r]) < reach) {
                in[r] = memcpy(copies[r], in[r], row_bytes);
                memset(copies[r] + row_bytes, 0, reach - row_bytes);
            }
        }
        p->across(out, in, a);
    }
}

/* Shrink or stretch each column; `bytes` of each row. */
static void down(const block *b, const axis *a, const passes *p, size_t bytes)
{
    for (int y = 0; y < b->rows; y++)
        p->down(b->out + (size_t)y * b->out_stride, b->in + (size_t)a->first[y] * b->in_stride, b->in_stride, a, y, 0, bytes);
}

static void copy(const block *b, size_t bytes)
{
    for (int y = 0; y < b->rows; y++) memcpy(b->out + (size_t)y * b->out_stride, b->in + (size_t)y * b->in_stride, bytes);
}

/* Found by experiment, see the note in tests/loaders/test_preprocess.c. */
static bool vertical_first(const vr_resample_job *j)
{
    return j->out_h < j->in_h && j->in_h - j->out_h > 2 * ((long long)j->in_w - j->out_w);
}

/* Inputs first .. first+count-1 that outputs from .. from+outputs-1 need, before any weight is computed. */
static void reach_of(int in, int out, int from, int outputs, vr_filter filter, int *first, int *count)
{
    const double scale = (double)in / out, support = support_of(filter) * (scale < 1.0 ? 1.0 : scale);
    const int    begin = (int)((from + 0.5) * scale - support + 0.5);
    const int    end = (int)((from + outputs - 0.5) * scale + support + 0.5);
    *first = begin < 0 ? 0 : begin;
    *count = (end > in ? in : end) - *first;
}

static bool lay_out(arena *m, workspace *w, const vr_resample_job *j)
{
    const bool wide = j->out_w != j->in_w, high = j->out_h != j->in_h;
    int        first, rows = j->height, columns = j->width;
    w->x = (axis){.outputs = j->width, .taps = wide ? taps_of(j->in_w, j->out_w, j->filter) : 0};
    w->y = (axis){.outputs = j->height, .taps = high ? taps_of(j->in_h, j->out_h, j->filter) : 0};
    m->fits = true;
    if (wide) place_axis(m, &w->x);
    if (high) place_axis(m, &w->y);
    w->real = place(m, (size_t)(w->x.taps > w->y.taps ? w->x.taps : w->y.taps), sizeof *w->real);
    if (wide)
        for (int r = 0; r < 4; r++) w->rows[r] = place(m, (size_t)j->in_w + GROUP + MARGIN, 3);
    if (wide && high) {
        if (vertical_first(j))
            reach_of(j->in_w, j->out_w, j->left, j->width, j->filter, &first, &columns);
        else
            reach_of(j->in_h, j->out_h, j->top, j->height, j->filter, &first, &rows);
        size_t row;
        if (!vr_mul((size_t)columns, 3, &row)) m->fits = false;
        w->between = place(m, (size_t)rows, row);
    }
    return m->fits;
}

static vr_status grow(void **scratch, size_t *scratch_bytes, size_t wanted, vr_error *err)
{
    if (wanted <= *scratch_bytes) return VR_OK;
    free(*scratch); /* its contents are not needed, and realloc would copy them */
    *scratch = vr_alloc(wanted, 1);
    *scratch_bytes = *scratch ? wanted : 0;
    return *scratch ? VR_OK : vr_fail(err, VR_E_MEMORY, "", "no memory for %zu bytes to resize a picture", wanted);
}

static void run(const vr_resample_job *j, workspace *w, const passes *p)
{
    const bool   wide = j->out_w != j->in_w, high = j->out_h != j->in_h;
    const size_t in_stride = (size_t)j->in_w * 3, kept = (size_t)j->width * 3;
    block        b = {.in = j->in,
                      .in_end = j->in + in_stride * (size_t)j->in_h,
                      .in_stride = in_stride,
                      .out = j->out,
                      .out_stride = j->out_stride,
                      .rows = j->height};
    if (wide) fill_axis(&w->x, j->in_w, j->out_w, j->left, j->filter, w->real);
    if (high) fill_axis(&w->y, j->in_h, j->out_h, j->top, j->filter, w->real);

    if (!high) b.in += (size_t)j->top * in_stride;
    if (!wide && !high) {
        b.in += (size_t)j->left * 3;
        copy(&b, kept);
    } else if (!high) {
        across(&b, &w->x, p, w->rows);
    } else if (!wide) {
        b.in += (size_t)j->left * 3;
        down(&b, &w->y, p, kept);
    } else if (vertical_first(j)) {
        const size_t row = (size_t)(w->x.end - w->x.begin) * 3;
        block        first = b;
        first.in += (size_t)w->x.begin * 3, first.out = w->between, first.out_stride = row;
        down(&first, &w->y, p, row);
        for (int i = 0; i < w->x.outputs; i++) w->x.first[i] -= w->x.begin;
        w->x.end -= w->x.begin;
        b.in = w->between, b.in_end = w->between + row * (size_t)j->height, b.in_stride = row;
        across(&b, &w->x, p, w->rows);
    } else {
        block first = b;
        first.in += (size_t)w->y.begin * in_stride, first.rows = w->y.end - w->y.begin;
        first.out = w->between, first.out_stride = kept;
        across(&first, &w->x, p, w->rows);
        for (int i = 0; i < w->y.outputs; i++) w->y.first[i] -= w->y.begin;
        b.in = w->between, b.in_stride = kept;
        down(&b, &w->y, p, kept);
    }
}

vr_status vr_resample(const vr_resample_job *job, void **scratch, size_t *scratch_bytes, vr_error *err)
{
    const passes p = choose(job->simd);
    arena        count = {0};
    workspace    w = {0};
    if (!lay_out(&count, &w, job))
        return vr_fail(err, VR_E_MEMORY, "", "resizing to %d x %d needs more memory than can be addressed", job->out_w,
                       job->out_h);
    vr_status status = grow(scratch, scratch_bytes, count.used, err);
    if (status != VR_OK) return status;
    arena real = {.base = *scratch};
    lay_out(&real, &w, job);
    run(job, &w, &p);
    return VR_OK;
}
