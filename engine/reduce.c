/* reduce.c: from a schedule's step to the verb that carries it out.
 *
 * Tokens leave a reduction in the other of two buffers (x, sizes, offsets); `flip` says which is next.  Merges that MaRe
 * will undo, or all where somebody asks, are traced: one record a reduction. */
#include "reduce.h"

#include <math.h>
#include <string.h>

const vr_extras *vr_reduce_extras(vr_run *run, const vr_step *step, const vr_tokens *in)
{
    const bool scores = step && (step->method == VR_EVIT || step->method == VR_DIFFRATE);
    const bool mean_keys = step && (step->method == VR_TOME || (step->method == VR_MAME && step->feature == VR_FEATURE_K_MEAN));
    run->extras = (vr_extras){.size = run->schedule->proportional && in->size != run->ones ? in->size : NULL};
    if (scores) run->extras.class_scores = run->scores;
    if (mean_keys) run->extras.mean_keys = vr_mat_rows(run->mean_keys, 0, in->x.rows);
    return run->extras.size || scores || mean_keys ? &run->extras : NULL;
}

void vr_reduce_begin(vr_run *run, vr_tokens *all)
{
    run->flip = 0;
    run->traced = run->restored = 0;
    all->size = run->ones;
    for (int b = 0; b < all->images; b++) run->patches[b] = all->offsets[b + 1] - all->offsets[b] - all->prefix;
}

/* The buffers that are free now. */
static vr_tokens other(vr_run *run, const vr_tokens *in)
{
    run->flip = !run->flip;
    return (vr_tokens){.x = vr_mat_rows(run->flip ? run->other_x : run->x, 0, in->x.rows),
                       .size = in->size ? run->size[run->flip] : NULL,
                       .offsets = run->flip ? run->other_offsets : run->offsets,
                       .images = in->images,
                       .prefix = in->prefix};
}

static vr_mame mame_options(const vr_run *run, const vr_step *step)
{
    return (vr_mame){.tau = (float)step->tau,
                     .rule = step->rule == VR_RULE_ALG1 ? VR_ALG1 : VR_SIMILARITY,
                     .refine = step->refine,
                     .force = (vr_force)step->forced,
                     .dot = step->similarity == VR_SIMILARITY_DOT,
                     .by_batch = run->schedule->scope == VR_SCOPE_BATCH,
                     .by_mass = step->weights == VR_WEIGHTS_MASS,
                     .partition = (vr_partition)step->partition,
                     .share = step->share,
                     .seed = step->seed,
                     .layer = step->layer};
}

vr_tokens vr_reduce(vr_run *run, const vr_step *step, vr_tokens in, vr_mat keys)
{
    vr_backend *be = run->backend;
    vr_tokens   out = other(run, &in);
    vr_mat      mean_keys = vr_mat_rows(run->mean_keys, 0, in.x.rows);
    vr_trace   *trace = run->traced < run->needs.traces ? &run->trace[run->traced++] : NULL;
    switch (step->method) {
    case VR_MAME: {
        vr_mame how = mame_options(run, step);
        vr_mat  feature = step->feature == VR_FEATURE_X ? in.x : step->feature == VR_FEATURE_K ? keys : mean_keys;
        vr_mame_merge(be, &out, &in, feature, &how, trace);
        break;
    }
    case VR_TOME:
        vr_tome_merge(be, &out, &in, mean_keys, step->r, trace);
        break;
    case VR_EVIT:
        vr_evit_keep(be, &out, &in, run->scores, &(vr_evit){step->keep, step->fuse}, trace);
        break;
    case VR_DIFFRATE:
        vr_diffrate_merge(be, &out, &in, run->scores, &(vr_diffrate){step->prune, step->merge}, trace);
        break;
    case VR_MARE:
    case VR_METHODS:
        break; /* a restoration is no reduction; see vr_restore */
    }
    return out;
}

vr_tokens vr_restore(vr_run *run, const vr_step *step, vr_tokens in)
{
    for (int i = run->traced; i-- > run->restored;) {
        const vr_trace *t = &run->trace[i];
        vr_tokens       out = other(run, &in);
        out.x.rows = t->in_offsets[t->images];
        memcpy(out.offsets, t->in_offsets, ((size_t)t->images + 1) * sizeof *out.offsets);
        vr_mare_restore(run->backend, out.x, in.x, t, step->restore == VR_RESTORE_PAPER ? VR_MARE_PAPER : VR_MARE_COPY);
        in = out;
    }
    run->restored = run->traced;
    in.size = run->ones; /* every token is itself again */
    return in;
}

void vr_reduce_pooling(const vr_run *run, const float *size, vr_pooling *how)
{
    const vr_schedule *s = run->schedule;
    if (!size || s->count == 0) return;
    const vr_method method = s->steps[0].method;
    if (method == VR_EVIT || (method == VR_MAME && s->pool == VR_MERGE_POOL_PLAIN)) return;
    how->size = size;
    if (method == VR_TOME) how->patches = run->patches; /* its authors divide by the patches there once were */
}

double vr_reduce_macs(const vr_step *step, const vr_config *c, int n, int m)
{
    const double ordinary = n - c->prefix, d = c->dim, head = d / c->heads;
    switch (step->method) {
    case VR_MAME: { /* similarities and the weighted sum */
        const double M = ceil(ordinary / 2), N = ordinary - M;
        const double width = step->feature == VR_FEATURE_K_MEAN ? head : d;
        return M * N * (width + d);
    }
    case VR_TOME:
        return ceil(n / 2.0) * floor(n / 2.0) * head + (n - m) * d;
    case VR_EVIT:
        return step->fuse ? (n - m + 1) * d : 0;
    case VR_DIFFRATE: {
        const double kept = n < step->prune ? n : step->prune;
        return kept > m ? (kept - m) * m * d + (kept - m) * d : 0;
    }
    default:
        return 0;
    }
}
