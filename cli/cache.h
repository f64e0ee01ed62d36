/* What making a cache of crops and checking one share. */
#ifndef VR_CLI_CACHE_H
#define VR_CLI_CACHE_H

#include "../loaders/crops.h"
#include "cli.h"

/* The bytes of a picture's file, read whole, and what the cache keeps of them.  *bytes is the caller's to free; NULL after
 * a failure, which leaves *from zero.  VR_E_IMAGE (empty, too large), VR_E_IO, VR_E_MEMORY; the sentence begins with the path. */
vr_status cache_read_source(uint8_t **bytes, vr_crop_source *from, const char *path, size_t max_bytes, vr_error *err);

/* --verify: check a cache, and the folder it was made of where that is named.  Returns the exit code. */
int cache_verify(const cli_options *o);

#endif
