/* The resampler's definition in plain loops, for tests to compare the fast one with. */
#ifndef VR_REFERENCE_RESAMPLE_H
#define VR_REFERENCE_RESAMPLE_H

#include "../../loaders/preprocess.h"

/* The whole of in [in_h, in_w, 3] resized to out [out_h, out_w, 3], which may not overlap. */
void ref_resize(uint8_t *out, int out_w, int out_h, const uint8_t *in, int in_w, int in_h, vr_filter filter);

#endif
