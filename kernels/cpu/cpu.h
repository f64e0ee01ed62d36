/* What the CPU back end tells beyond the table vr_cpu of backend.h.
 *
 * The instruction set is picked when a back end is opened: the best that the machine has, or the one that the
 * environment names in VITRUN_ISA (portable, avx2, avx512, avx512vnni, avx512bf16, amx).  The last three multiply bytes and bf16,
 * and compute in f32 as avx512 does; avx512bf16 is taken unasked only where it is known to be quicker than widening.  The others keep bf16
 * weights, widen them on the way, and compute in f32. */
#ifndef VR_CPU_H
#define VR_CPU_H

#include "../backend.h"

int vr_cpu_threads(const vr_backend *be);

/* Is this the name of an instruction set that was built, that this machine has, and that has this arithmetic? */
bool vr_cpu_isa_supported(const char *name, vr_math math);

/* The instruction sets of this build, the best for bf16 first, NULL beyond. */
const char *vr_cpu_isa(int number);

/* The one whose kernels a back end that is opened now would take; NULL: the environment names one that is not there. */
const char *vr_cpu_isa_chosen(vr_math math);

#endif
