/* What a back end in a shared library of its own (vitrun-cuda.so) says of itself.  It exports one symbol, `vr_plugin`. */
#ifndef VR_PLUGIN_H
#define VR_PLUGIN_H

#include "backend.h"

/* Counted up when the seam changes in a way that the sizes below do not show. */
enum { VR_PLUGIN_ABI = 1 };

/* The shared structs of backend.h, as one number: program and plugin must have been compiled from the same ones. */
static inline size_t vr_plugin_sizes(void)
{
    const size_t sizes[] = {sizeof(vr_ops),    sizeof(vr_backend), sizeof(vr_error), sizeof(vr_wish),   sizeof(vr_mat),
                            sizeof(vr_weight), sizeof(vr_pooling), sizeof(vr_embed), sizeof(vr_extras), sizeof(vr_tokens),
                            sizeof(vr_limits), sizeof(vr_trace),   sizeof(vr_mame),  sizeof(vr_picture)};
    size_t       sum = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) sum = sum * 1009 + sizes[i];
    return sum;
}

/* One GPU. */
typedef struct {
    char   name[128]; /* "NVIDIA H100 80GB HBM3" */
    char   chip[16];  /* "sm_90" */
    size_t memory;    /* bytes */
    bool   usable;    /* false: `why` says in a sentence why it is not */
    char   why[200];
} vr_gpu_about;

typedef struct {
    int abi;
    size_t (*sizes)(void);
    const vr_ops *ops;
    /* The GPUs of this machine: how many, the first `room` of them in list.  0, and the reason in *err, where there is none
     * or none can be reached. */
    int (*gpus)(vr_gpu_about *list, int room, vr_error *err);
} vr_plugin_t;

#endif
