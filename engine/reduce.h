/* Token reduction inside the forward pass: what a schedule's step asks of attention, and its verb. */
#ifndef VR_REDUCE_H
#define VR_REDUCE_H

#include "plan.h"

/* What attention of a block has to hand over, or to heed, for the reduction that follows; NULL: nothing.
 *   in     the tokens that attention sees */
const vr_extras *vr_reduce_extras(vr_run *run, const vr_step *step, const vr_tokens *in);

/* Reduce the tokens of a micro-batch.
 *   in     x [T, C] between attention's residual and norm2, its sizes and offsets
 *   keys   [T, C] of this block's attention
 * Returns the tokens that are left, in buffers of the run which the next reduction may overwrite. */
vr_tokens vr_reduce(vr_run *run, const vr_step *step, vr_tokens in, vr_mat keys);

/* Undo the merges since the last restoration, the newest first. */
vr_tokens vr_restore(vr_run *run, const vr_step *step, vr_tokens in);

/* Start a micro-batch: nothing was merged, each token stands for itself. */
void vr_reduce_begin(vr_run *run, vr_tokens *all);

/* How a mean over tokens weighs them at the end; adds to *how. */
void vr_reduce_pooling(const vr_run *run, const float *size, vr_pooling *how);

/* Multiply-adds of a step for one image that came with n tokens and left with m, in the method's own arithmetic. */
double vr_reduce_macs(const vr_step *step, const vr_config *c, int n, int m);

#endif
