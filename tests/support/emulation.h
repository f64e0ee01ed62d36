/* The arithmetic of the emulated instructions, lane by lane, for its own tests; needs a processor with AVX-512. */
#ifndef VR_EMULATION_H
#define VR_EMULATION_H

#include <stdint.h>

void vr_emulation_round(uint16_t out[16], const float in[16]);                         /* VCVTNEPS2BF16 */
void vr_emulation_dot(float sum[16], const uint16_t a[32], const uint16_t b[32]);      /* VDPBF16PS */
void vr_emulation_dot_bytes(int32_t sum[16], const uint8_t a[64], const int8_t b[64]); /* VPDPBUSD */

#endif
