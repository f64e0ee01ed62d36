/* Who watches launches (vitrun bench --kernels).  VR_LAUNCH of device.h and the product of linear.c call the first two around
 * each launch; where nobody watches in this thread they do nothing. */
#ifndef VR_CUDA_WATCH_H
#define VR_CUDA_WATCH_H

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "../profile.h"

typedef struct vr_watch vr_watch;

void vr_watch_from(const char *kernel, cudaStream_t stream);
void vr_watch_to(cudaStream_t stream);

/* A watch that fills *profile, and NULL where there is no memory; its end.  NULL is allowed. */
vr_watch *vr_watch_open(vr_profile *profile);
void      vr_watch_close(vr_watch *w);

/* What this thread launches from now on is seen by w; NULL: by nobody. */
void vr_watch_use(vr_watch *w);

/* What the kernel did of which the verb under way launched one; NULL: the first one that it launched. */
void vr_watch_work(vr_watch *w, const char *kernel, vr_work work);

/* After the stream has come to its end: times are taken over into the profile.  The first fault of a watch. */
cudaError_t vr_watch_collect(vr_watch *w);

#ifdef __cplusplus
}
#endif

#endif
