/* bf16 in plain C: the upper half of an f32. */
#ifndef VR_CPU_BF16_H
#define VR_CPU_BF16_H

#include "../base.h"

#include <string.h>

static inline float vr_bf16_widen(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float          x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Rounded to nearest, a half to even; a NaN stays one. */
static inline uint16_t vr_bf16_round(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1), quiet = bits | 0x400000;
    return (uint16_t)(((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded) >> 16);
}

/* `count` numbers of `type` (f32 or bf16) to f32, and from f32. */
static inline void vr_widen(float *out, const void *in, vr_dtype type, int count)
{
    const uint16_t *half = in;
    if (type == VR_F32)
        memcpy(out, in, (size_t)count * sizeof *out);
    else
        for (int i = 0; i < count; i++) out[i] = vr_bf16_widen(half[i]);
}

static inline void vr_narrow(void *out, vr_dtype type, const float *in, int count)
{
    uint16_t *half = out;
    if (type == VR_F32)
        memcpy(out, in, (size_t)count * sizeof *in);
    else
        for (int i = 0; i < count; i++) half[i] = vr_bf16_round(in[i]);
}

#endif
