/* Measure where the time of vitrun_run goes, verb by verb and, on a GPU, kernel by kernel.
 *
 * While it lasts the back end's table of verbs is replaced by one that notes what each call took and had to do.  The verbs'
 * results stay as they are.  On a GPU times are those between two events around each launch,
 * which hold some microseconds of their own. */
#ifndef VR_ENGINE_PROFILE_H
#define VR_ENGINE_PROFILE_H

#include "../kernels/profile.h"
#include "vitrun.h"

/* The caller's, from start to stop at one address; the rows may be emptied between two calls of vitrun_run (rows.rows = 0). */
typedef struct {
    vr_ops        ops; /* first: the back end's table while it is measured */
    const vr_ops *real;
    vr_profile    rows;
    double        started;
} vr_profiler;

vr_status vr_profiler_start(vr_profiler *p, vitrun *v, vr_error *err);
void      vr_profiler_stop(vr_profiler *p, vitrun *v);

/* Flops a second that all threads of a CPU reach together with FMAs in registers, measured now (0.1 s or so); 0 on a GPU. */
double vr_peak_flops(vitrun *v);

#endif
