/* emulated.c: brings the emulated instruction sets into a test program, for VITRUN_ISA=avx512bf16_emulated, amx_emulated
 * and avx512vnni_emulated; and their pieces of arithmetic, to be tested themselves.  Compiled for AVX-512. */
#include "../../kernels/cpu/isa.h"
#include "emulation.h"

#if defined(__x86_64__)
#include "emulated.h"

extern const vr_kernels vr_kernels_avx512bf16_emulated, vr_kernels_amx_emulated;
extern const vr_bytes   vr_bytes_avx512vnni_emulated;

const vr_guest vr_cpu_guests[] = {{"avx512bf16_emulated", &vr_kernels_avx512bf16_emulated, NULL},
                                  {"amx_emulated", &vr_kernels_amx_emulated, NULL},
                                  {"avx512vnni_emulated", NULL, &vr_bytes_avx512vnni_emulated},
                                  {NULL, NULL, NULL}};

void vr_emulation_round(uint16_t out[16], const float in[16])
{
    _mm256_storeu_si256((__m256i *)(void *)out, emulated_cvtneps(_mm512_loadu_ps(in)));
}

void vr_emulation_dot(float sum[16], const uint16_t a[32], const uint16_t b[32])
{
    _mm512_storeu_ps(sum, emulated_dpbf16(_mm512_loadu_ps(sum), _mm512_loadu_si512(a), _mm512_loadu_si512(b)));
}

void vr_emulation_dot_bytes(int32_t sum[16], const uint8_t a[64], const int8_t b[64])
{
    _mm512_storeu_si512(sum, emulated_dpbusd(_mm512_loadu_si512(sum), _mm512_loadu_si512(a), _mm512_loadu_si512(b)));
}
#else
const vr_guest vr_cpu_guests[] = {{NULL, NULL, NULL}};
#endif
