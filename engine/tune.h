/* The search for a merge setting that meets a target.  It knows nothing of models: a trial says what a setting costs. */
#ifndef VR_TUNE_H
#define VR_TUNE_H

#include <stddef.h>

#include "../kernels/base.h"

/* What a setting did on some pictures. */
typedef struct {
    double gmacs;      /* of an image on average */
    double speedup;    /* against the unmerged model; 0 where nobody measured */
    double agreement;  /* share of pictures with the unmerged model's answer, 0 .. 1 */
    double divergence; /* mean KL divergence of the unmerged model's probabilities from the merged one's, nats */
} vr_trial;

/* Exactly one is not 0: cost at most, speed-up at least, agreement at least. */
typedef struct {
    double gmacs, speedup, agreement;
} vr_target;
bool vr_target_met(const vr_target *t, const vr_trial *of);

/* Try a setting: one number for vr_tune_one, one a block for vr_tune_blocks. */
typedef vr_status vr_trial_fn(void *user, const double *setting, vr_trial *out, vr_error *err);

/* The value that meets the target with the least merging (cost, speed), or with the most (agreement), by bisection.
 *   values   [count] from the least merging to the most
 *   found    one of them;  there: its trial
 * VR_E_USAGE "target" where none meets it, and what the trial fails with. */
vr_status vr_tune_one(double *found, vr_trial *there, const double *values, size_t count, const vr_target *target,
                      vr_trial_fn *attempt, void *user, vr_error *err);

/* One value a block, greedily: all begin at values[0]; in each step the block goes on to its next value that saves the most
 * GMACs for the divergence it adds.  A block's saving is measured again only when it comes out on top (it seldom grows as
 * others merge more), and then taken unless another's promises twice as much.  The last step is refined to meet a target of cost or speed closely.
 *   setting  [blocks] written;  there: its trial
 *   values   [count] from no merging at all to the most
 * Errors as above. */
vr_status vr_tune_blocks(double *setting, vr_trial *there, size_t blocks, const double *values, size_t count,
                         const vr_target *target, vr_trial_fn *attempt, void *user, vr_error *err);

/* Better a setting by blocks that meets a target of cost or speed: small steps up and down, one block at a time, kept where
 * they lower the divergence more than their cost is worth; then all are shifted back to the target.
 *   setting  [blocks] in and out; 1: that block does not merge;  there: its trial, in and out.  Never left worse */
vr_status vr_tune_polish(double *setting, vr_trial *there, size_t blocks, const vr_target *target, vr_trial_fn *attempt,
                         void *user, vr_error *err);

#endif
