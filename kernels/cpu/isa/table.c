/* table.c: what this instruction set gives. */
#include "../isa.h"
#include "vec.h"

void   VR_NAME(vr_gemm)(const vr_gemm *g, int from, int rows, int panel);
void   VR_NAME(vr_attention)(const vr_head *h, int part, int parts, float *scratch);
size_t VR_NAME(vr_attention_scratch)(int keys, int head_size);
void   VR_NAME(vr_layernorm)(vr_mat y, vr_mat x, const vr_norm *w);

#define TEXT2(x) #x
#define TEXT(x)  TEXT2(x)

const vr_isa VR_NAME(vr_isa) = {
    .name = TEXT(VR_ISA),
    .tile = TILE,
    .panel = PANEL,
    .gemm = VR_NAME(vr_gemm),
    .attention = VR_NAME(vr_attention),
    .attention_scratch = VR_NAME(vr_attention_scratch),
    .layernorm = VR_NAME(vr_layernorm),
};
