/* What another program, or another run of ours, answered: for each picture its name and its best class.  Read are
 *   - CSV with a header: what `vitrun eval --predictions` writes (file, index1), and what timm's inference.py does: filename
 *     and one of index_0, index, label_0, label.  A cell may hold a list, as "[3 1]" or "['cat' 'dog']"; its first item counts;
 *   - CSV without a header, as older inference.py wrote it: a name, then the best class and others by index;
 *   - JSON of inference.py: {"NAME": {"index": 3, ...}, ...}, or its split form {"columns": [...], "data": [[...], ...]}.
 * A label is a synset or a name of one of the model's classes.  Rows whose class is empty are left out. */
#ifndef VR_PREDICTIONS_H
#define VR_PREDICTIONS_H

#include "classes.h"

typedef struct {
    char *name;
    int class;
} vr_prediction;

typedef struct {
    size_t         count;
    vr_prediction *item; /* [count] by rising name, no name twice */
} vr_predictions;

/* VR_E_IO, VR_E_MEMORY, or VR_E_USAGE: what csv.h, json.h and file.h refuse (at most 64 MiB), and
 *   predictions-columns  no column of names, or none of classes
 *   predictions-class    a class that the model does not have, or a name that several have
 *   predictions-twice    a name that stands twice */
vr_status vr_predictions_read(vr_predictions *out, const char *path, const vr_classes *classes, vr_error *err);
void      vr_predictions_free(vr_predictions *a);

/* Find each picture: by the longest end of its path, cut at slashes, that is a name; else by the last part of both, where
 * no other picture and no other name ends so.
 *   place  [count] written: of its prediction, or VR_PREDICTION_NONE
 * VR_E_MEMORY, or VR_E_USAGE "predictions-shared": two pictures are found as one. */
#define VR_PREDICTION_NONE SIZE_MAX
vr_status vr_predictions_match(const vr_predictions *a, size_t *place, const char *const *path, size_t count, vr_error *err);

#endif
