/* evit.c: EViT.  A task sorts the tokens of one image; then rows are moved, and the dropped ones summed. */
#include <assert.h>
#include <math.h>

#include "impl.h"

typedef struct {
    vr_tokens          *out;
    const vr_tokens    *in;
    const float        *scores;
    const vr_evit      *how;
    vr_trace           *trace;
    const vr_reduction *scratch;
} evit_job;

/* Of n tokens, the class token among them, so many are kept beside it. */
static int kept(const vr_evit *how, int n)
{
    const int left = (int)ceil(how->keep * (n - 1));
    return left < n - 1 ? left : n - 1;
}

static void drop(const evit_job *j, const uint64_t *keys, int b, int n, int left)
{
    const int first = j->in->offsets[b], fused = left + 1;
    for (int i = 0; i < n - 1; i++) {
        const int token = first + 1 + (int)(uint32_t)keys[i];
        j->trace->row[token] = i < left ? 1 + i : j->how->fuse ? fused : VR_GONE;
        if (i >= left && j->how->fuse) j->trace->mass[token] = j->scores[token];
    }
}

static void evit_task(int b, int thread, void *arg)
{
    const evit_job *j = arg;
    const int       first = j->in->offsets[b], n = j->in->offsets[b + 1] - first, left = kept(j->how, n);
    const int       to = j->out->offsets[b], count = j->out->offsets[b + 1] - to;
    uint64_t       *keys = j->scratch->lanes[thread].keys;
    vr_trace_keep_all(j->trace, j->in, b);
    for (int i = 0; i < count; i++) j->trace->total[to + i] = 1;
    if (left < n - 1) {
        vr_reduction_sort(keys, j->scores + first + 1, n - 1);
        drop(j, keys, b, n, left);
    }
    for (int i = 0; i < count && j->in->size; i++) j->out->size[to + i] = 0;
    for (int t = first; t < first + n && j->in->size; t++)
        if (j->trace->row[t] >= 0) j->out->size[to + j->trace->row[t]] += j->in->size[t];
}

void vr_cpu_evit(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_evit *how, vr_trace *trace)
{
    vr_cpu_impl *impl = be->impl;
    evit_job     j = {out, in, scores, how, vr_reduction_begin(&impl->reduction, out, in, trace), &impl->reduction};
    assert(in->prefix == 1);
    for (int b = 0; b < in->images; b++) {
        const int n = in->offsets[b + 1] - in->offsets[b], left = kept(how, n);
        vr_reduction_count(out, j.trace, in, b, 1 + left + (how->fuse && left < n - 1));
    }
    vr_threads_run(impl->crew, evit_task, &j, in->images);
    vr_reduction_follow(be, out, in, j.trace);
}
