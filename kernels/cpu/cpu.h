/* What the CPU back end tells beyond the table vr_cpu of backend.h.
 *
 * The instruction set is picked when a back end is opened: the best that the machine has, or the one that the
 * environment names in VITRUN_ISA (portable, avx2, avx512). */
#ifndef VR_CPU_H
#define VR_CPU_H

#include "../backend.h"

int vr_cpu_threads(const vr_backend *be);

/* Is this the name of an instruction set that was built and that this machine has? */
bool vr_cpu_isa_supported(const char *name);

#endif
