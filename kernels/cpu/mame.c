/* mame.c: MaMe in four sweeps over the batch, each cut into tasks that do not depend on the number of threads:
 *
 *   gather    features, destinations first, and their norms     a task is some rows
 *   weigh     similarities and WF of a panel of sources         a source needs no other source
 *   settle    R, sizes, who goes where                          a task is an image; token counts are known before it
 *   combine   a panel of the merged tokens' channels
 *
 * The products of weigh and combine are the linear layer's tile. */
#include <assert.h>
#include <string.h>

#include "impl.h"

enum { GATHER_ROWS = 64 };
enum { MERGED, KEPT, GONE }; /* what becomes of a source; in `parts`, which has a place for each token */

typedef struct {
    vr_tokens       *out;
    const vr_tokens *in;
    vr_mat           feature;
    const vr_mame   *how;
    vr_trace        *trace;
    vr_cpu_impl     *impl;
    int              tasks; /* of one image */
} mame_job;

static int min_int(int a, int b) { return a < b ? a : b; }
static int ceil_div(int a, int b) { return (a + b - 1) / b; }

/* One image of it. */
typedef struct {
    int          first, M, N; /* its first token in the batch; destinations, sources */
    const int   *order;       /* [M + N] tokens of the image */
    int         *fate;        /* [N] */
    float       *weight;      /* [M, N] */
    const float *size;        /* [M + N + prefix], or NULL where tokens do not count by their size */
} picture;

static picture picture_of(const mame_job *j, int b)
{
    const vr_reduction *r = &j->impl->reduction;
    const int first = j->in->offsets[b], n = j->in->offsets[b + 1] - first - j->in->prefix, M = j->trace->destinations[b];
    return (picture){first,
                     M,
                     n - M,
                     r->order + first,
                     r->parts + first + M,
                     j->trace->weight + j->trace->weights_at[b],
                     j->how->by_mass ? j->in->size + first : NULL};
}

/* ---- partition ---- */

/* M of n tokens, those with the smallest keys. */
static void partition_randomly(int *order, uint64_t *keys, const vr_mame *how, int prefix, int n, int M)
{
    int destinations = 0, sources = M;
    for (int i = 0; i < n; i++) keys[i] = vr_partition_key(how->seed, how->layer, i);
    vr_reduction_sort_keys(keys, n);
    for (int i = 0; i < n; i++)
        order[vr_partition_key(how->seed, how->layer, i) <= keys[M - 1] ? destinations++ : sources++] = prefix + i;
}

/* Destinations, then sources, each in rising order. */
static void partition(const mame_job *j, int b)
{
    const int prefix = j->in->prefix, n = j->in->offsets[b + 1] - j->in->offsets[b] - prefix;
    const int M = vr_mame_destinations(j->how, n);
    int      *order = j->impl->reduction.order + j->in->offsets[b];
    j->trace->destinations[b] = M;
    j->trace->weights_at[b + 1] = j->trace->weights_at[b] + (size_t)M * (size_t)(n - M);
    for (int i = 0; i < n; i++) order[i] = prefix + i;
    if (j->how->partition == VR_ALTERNATING)
        for (int i = 0; i < n; i++) order[i] = prefix + (i < M ? 2 * i : 2 * (i - M) + 1);
    if (j->how->partition == VR_RANDOM && n > 0)
        partition_randomly(order, j->impl->reduction.lanes[0].keys, j->how, prefix, n, M);
}

static void gather_task(int task, int thread, void *arg)
{
    const mame_job *j = arg;
    const int       b = task / j->tasks, first = j->in->offsets[b], from = first + task % j->tasks * GATHER_ROWS;
    (void)thread;
    vr_reduction_gather(&j->impl->reduction, j->feature, first, from,
                        min_int(from + GATHER_ROWS, j->in->offsets[b + 1] - j->in->prefix));
}

/* ---- weigh ---- */

/* How the weights of source c of a panel are made.  Returns what becomes of it. */
static int make(vr_merge *m, const vr_mame *how, int c)
{
    const bool matched = m->matches[c] > 0, refined = matched && how->refine && m->rest[c] > 0;
    const bool plain = matched && !refined && (!how->refine || how->rule == VR_SIMILARITY || how->force != VR_UNFORCED);
    m->factor[c] = refined ? m->matches[c] : plain;
    m->less[c] = refined ? m->sum[c] : 0;
    m->guard[c] = refined ? 1e-6f * m->matches[c] : 0;
    m->total[c] = refined ? m->rest[c] : plain ? m->sum[c] : 1;
    if (refined || plain || how->force == VR_FORCE_MERGE) return MERGED;
    return how->force == VR_FORCE_DROP ? GONE : KEPT;
}

/* Its most similar destination, the first of equals: a column of a block. */
static int most_similar(const float *similarity, int width, int M)
{
    int best = 0;
    for (int i = 1; i < M; i++)
        if (similarity[i * width] > similarity[best * width]) best = i;
    return best;
}

static void weigh_task(int task, int thread, void *arg)
{
    const mame_job     *j = arg;
    const vr_reduction *r = &j->impl->reduction;
    const vr_isa       *isa = j->impl->isa;
    const picture       p = picture_of(j, task / j->tasks);
    const int           from = task % j->tasks * isa->panel, sources = min_int(isa->panel, p.N - from);
    const float        *block = r->lanes[thread].block;
    vr_merge            m;
    if (sources <= 0) return;
    vr_reduction_cosines(r, isa, &r->lanes[thread], p.first, p.M, p.M + from, sources, j->feature.cols, j->how->dot);
    isa->merge_sums(&m, block, p.M, j->how->tau);
    for (int c = 0; c < sources; c++) p.fate[from + c] = make(&m, j->how, c);
    isa->merge_weights(p.weight + from, (size_t)p.N, &m, block, p.M, sources, j->how->tau);
    for (int c = 0; c < sources; c++)
        if (p.fate[from + c] == MERGED && m.factor[c] == 0)
            p.weight[(size_t)most_similar(block + c, isa->panel, p.M) * (size_t)p.N + (size_t)(from + c)] = 1;
}

/* ---- settle ---- */

/* The paper's batch rule: a source that one image keeps is kept in all. */
static void unite(const mame_job *j, int sources)
{
    int *kept = j->impl->reduction.lanes[0].best;
    memset(kept, 0, (size_t)sources * sizeof *kept);
    for (int b = 0; b < j->in->images; b++) {
        const picture p = picture_of(j, b);
        for (int k = 0; k < p.N; k++) kept[k] |= p.fate[k] == KEPT;
    }
    for (int b = 0; b < j->in->images; b++) {
        const picture p = picture_of(j, b);
        for (int k = 0; k < p.N; k++)
            if (kept[k]) p.fate[k] = KEPT;
    }
}

static void count_tokens(const mame_job *j, int b)
{
    const picture p = picture_of(j, b);
    int           count = j->in->prefix + p.M;
    for (int i = 0; i < p.N; i++) count += p.fate[i] == KEPT;
    vr_reduction_count(j->out, j->trace, j->in, b, count);
}

static float mass_of(const picture *p, int token) { return p->size ? p->size[token] : 1; }

static void settle_destinations(const mame_job *j, const picture *p, int b)
{
    const int    prefix = j->in->prefix;
    float       *total = j->trace->total + j->out->offsets[b] + prefix;
    const int   *src = p->order + p->M;
    const float *size = j->in->size ? j->in->size + p->first : NULL;
    for (int i = 0; i < p->M; i++) {
        const float *weight = p->weight + (size_t)i * (size_t)p->N;
        float        sum = 0, grown = 0;
        for (int k = 0; k < p->N; k++) sum += weight[k] * mass_of(p, src[k]);
        for (int k = 0; k < p->N && size; k++) grown += weight[k] * size[src[k]];
        total[i] = mass_of(p, p->order[i]) + sum;
        if (size) j->out->size[j->out->offsets[b] + prefix + i] = size[p->order[i]] + grown;
        j->trace->row[p->first + p->order[i]] = prefix + i;
    }
}

static void settle_sources(const mame_job *j, const picture *p, int b)
{
    const int *src = p->order + p->M;
    for (int k = 0, row = j->in->prefix + p->M; k < p->N; k++) {
        const int token = p->first + src[k];
        j->trace->column[token] = k;
        j->trace->row[token] = p->fate[k] == KEPT ? row : p->fate[k] == GONE ? VR_GONE : VR_SPREAD;
        if (p->fate[k] != KEPT) continue;
        j->trace->total[j->out->offsets[b] + row] = mass_of(p, src[k]);
        if (j->in->size) j->out->size[j->out->offsets[b] + row] = j->in->size[token];
        row++;
        for (int i = 0; i < p->M && j->how->by_batch; i++) p->weight[(size_t)i * (size_t)p->N + (size_t)k] = 0;
    }
}

static void settle_task(int b, int thread, void *arg)
{
    const mame_job *j = arg;
    const picture   p = picture_of(j, b);
    (void)thread;
    vr_trace_keep_all(j->trace, j->in, b);
    for (int i = 0; i < p.M + p.N + j->in->prefix; i++) j->trace->mass[p.first + i] = mass_of(&p, i);
    for (int i = 0; i < j->in->prefix; i++) {
        j->trace->total[j->out->offsets[b] + i] = mass_of(&p, i);
        if (j->in->size) j->out->size[j->out->offsets[b] + i] = j->in->size[p.first + i];
    }
    settle_sources(j, &p, b);
    settle_destinations(j, &p, b);
}

/* ---- combine ---- */

static void combine_task(int task, int thread, void *arg)
{
    const mame_job *j = arg;
    const vr_isa   *isa = j->impl->isa;
    const int       b = task / j->tasks, col = task % j->tasks * isa->panel, cols = min_int(isa->panel, j->in->x.cols - col);
    const picture   p = picture_of(j, b);
    const size_t    x_stride = j->in->x.stride, y_stride = j->out->x.stride;
    const float    *x = j->in->x.data + (size_t)p.first * x_stride + col;
    float *y = j->out->x.data + (size_t)j->out->offsets[b] * y_stride + col, *packed = j->impl->reduction.lanes[thread].packed;
    if (p.N > 0) {
        vr_gemm gemm = {.y = y + (size_t)j->in->prefix * y_stride,
                        .x = p.weight,
                        .w = packed,
                        .y_stride = y_stride,
                        .x_stride = (size_t)p.N,
                        .cols = cols,
                        .depth = p.N};
        for (int k = 0; k < p.N; k++)
            isa->merge_pack(packed + k * isa->panel, x + (size_t)p.order[p.M + k] * x_stride, mass_of(&p, p.order[p.M + k]),
                            cols);
        isa->f32.product.gemm(&gemm, 0, p.M, 0);
    }
    for (int t = 0; t < j->in->prefix + p.M + p.N; t++) {
        const int row = j->trace->row[p.first + t];
        if (row < 0) continue;
        const float mass = j->trace->mass[p.first + t], total = j->trace->total[j->out->offsets[b] + row];
        if (mass == total) /* nothing was added: it stays as it is */
            memcpy(y + (size_t)row * y_stride, x + (size_t)t * x_stride, (size_t)cols * sizeof *y);
        else
            isa->merge_finish(y + (size_t)row * y_stride, x + (size_t)t * x_stride, mass, total, cols);
    }
}

/* ---- the verb ---- */

static void run(mame_job *j, vr_task_fn task, int tasks_of_one)
{
    j->tasks = tasks_of_one;
    vr_threads_run(j->impl->crew, task, j, j->in->images * tasks_of_one);
}

void vr_cpu_mame(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat feature, const vr_mame *how, vr_trace *trace)
{
    vr_cpu_impl *impl = be->impl;
    mame_job     j = {out, in, feature, how, vr_reduction_begin(&impl->reduction, out, in, trace), impl, 0};
    int          longest = 0, sources = 0;
    assert(feature.rows == in->x.rows && impl->isa->panel <= VR_PANEL_MAX && (in->size || !how->by_mass));
    for (int b = 0; b < in->images; b++) {
        const int n = in->offsets[b + 1] - in->offsets[b] - in->prefix;
        partition(&j, b);
        if (n > longest) longest = n;
        if (n - j.trace->destinations[b] > sources) sources = n - j.trace->destinations[b];
    }
    run(&j, gather_task, ceil_div(longest, GATHER_ROWS));
    run(&j, weigh_task, ceil_div(sources, impl->isa->panel));
    if (how->by_batch) unite(&j, sources);
    for (int b = 0; b < in->images; b++) count_tokens(&j, b);
    run(&j, settle_task, 1);
    run(&j, combine_task, ceil_div(in->x.cols, impl->isa->panel));
}
