/* A cache of a data set's crops: what decoding, resizing and cropping made of each picture, 8 bits a channel, in one file,
 * so that the same pictures are evaluated again without any of that.  Normalisation is not in it.
 *
 * The file, all numbers little-endian (crops_parts.h has the fields):
 *   0                    header, filled up with zeros to 4,096 bytes
 *   4096                 [pictures] crops [height, width, 3]; zeros for a picture that has none
 *   + pictures * crop    [pictures] entries of 64 bytes: source's size and SHA-256, checksum of the crop, folder, size as
 *                        decoded, and 0 or why there is no crop (a vr_status)
 *   + pictures * 64      text: the folders' names, then for each picture its name and, where it has no crop, the sentence
 *                        that says why; each with a NUL behind it.  The file ends with it.
 * Folders and names stand in the order of vr_picture_list, so that the same pictures give the same bytes.  Header, entries
 * and text have a checksum each time they are read, and so has each crop. */
#ifndef VR_CROPS_H
#define VR_CROPS_H

#include "picture_list.h"
#include "preprocess.h"

/* How crops are made of files. */
typedef struct {
    vr_recipe       recipe;          /* with the crop's size; mean and std are not looked at */
    bool            uncropped, exif; /* as in vr_recipe_crop */
    vr_image_limits limits;
} vr_crop_settings;

typedef struct vr_crops vr_crops;

/* What is known of one picture; texts live as long as the cache. */
typedef struct {
    const char    *name;          /* "n01440764/ILSVRC2012_val_00000293.JPEG", below the folder that was cached */
    uint64_t       bytes;         /* of the source, 0 where it could not be read */
    const uint8_t *sha256;        /* [32] of the source, zeros where it could not be read */
    uint64_t       sum;           /* checksum of the crop */
    int            width, height; /* as decoded; 0 where unknown */
    vr_status      code;          /* VR_OK, or why there is no crop: VR_E_IMAGE or VR_E_IO */
    const char    *error;         /* the sentence without the picture's name; NULL with VR_OK */
} vr_crop_entry;

/* Open a cache and check header, entries and text.  VR_E_IO: "open", "not-a-file", "read", "cache-magic" (another kind of
 * file), "cache-size", "cache-header", "cache-sum", "cache-table", "cache-name"; VR_E_MEMORY.  The caller closes it. */
vr_status vr_crops_open(vr_crops **out, const char *path, vr_error *err);
void      vr_crops_close(vr_crops *c);

size_t                  vr_crops_count(const vr_crops *c);
size_t                  vr_crops_bytes(const vr_crops *c); /* of one crop */
const vr_crop_settings *vr_crops_settings(const vr_crops *c);
const char             *vr_crops_version(const vr_crops *c); /* of the vitrun that wrote it */
vr_crop_entry           vr_crops_entry(const vr_crops *c, size_t i);

/* Read crop i, which entry i says is there: out [height, width, 3].  May run on several threads.
 * VR_E_IO: "read", "file-shrank", or "cache-crop" where its checksum is wrong. */
vr_status vr_crops_read(const vr_crops *c, size_t i, uint8_t *out, vr_error *err);

/* The cached folder as vr_picture_list_walk gave it, with the cache's path for its root.  VR_E_MEMORY. */
vr_status vr_crops_list(const vr_crops *c, vr_picture_list *list, vr_error *err);

/* VR_E_USAGE, rule "cache-recipe" or "cache-settings", where `wanted` would have made other crops; both are named. */
vr_status vr_crops_fit(const vr_crops *c, const vr_crop_settings *wanted, vr_error *err);

/* ---- writing ---- */

typedef struct vr_crops_writer vr_crops_writer;

typedef struct {
    uint64_t bytes;
    uint8_t  sha256[32];
    int      width, height;
} vr_crop_source;

/* Begin a cache of `list`, which has to stay, in a fresh file; `path` names it in messages.  Room on the disk is reserved
 * where the file system can.  VR_E_IO "write", VR_E_MEMORY, VR_E_USAGE (a recipe or a number of pictures that cannot be). */
vr_status vr_crops_begin(vr_crops_writer **out, int fd, const char *path, const vr_crop_settings *settings,
                         const vr_picture_list *list, vr_error *err);

/* Picture i: its crop, or NULL and why there is none.  Several threads may put different pictures at a time. */
vr_status vr_crops_put(vr_crops_writer *w, size_t i, const vr_crop_source *from, const uint8_t *rgb, const vr_error *why,
                       vr_error *err);

/* Once every picture was put: write entries, text and header. */
vr_status vr_crops_end(vr_crops_writer *w, const char *version, vr_error *err);

/* Why picture i has no crop; NULL where it has one, or was not put yet. */
const char *vr_crops_why(const vr_crops_writer *w, size_t i);

void vr_crops_writer_free(vr_crops_writer *w);

#endif
