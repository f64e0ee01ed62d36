/* Names of classes: a text file, one line a class, in the order of the classes. */
#ifndef VR_LABELS_H
#define VR_LABELS_H

#include "../kernels/base.h"

typedef struct {
    size_t       count;
    const char **synset; /* [count] WordNet identifiers ("n01440764"); NULL: the file gives names only */
    const char **name;   /* [count] */
    char        *text;   /* owns them all */
} vr_labels;

/* Read a file whose lines are all `synset<TAB>name` or all `name`.  Strict, because a line too many or too few renames
 * every class behind it.  Fails with VR_E_IO, VR_E_MEMORY, or VR_E_MODEL and one of these rules; `out` then holds nothing:
 *   file-too-large    more than 4 MiB
 *   utf8              not UTF-8, or begins with a byte order mark
 *   labels-empty      no line at all
 *   labels-line       an empty line, or spaces at the beginning or end of a name
 *   labels-bytes      a control byte (carriage returns included) in a line
 *   labels-synset     what stands before the tab is not n and eight digits, or there are two tabs
 *   labels-mixed      some lines have a synset and others not
 *   labels-duplicate  a synset stands twice (names may: two of ImageNet's classes are "crane") */
vr_status vr_labels_read(vr_labels *out, const char *path, vr_error *err);

/* The same for a file that a person named: what is wrong with it is VR_E_USAGE, for no model is at fault. */
vr_status vr_labels_read_given(vr_labels *out, const char *path, vr_error *err);
void      vr_labels_free(vr_labels *labels);

#endif
