/* plan.c: where every buffer of a run lies.  lay_out() is the plan; it is run twice, to count and to place. */
#include "plan.h"

#include <stdlib.h>

#include "../kernels/arena.h"

static vr_mat take_mat(vr_arena *a, int rows, int cols, vr_dtype type)
{
    size_t stride = vr_row_stride(cols), cells = 0;
    if (!vr_mul((size_t)rows, stride, &cells)) a->overflow = true;
    return (vr_mat){vr_arena_take(a, cells, vr_dtype_bits(type) / 8), rows, cols, stride, type};
}

static int max3(int a, int b, int c)
{
    int m = a > b ? a : b;
    return m > c ? m : c;
}

static vr_limits limits_of(const vr_run *run)
{
    return (vr_limits){run->images_max, run->tokens_max, run->longest, run->model->config.dim};
}

vr_run_needs vr_run_needs_of(const vr_schedule *s, bool trace)
{
    int reductions = 0, undone = 0;
    for (int i = 0; i < s->count; i++)
        if (s->steps[i].method == VR_MARE)
            undone = reductions;
        else
            reductions++;
    const int traces = trace ? reductions : undone;
    return (vr_run_needs){s->count > 0, traces > 0 && s->steps[0].method == VR_MAME, traces};
}

static void lay_out_reduction(vr_run *run, vr_arena *device, vr_arena *host)
{
    const vr_config *c = &run->model->config;
    const size_t     T = (size_t)run->tokens_max, B = (size_t)run->images_max;
    const vr_limits  most = limits_of(run);
    run->other_x = take_mat(device, run->tokens_max, c->dim, run->backend->residual);
    run->mean_keys = take_mat(device, run->tokens_max, c->dim / c->heads, VR_F32);
    run->ones = vr_arena_take(device, T, sizeof(float));
    run->scores = vr_arena_take(device, T, sizeof(float));
    for (int i = 0; i < 2; i++) run->size[i] = vr_arena_take(device, T, sizeof(float));
    run->other_offsets = vr_arena_take(host, B + 1, sizeof(int));
    run->trace = vr_arena_take(host, (size_t)run->needs.traces, sizeof *run->trace);
    vr_trace unplaced;
    for (int i = 0; i < run->needs.traces; i++)
        vr_trace_lay_out(run->trace ? &run->trace[i] : &unplaced, host, &most, run->needs.weights);
}

static int pooled_width(const vr_model *m)
{
    const bool head = m->answer == VR_LOGITS || m->answer == VR_FEATURES_HEAD;
    return head && m->config.head == VR_HEAD_CLASS_MEAN ? 2 * m->config.dim : m->config.dim;
}

static void lay_out(vr_run *run, vr_arena *device, vr_arena *host)
{
    const vr_config *c = &run->model->config;
    const vr_dtype   type = run->backend->activations, residual = run->backend->residual;
    const int        C = c->dim, T = run->tokens_max, B = run->images_max, pooled = pooled_width(run->model);
    run->x = take_mat(device, T, C, residual);
    run->t = take_mat(device, T, C, type);
    run->h = take_mat(device, T, max3(3 * C, c->mlp, 3 * c->patch * c->patch), type);
    run->few_x = take_mat(device, B * c->prefix, C, residual);
    run->few_t = take_mat(device, B * c->prefix, C, type);
    run->pooled = take_mat(device, B, pooled, c->head == VR_HEAD_MEAN && !c->norm_first ? residual : type);
    run->normed = take_mat(device, B, pooled, type);
    run->logits = take_mat(device, B, run->model->head.data ? c->classes : 1, VR_F32);

    if (run->needs.reduces) lay_out_reduction(run, device, host);

    run->tokens_after = vr_arena_take(host, (size_t)(c->depth * B), sizeof *run->tokens_after);
    run->offsets = vr_arena_take(host, (size_t)B + 1, sizeof *run->offsets);
    run->few_offsets = vr_arena_take(host, (size_t)B + 1, sizeof *run->few_offsets);
    run->patches = vr_arena_take(host, (size_t)B, sizeof *run->patches);
    run->few_index = vr_arena_take(host, (size_t)(B * c->prefix), sizeof *run->few_index);
}

static void tokens_of_grids(const vr_model *m, int *fewest, int *most)
{
    *fewest = *most = m->config.prefix + m->grid[0].patches;
    for (int i = 1; i < m->grids; i++) {
        int tokens = m->config.prefix + m->grid[i].patches;
        if (tokens < *fewest) *fewest = tokens;
        if (tokens > *most) *most = tokens;
    }
}

static vr_status reserve(vr_run *run, vr_error *err)
{
    vr_backend      *be = run->backend;
    const vr_limits  most = limits_of(run);
    const vr_config *c = &run->model->config;
    if (be->ops->reserve(be, &most, c->dim / c->heads, c->patch, err)) return err->code;
    return run->needs.reduces ? be->ops->reserve_reduction(be, &most, err) : VR_OK;
}

static vr_status fill_ones(vr_run *run, vr_error *err)
{
    size_t n = (size_t)run->tokens_max;
    float *ones = run->ones ? vr_alloc(n, sizeof *ones) : NULL;
    if (!run->ones) return VR_OK;
    if (!ones) return vr_fail(err, VR_E_MEMORY, "", "No memory for the sizes of %d tokens.", run->tokens_max);
    for (size_t i = 0; i < n; i++) ones[i] = 1;
    vr_status status = run->backend->ops->put(run->backend, run->ones, ones, n * sizeof *ones, err);
    free(ones);
    return status;
}

vr_status vr_run_open(vr_run *run, const vr_model *model, vr_run_needs needs, int token_budget, vr_error *err)
{
    vr_backend *be = model->backend;
    int         fewest, most;
    tokens_of_grids(model, &fewest, &most);
    *run = (vr_run){.model = model,
                    .backend = be,
                    .tokens_max = token_budget > most ? token_budget : most,
                    .longest = most,
                    .needs = needs};
    run->images_max = run->tokens_max / fewest;

    vr_arena device = {0}, host = {0};
    lay_out(run, &device, &host);
    vr_status status = VR_OK;
    if (device.overflow || host.overflow)
        status = vr_fail(err, VR_E_MEMORY, "plan-overflow", "A budget of %d tokens does not fit this machine's address space.",
                         run->tokens_max);
    if (status == VR_OK) status = be->ops->alloc(be, &run->device_memory, device.used, err);
    run->device_bytes = device.used;
    if (status == VR_OK && !(run->host_memory = vr_alloc(host.used, 1)))
        status = vr_fail(err, VR_E_MEMORY, "", "No memory for a batch of %d images.", run->images_max);
    if (status == VR_OK) status = reserve(run, err);
    if (status == VR_OK) {
        device = (vr_arena){.base = run->device_memory};
        host = (vr_arena){.base = run->host_memory};
        lay_out(run, &device, &host);
        status = fill_ones(run, err);
    }
    if (status) vr_run_close(run);
    return status;
}

void vr_run_close(vr_run *run)
{
    if (run->backend) run->backend->ops->free(run->backend, run->device_memory);
    free(run->host_memory);
    *run = (vr_run){0};
}
