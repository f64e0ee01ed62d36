/* schedule_settle.c: what the steps of a schedule owe one another and their model. */
#include "schedule_parts.h"

#include <stdlib.h>

static int by_layer(const void *a, const void *b)
{
    const vr_step *x = a, *y = b;
    if (x->layer != y->layer) return x->layer - y->layer;
    return (x->method == VR_MARE) - (y->method == VR_MARE);
}

/* Sizes, pooling and attention are one thing for the whole model, so its reductions must agree on them. */
static vr_status check_mixture(const vr_schedule *s, const vr_step *first, const vr_origin *from)
{
    for (int i = 0; i < s->count; i++) {
        const vr_step *t = &s->steps[i];
        if (t->method == VR_MARE) continue;
        if (t->method != first->method)
            return vr_origin_fail(from, "mixed-methods", "steps",
                                  "reduce with %s at block %d and with %s at block %d; one "
                                  "schedule uses one method",
                                  vr_method_words[first->method], first->layer, vr_method_words[t->method], t->layer);
        if (t->weights != first->weights)
            return vr_origin_fail(from, "mixed-methods", "steps", "weigh tokens by mass at some blocks and not at others");
    }
    return VR_OK;
}

static vr_status check_restorations(const vr_schedule *s, const vr_origin *from)
{
    int merges = 0;
    for (int i = 0; i < s->count; i++) {
        const vr_step *t = &s->steps[i];
        if (t->method != VR_MARE) {
            if (t->method == VR_MAME) merges++;
            continue;
        }
        if (i > 0 && s->steps[i - 1].method != VR_MARE && s->steps[i - 1].method != VR_MAME)
            return vr_origin_fail(from, "mare-method", "layer", "restores at block %d what %s removed; mare undoes only mame",
                                  t->layer, vr_method_words[s->steps[i - 1].method]);
        if (merges == 0)
            return vr_origin_fail(from, "mare-first", "layer", "restores at block %d, but nothing was merged before it",
                                  t->layer);
        merges = 0;
    }
    return VR_OK;
}

static vr_status check_special(const vr_step *first, const vr_merge_model *m, const vr_origin *from)
{
    const char *method = vr_method_words[first->method];
    if (first->method != VR_EVIT && first->method != VR_DIFFRATE) return VR_OK;
    if (m->special == 0)
        return vr_origin_unfit(from, "class-token", "method",
                               "is %s, which ranks tokens by the class token's attention; %s "
                               "has no class token",
                               method, vr_quotez(m->name).text);
    if (m->special == 1) return VR_OK;
    return vr_origin_unfit(from, "distilled", "method", "is %s, which knows one special token; %s has %d (distilled)", method,
                           vr_quotez(m->name).text, m->special);
}

/* Which methods keep sizes at all, and what "auto" means for their attention (algorithms: ToMe off where the model pools
 * a mean, DiffRate always, MaMe only when it weighs by mass). */
static vr_status settle_sizes(vr_schedule *s, bool pool_said, const vr_step *first, const vr_merge_model *m,
                              const vr_origin *from)
{
    bool sized = first->method == VR_TOME || first->method == VR_DIFFRATE || first->weights == VR_WEIGHTS_MASS;
    if (s->scope == VR_SCOPE_BATCH && first->method != VR_MAME)
        return vr_origin_fail(from, "scope", "scope", "is batch, which is a rule of mame; %s decides for each image",
                              vr_method_words[first->method]);
    if (s->prop_attn == VR_PROP_ON && !sized)
        return vr_origin_fail(from, "sizes", "prop_attn", "is on, but %s keeps no sizes%s", vr_method_words[first->method],
                              first->method == VR_MAME ? " unless its weights are mass" : "");
    if (pool_said && s->pool == VR_MERGE_POOL_MASS && first->method == VR_EVIT)
        return vr_origin_fail(from, "sizes", "pool", "is mass, but evit keeps no sizes");
    if (!pool_said) s->pool = sized ? VR_MERGE_POOL_MASS : VR_MERGE_POOL_PLAIN;
    s->proportional = sized && !(first->method == VR_TOME && m->mean_pool);
    if (s->prop_attn != VR_PROP_AUTO) s->proportional = s->prop_attn == VR_PROP_ON;
    return VR_OK;
}

vr_status vr_schedule_settle(vr_schedule *s, bool pool_said, const vr_merge_model *m, const vr_origin *from)
{
    const vr_step *first = NULL;
    qsort(s->steps, (size_t)s->count, sizeof *s->steps, by_layer);
    for (int i = s->count; i-- > 0;)
        if (s->steps[i].method != VR_MARE) first = &s->steps[i];
    if (!first) return check_restorations(s, from);
    if (check_mixture(s, first, from) || check_restorations(s, from) || check_special(first, m, from)) return from->err->code;
    return settle_sizes(s, pool_said, first, m, from);
}
