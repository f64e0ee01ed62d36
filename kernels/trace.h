/* The record of a token reduction (vr_trace of backend.h): where it lies, and what follows from it.
 *
 * These functions read a trace where it lies, so they are for traces in host memory. */
#ifndef VR_TRACE_H
#define VR_TRACE_H

#include "arena.h"
#include "backend.h"

/* Room for any reduction of such a batch; with weights only where MaMe will fill it.  Run it twice, to count and to
 * place. */
void vr_trace_lay_out(vr_trace *trace, vr_arena *arena, const vr_limits *most, bool weights);

/* Take other numbers of the same tokens through the same reduction: to = A from, A as in vr_trace.
 *   to    [tokens of image b after, any]   written
 *   from  [tokens of image b before, as many]
 * Starting with one row a token and the identity, it carries a map from patches to tokens through the layers. */
void vr_trace_follow(const vr_trace *trace, int image, vr_mat to, vr_mat from);

#endif
