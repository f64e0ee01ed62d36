/* The forward pass. */
#ifndef VR_FORWARD_H
#define VR_FORWARD_H

#include "plan.h"

/* Queue the whole model over one micro-batch.
 *   in       [images] pictures whose tokens together are at most run->tokens_max
 * Writes the first `images` rows of run->logits.  Faults are held by the back end until finish(). */
void vr_forward(vr_run *run, const vr_picture *in, int images);

#endif
