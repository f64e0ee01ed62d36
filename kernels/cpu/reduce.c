/* reduce.c: see reduce.h.  Similarities are products of the linear layer's tile: the rows that are compared are first
 * gathered, destinations in front, and a panel of sources at a time is laid out as a weight. */
#include "reduce.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../trace.h"
#include "bf16.h"
#include "impl.h"

enum { STRIP = 128 }; /* columns of a task that moves rows */

/* Products are summed in parts of so many terms: a refined weight is a difference of similarities, and a single chain of
 * 768 terms put its error at six times that of this one. */
enum { DEPTH = 64 };

static int max_int(int a, int b) { return a > b ? a : b; }
static int min_int(int a, int b) { return a < b ? a : b; }

/* ---- scratch ---- */

static void lay_out(vr_reduction *r, vr_arena *a, int threads, int panel)
{
    const size_t T = (size_t)r->most.rows, n = (size_t)r->most.longest, stride = vr_row_stride(r->most.cols);
    size_t       cells = 0, weights = 0;
    if (!vr_mul(T, stride, &cells) || !vr_mul(T, n, &weights)) a->overflow = true;
    vr_trace_lay_out(&r->trace, a, &r->most, true);
    r->order = vr_arena_take(a, T, sizeof *r->order);
    r->rows = (vr_mat){vr_arena_take(a, cells, sizeof(float)), r->most.rows, r->most.cols, stride, VR_F32};
    r->scale = vr_arena_take(a, T, sizeof *r->scale);
    r->parts = vr_arena_take(a, T, sizeof *r->parts);
    r->lanes = vr_arena_take(a, (size_t)threads, sizeof *r->lanes);
    for (int i = 0; i < threads; i++) {
        vr_lane lane = {vr_arena_take(a, (size_t)max_int(r->most.cols, r->most.longest) * (size_t)panel, sizeof(float)),
                        vr_arena_take(a, n * (size_t)panel, sizeof(float)), vr_arena_take(a, n, sizeof *lane.keys),
                        vr_arena_take(a, n, sizeof *lane.best), vr_arena_take(a, n, sizeof *lane.score)};
        if (a->base) r->lanes[i] = lane;
    }
}

vr_status vr_reduction_reserve(vr_reduction *r, const vr_limits *most, int threads, int panel, vr_error *err)
{
    const vr_limits had = r->most;
    const vr_limits want = {max_int(had.images, most->images), max_int(had.rows, most->rows),
                            max_int(had.longest, most->longest), max_int(had.cols, most->cols)};
    if (r->memory && memcmp(&had, &want, sizeof had) == 0) return VR_OK;
    vr_reduction_release(r);
    r->most = want;
    vr_arena a = {0};
    lay_out(r, &a, threads, panel);
    if (!a.overflow) r->memory = vr_alloc(a.used, 1);
    if (!r->memory) {
        *r = (vr_reduction){0};
        return vr_fail(err, VR_E_MEMORY, "", "There is no memory for reducing %d tokens, %d of one image.", want.rows,
                       want.longest);
    }
    a = (vr_arena){.base = r->memory};
    lay_out(r, &a, threads, panel);
    return VR_OK;
}

void vr_reduction_release(vr_reduction *r)
{
    free(r->memory);
    *r = (vr_reduction){0};
}

/* ---- begin and end ---- */

vr_trace *vr_reduction_begin(const vr_reduction *r, vr_tokens *out, const vr_tokens *in, vr_trace *trace)
{
    vr_trace *t = trace ? trace : (vr_trace *)&r->trace;
    assert(in->images <= r->most.images && in->x.rows <= r->most.rows && in->offsets[in->images] == in->x.rows);
    assert(out->x.cols == in->x.cols && (out->size || !in->size));
    for (int b = 0; b < in->images; b++) {
        assert(in->offsets[b + 1] - in->offsets[b] >= in->prefix);
        assert(in->offsets[b + 1] - in->offsets[b] <= r->most.longest);
        t->destinations[b] = 0; /* no weights, but for MaMe */
        t->weights_at[b + 1] = 0;
    }
    out->images = t->images = in->images;
    out->prefix = t->prefix = in->prefix;
    out->offsets[0] = out->x.rows = 0;
    t->in_offsets[0] = t->out_offsets[0] = 0;
    t->weights_at[0] = 0;
    return t;
}

void vr_trace_keep_all(vr_trace *t, const vr_tokens *in, int b)
{
    for (int i = in->offsets[b]; i < in->offsets[b + 1]; i++) {
        t->row[i] = i - in->offsets[b];
        t->column[i] = -1;
        t->mass[i] = 1;
    }
}

void vr_reduction_count(vr_tokens *out, vr_trace *t, const vr_tokens *in, int b, int count)
{
    out->x.rows = out->offsets[b + 1] = out->offsets[b] + count;
    t->in_offsets[b + 1] = in->offsets[b + 1];
    t->out_offsets[b + 1] = out->offsets[b + 1];
}

/* ---- similarity ---- */

/* Eight sums, so that the additions need not wait for each other. */
static float inverse_norm(const float *x, int cols)
{
    float sum[8] = {0}, rest = 0;
    int   c = 0;
    for (; c + 8 <= cols; c += 8)
        for (int i = 0; i < 8; i++) sum[i] += x[c + i] * x[c + i];
    for (; c < cols; c++) rest += x[c] * x[c];
    float all = ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7])) + rest;
    return all > 0 ? 1 / sqrtf(all) : 0;
}

void vr_reduction_gather(const vr_reduction *r, vr_mat feature, int first, int from, int to)
{
    assert(feature.cols <= r->most.cols);
    for (int i = from; i < to; i++) {
        float *row = r->rows.data + (size_t)i * r->rows.stride;
        vr_widen(row, vr_mat_at(feature, (size_t)(first + r->order[i]), 0, 1, 0).data, feature.type, feature.cols);
        r->scale[i] = inverse_norm(row, feature.cols);
    }
}

void vr_reduction_cosines(const vr_reduction *r, const vr_isa *isa, const vr_lane *lane, int first, int M, int source,
                          int sources, int depth, bool dot)
{
    const float *left = r->rows.data + (size_t)first * r->rows.stride, *right = left + (size_t)source * r->rows.stride;
    vr_pack_panel(lane->packed, isa->panel, right, r->rows.stride, sources, depth);
    for (int from = 0; from < depth; from += DEPTH) {
        vr_gemm gemm = {.y = lane->block,
                        .x = left + from,
                        .w = lane->packed + from * isa->panel,
                        .add = from ? lane->block : NULL,
                        .y_stride = (size_t)isa->panel,
                        .x_stride = r->rows.stride,
                        .add_stride = (size_t)isa->panel,
                        .cols = sources,
                        .depth = min_int(DEPTH, depth - from)};
        isa->f32.product.gemm(&gemm, 0, M, 0);
    }
    if (!dot) isa->merge_scale(lane->block, r->scale + first, r->scale + first + source, M, sources);
}

void vr_reduction_nearest(const vr_reduction *r, const vr_isa *isa, const vr_lane *lane, int first, int M, int N, int barred,
                          int depth)
{
    const int   first_of_all = barred < M ? barred : -1; /* what a source of NaNs goes to: it is less than no other's */
    const float least = barred < M ? -FLT_MAX : -INFINITY;
    for (int j = 0; j < N; j++) lane->best[j] = first_of_all, lane->score[j] = least;
    for (int from = 0; from < N; from += isa->panel) {
        int    sources = min_int(isa->panel, N - from), *best = lane->best + from;
        float *score = lane->score + from;
        vr_reduction_cosines(r, isa, lane, first, M, M + from, sources, depth, false);
        for (int i = barred; i < M; i++) {
            const float *row = lane->block + i * isa->panel;
            for (int j = 0; j < sources; j++)
                if (row[j] > score[j]) score[j] = row[j], best[j] = i;
        }
    }
}

/* ---- order ---- */

/* A number that grows as x falls; -0 counts as 0. */
static uint32_t falling(float x)
{
    uint32_t bits;
    x += 0.0f;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 31 ? bits : ~bits & 0x7fffffffu;
}

/* The heap keys[0 .. count-1] lacks only the place `at`. */
static void sink(uint64_t *keys, int count, int at, uint64_t key)
{
    for (int child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && keys[child + 1] > keys[child]) child++;
        if (keys[child] <= key) break;
        keys[at] = keys[child];
    }
    keys[at] = key;
}

void vr_reduction_sort_keys(uint64_t *keys, int count)
{
    for (int i = count / 2 - 1; i >= 0; i--) sink(keys, count, i, keys[i]);
    for (int i = count - 1; i > 0; i--) {
        uint64_t last = keys[i];
        keys[i] = keys[0];
        sink(keys, i, 0, last);
    }
}

void vr_reduction_sort(uint64_t *keys, const float *values, int count)
{
    for (int i = 0; i < count; i++) keys[i] = (uint64_t)falling(values[i]) << 32 | (uint32_t)i;
    vr_reduction_sort_keys(keys, count);
}

/* ---- merging whole tokens ---- */

typedef struct {
    vr_tokens       *out;
    const vr_tokens *in;
    const vr_trace  *trace;
    int             *parts; /* [T out] */
    int              strips;
} follow_job;

/* How many tokens each row is made of; 0 for one that is a token as it was. */
static void count_parts(const follow_job *j)
{
    const vr_trace *t = j->trace;
    memset(j->parts, 0, (size_t)j->out->x.rows * sizeof *j->parts);
    for (int b = 0; b < t->images; b++)
        for (int i = t->in_offsets[b]; i < t->in_offsets[b + 1]; i++)
            if (t->row[i] >= 0) j->parts[t->out_offsets[b] + t->row[i]]++;
    for (int b = 0; b < t->images; b++)
        for (int i = t->in_offsets[b]; i < t->in_offsets[b + 1]; i++) {
            const int row = t->out_offsets[b] + t->row[i];
            if (t->row[i] >= 0 && j->parts[row] == 1 && t->mass[i] == t->total[row]) j->parts[row] = 0;
        }
}

static void follow_task(int task, int thread, void *arg)
{
    const follow_job *j = arg;
    const vr_trace   *t = j->trace;
    const int         b = task / j->strips, col = task % j->strips * STRIP, cols = min_int(STRIP, j->in->x.cols - col);
    const int         first = t->out_offsets[b], end = t->out_offsets[b + 1];
    float            *out = j->out->x.data + col;
    const size_t      stride = j->out->x.stride, bytes = (size_t)cols * sizeof *out;
    (void)thread;
    for (int row = first; row < end; row++)
        if (j->parts[row]) memset(out + (size_t)row * stride, 0, bytes);
    for (int i = t->in_offsets[b]; i < t->in_offsets[b + 1]; i++) {
        if (t->row[i] < 0) continue;
        const float *x = j->in->x.data + (size_t)i * j->in->x.stride + col;
        float       *y = out + (size_t)(first + t->row[i]) * stride;
        if (j->parts[first + t->row[i]] == 0)
            memcpy(y, x, bytes);
        else
            for (int c = 0; c < cols; c++) y[c] += t->mass[i] * x[c];
    }
    for (int row = first; row < end; row++)
        for (int c = 0; c < cols && j->parts[row]; c++) out[(size_t)row * stride + (size_t)c] /= t->total[row];
}

void vr_reduction_follow(vr_backend *be, vr_tokens *out, const vr_tokens *in, const vr_trace *t)
{
    vr_cpu_impl *impl = be->impl;
    follow_job   job = {out, in, t, impl->reduction.parts, (in->x.cols + STRIP - 1) / STRIP};
    count_parts(&job);
    vr_threads_run(impl->crew, follow_task, &job, in->images * job.strips);
}
