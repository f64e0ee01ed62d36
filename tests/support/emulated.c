/* emulated.c: brings the emulated instruction sets into a test program, for VITRUN_ISA=avx512bf16_emulated and amx_emulated. */
#include "../../kernels/cpu/isa.h"

#if defined(__x86_64__)
extern const vr_kernels vr_kernels_avx512bf16_emulated, vr_kernels_amx_emulated;

const vr_kernels *const vr_cpu_guests[] = {&vr_kernels_avx512bf16_emulated, &vr_kernels_amx_emulated, NULL};
#else
const vr_kernels *const vr_cpu_guests[] = {NULL};
#endif
