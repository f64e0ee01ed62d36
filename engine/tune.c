/* tune.c: bisection for one number, greedy descent for one a block. */
#include "tune.h"

#include <math.h>
#include <stdlib.h>

bool vr_target_met(const vr_target *t, const vr_trial *of)
{
    if (t->gmacs > 0) return of->gmacs <= t->gmacs;
    if (t->speedup > 0) return of->speedup >= t->speedup;
    return of->agreement >= t->agreement;
}

static vr_status fail(const vr_target *t, const vr_trial *best, vr_error *err)
{
    if (t->gmacs > 0)
        return vr_fail(err, VR_E_USAGE, "target", "no setting that was tried costs %g GMACs or less; the least is %.4g",
                       t->gmacs, best->gmacs);
    if (t->speedup > 0)
        return vr_fail(err, VR_E_USAGE, "target", "no setting that was tried is %g times as fast; the most is %.2f", t->speedup,
                       best->speedup);
    return vr_fail(err, VR_E_USAGE, "target",
                   "no setting that was tried agrees on %g %%; the one that merges least does on %.2f %%", 100 * t->agreement,
                   100 * best->agreement);
}

vr_status vr_tune_one(double *found, vr_trial *there, const double *values, size_t count, const vr_target *target,
                      vr_trial_fn *attempt, void *user, vr_error *err)
{
    const bool least = target->agreement <= 0; /* wanted is the first that meets it, else the last */
    size_t     low = 0, high = count;          /* the boundary between meeting it or not lies at low .. high */
    vr_trial   now, seen = {0};
    bool       met = false;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (attempt(user, &values[middle], &now, err)) return err->code;
        const bool meets = vr_target_met(target, &now);
        if (meets) *found = values[middle], *there = now, met = true;
        if (meets == least)
            high = middle;
        else
            low = middle + 1;
        seen = now;
    }
    return met ? VR_OK : fail(target, &seen, err);
}

/* ---- one value a block ---- */

typedef struct {
    size_t   level;  /* values[level] is the block's now */
    double   score;  /* GMACs saved for the divergence added by going on; infinite: not tried yet */
    size_t   tried;  /* the step at which it was measured */
    vr_trial after;  /* what the whole setting did then */
    bool     closed; /* there is nowhere to go */
} block_state;

typedef struct {
    block_state  *block; /* [blocks] */
    size_t        blocks, count, step;
    const double *values;
    double       *setting; /* [blocks] of the trial that runs, and of the answer */
    vr_trial      now;
    vr_trial_fn  *attempt;
    void         *user;
} search;

static vr_status try_setting(search *s, vr_trial *out, vr_error *err) { return s->attempt(s->user, s->setting, out, err); }

/* Of the open blocks, all but one; NULL: there is none. */
static block_state *most_promising(search *s, const block_state *but)
{
    block_state *best = NULL;
    for (size_t b = 0; b < s->blocks; b++)
        if (!s->block[b].closed && &s->block[b] != but && (!best || s->block[b].score > best->score)) best = &s->block[b];
    return best;
}

/* Scores that were measured some steps ago are a little off, so one that was measured now need not beat them clearly. */
static bool good_enough(search *s, const block_state *b)
{
    const block_state *other = most_promising(s, b);
    return b->tried == s->step && isfinite(b->score) && (!other || 2 * b->score >= other->score);
}

/* Measure what going on would do; a level that saves nothing is passed over at once. */
static vr_status measure(search *s, block_state *b, vr_error *err)
{
    const double least = 1e-7; /* divergences below are noise, and may be negative */
    const size_t at = (size_t)(b - s->block);
    const double was = s->setting[at];
    s->setting[at] = s->values[b->level + 1];
    if (try_setting(s, &b->after, err)) return err->code;
    s->setting[at] = was;
    const double saved = s->now.gmacs - b->after.gmacs;
    if (saved <= 0) {
        b->closed = ++b->level + 1 == s->count;
        return VR_OK;
    }
    b->score = saved / fmax(b->after.divergence - s->now.divergence, least);
    b->tried = s->step;
    return VR_OK;
}

static void take(search *s, block_state *b)
{
    s->setting[b - s->block] = s->values[++b->level];
    s->now = b->after;
    s->step++;
    b->closed = b->level + 1 == s->count;
}

/* Between the value before the last step, which does not meet the target, and the one after it, which does. */
static vr_status refine(search *s, const block_state *last, const vr_target *target, vr_error *err)
{
    double *value = &s->setting[last - s->block], weak = s->values[last->level - 1], strong = *value;
    for (int i = 0; i < 4; i++) {
        vr_trial half;
        *value = round(500 * (weak + strong)) / 1000;
        if (try_setting(s, &half, err)) return err->code;
        if (vr_target_met(target, &half))
            strong = *value, s->now = half;
        else
            weak = *value;
    }
    *value = strong;
    return VR_OK;
}

static vr_status descend(search *s, const vr_target *target, vr_error *err)
{
    const bool   keeps = target->agreement > 0; /* go on while it is met, else until it is */
    block_state *last = NULL, *b;
    while ((keeps || !vr_target_met(target, &s->now)) && (b = most_promising(s, NULL))) {
        if (b->tried != s->step || !isfinite(b->score))
            if (measure(s, b, err)) return err->code;
        if (b->closed || !good_enough(s, b)) continue;
        if (keeps && !vr_target_met(target, &b->after))
            b->closed = true;
        else
            take(s, last = b);
    }
    if (!vr_target_met(target, &s->now)) return fail(target, &s->now, err);
    return keeps || !last ? VR_OK : refine(s, last, target, err);
}

vr_status vr_tune_blocks(double *setting, vr_trial *there, size_t blocks, const double *values, size_t count,
                         const vr_target *target, vr_trial_fn *attempt, void *user, vr_error *err)
{
    search s = {.block = vr_alloc_zeroed(blocks, sizeof *s.block),
                .blocks = blocks,
                .count = count,
                .values = values,
                .setting = setting,
                .attempt = attempt,
                .user = user};
    if (!s.block) return vr_fail(err, VR_E_MEMORY, "", "no memory for a search over %zu blocks", blocks);
    for (size_t b = 0; b < blocks; b++) {
        setting[b] = values[0];
        s.block[b] = (block_state){.score = INFINITY, .closed = count < 2};
    }
    if (try_setting(&s, &s.now, err) == VR_OK) descend(&s, target, err);
    *there = s.now;
    free(s.block);
    return err->code;
}
