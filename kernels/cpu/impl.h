/* What the two halves of the CPU back end share: cpu.c, its life and memory, and verbs.c, its arithmetic. */
#ifndef VR_CPU_IMPL_H
#define VR_CPU_IMPL_H

#include "../threads.h"
#include "isa.h"

typedef struct {
    const vr_isa *isa;
    vr_threads   *crew;
    float        *scratch;        /* [threads, scratch_stride], for attention */
    size_t        scratch_stride; /* floats of one thread; 0 before reserve() */
} vr_cpu_impl;

void vr_cpu_patch_embed(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in, const vr_embed *w);
void vr_cpu_layernorm(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w);
void vr_cpu_linear(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into);
void vr_cpu_attention(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows,
                      int heads);
void vr_cpu_pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how);
void vr_cpu_gather(vr_backend *be, vr_mat y, vr_mat x, const int *index);

#endif
