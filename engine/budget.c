/* budget.c: how many tokens there is room for at once: as many as are wished for, or as memory has. */
#include <stdio.h>

#include "internal.h"

/* A search for a budget. */
typedef struct {
    const vitrun *v;
    vr_run_needs  needs;
    int           least, most; /* tokens of one image; of what is wished for */
} search;

/* Images of the largest size. */
static int images_of(const search *s, int tokens) { return tokens / s->least; }

/* What a failed attempt reserved goes back, unless there is a run that needs it. */
static vr_status attempt(const search *s, vr_run *out, int tokens, vr_error *err)
{
    vr_backend *be = s->v->model.backend;
    if (vr_run_open(out, &s->v->model, be, s->needs, tokens, err) == VR_OK) return VR_OK;
    if (!s->v->run.model) be->ops->unreserve(be);
    return err->code;
}

/* The largest of most/2, most/4, ..., one image that there is room for, opened; 0: none, or another fault. */
static int halve(const search *s, vr_run *out, vr_error *err)
{
    for (int tokens = s->most; tokens > s->least;) {
        tokens = tokens / 2 > s->least ? tokens / 2 : s->least;
        *err = (vr_error){0};
        if (attempt(s, out, tokens, err) == VR_OK) return tokens;
        if (err->code != VR_E_MEMORY) return 0;
    }
    return 0;
}

/* How many images there would be room for, given that `fit` tokens do. */
static int images_that_fit(const search *s, int fit)
{
    int fits = images_of(s, fit), fails = images_of(s, s->most);
    while (fails - fits > 1) {
        const int middle = fits + (fails - fits) / 2;
        vr_error  why = {0};
        vr_run    run;
        if (attempt(s, &run, middle * s->least, &why) == VR_OK)
            fits = middle, vr_run_close(&run);
        else
            fails = middle;
    }
    return fits;
}

/* "batches of 57 images need 812.4 MB beside the weights, and 300.1 MB are free" */
typedef struct {
    char text[200];
} sentence;

static sentence say_need(const search *s, size_t free_bytes)
{
    const int    images = images_of(s, s->most);
    const double needed = 1e-6 * (double)vr_run_bytes(&s->v->model, s->needs, s->most);
    char         what[64], rest[64] = "which were refused";
    sentence     out;
    if (images > 1)
        snprintf(what, sizeof what, "batches of %d images need", images);
    else
        snprintf(what, sizeof what, "one image at a time needs");
    if (free_bytes) snprintf(rest, sizeof rest, "and %.1f MB are free", 1e-6 * (double)free_bytes);
    snprintf(out.text, sizeof out.text, "%s %.1f MB beside the weights, %s", what, needed, rest);
    return out;
}

vr_status vr_budget_fit(vitrun *v, vr_run *out, vr_run_needs needs, vr_error *err)
{
    const int    least = vr_run_longest(&v->model);
    const search s = {v, needs, least, v->token_budget > least ? v->token_budget : least};
    vr_backend  *be = v->model.backend;
    const size_t free_bytes = be->ops->free_bytes ? be->ops->free_bytes(be) : 0;
    vr_error     why = {0}, last = {0};
    if (attempt(&s, out, s.most, &why) == VR_OK) return VR_OK;
    if (why.code != VR_E_MEMORY) return vr_fail(err, why.code, why.rule, "%s", why.text);

    const sentence need = say_need(&s, free_bytes);
    const int      fit = halve(&s, out, &last);
    if (last.code && last.code != VR_E_MEMORY) return vr_fail(err, last.code, last.rule, "%s", last.text);
    if (!fit)
        return vr_fail(err, VR_E_MEMORY, "memory", "There is no memory: %s. Not even one image fits; use another device.",
                       need.text);
    if (v->budget_given) {
        vr_run_close(out);
        const int images = images_that_fit(&s, fit);
        return vr_fail(err, VR_E_MEMORY, "memory", "There is no memory: %s. Batches of %d would fit; use --max-batch %d.",
                       need.text, images, images);
    }
    v->token_budget = fit;
    snprintf(v->why_smaller, sizeof v->why_smaller, "there is not enough memory: %s; computing %d at a time", need.text,
             images_of(&s, fit));
    return VR_OK;
}

void vr_budget_tell(vitrun *v)
{
    v->about.activation_bytes = v->run.device_bytes + v->second.run.device_bytes;
    v->about.lanes = v->second.run.model ? 2 : 1;
    v->about.max_batch = v->run.tokens_max / (v->model.config.prefix + v->model.grid[0].patches);
}
