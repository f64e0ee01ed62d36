/* Reading activations back, whatever type a back end keeps them in. */
#ifndef VR_FETCH_H
#define VR_FETCH_H

#include "../kernels/backend.h"

/* All of `from` as f32: row r to out[r * stride ..].  Waits for what was queued. */
vr_status vr_fetch(vr_backend *be, float *out, size_t stride, vr_mat from, vr_error *err);

#endif
