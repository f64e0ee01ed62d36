/* Pictures as PNG. */
#ifndef VR_PNG_WRITE_H
#define VR_PNG_WRITE_H

#include <stdio.h>

#include "../kernels/base.h"

/* Write 8-bit RGB to a stream, which stays open and is not flushed.
 *   rgb   [height, width, 3]
 * Fails with VR_E_IO (rule "write"), VR_E_MEMORY. */
vr_status vr_png_write(FILE *f, const uint8_t *rgb, int width, int height, vr_error *err);

#endif
