/* Where configs/ lies. */
#ifndef VR_DATADIR_H
#define VR_DATADIR_H

#include "../kernels/base.h"

/* Find the folder that holds models/ and labels/: `wanted` where given, else $VITRUN_DATA, else configs/ above the
 * program or the library, else the place it was installed to.  out [size]; VR_E_MODEL names the places looked at. */
vr_status vr_data_dir(char *out, size_t size, const char *wanted, vr_error *err);

#endif
