/* What the parts of the CPU back end share: cpu.c, its life and memory, weights.c, verbs.c and a file for each reducer. */
#ifndef VR_CPU_IMPL_H
#define VR_CPU_IMPL_H

#include "../threads.h"
#include "isa.h"
#include "reduce.h"

typedef struct {
    const vr_isa     *isa;
    const vr_kernels *kernels; /* of the layers; reducers take isa->f32 */
    const vr_bytes   *bytes;   /* of the linear layers of blocks in int8, else NULL */
    vr_threads       *crew;
    float            *scratch;        /* [threads, scratch_stride], for attention */
    size_t            scratch_stride; /* floats of one thread; 0 before reserve() */
    float            *rows;           /* [threads, rows_stride], of weights while they are packed */
    size_t            rows_stride;    /* floats of one thread */
    uint8_t          *rounded;        /* [rounded_rows, rounded_stride] what such a layer multiplies */
    vr_rounding      *rounding;       /* [rounded_rows] */
    size_t            rounded_stride; /* bytes */
    int               rounded_rows;
    int               deepest;   /* inputs of the layers that were packed as bytes */
    vr_reduction      reduction; /* scratch of the reducers; empty before reserve_reduction() */
} vr_cpu_impl;

/* How weights of `type` are multiplied. */
static inline const vr_product *vr_product_of(const vr_cpu_impl *impl, vr_dtype type)
{
    return type == VR_I8 ? &impl->bytes->product : &impl->kernels->product;
}

vr_status vr_cpu_pack(vr_backend *be, vr_weight *out, const float *weight, const float *bias, int out_features, int in_features,
                      vr_layer layer, vr_error *err);
vr_status vr_cpu_pack_rows(vr_backend *be, vr_weight *out, const vr_row_source *rows, const float *bias, int out_features,
                           int in_features, vr_layer layer, vr_error *err);
void      vr_cpu_unpack(vr_backend *be, vr_weight *w);

void vr_cpu_patch_embed(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in, const vr_embed *w);
void vr_cpu_layernorm(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w);
void vr_cpu_linear(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into);
void vr_cpu_attention(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows,
                      int heads, const vr_extras *extras);
void vr_cpu_pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how);
void vr_cpu_gather(vr_backend *be, vr_mat y, vr_mat x, const int *index);

void vr_cpu_mame(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat feature, const vr_mame *how, vr_trace *trace);
void vr_cpu_mare(vr_backend *be, vr_mat x, vr_mat y, const vr_trace *trace, vr_mare mode);
void vr_cpu_tome(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat metric, int r, vr_trace *trace);
void vr_cpu_evit(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_evit *how, vr_trace *trace);
void vr_cpu_diffrate(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_diffrate *how,
                     vr_trace *trace);

double vr_cpu_peak(vr_backend *be);

#endif
