/* The classes of a model, and how words name them. */
#ifndef VR_CLASSES_H
#define VR_CLASSES_H

#include "../kernels/base.h"

/* "" where a class has no synset or no name. */
typedef struct {
    int                count;
    const char *const *synset, *const *name; /* [count] */
} vr_classes;

enum { VR_CLASS_NONE = -1, VR_CLASS_SEVERAL = -2 };

/* A whole number without sign; VR_CLASS_NONE where text is anything else or above a billion. */
int vr_class_number(const char *text);

/* Where `word` stands in words [count], VR_CLASS_NONE or VR_CLASS_SEVERAL. */
int vr_class_among(const char *const *words, int count, const char *word);

/* The class called `word`: its name whole or up to the first comma; _ may stand for a space.  "church, church building" is
 * also found as "church", and "French horn, horn" as "French_horn".  VR_CLASS_NONE, VR_CLASS_SEVERAL. */
int vr_class_named(const vr_classes *c, const char *word);

/* Some of the classes: a text file with one of them a line, as a synset or as an index from 0.
 *   *list [*count]  written: their numbers, rising; free() releases it
 * VR_E_IO, VR_E_MEMORY, or VR_E_USAGE: "classes-unknown"; "classes-twice"; and what vr_labels_read finds wrong. */
vr_status vr_classes_some(int **list, int *count, const char *path, const vr_classes *c, vr_error *err);

#endif
