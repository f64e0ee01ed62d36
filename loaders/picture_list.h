/* The pictures below a folder, in an order that depends on their names alone. */
#ifndef VR_PICTURE_LIST_H
#define VR_PICTURE_LIST_H

#include "../kernels/base.h"

enum { VR_NO_FOLDER = -1 };

typedef struct {
    char *root; /* what is in front of each path: the folder, or the place in it where ImageNet's archives put their pictures */
    size_t count;
    char **path;   /* [count] "ROOT/NAME"; natural order, folder by folder */
    int   *folder; /* [count] the folder right below the root that holds it, or VR_NO_FOLDER */
    size_t folders;
    char **folder_name; /* [folders] in natural order; some hold no picture */
    size_t unreadable;  /* folders below the root that could not be read */
    size_t room, folder_room;
} vr_picture_list;

/* Find the pictures of `folder`, or of val/, validation/ or ILSVRC/Data/CLS-LOC/val/ in it, by the endings of their names.
 * Folders are searched to any depth, or, without `deep`, not at all; links are followed, circles end, hidden names are
 * skipped.  Names that cannot be opened are listed all the same.  Fails with VR_E_IO, VR_E_MEMORY; *list is then empty. */
vr_status vr_picture_list_walk(vr_picture_list *list, const char *folder, bool deep, vr_error *err);

/* Build one by hand: begin, then folders and pictures in their order.  After a failure the list is still to be freed. */
vr_status vr_picture_list_begin(vr_picture_list *list, const char *root, vr_error *err);
vr_status vr_picture_list_add_folder(vr_picture_list *list, const char *name, vr_error *err);
vr_status vr_picture_list_add(vr_picture_list *list, const char *path, int folder, vr_error *err);
void      vr_picture_list_free(vr_picture_list *list);

/* Path i without the root. */
const char *vr_picture_list_name(const vr_picture_list *list, size_t i);

/* True where the ending of a file's name is that of a picture; false for hidden files. */
bool vr_picture_name(const char *name);

/* The last part of a path. */
const char *vr_file_name(const char *path);

/* strcmp, but runs of digits compare as numbers; never 0 for different names. */
int vr_natural_order(const char *a, const char *b);

/* The order of a list's names: part by part between the slashes, each in natural order. */
int vr_picture_order(const char *a, const char *b);

#endif
