/* Ordinary files, read without ever waiting on a pipe or a terminal: what the readers of checkpoints, configs and
 * labels share. */
#ifndef VR_FILE_H
#define VR_FILE_H

#include "../kernels/base.h"

/* Open a regular file for reading.  Anything else (folder, FIFO, device) is refused at once, never waited for.
 *   size  written: its size in bytes
 * Fails with VR_E_IO, rule "open" or "not-a-file".  The caller closes *fd. */
vr_status vr_file_open(int *fd, uint64_t *size, const char *path, vr_error *err);

/* Read exactly `bytes` bytes at `at`.  VR_E_IO: "read", or "file-shrank" where the file ends before them. */
vr_status vr_file_read_at(int fd, const char *path, uint64_t at, void *out, size_t bytes, vr_error *err);

/* Read a whole file of at most max_bytes into fresh memory with a NUL behind it; free() releases it.
 * Fails with VR_E_IO, VR_E_MEMORY, or VR_E_MODEL, rule "file-too-large". */
vr_status vr_file_read(char **out, size_t *length, const char *path, size_t max_bytes, vr_error *err);

#endif
