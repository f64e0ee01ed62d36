/* Reading tar archives, one member after the other: USTAR with regular files, as GNU tar and Python's tarfile write them. */
#ifndef VR_TAR_H
#define VR_TAR_H

#include "../kernels/base.h"

typedef struct vr_tar vr_tar;

typedef struct {
    char     name[257]; /* prefix/name as stored: hostile text, never a path to be opened */
    uint64_t bytes;     /* of its data */
} vr_tar_member;

/* Fails with VR_E_IO (cannot be opened), VR_E_MEMORY.  The caller closes what was opened. */
vr_status vr_tar_open(vr_tar **out, const char *path, vr_error *err);
void      vr_tar_close(vr_tar *tar);

/* Go to the next regular file; folders, links and devices are passed over.  *found is false at the archive's end.
 * Fails with VR_E_IO: "tar-header" (bad checksum or number), "truncated", "read", "tar-long-name" (a GNU or pax name, whose
 * member would otherwise come under a wrong one). */
vr_status vr_tar_next(vr_tar *tar, vr_tar_member *member, bool *found, vr_error *err);

/* Read the whole data of the member that vr_tar_next went to: out [member.bytes].  VR_E_IO "truncated", "read". */
vr_status vr_tar_read(vr_tar *tar, void *out, vr_error *err);

#endif
