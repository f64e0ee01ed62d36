/* schedule_expand.c: from a step as written to one step a layer, with the defaults of a model's depth. */
#include "schedule_parts.h"

#include <string.h>

/* What a method does when only its name is given (design: "Merging: options and defaults"). */
enum { MAME_BLOCKS = 8 };
static const double MAME_TAU = 0.8, EVIT_KEEP = 0.7;

typedef struct {
    int depth;
    int r;         /* tome, at every block: about half the cost, as in Table 1 */
    int layers[3]; /* evit */
} depth_defaults;
static const depth_defaults defaults[] = {
    {12, 16, {3, 6, 9}},
    {24, 8, {6, 12, 18}},
    {32, 7, {9, 18, 27}},
};

static const depth_defaults *defaults_of(int depth)
{
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (defaults[i].depth == depth) return &defaults[i];
    return NULL;
}

static vr_status no_default(const vr_origin *from, const char *key, const vr_merge_model *m)
{
    return vr_origin_unfit(from, "schedule-default", key,
                           "has no default for the %d blocks of %s (there is one for 12, 24 and 32); say it", m->depth,
                           vr_quotez(m->name).text);
}

/* ---- pieces ---- */

static vr_status append(vr_schedule *s, const vr_step *step, const vr_merge_model *m, const vr_origin *from)
{
    const char *key = step->method == VR_MARE ? "layer" : "layers";
    if (step->layer >= m->depth)
        return vr_origin_unfit(from, "schedule-layer", key, "names block %d, but %s has blocks 0 to %d", step->layer,
                               vr_quotez(m->name).text, m->depth - 1);
    if (vr_schedule_at(s, step->layer, step->method == VR_MARE))
        return vr_origin_fail(from, "two-reducers", key, "names block %d, where another step already %s", step->layer,
                              step->method == VR_MARE ? "restores" : "reduces");
    s->steps[s->count++] = *step; /* no layer twice, hence no more than VR_SCHEDULE_STEPS */
    return VR_OK;
}

/* Value i of a list for `layers` layers: a single one is everybody's. */
static double value_of(const vr_numbers *list, int i) { return list->at[list->count == 1 ? 0 : i]; }

static vr_status fits_layers(const vr_numbers *list, int layers, const char *key, const vr_origin *from)
{
    if (list->count <= 1 || list->count == layers) return VR_OK;
    return vr_origin_unfit(from, "schedule-list", key, "has %d values for %d layers; it wants one, or one a layer", list->count,
                           layers);
}

static void first_blocks(vr_numbers *out, int count, int depth)
{
    for (out->count = 0; out->count < count && out->count < depth; out->count++) out->at[out->count] = out->count;
}

/* ---- methods ---- */

static vr_status expand_mame(vr_schedule *s, vr_written *w, const vr_merge_model *m, const vr_origin *from)
{
    if (!w->layers_said) first_blocks(&w->layers, MAME_BLOCKS, m->depth);
    if (w->tau.count == 0) w->tau.at[w->tau.count++] = MAME_TAU;
    if (fits_layers(&w->tau, w->layers.count, "tau", from)) return from->err->code;
    for (int i = 0; i < w->layers.count; i++) {
        vr_step step = w->say;
        step.layer = (int)w->layers.at[i];
        step.tau = value_of(&w->tau, i);
        if (step.partition != VR_PARTITION_RANDOM) step.share = 0;
        if (append(s, &step, m, from)) return from->err->code;
    }
    return VR_OK;
}

/* ToMe's (r, f): a straight line over the layers whose mean is r, truncated as its code does. */
static int inflected(double r, double f, int i, int layers)
{
    int first = (int)(r * (1 - f)), last = 2 * (int)r - first;
    return layers > 1 ? (int)(first + (double)(last - first) * i / (layers - 1)) : (int)r;
}

static vr_status expand_tome(vr_schedule *s, vr_written *w, const vr_merge_model *m, const vr_origin *from)
{
    const depth_defaults *d = defaults_of(m->depth);
    if (w->r.count == 0 && !d) return no_default(from, "r", m);
    if (w->r.count == 0) w->r.at[w->r.count++] = d->r;
    if (w->inflect_said && w->r.count > 1)
        return vr_origin_fail(from, "schedule-list", "inflect", "wants one r, not a list of %d", w->r.count);
    if (!w->layers_said && w->r.count > m->depth)
        return vr_origin_unfit(from, "schedule-list", "r", "has %d values, but %s has %d blocks", w->r.count,
                               vr_quotez(m->name).text, m->depth);
    if (!w->layers_said) first_blocks(&w->layers, w->r.count > 1 ? w->r.count : m->depth, m->depth);
    if (fits_layers(&w->r, w->layers.count, "r", from)) return from->err->code;
    for (int i = 0; i < w->layers.count; i++) {
        vr_step step = w->say;
        step.layer = (int)w->layers.at[i];
        step.r = (int)value_of(&w->r, i);
        if (w->inflect_said) step.r = inflected(w->r.at[0], w->inflect, i, w->layers.count);
        if (step.r > m->tokens - m->special)
            return vr_origin_unfit(from, "schedule-range", "r", "is %d at block %d, but %s has only %d tokens that can merge",
                                   step.r, step.layer, vr_quotez(m->name).text, m->tokens - m->special);
        if (step.r > 0 && append(s, &step, m, from)) return from->err->code;
    }
    return VR_OK;
}

static vr_status expand_evit(vr_schedule *s, vr_written *w, const vr_merge_model *m, const vr_origin *from)
{
    const depth_defaults *d = defaults_of(m->depth);
    if (!w->layers_said && !d) return no_default(from, "layers", m);
    if (!w->layers_said)
        for (int i = 0; i < 3; i++) w->layers.at[w->layers.count++] = d->layers[i];
    if (w->keep.count == 0) w->keep.at[w->keep.count++] = EVIT_KEEP;
    if (fits_layers(&w->keep, w->layers.count, "keep", from)) return from->err->code;
    for (int i = 0; i < w->layers.count; i++) {
        vr_step step = w->say;
        step.layer = (int)w->layers.at[i];
        step.keep = value_of(&w->keep, i);
        if (append(s, &step, m, from)) return from->err->code;
    }
    return VR_OK;
}

static vr_status written_counts(int *out, const vr_numbers *list, const char *key, const vr_merge_model *m,
                                const vr_origin *from)
{
    if (list->count != m->depth)
        return vr_origin_unfit(from, list->count ? "schedule-list" : "schedule-missing", key,
                               "has %d values; it wants one for each of the %d blocks of %s", list->count, m->depth,
                               vr_quotez(m->name).text);
    for (int i = 0; i < m->depth; i++) {
        if (list->at[i] > m->tokens)
            return vr_origin_unfit(from, "schedule-range", key, "leaves %g tokens at block %d, but %s has %d", list->at[i], i,
                                   vr_quotez(m->name).text, m->tokens);
        out[i] = (int)list->at[i];
    }
    return VR_OK;
}

/* A block that removes nothing gets no step: then the sort by attention has no meaning either. */
static vr_status expand_diffrate(vr_schedule *s, const char *data_dir, const vr_written *w, const vr_merge_model *m,
                                 const vr_origin *from)
{
    int prune[VR_SCHEDULE_LAYERS], merge[VR_SCHEDULE_LAYERS], left = m->tokens;
    if (w->prune.count || w->merge.count) {
        if (w->rates || w->rates_from)
            return vr_origin_fail(from, "schedule-list", "prune", "and a table by name contradict each other; say one");
        if (written_counts(prune, &w->prune, "prune", m, from) || written_counts(merge, &w->merge, "merge", m, from))
            return from->err->code;
    } else if (vr_rates_find(prune, merge, s, data_dir, w, m, from)) {
        return from->err->code;
    }
    for (int l = 0; l < m->depth; l++) {
        vr_step step = w->say;
        step.layer = l, step.prune = prune[l], step.merge = merge[l];
        int least = prune[l] < merge[l] ? prune[l] : merge[l];
        if (least >= left) continue;
        left = least;
        if (append(s, &step, m, from)) return from->err->code;
    }
    return VR_OK;
}

vr_status vr_schedule_expand(vr_schedule *s, const char *data_dir, const vr_written *w, const vr_merge_model *m,
                             const vr_origin *from)
{
    vr_written full = *w;
    vr_step    step = w->say;
    switch (w->say.method) {
    case VR_MAME:
        return expand_mame(s, &full, m, from);
    case VR_TOME:
        return expand_tome(s, &full, m, from);
    case VR_EVIT:
        return expand_evit(s, &full, m, from);
    case VR_DIFFRATE:
        return expand_diffrate(s, data_dir, w, m, from);
    default:
        step.layer = (int)w->layers.at[0];
        return append(s, &step, m, from);
    }
}
