/* tome.c: ToMe.  A task pairs the tokens of one image; then the pairs of all are merged. */
#include <assert.h>
#include <math.h>

#include "impl.h"

typedef struct {
    vr_tokens       *out;
    const vr_tokens *in;
    vr_mat           metric;
    vr_trace        *trace;
    vr_cpu_impl     *impl;
    int              r;
} tome_job;

/* How many of n tokens are merged away. */
static int merges(int r, int n, int prefix)
{
    const int most = (n - prefix) / 2;
    return r < 0 ? 0 : r < most ? r : most;
}

/* Odd tokens in front, as destinations, then the even ones; the second special token, which receives nothing, is the
 * first of the odd, and the class token is the first of the even. */
static void pair(const tome_job *j, const vr_lane *lane, int first, int n)
{
    const vr_reduction *r = &j->impl->reduction;
    const int           M = n / 2, N = n - M;
    for (int i = 0; i < n; i++) r->order[first + i] = i < M ? 2 * i + 1 : 2 * (i - M);
    vr_reduction_gather(r, j->metric, first, first, first + n);
    vr_reduction_nearest(r, j->impl->isa, lane, first, M, N, j->in->prefix == 2, j->metric.cols);
    if (j->in->prefix > 0) lane->best[0] = -1, lane->score[0] = -INFINITY;
    vr_reduction_sort(lane->keys, lane->score, N);
}

/* Even token number u of an image, of those on the list keys[0 .. r-1], is to go. */
static void mark(int *row, const uint64_t *keys, int r)
{
    for (int i = 0; i < r; i++) row[2 * (uint32_t)keys[i]] = VR_GONE;
}

/* The rows of those who stay. */
static void number(int *row, const uint64_t *keys, int r, int n, int prefix)
{
    int next = 0;
    if (prefix == 0)
        for (int i = r; i < n - n / 2; i++) row[2 * (uint32_t)keys[i]] = next++;
    else
        for (int u = 0; u < n; u += 2) {
            if (row[u] != VR_GONE) row[u] = next++;
            if (u == 0 && prefix == 2) row[1] = next++;
        }
    for (int v = prefix == 2 ? 3 : 1; v < n; v += 2) row[v] = next++;
}

static void tome_task(int b, int thread, void *arg)
{
    const tome_job *j = arg;
    const vr_lane  *lane = &j->impl->reduction.lanes[thread];
    const int       first = j->in->offsets[b], n = j->in->offsets[b + 1] - first, r = merges(j->r, n, j->in->prefix);
    const float    *size = j->in->size + first;
    float          *total = j->trace->total + j->out->offsets[b];
    int            *row = j->trace->row + first;
    vr_trace_keep_all(j->trace, j->in, b);
    if (r > 0) {
        pair(j, lane, first, n);
        mark(row, lane->keys, r);
        number(row, lane->keys, r, n, j->in->prefix);
        for (int i = 0; i < r; i++) {
            const uint32_t u = (uint32_t)lane->keys[i];
            row[2 * u] = row[2 * lane->best[u] + 1];
        }
    }
    for (int i = 0; i < n - r; i++) total[i] = 0;
    for (int t = 0; t < n; t++) total[row[t]] += j->trace->mass[first + t] = size[t];
    for (int i = 0; i < n - r; i++) j->out->size[j->out->offsets[b] + i] = total[i];
}

void vr_cpu_tome(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat metric, int r, vr_trace *trace)
{
    vr_cpu_impl *impl = be->impl;
    tome_job     j = {out, in, metric, vr_reduction_begin(&impl->reduction, out, in, trace), impl, r};
    assert(metric.rows == in->x.rows && in->size);
    for (int b = 0; b < in->images; b++) {
        const int n = in->offsets[b + 1] - in->offsets[b];
        vr_reduction_count(out, j.trace, in, b, n - merges(r, n, in->prefix));
    }
    vr_threads_run(impl->crew, tome_task, &j, in->images);
    vr_reduction_follow(be, out, in, j.trace);
}
