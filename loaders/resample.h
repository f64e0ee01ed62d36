/* Pillow's resampler, bit for bit: two passes of weighted sums, each rounded to 8 bits. */
#ifndef VR_RESAMPLE_H
#define VR_RESAMPLE_H

#include "preprocess.h"

typedef enum { VR_SIMD_AUTO, VR_SIMD_PORTABLE, VR_SIMD_AVX2 } vr_simd; /* AUTO: the machine's best, or VITRUN_ISA's */

/* Resize in [in_h, in_w, 3] to out_h x out_w and write of the result only the part that begins at column left, row top. */
typedef struct {
    const uint8_t *in;
    int            in_w, in_h;
    int            out_w, out_h; /* of the whole result; the part lies within */
    vr_filter      filter;
    int            left, top, width, height;
    uint8_t       *out;        /* [height, width, 3], row y at out + y * out_stride */
    size_t         out_stride; /* bytes, at least 3 * width */
    vr_simd        simd;
} vr_resample_job;

/* Scratch as in vr_resize_crop.  Fails with VR_E_MEMORY. */
vr_status vr_resample(const vr_resample_job *job, void **scratch, size_t *scratch_bytes, vr_error *err);

/* Whether this machine can run it. */
bool vr_simd_available(vr_simd simd);

#endif
