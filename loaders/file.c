/* file.c: open, check, read.  pread rather than mmap, because a file that shrinks while mapped is a SIGBUS and a file
 * that shrinks while read is a sentence. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_name(mode_t mode)
{
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISFIFO(mode)) return "a pipe";
    if (S_ISSOCK(mode)) return "a socket";
    return "a device";
}

vr_status vr_file_open(int *fd, uint64_t *size, const char *path, vr_error *err)
{
    /* O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever; on a regular file it means nothing. */
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (file < 0) return vr_fail(err, VR_E_IO, "open", "%s: cannot be opened: %s", vr_quotez(path).text, strerror(errno));

    struct stat st;
    if (fstat(file, &st) != 0) {
        vr_fail(err, VR_E_IO, "open", "%s: cannot be examined: %s", vr_quotez(path).text, strerror(errno));
        close(file);
        return VR_E_IO;
    }
    if (!S_ISREG(st.st_mode)) {
        close(file);
        return vr_fail(err, VR_E_IO, "not-a-file", "%s: is %s, wanted an ordinary file", vr_quotez(path).text,
                       kind_name(st.st_mode));
    }
    *fd = file;
    *size = (uint64_t)st.st_size;
    return VR_OK;
}

vr_status vr_file_read_at(int fd, const char *path, uint64_t at, void *out, size_t bytes, vr_error *err)
{
    char *to = out;
    while (bytes > 0) {
        ssize_t got = pread(fd, to, bytes, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return vr_fail(err, VR_E_IO, "read", "%s: cannot be read at byte %llu: %s", vr_quotez(path).text,
                           (unsigned long long)at, strerror(errno));
        if (got == 0)
            return vr_fail(err, VR_E_IO, "file-shrank",
                           "%s: ends at byte %llu, %zu bytes before it should; did something change it while it was in use?",
                           vr_quotez(path).text, (unsigned long long)at, bytes);
        to += got, at += (uint64_t)got, bytes -= (size_t)got;
    }
    return VR_OK;
}

vr_status vr_file_read(char **out, size_t *length, const char *path, size_t max_bytes, vr_error *err)
{
    int       fd;
    uint64_t  size;
    vr_status status = vr_file_open(&fd, &size, path, err);
    if (status) return status;

    char *text = NULL;
    if (size > max_bytes) {
        status = vr_fail(err, VR_E_MODEL, "file-too-large", "%s: is %llu bytes long, at most %zu are accepted",
                         vr_quotez(path).text, (unsigned long long)size, max_bytes);
        goto done;
    }
    text = malloc((size_t)size + 1);
    if (!text) {
        status =
            vr_fail(err, VR_E_MEMORY, "", "%s: no memory for its %llu bytes", vr_quotez(path).text, (unsigned long long)size);
        goto done;
    }
    status = vr_file_read_at(fd, path, 0, text, (size_t)size, err);
    if (status) goto done;
    text[size] = 0;
    *out = text, *length = (size_t)size;
    text = NULL;
done:
    free(text);
    close(fd);
    return status;
}
