/* cost.c: what merging really cost and saved, from the token counts that occurred. */
#include <stdlib.h>

#include "internal.h"
#include "reduce.h"

vr_status vr_cost_reserve(vitrun *v, int images, vr_error *err)
{
    const size_t depth = (size_t)v->model.config.depth;
    v->costs = 0;
    if (images <= v->cost_room) return VR_OK;
    free(v->cost);
    free(v->cost_tokens);
    v->cost = vr_alloc((size_t)images, sizeof *v->cost);
    v->cost_tokens = vr_alloc((size_t)images, depth * sizeof *v->cost_tokens);
    v->cost_room = v->cost && v->cost_tokens ? images : 0;
    return v->cost_room ? VR_OK : vr_fail(err, VR_E_MEMORY, "", "No memory to count the tokens of %d images.", images);
}

void vr_cost_of(const vr_run *run, int image_of_batch, int patches, int *tokens, vr_cost *out)
{
    const vr_model  *m = run->model;
    const vr_config *c = &m->config;
    const int        all = c->prefix + patches;
    int              before[256]; /* config.c bounds the depth */
    double           own = 0;
    for (int l = 0, n = all; l < c->depth; l++) {
        const vr_step *step = vr_schedule_at(run->schedule, l, false);
        const bool     skipped = m->few && l == c->depth - 1;
        before[l] = n;
        tokens[l] = run->tokens_after[l * run->images_max + image_of_batch];
        if (step && !skipped) own += vr_reduce_macs(step, c, n, tokens[l]);
        n = vr_schedule_at(run->schedule, l, true) && !skipped ? all : tokens[l];
    }
    *out = (vr_cost){1e-9 * vr_model_macs(m, patches, before, tokens), 1e-9 * own};
}

int vitrun_cost(const vitrun *v, int image, int *tokens, double *gmacs, double *merge_gmacs, vitrun_error *err)
{
    const size_t depth = (size_t)v->model.config.depth;
    vr_error     e = {0};
    if (image < 0 || image >= v->costs) {
        vr_fail(&e, VR_E_USAGE, "image", "There is no image %d in the last call; it had %d.", image, v->costs);
        return vr_report(err, &e);
    }
    for (size_t l = 0; tokens && l < depth; l++) tokens[l] = v->cost_tokens[(size_t)image * depth + l];
    if (gmacs) *gmacs = v->cost[image].gmacs;
    if (merge_gmacs) *merge_gmacs = v->cost[image].merge_gmacs;
    return VITRUN_OK;
}
