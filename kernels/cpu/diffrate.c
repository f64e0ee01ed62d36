/* diffrate.c: DiffRate.  A task sorts, prunes and matches the tokens of one image; then the rows of all are merged. */
#include <assert.h>
#include <math.h>

#include "impl.h"

typedef struct {
    vr_tokens         *out;
    const vr_tokens   *in;
    const float       *scores;
    const vr_diffrate *how;
    vr_trace          *trace;
    vr_cpu_impl       *impl;
} diffrate_job;

static int min_int(int a, int b) { return a < b ? a : b; }

/* Places K .. P-1 of the order go to the rows that they resemble most. */
static void match(const diffrate_job *j, const vr_lane *lane, int b, int P, int K)
{
    const vr_reduction *r = &j->impl->reduction;
    const int           first = j->in->offsets[b], to = j->out->offsets[b];
    vr_reduction_gather(r, j->in->x, first, first, first + P);
    vr_reduction_nearest(r, j->impl->isa, lane, first, K, P - K, 1, j->in->x.cols);
    for (int i = 0; i < P - K; i++) {
        const int u = r->order[first + K + i], v = lane->best[i];
        if (v < 0) continue;
        j->trace->row[first + u] = v;
        j->trace->total[to + v]++;
        j->out->size[to + v] += j->in->size[first + u] * lane->score[i];
    }
}

static void diffrate_task(int b, int thread, void *arg)
{
    const diffrate_job *j = arg;
    const vr_lane      *lane = &j->impl->reduction.lanes[thread];
    const int           first = j->in->offsets[b], n = j->in->offsets[b + 1] - first, to = j->out->offsets[b];
    const int           P = min_int(n, j->how->prune_kept), K = min_int(P, j->how->merge_kept);
    int                *order = j->impl->reduction.order + first;
    vr_trace_keep_all(j->trace, j->in, b);
    for (int i = 0; i < n; i++) order[i] = i;
    if (K < n) {
        vr_reduction_sort(lane->keys, j->scores + first + 1, n - 1);
        for (int i = 1; i < n; i++) order[i] = 1 + (int)(uint32_t)lane->keys[i - 1];
        for (int i = 0; i < n; i++) j->trace->row[first + order[i]] = i < K ? i : VR_GONE;
    }
    for (int i = 0; i < K; i++) {
        j->trace->total[to + i] = 1;
        j->out->size[to + i] = j->in->size[first + order[i]];
    }
    if (K < P) match(j, lane, b, P, K);
    for (int i = 0; i < K && K < P; i++) j->out->size[to + i] = fmaxf(VR_SIZE_LEAST, j->out->size[to + i]);
}

void vr_cpu_diffrate(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_diffrate *how,
                     vr_trace *trace)
{
    vr_cpu_impl *impl = be->impl;
    diffrate_job j = {out, in, scores, how, vr_reduction_begin(&impl->reduction, out, in, trace), impl};
    assert(in->prefix == 1 && in->size && how->prune_kept > 0 && how->merge_kept > 0);
    for (int b = 0; b < in->images; b++)
        vr_reduction_count(out, j.trace, in, b,
                           min_int(in->offsets[b + 1] - in->offsets[b], min_int(how->prune_kept, how->merge_kept)));
    vr_threads_run(impl->crew, diffrate_task, &j, in->images);
    vr_reduction_follow(be, out, in, j.trace);
}
