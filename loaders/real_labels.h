/* ReaL (Beyer et al. 2020): what else there is to see in the pictures of ImageNet's validation set. */
#ifndef VR_REAL_LABELS_H
#define VR_REAL_LABELS_H

#include "../kernels/base.h"

enum { VR_REAL_MOST = 50000 }; /* pictures of the validation set */

typedef struct {
    size_t  count; /* pictures 1 .. count */
    size_t *first; /* [count + 1] where in `class` those of a picture begin */
    int *class;
} vr_real_labels;

/* Read a JSON list of lists of classes; list i, from 0, belongs to picture number i + 1.  Lists may be empty.
 *   classes  of the model: each number is below it
 * VR_E_IO, VR_E_MEMORY, or VR_E_USAGE: what json.h and file.h refuse (the file has at most 4 MiB), and
 *   real-list    not a list of lists, an empty one, or one of more than VR_REAL_MOST lists
 *   real-class   something in a list that is no class */
vr_status vr_real_labels_read(vr_real_labels *out, const char *path, int classes, vr_error *err);
void      vr_real_labels_free(vr_real_labels *r);

/* Those of picture `number`, which is in 1 .. count: [*size], which may be 0. */
const int *vr_real_labels_of(const vr_real_labels *r, size_t number, size_t *size);

#endif
