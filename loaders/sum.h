/* A 64-bit checksum at the speed of memory: against damage, not against forgery. */
#ifndef VR_SUM_H
#define VR_SUM_H

#include <stddef.h>
#include <stdint.h>

/* Every change within one aligned word of 8 bytes changes the sum for certain; any other escapes once in about 2^64. */
uint64_t vr_sum64(const void *bytes, size_t length);

#endif
