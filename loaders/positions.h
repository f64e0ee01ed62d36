/* Position tables for other image sizes. */
#ifndef VR_POSITIONS_H
#define VR_POSITIONS_H

#include "../kernels/base.h"

/* Resample a grid of position vectors, bicubic, half-pixel centres, as the layout's own library does.
 *   out        [out_h, out_w, dim]   written
 *   in         [in_h, in_w, dim]
 *   antialias  true: timm's, torch's antialiased filter (a = -0.5, widened when the grid shrinks);
 *              false: transformers', the plain four-tap filter (a = -0.75, edges repeated) */
vr_status vr_positions_resample(float *out, int out_h, int out_w, const float *in, int in_h, int in_w, int dim, bool antialias,
                                vr_error *err);

#endif
