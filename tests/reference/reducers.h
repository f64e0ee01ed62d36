/* The oracle's reducing verbs, for its table in reference.c. */
#ifndef VR_REFERENCE_REDUCERS_H
#define VR_REFERENCE_REDUCERS_H

#include "../../kernels/backend.h"

void vr_reference_mame(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat feature, const vr_mame *how,
                       vr_trace *trace);
void vr_reference_mare(vr_backend *be, vr_mat x, vr_mat y, const vr_trace *trace, vr_mare mode);
void vr_reference_tome(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat metric, int r, vr_trace *trace);
void vr_reference_evit(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_evit *how,
                       vr_trace *trace);
void vr_reference_diffrate(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_diffrate *how,
                           vr_trace *trace);

#endif
