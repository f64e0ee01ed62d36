/* peak.c: how fast this machine multiplies and adds where no memory is touched: what a kernel's speed is compared with. */
#include "../isa.h"
#include "vec.h"

float VR_NAME(vr_peak)(long rounds);
float VR_NAME(vr_peak)(long rounds)
{
    vec       sum[PEAK_CHAINS], all = {0};
    const vec factor = vec_all(0.999f), more = vec_all(0.001f); /* they stay near 1: no overflow, no subnormal */
    UNROLL
    for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = vec_all(2.0f + (float)i); /* 1 would stay as it is */
    for (long r = 0; r < rounds; r++) {
        UNROLL
        for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = vec_fma(sum[i], factor, more);
    }
    UNROLL
    for (int i = 0; i < PEAK_CHAINS; i++) all += sum[i];
    return vec_sum(all);
}
