/* tune_polish.c: small steps, block by block, from a setting that is good already. */
#include "tune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 3 };

typedef struct {
    double      *tau; /* [blocks] of the trial that runs; 1: that block does not merge */
    size_t       blocks;
    vr_trial     now;
    double       price; /* how much ln(divergence) grows for a GMAC saved, about here */
    double       cost;  /* GMACs to stay near: less is worth nothing, for the price is not known far from here */
    vr_trial_fn *attempt;
    void        *user;
} polish;

/* Less is better.  Divergence grows by a factor, not by an amount, with what is saved: hence its logarithm. */
static double worth(const polish *p, const vr_trial *t)
{
    return log(fmax(t->divergence, 1e-6)) + p->price * fmax(t->gmacs - p->cost, 0);
}

/* All that merge, by the same amount. */
static vr_status shift(polish *p, const double *from, double by, vr_trial *out, vr_error *err)
{
    for (size_t b = 0; b < p->blocks; b++) p->tau[b] = from[b] >= 1 ? 1 : fmin(fmax(from[b] + by, 0.05), 0.999);
    return p->attempt(p->user, p->tau, out, err);
}

static vr_status find_price(polish *p, const double *start, vr_error *err)
{
    vr_trial more;
    if (shift(p, start, -0.03, &more, err)) return err->code;
    memcpy(p->tau, start, p->blocks * sizeof *start);
    const double saved = p->now.gmacs - more.gmacs;
    const double grown = log(fmax(more.divergence, 1e-6)) - log(fmax(p->now.divergence, 1e-6));
    p->price = saved > 0 && grown > 0 ? grown / saved : 1 / p->now.gmacs;
    return VR_OK;
}

/* A step up from 0.95 or more ends a block's merging, a step down from 1 begins it. */
static double stepped(double tau, double by)
{
    if (by > 0) return tau + by > 0.97 ? 1 : tau + by;
    return tau >= 1 ? 0.9 : fmax(tau + by, 0.05);
}

/* One block, one step down or else one up, kept where it is worth it. */
static vr_status try_block(polish *p, size_t b, double step, bool *moved, vr_error *err)
{
    for (int way = 0; way < 2; way++) {
        const double was = p->tau[b], next = stepped(was, way ? step : -step);
        vr_trial     there;
        if (next == was) continue;
        p->tau[b] = next;
        if (p->attempt(p->user, p->tau, &there, err)) return err->code;
        if (worth(p, &there) < worth(p, &p->now) - 0.01) {
            p->now = there;
            *moved = true;
            return VR_OK;
        }
        p->tau[b] = was;
    }
    return VR_OK;
}

/* Back to the target, which the steps have left on one side or the other, by one shift of all. */
static vr_status meet(polish *p, double *setting, const vr_target *target, vr_error *err)
{
    double   low = -0.16, high = 0.16, found = NAN; /* more merging, less */
    vr_trial best = p->now, there;
    for (int i = 0; i < 6; i++) {
        const double middle = round(1000 * (low + high) / 2) / 1000;
        if (shift(p, setting, middle, &there, err)) return err->code;
        const bool met = vr_target_met(target, &there);
        if (met) best = there, found = middle;
        *(met ? &low : &high) = middle;
    }
    if (isnan(found)) return VR_OK; /* the caller keeps what it had */
    shift(p, setting, found, &there, err);
    memcpy(setting, p->tau, p->blocks * sizeof *setting);
    p->now = best;
    return err->code;
}

vr_status vr_tune_polish(double *setting, vr_trial *there, size_t blocks, const vr_target *target, vr_trial_fn *attempt,
                         void *user, vr_error *err)
{
    double *tau = vr_alloc(blocks, 2 * sizeof *tau), *moved_to = tau ? tau + blocks : NULL;
    polish  p = {.tau = tau, .blocks = blocks, .now = *there, .cost = there->gmacs, .attempt = attempt, .user = user};
    bool    moved = true;
    if (!tau) return vr_fail(err, VR_E_MEMORY, "", "no memory for a search over %zu blocks", blocks);
    if (find_price(&p, setting, err)) goto done;
    for (int pass = 0; pass < PASSES && moved && !err->code; pass++) {
        moved = false;
        for (size_t b = 0; b < blocks && !err->code; b++) try_block(&p, b, pass < PASSES - 1 ? 0.05 : 0.025, &moved, err);
    }
    if (err->code) goto done;
    memcpy(moved_to, p.tau, blocks * sizeof *moved_to);
    if (meet(&p, moved_to, target, err)) goto done;
    if (vr_target_met(target, &p.now) && p.now.divergence < there->divergence) {
        memcpy(setting, moved_to, blocks * sizeof *setting);
        *there = p.now;
    }
done:
    free(tau);
    return err->code;
}
