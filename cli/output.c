/* output.c: where results go.  A file is written beside its final name and renamed when it is complete. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

volatile int cli_stop_signal;

static const char *volatile unfinished; /* the temporary file that stands, if any */

void cli_output_abandon(void)
{
    if (unfinished) unlink(unfinished);
}

static vr_status fail(vr_error *err, const char *what, const char *path)
{
    return vr_fail(err, VR_E_IO, "write", "%s '%s': %s", what, vr_quotez(path).text, strerror(errno));
}

/* A new file beside out->path, with the permissions that an ordinary new file gets. */
static vr_status open_temporary(cli_output *out, vr_error *err)
{
    if (asprintf(&out->temporary, "%s.XXXXXX", out->path) < 0) {
        out->temporary = NULL;
        return vr_fail(err, VR_E_MEMORY, "memory", "no memory for a file name");
    }
    int fd = mkostemp(out->temporary, O_CLOEXEC);
    if (fd < 0) return fail(err, "cannot create", out->path);
    unfinished = out->temporary;
    mode_t mask = umask(0);
    umask(mask);
    out->stream = fdopen(fd, "w");
    if (fchmod(fd, 0666 & ~mask) || !out->stream) {
        fail(err, "cannot create", out->path);
        if (!out->stream) close(fd);
    }
    return err->code;
}

vr_status cli_output_open(cli_output *out, const char *path, vr_error *err)
{
    *out = (cli_output){.stream = stdout};
    if (!path || strcmp(path, "-") == 0) return VR_OK;
    out->stream = NULL;
    struct stat s;
    bool        exists = stat(path, &s) == 0;
    if (exists && S_ISDIR(s.st_mode))
        return vr_fail(err, VR_E_USAGE, "output", "'%s' is a folder; name a file", vr_quotez(path).text);
    out->path = exists ? realpath(path, NULL) : strdup(path); /* through a link, so that the link stays one */
    if (!out->path) return fail(err, "cannot open", path);
    if (exists && !S_ISREG(s.st_mode)) { /* a device or a pipe cannot be replaced */
        out->stream = fopen(out->path, "we");
        if (!out->stream) fail(err, "cannot open", path);
    } else {
        open_temporary(out, err);
    }
    if (!err->code) return VR_OK;
    vr_error ignored = {0};
    cli_output_close(out, false, &ignored);
    return err->code;
}

/* Nobody reads what is written to stdout: the other end of the pipe is closed, or there was never anything. */
static bool reader_gone(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
    int           flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) return true;
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLNVAL));
}

/* Pipes and devices must not be opened twice. */
vr_status cli_output_probe(const char *path, vr_error *err)
{
    struct stat s;
    cli_output  out;
    if (!path || strcmp(path, "-") == 0 || (stat(path, &s) == 0 && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode))) return VR_OK;
    if (cli_output_open(&out, path, err)) return err->code;
    return cli_output_close(&out, false, err);
}

bool cli_output_flush(cli_output *out)
{
    bool failed = ferror(out->stream) != 0;
    errno = 0;
    if (fflush(out->stream)) failed = true;
    if (failed && !out->reason) out->reason = errno ? errno : EIO;
    return !failed;
}

static vr_status close_stdout(cli_output *out, vr_error *err)
{
    if (cli_output_flush(out)) return VR_OK;
    errno = out->reason;
    if (errno == EPIPE || errno == EBADF || reader_gone()) return vr_fail(err, VR_E_IO, "closed", "standard output is closed");
    return vr_fail(err, VR_E_IO, "write", "cannot write to standard output: %s", strerror(errno));
}

/* After a power cut the folder's new entry should be there too; not every file system can promise it. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char       *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int         fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

vr_status cli_output_close(cli_output *out, bool keep, vr_error *err)
{
    if (out->stream == stdout) return close_stdout(out, err);
    bool failed = false;
    if (out->stream) {
        failed = !cli_output_flush(out);
        if (!failed && keep && out->temporary && fsync(fileno(out->stream))) failed = true, out->reason = errno;
        if (fclose(out->stream) && !failed) failed = true, out->reason = errno;
        errno = out->reason;
        if (failed) fail(err, "cannot write", out->path);
    }
    if (out->temporary && keep && !failed && rename(out->temporary, out->path)) {
        fail(err, "cannot create", out->path);
        failed = true;
    }
    if (out->temporary && (!keep || failed)) unlink(out->temporary);
    if (out->temporary && keep && !failed) sync_folder(out->path);
    unfinished = NULL;
    free(out->temporary);
    free(out->path);
    *out = (cli_output){0};
    return err->code;
}

int cli_output_end(cli_output *out, bool keep, int code)
{
    vr_error err = {0};
    return cli_output_close(out, keep, &err) ? cli_failed(&err) : code;
}
