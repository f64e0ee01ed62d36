/* plan.c: where every buffer of a run lies.  lay_out() is the plan; it is run twice, to count and to place. */
#include "plan.h"

#include <stdlib.h>

#include "../kernels/arena.h"

static vr_mat take_mat(vr_arena *a, int rows, int cols)
{
    size_t stride = vr_row_stride(cols), cells = 0;
    if (!vr_mul((size_t)rows, stride, &cells)) a->overflow = true;
    return (vr_mat){vr_arena_take(a, cells, sizeof(float)), rows, cols, stride};
}

static int max3(int a, int b, int c)
{
    int m = a > b ? a : b;
    return m > c ? m : c;
}

static void lay_out(vr_run *run, vr_arena *device, vr_arena *host)
{
    const vr_config *c = &run->model->config;
    const int        C = c->dim, T = run->tokens_max, B = run->images_max, pooled = c->head == VR_HEAD_CLASS_MEAN ? 2 * C : C;
    run->x = take_mat(device, T, C);
    run->t = take_mat(device, T, C);
    run->h = take_mat(device, T, max3(3 * C, c->mlp, 3 * c->patch * c->patch));
    run->few_x = take_mat(device, B * c->prefix, C);
    run->few_t = take_mat(device, B * c->prefix, C);
    run->pooled = take_mat(device, B, pooled);
    run->normed = take_mat(device, B, pooled);
    run->logits = take_mat(device, B, run->model->outputs);

    run->offsets = vr_arena_take(host, (size_t)B + 1, sizeof *run->offsets);
    run->few_offsets = vr_arena_take(host, (size_t)B + 1, sizeof *run->few_offsets);
    run->few_index = vr_arena_take(host, (size_t)(B * c->prefix), sizeof *run->few_index);
    run->pictures = vr_arena_take(host, (size_t)B, sizeof *run->pictures);
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

vr_status vr_run_open(vr_run *run, const vr_model *model, int token_budget, vr_error *err)
{
    vr_backend *be = model->backend;
    int         fewest, most;
    tokens_of_grids(model, &fewest, &most);
    *run = (vr_run){.model = model, .backend = be, .tokens_max = token_budget > most ? token_budget : most};
    run->images_max = run->tokens_max / fewest;

    vr_arena device = {0}, host = {0};
    lay_out(run, &device, &host);
    if (device.overflow || host.overflow)
        return vr_fail(err, VR_E_MEMORY, "plan-overflow", "A budget of %d tokens does not fit this machine's address space.",
                       run->tokens_max);
    vr_status status = be->ops->alloc(be, &run->device_memory, device.used, err);
    run->device_bytes = device.used;
    if (status == VR_OK && !(run->host_memory = vr_alloc(host.used, 1)))
        status = vr_fail(err, VR_E_MEMORY, "", "No memory for a batch of %d images.", run->images_max);
    if (status == VR_OK) status = be->ops->reserve(be, most, model->config.dim / model->config.heads, err);
    if (status) {
        vr_run_close(run);
        return status;
    }
    device = (vr_arena){.base = run->device_memory};
    host = (vr_arena){.base = run->host_memory};
    lay_out(run, &device, &host);
    return VR_OK;
}

void vr_run_close(vr_run *run)
{
    if (run->backend) run->backend->ops->free(run->backend, run->device_memory);
    free(run->host_memory);
    *run = (vr_run){0};
}
