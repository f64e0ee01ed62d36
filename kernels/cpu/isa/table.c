/* table.c: what this instruction set gives. */
#include "../isa.h"
#include "vec.h"

#if defined(VR_PAIRS)
#define HEADS_NAME(name) VR_NAME(name)
#else
#define HEADS_NAME(name) VR_NAME2(name##_heads, VR_ISA) /* tiles of their own */
#endif

void   VR_NAME(vr_gemm)(const vr_gemm *g, int from, int rows, int panel);
void   HEADS_NAME(vr_attention)(const vr_head *h, int part, int parts, float *scratch);
size_t HEADS_NAME(vr_attention_scratch)(int keys, int head_size);
void   HEADS_NAME(vr_class_scores)(float *scores, const vr_head *h, int heads, float *scratch);
void   VR_NAME(vr_layernorm)(vr_mat y, vr_mat x, const vr_norm *w);

#define TEXT2(x) #x
#define TEXT(x)  TEXT2(x)

#define KERNELS(of_weights, of_activations, of_gemm)                                                        \
    {                                                                                                       \
        .name = TEXT(VR_ISA), .weights = of_weights, .activations = of_activations,                         \
        .product = {PANEL, TILE, SPAN_BYTES, BLOCK_BYTES, of_gemm}, .attention = HEADS_NAME(vr_attention),  \
        .attention_scratch = HEADS_NAME(vr_attention_scratch), .class_scores = HEADS_NAME(vr_class_scores), \
        .layernorm = VR_NAME(vr_layernorm),                                                                 \
    }

#if defined(VR_PAIRS)
const vr_kernels VR_NAME(vr_kernels) = KERNELS(VR_BF16, VR_BF16, VR_NAME(vr_gemm));
#else
void  VR_NAME(vr_gemm_widened)(const vr_gemm *g, int from, int rows, int panel);
void  VR_NAME(vr_merge_scale)(float *block, const float *row_scale, const float *col_scale, int rows, int cols);
void  VR_NAME(vr_merge_sums)(vr_merge *m, const float *block, int rows, float tau);
void  VR_NAME(vr_merge_weights)(float *weight, size_t stride, const vr_merge *m, const float *block, int rows, int cols,
                               float tau);
void  VR_NAME(vr_merge_pack)(float *packed, const float *x, float mass, int cols);
void  VR_NAME(vr_merge_finish)(float *y, const float *x, float mass, float total, int cols);
float VR_NAME(vr_peak)(long rounds);

const vr_isa VR_NAME(vr_isa) = {
    .panel = PANEL,
    .f32 = KERNELS(VR_F32, VR_F32, VR_NAME(vr_gemm)),
    .widened = KERNELS(VR_BF16, VR_F32, VR_NAME(vr_gemm_widened)),
    .merge_scale = VR_NAME(vr_merge_scale),
    .merge_sums = VR_NAME(vr_merge_sums),
    .merge_weights = VR_NAME(vr_merge_weights),
    .merge_pack = VR_NAME(vr_merge_pack),
    .merge_finish = VR_NAME(vr_merge_finish),
    .peak = VR_NAME(vr_peak),
    .peak_flops = 2.0 * PEAK_CHAINS * VEC,
};
#endif
