/* backend_reduce.c: the reducers' verbs.
 *
 * A kernel decides how many tokens are left.  Their offsets come back to pinned memory, and the one wait of a reduction is
 * for them; a trace comes with them.  After a fault the tokens are said to be as they were, so that the caller's matrices keep
 * shapes that can be. */
#include "backend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- reserve ---- */

static int    max_int(int a, int b) { return a > b ? a : b; }
static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

static size_t scratch_for(const vr_limits *most)
{
    size_t bytes = vr_gpu_mame_scratch(most);
    bytes = max_size(bytes, vr_gpu_tome_scratch(most));
    bytes = max_size(bytes, vr_gpu_evit_scratch(most));
    bytes = max_size(bytes, vr_gpu_diffrate_scratch(most));
    return max_size(bytes, vr_gpu_mare_scratch(most));
}

static void release(vr_reduction *r)
{
    if (r->scratch) cudaFree(r->scratch);
    if (r->trace_device) cudaFree(r->trace_device);
    if (r->trace_pinned) cudaFreeHost(r->trace_pinned);
    *r = (vr_reduction){.counted = r->counted};
}

void vr_cuda_reduction_release(vr_backend *be) { release(&((vr_cuda_impl *)be->impl)->reduction); }

size_t vr_cuda_reduction_bytes(const vr_limits *most)
{
    vr_trace nowhere;
    vr_arena count = {0};
    vr_trace_lay_out(&nowhere, &count, most, true);
    return scratch_for(most) + count.used;
}

void vr_cuda_reduction_close(vr_cuda_impl *impl)
{
    release(&impl->reduction);
    if (impl->reduction.counted) cudaEventDestroy(impl->reduction.counted);
    impl->reduction.counted = NULL;
}

static vr_status reserve(vr_backend *be, const vr_limits *most, vr_error *err)
{
    vr_reduction *r = &((vr_cuda_impl *)be->impl)->reduction;
    vr_arena      count = {0};
    vr_status     status = VR_OK;
    vr_trace_lay_out(&r->trace, &count, most, true);
    if (count.overflow)
        return vr_fail(err, VR_E_MEMORY, "", "The reduction of %d tokens does not fit this machine's address space.",
                       most->rows);
    if (!r->counted)
        status = vr_cuda_check(err, cudaEventCreateWithFlags(&r->counted, cudaEventDisableTiming), "cudaEventCreate");
    if (status == VR_OK) status = vr_cuda_alloc(be, &r->scratch, scratch_for(most), err);
    if (status == VR_OK) status = vr_cuda_alloc(be, &r->trace_device, count.used, err);
    if (status == VR_OK) status = vr_cuda_pinned(&r->trace_pinned, count.used, err);
    if (status) return status;
    vr_arena device = {.base = r->trace_device}, pinned = {.base = r->trace_pinned};
    vr_trace_lay_out(&r->trace, &device, most, true);
    vr_trace_lay_out(&r->mirror, &pinned, most, true);
    r->most = *most;
    return VR_OK;
}

vr_status vr_cuda_reserve_reduction(vr_backend *be, const vr_limits *most, vr_error *err)
{
    vr_cuda_impl   *impl = be->impl;
    const vr_limits had = impl->reduction.most;
    const vr_limits want = {max_int(had.images, most->images), max_int(had.rows, most->rows),
                            max_int(had.longest, most->longest), max_int(had.cols, most->cols)};
    vr_status       status = vr_cuda_uploads_reserve(be, want.images, err);
    if (status || (impl->reduction.scratch && memcmp(&had, &want, sizeof had) == 0)) return status;
    release(&impl->reduction); /* cudaFree waits for what still reads it */
    status = reserve(be, &want, err);
    if (status) release(&impl->reduction);
    return status;
}

/* ---- traces ---- */

/* What lies before the weights in the memory of a trace. */
static size_t small_part(const vr_reduction *r) { return (size_t)((char *)r->mirror.weight - (char *)r->trace_pinned); }

/* A caller's trace and the pinned one, array by array. */
static void copy_arrays(const vr_trace *to, const vr_trace *from, size_t images, size_t rows_in, size_t rows_out)
{
    memcpy(to->in_offsets, from->in_offsets, (images + 1) * sizeof *to->in_offsets);
    memcpy(to->out_offsets, from->out_offsets, (images + 1) * sizeof *to->out_offsets);
    memcpy(to->destinations, from->destinations, images * sizeof *to->destinations);
    memcpy(to->weights_at, from->weights_at, (images + 1) * sizeof *to->weights_at);
    memcpy(to->row, from->row, rows_in * sizeof *to->row);
    memcpy(to->column, from->column, rows_in * sizeof *to->column);
    memcpy(to->mass, from->mass, rows_in * sizeof *to->mass);
    memcpy(to->total, from->total, rows_out * sizeof *to->total);
}

/* The pinned mirror holds what the kernels wrote, but for offsets and weights. */
static void take_trace(vr_backend *be, vr_trace *trace, const vr_tokens *out, const vr_tokens *in)
{
    const vr_reduction *r = &((vr_cuda_impl *)be->impl)->reduction;
    const size_t        images = (size_t)in->images, weights = r->mirror.weights_at[images];
    memcpy(r->mirror.in_offsets, in->offsets, (images + 1) * sizeof *in->offsets);
    memcpy(r->mirror.out_offsets, out->offsets, (images + 1) * sizeof *out->offsets);
    copy_arrays(trace, &r->mirror, images, (size_t)in->x.rows, (size_t)out->x.rows);
    if (weights > vr_limits_weights(&r->most)) {
        trace->weights_at[images] = 0;
        vr_fail(&be->fault, VR_E_DEVICE, "trace", "The GPU says that a merge has %zu weights.", weights);
    } else if (weights) {
        vr_cuda_get(be, trace->weight, r->trace.weight, weights * sizeof *trace->weight, &be->fault);
    }
}

/* ---- what all reducers do before and after their launch ---- */

typedef struct {
    vr_gpu_tokens   in, out;
    const vr_trace *trace; /* on the device; NULL: nobody asks */
    vr_upload      *counts;
    vr_cuda_impl   *impl; /* NULL: a fault is held, and nothing is done */
} job;

static vr_gpu_tokens on_device(const vr_tokens *t, vr_segments s, int *offsets)
{
    return (vr_gpu_tokens){t->x, t->size, offsets, s.images, t->prefix, s.rows, s.longest};
}

/* The tokens stay as they are: what is true until the kernels have said more. */
static void leave(vr_tokens *out, const vr_tokens *in, vr_trace *trace)
{
    const size_t bytes = ((size_t)in->images + 1) * sizeof *in->offsets;
    out->images = in->images;
    out->prefix = in->prefix;
    out->x.rows = in->x.rows;
    memcpy(out->offsets, in->offsets, bytes);
    if (!trace) return;
    trace->images = in->images;
    trace->prefix = in->prefix;
    memcpy(trace->in_offsets, in->offsets, bytes);
    memcpy(trace->out_offsets, in->offsets, bytes);
    memset(trace->destinations, 0, (size_t)in->images * sizeof *trace->destinations);
    memset(trace->weights_at, 0, ((size_t)in->images + 1) * sizeof *trace->weights_at);
}

static job begin(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_trace *trace)
{
    job           j = {0};
    vr_cuda_impl *impl = be->impl;
    const size_t  bytes = ((size_t)in->images + 1) * sizeof(int);
    assert(in->images <= impl->reduction.most.images && in->x.rows <= impl->reduction.most.rows);
    assert(in->offsets[in->images] == in->x.rows && out->x.cols == in->x.cols && (out->size || !in->size));
    leave(out, in, trace);
    const vr_segments s = vr_cuda_segments(be, in->offsets, in->images);
    if (s.offsets) j.counts = vr_cuda_upload_begin(be, bytes);
    if (!j.counts) return j;
    j.impl = impl;
    j.in = on_device(in, s, (int *)s.offsets);
    j.out = on_device(out, s, (int *)(void *)j.counts->device);
    if (!in->size) j.out.size = NULL;
    impl->reduction.trace.images = in->images;
    impl->reduction.trace.prefix = in->prefix;
    if (trace) j.trace = &impl->reduction.trace;
    return j;
}

/* Counts that no reducer gives would send later kernels out of their matrices. */
static bool possible(const int *offsets, const vr_tokens *in)
{
    if (offsets[0] != 0) return false;
    for (int b = 0; b < in->images; b++) {
        const int count = offsets[b + 1] - offsets[b];
        if (count < in->prefix || count > in->offsets[b + 1] - in->offsets[b]) return false;
    }
    return true;
}

static void end(vr_backend *be, const job *j, vr_tokens *out, const vr_tokens *in, vr_trace *trace, cudaError_t e,
                const char *name)
{
    const size_t  bytes = ((size_t)in->images + 1) * sizeof(int);
    vr_reduction *r = &j->impl->reduction;
    cudaStream_t  stream = j->impl->gpu.stream;
    if (!vr_cuda_launched(be, e)) return;
    e = cudaMemcpyAsync(j->counts->pinned, j->counts->device, bytes, cudaMemcpyDeviceToHost, stream);
    if (e == cudaSuccess && trace)
        e = cudaMemcpyAsync(r->trace_pinned, r->trace_device, small_part(r), cudaMemcpyDeviceToHost, stream);
    if (e == cudaSuccess) e = cudaEventRecord(r->counted, stream);
    if (e == cudaSuccess) e = cudaEventSynchronize(r->counted);
    if (vr_cuda_check(&be->fault, e, "the wait for token counts")) return;
    const int *offsets = (const int *)(const void *)j->counts->pinned;
    if (!possible(offsets, in)) {
        vr_fail(&be->fault, VR_E_DEVICE, "counts", "The GPU's %s gave token counts that cannot be.", name);
        return;
    }
    j->counts->bytes = bytes;
    memcpy(out->offsets, offsets, bytes);
    out->x.rows = out->offsets[out->images];
    if (trace) take_trace(be, trace, out, in);
}

/* ---- the verbs ---- */

void vr_cuda_mame(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat feature, const vr_mame *how, vr_trace *trace)
{
    const job j = begin(be, out, in, trace);
    assert(feature.rows == in->x.rows && (in->size || !how->by_mass));
    if (!j.impl) return;
    end(be, &j, out, in, trace, vr_gpu_mame(&j.impl->gpu, j.out, j.in, feature, how, j.trace, j.impl->reduction.scratch),
        "mame");
    if (!j.impl->watch) return;
    vr_watch_work(j.impl->watch, "decide", vr_work_mame_weigh(in, feature, how));
    vr_watch_work(j.impl->watch, "merge", vr_work_mame_merge(out, in, how));
}

void vr_cuda_tome(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat metric, int r, vr_trace *trace)
{
    const job j = begin(be, out, in, trace);
    assert(metric.rows == in->x.rows && in->size);
    if (!j.impl) return;
    end(be, &j, out, in, trace, vr_gpu_tome(&j.impl->gpu, j.out, j.in, metric, r, j.trace, j.impl->reduction.scratch), "tome");
    if (!j.impl->watch) return;
    vr_watch_work(j.impl->watch, "nearest", vr_work_tome_match(in, metric));
    vr_watch_work(j.impl->watch, "follow", vr_work_moved(in->x, out->x));
}

void vr_cuda_evit(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_evit *how, vr_trace *trace)
{
    const job j = begin(be, out, in, trace);
    if (!j.impl) return;
    end(be, &j, out, in, trace, vr_gpu_evit(&j.impl->gpu, j.out, j.in, scores, how, j.trace, j.impl->reduction.scratch),
        "evit");
    vr_watch_work(j.impl->watch, "follow", vr_work_moved(in->x, out->x));
}

void vr_cuda_diffrate(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_diffrate *how,
                      vr_trace *trace)
{
    const job j = begin(be, out, in, trace);
    assert(in->size);
    if (!j.impl) return;
    end(be, &j, out, in, trace, vr_gpu_diffrate(&j.impl->gpu, j.out, j.in, scores, how, j.trace, j.impl->reduction.scratch),
        "diffrate");
    if (!j.impl->watch) return;
    vr_watch_work(j.impl->watch, "nearest", vr_work_diffrate_match(in, how));
    vr_watch_work(j.impl->watch, "follow", vr_work_moved(in->x, out->x));
}

static int longest_of(const int *offsets, int images)
{
    int longest = 0;
    for (int b = 0; b < images; b++) longest = max_int(longest, offsets[b + 1] - offsets[b]);
    return longest;
}

/* The trace goes back to the device, where its weights may have been once: MaRe is for dense answers, not for speed. */
void vr_cuda_mare(vr_backend *be, vr_mat x, vr_mat y, const vr_trace *trace, vr_mare mode)
{
    vr_cuda_impl *impl = vr_cuda_begin(be);
    const int     images = trace->images;
    const size_t  weights = trace->weights_at[images];
    if (!impl) return;
    vr_reduction *r = &impl->reduction;
    assert(x.cols == y.cols && images <= r->most.images && weights <= vr_limits_weights(&r->most));
    assert(x.rows == trace->in_offsets[images] && y.rows == trace->out_offsets[images]);
    if (vr_cuda_check(&be->fault, cudaEventSynchronize(r->counted), "cudaEventSynchronize")) return; /* the mirror is free */
    copy_arrays(&r->mirror, trace, (size_t)images, (size_t)x.rows, (size_t)y.rows);
    cudaError_t e = cudaMemcpyAsync(r->trace_device, r->trace_pinned, small_part(r), cudaMemcpyHostToDevice, impl->gpu.stream);
    if (e == cudaSuccess) e = cudaEventRecord(r->counted, impl->gpu.stream);
    if (vr_cuda_check(&be->fault, e, "a copy to the GPU")) return;
    if (weights && vr_cuda_put(be, r->trace.weight, trace->weight, weights * sizeof *trace->weight, &be->fault)) return;
    r->trace.images = images;
    r->trace.prefix = trace->prefix;
    e = vr_gpu_mare(&impl->gpu, x, y, &r->trace, longest_of(trace->in_offsets, images), longest_of(trace->out_offsets, images),
                    mode, r->scratch);
    vr_cuda_launched(be, e);
    vr_watch_work(impl->watch, NULL, vr_work_moved(y, x));
}
