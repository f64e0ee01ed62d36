/* The oracle: the table of verbs in plain loops, one thread and double arithmetic.  It is the definition that the
 * fast back ends answer to, so it is written to be read. */
#ifndef VR_REFERENCE_H
#define VR_REFERENCE_H

#include "../../kernels/backend.h"

extern const vr_ops vr_reference;

#endif
