/* The hook around every launch, for whoever watches (vitrun bench --kernels): VR_LAUNCH of device.h and the product of linear.c
 * call it before and after.  Where nobody watches in this thread it does nothing.  The rest of watch.c is in backend.h. */
#ifndef VR_CUDA_WATCH_H
#define VR_CUDA_WATCH_H

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

void vr_watch_from(const char *kernel, cudaStream_t stream);
void vr_watch_to(cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
