/* What the CPU back end tells beyond the table vr_cpu of backend.h.
 *
 * The instruction set is picked when a back end is opened: the best that the machine has for the arithmetic asked for, or the
 * one that the environment names in VITRUN_ISA.
 *
 *   portable, avx2, avx512    f32; bf16 weights are widened on the way, and the rest of bf16 is f32
 *   avx512bf16, amx           bf16 times bf16; the first is taken unasked only where it is known to be quicker than widening
 *   avx512vnni                int8: bytes times bytes in the layers of blocks, f32 as avx512 does elsewhere
 *
 * The last three compute in f32 as avx512 does.  int8 is refused where there is no avx512vnni. */
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
