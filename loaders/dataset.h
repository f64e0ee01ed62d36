/* Pictures with their classes, as the validation sets of ImageNet and its relatives lie on a disk. */
#ifndef VR_DATASET_H
#define VR_DATASET_H

#include "classes.h"
#include "crops.h"
#include "picture_list.h"

typedef struct {
    const char     *folder;
    const vr_crops *crops;        /* the pictures are those of a cache; `folder` is its path; NULL: those of the folder */
    const char     *labels;       /* the answers of a flat folder, one line a picture; NULL: a folder of class folders */
    const char     *labels_order; /* "index": numbers in `labels` are the model's; "devkit": ILSVRC2012's; NULL: found out */
    const char     *devkit_map;   /* for "devkit": a file of lines "ID SYNSET", as ILSVRC2012's devkit numbers its classes */
    const char     *class_map;    /* a file of folder (or label) names, line i names class i; NULL: the model's own names */
} vr_dataset_source;

typedef struct {
    size_t      count;
    char      **path;       /* [count] in natural order: numbers within names compare as numbers */
    int        *label;      /* [count] in 0 .. classes - 1 */
    size_t     *entry;      /* [count] the picture's place in the cache; without one, in the list of the folder */
    size_t      folders;    /* class folders, 0 in a flat folder */
    size_t      unreadable; /* folders below that could not be read */
    size_t      stray;      /* pictures that lie beside the class folders and were left out */
    const char *layout;     /* "synset folders", "name folders", "index folders", "map folders", "flat" */
} vr_dataset;

/* Find the pictures.  `folder`, or val/, validation/ or ILSVRC/Data/CLS-LOC/val/ in it, is
 *   - without labels, a folder of class folders.  All are named alike: by synset, by the model's name of the class (whole, or
 *     up to its first comma; _ may stand for a space), by index (then every class has a folder; 10 comes after 2), or as
 *     class_map says;
 *   - with labels, a folder of pictures.  A line is "NAME CLASS", or CLASS alone and then picture ..._%08d.* has the line of
 *     its number, counted from 1.  CLASS is a synset, a word of class_map, or an index.  Indices count from 0 where a 0 is
 *     among them; otherwise they could be the devkit's 1 to 1000, whose order is another, and are refused unless
 *     labels_order says "index", or "devkit" with a devkit_map that gives each its synset.
 * vr_picture_list_walk says how folders are searched.  A cache stands for the folder that it was made of: its pictures have
 * paths "CACHE/NAME" and get their classes in the same ways.
 *
 *   VR_E_IO     folder or file cannot be read
 *   VR_E_IMAGE  "no-picture"
 *   VR_E_USAGE  "classes-unknown": folders or labels that the model does not know;  "classes-count": indices that leave a
 *               class out or name it twice;  "labels-order": ambiguous numbers, or devkit without its map;  "devkit-map":
 *               what is no such map;  "labels-missing": a flat folder without labels, or a picture
 *               without a line;  and what vr_labels_read finds wrong in a text file */
vr_status vr_dataset_open(vr_dataset *out, const vr_dataset_source *from, const vr_classes *classes, vr_error *err);
void      vr_dataset_close(vr_dataset *d);

/* 1234 of ".../ILSVRC2012_val_00001234.JPEG", with any ending; 0 where a file is named otherwise. */
size_t vr_imagenet_number(const char *path);

#endif
