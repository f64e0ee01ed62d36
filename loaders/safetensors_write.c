/* safetensors_write.c: write a file that our own reader, and every other, accepts: tensors in the order given, one after
 * the other, header padded with spaces so that data begins at a multiple of 8.
 *
 * A file is written under a name of its own in the same folder, forced to the disk, and renamed; a crash or a full disk
 * leaves what was there before.  Pipes and devices cannot be renamed onto and are written directly. */
#include "safetensors.h"

#include "safetensors_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTEMPTS = 100, LARGEST_WRITE = 1 << 30 };

static vr_status bad(vr_error *err, const char *rule, const char *name, const char *sentence)
{
    return vr_fail(err, VR_E_USAGE, rule, "tensor '%s' cannot be written: %s", vr_quotez(name).text, sentence);
}

static vr_status check_name(const char *name, vr_error *err)
{
    size_t length = strlen(name);
    if (length == 0 || length > VR_ST_MAX_NAME) return bad(err, "name-length", name, "its name must have 1 to 1,024 bytes");
    if (!vr_utf8_valid(name, length)) return bad(err, "utf8", name, "its name is not UTF-8");
    if (strcmp(name, "__metadata__") == 0) return bad(err, "name-bytes", name, "the format keeps that name for itself");
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < 0x20) return bad(err, "name-bytes", name, "its name has a control byte");
    return VR_OK;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Fail where two of the texts are equal. */
static vr_status check_unique(const char **texts, size_t count, const char *rule, vr_error *err)
{
    if (count) qsort(texts, count, sizeof *texts, by_text);
    for (size_t i = 1; i < count; i++)
        if (strcmp(texts[i - 1], texts[i]) == 0)
            return vr_fail(err, VR_E_USAGE, rule, "'%s' cannot be written twice into one file", vr_quotez(texts[i]).text);
    return VR_OK;
}

static vr_status check_pairs(const char *const *keys, const char *const *values, size_t pairs, vr_error *err)
{
    for (size_t i = 0; i < pairs; i++)
        if (!vr_utf8_valid(keys[i], strlen(keys[i])) || !vr_utf8_valid(values[i], strlen(values[i])))
            return vr_fail(err, VR_E_USAGE, "utf8", "metadata '%s' cannot be written: it is not UTF-8",
                           vr_quotez(keys[i]).text);
    const char **sorted = vr_alloc(pairs, sizeof *sorted);
    if (!sorted) return vr_fail(err, VR_E_MEMORY, "", "no memory to check metadata");
    if (pairs) memcpy(sorted, keys, pairs * sizeof *sorted);
    vr_status status = check_unique(sorted, pairs, "duplicate-key", err);
    free(sorted);
    return status;
}

/* Refuse what the reader would refuse; bytes [count] receives the size of each tensor. */
static vr_status check_tensors(const vr_tensor_out *tensors, size_t count, uint64_t *bytes, const char **names, vr_error *err)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const vr_tensor_out *t = &tensors[i];
        uint64_t             elements, bits;
        vr_status            status = check_name(t->name, err);
        if (status) return status;
        if (t->rank < 0 || t->rank > VR_ST_MAX_RANK) return bad(err, "rank", t->name, "it must have 0 to 8 dimensions");
        if ((unsigned)t->dtype >= VR_DTYPES) return bad(err, "unknown-dtype", t->name, "its dtype is none");
        if (!vr_st_count_bits(t->shape, t->rank, t->dtype, &elements, &bits))
            return bad(err, "shape-overflow", t->name, "the product of its dimensions does not fit");
        if (bits % 8) return bad(err, "misaligned", t->name, "it does not end on a whole byte");
        if (__builtin_add_overflow(sum, bits / 8, &sum))
            return bad(err, "shape-overflow", t->name, "the sum of all tensors does not fit");
        bytes[i] = bits / 8;
        names[i] = t->name;
    }
    return check_unique(names, count, "duplicate-name", err);
}

/* A text that grows.  A refused allocation is remembered and asked for once, at the end; open_memstream would drop the
 * bytes it has no room for and report success. */
typedef struct {
    char  *bytes;
    size_t length, room;
    bool   failed;
} text;

static void put(text *t, const void *bytes, size_t n)
{
    while (!t->failed && t->room - t->length < n) t->failed = !vr_st_grow((void **)&t->bytes, t->room, &t->room, 1);
    if (t->failed) return;
    if (n) memcpy(t->bytes + t->length, bytes, n);
    t->length += n;
}

static void put_text(text *t, const char *z) { put(t, z, strlen(z)); }

static void put_number(text *t, uint64_t n)
{
    char digits[24];
    put(t, digits, (size_t)snprintf(digits, sizeof digits, "%" PRIu64, n));
}

static void put_string(text *t, const char *z)
{
    put_text(t, "\"");
    for (; *z; z++) {
        char escape[8] = {'\\', *z, 0};
        if ((unsigned char)*z < 0x20) snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*z);
        bool plain = (unsigned char)*z >= 0x20 && *z != '"' && *z != '\\';
        put_text(t, plain ? (char[]){*z, 0} : escape);
    }
    put_text(t, "\"");
}

static void put_tensor(text *t, const vr_tensor_out *out, uint64_t begin, uint64_t end)
{
    put_string(t, out->name);
    put_text(t, ":{\"dtype\":\"");
    put_text(t, vr_dtype_name(out->dtype));
    put_text(t, "\",\"shape\":[");
    for (int d = 0; d < out->rank; d++) {
        if (d) put_text(t, ",");
        put_number(t, out->shape[d]);
    }
    put_text(t, "],\"data_offsets\":[");
    put_number(t, begin);
    put_text(t, ",");
    put_number(t, end);
    put_text(t, "]}");
}

static void put_metadata(text *t, const char *const *keys, const char *const *values, size_t pairs)
{
    put_text(t, "\"__metadata__\":{");
    for (size_t i = 0; i < pairs; i++) {
        if (i) put_text(t, ",");
        put_string(t, keys[i]);
        put_text(t, ":");
        put_string(t, values[i]);
    }
    put_text(t, "}");
}

/* What is to be written, complete. */
typedef struct {
    const char          *path; /* for messages */
    const vr_tensor_out *tensors;
    const uint64_t      *bytes; /* [count] */
    size_t               count;
    const char *const *keys, *const *values;
    size_t pairs;
    text   header;
} content;

/* The length and the JSON behind it. */
static vr_status make_header(content *c, vr_error *err)
{
    text    *t = &c->header;
    uint64_t n = 0, at = 0;
    put(t, &n, VR_ST_PREFIX);
    put_text(t, "{");
    if (c->pairs) put_metadata(t, c->keys, c->values, c->pairs);
    for (size_t i = 0; i < c->count; i++) {
        if (i || c->pairs) put_text(t, ",");
        put_tensor(t, &c->tensors[i], at, at + c->bytes[i]);
        at += c->bytes[i];
    }
    put_text(t, "}");
    while (!t->failed && t->length % 8) put_text(t, " ");
    if (t->failed) return vr_fail(err, VR_E_MEMORY, "", "%s: no memory for its header", vr_quotez(c->path).text);
    n = t->length - VR_ST_PREFIX;
    if (n > VR_ST_HEADER_CAP)
        return vr_fail(err, VR_E_USAGE, "header-too-large",
                       "names and metadata make a header of %" PRIu64 " bytes, at most %d fit", n, VR_ST_HEADER_CAP);
    memcpy(t->bytes, &n, VR_ST_PREFIX);
    return VR_OK;
}

static bool write_all(int fd, const void *data, uint64_t bytes)
{
    const char *from = data;
    while (bytes > 0) {
        ssize_t wrote = write(fd, from, bytes < LARGEST_WRITE ? bytes : LARGEST_WRITE);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) {
            if (wrote == 0) errno = EIO;
            return false;
        }
        from += wrote, bytes -= (uint64_t)wrote;
    }
    return true;
}

static vr_status failed(const content *c, const char *what, vr_error *err)
{
    return vr_fail(err, errno == ENOMEM ? VR_E_MEMORY : VR_E_IO, "write", "%s: cannot be %s: %s", vr_quotez(c->path).text, what,
                   strerror(errno));
}

static vr_status write_content(int fd, const content *c, vr_error *err)
{
    if (!write_all(fd, c->header.bytes, c->header.length)) return failed(c, "written", err);
    for (size_t i = 0; i < c->count; i++)
        if (!write_all(fd, c->tensors[i].data, c->bytes[i])) return failed(c, "written", err);
    return VR_OK;
}

/* Create a file beside `final` that nobody has.  Its mode is what the user's umask leaves of 0666; mkstemp's 0600 would
 * surprise whoever shares the folder. */
static int create_beside(const char *final, char **name)
{
    static unsigned serial; /* another process has another pid, another thread meets EEXIST and tries again */
    for (int i = 0; i < ATTEMPTS; i++) {
        unsigned n = __atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED);
        if (asprintf(name, "%s.%ld-%u.tmp", final, (long)getpid(), n) < 0) {
            *name = NULL;
            return -1;
        }
        int fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) return fd;
        free(*name);
        *name = NULL;
        if (errno != EEXIST) break;
    }
    return -1;
}

/* The new name itself is on the disk only when the folder is.  Some file systems cannot do that; the file is whole
 * either way, so an error is no failure. */
static void sync_folder(const char *file)
{
    const char *slash = strrchr(file, '/');
    char       *folder = slash ? strndup(file, (size_t)(slash - file) + 1) : strdup(".");
    int         fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

static vr_status write_file(const char *final, const content *c, vr_error *err)
{
    char *temporary;
    int   fd = create_beside(final, &temporary);
    if (fd < 0) return failed(c, "created", err);
    vr_status status = write_content(fd, c, err);
    if (!status && fsync(fd) != 0) status = failed(c, "written", err);
    if (close(fd) != 0 && !status) status = failed(c, "written", err);
    if (!status && rename(temporary, final) != 0) status = failed(c, "renamed to its final name", err);
    if (status)
        unlink(temporary);
    else
        sync_folder(final);
    free(temporary);
    return status;
}

static vr_status write_device(const char *path, const content *c, vr_error *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return failed(c, "opened", err);
    vr_status status = write_content(fd, c, err);
    if (close(fd) != 0 && !status) status = failed(c, "written", err);
    return status;
}

static vr_status write_somewhere(const char *path, const content *c, vr_error *err)
{
    if (strcmp(path, "-") == 0) return write_content(STDOUT_FILENO, c, err);
    struct stat st;
    bool        there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode))
        return vr_fail(err, VR_E_IO, "write", "%s: cannot be written: it is a folder", vr_quotez(path).text);
    if (there && !S_ISREG(st.st_mode)) return write_device(path, c, err); /* renaming would replace /dev/null itself */
    char *real = there ? realpath(path, NULL) : NULL;                     /* a link stays one; its target is replaced */
    if (there && !real) return failed(c, "found", err);
    vr_status status = write_file(real ? real : path, c, err);
    free(real);
    return status;
}

vr_status vr_safetensors_write(const char *path, const vr_tensor_out *tensors, size_t count, const char *const *keys,
                               const char *const *values, size_t pairs, vr_error *err)
{
    if (count > VR_ST_MAX_TENSORS)
        return vr_fail(err, VR_E_USAGE, "too-many-tensors", "%zu tensors cannot be written into one file, at most %d can",
                       count, VR_ST_MAX_TENSORS);
    uint64_t    *bytes = vr_alloc(count, sizeof *bytes);
    const char **names = vr_alloc(count, sizeof *names);
    content      c = {path, tensors, bytes, count, keys, values, pairs, {0}};
    vr_status    status = bytes && names ? VR_OK : vr_fail(err, VR_E_MEMORY, "", "no memory for %zu tensors", count);
    if (!status) status = check_tensors(tensors, count, bytes, names, err);
    if (!status) status = check_pairs(keys, values, pairs, err);
    if (!status) status = make_header(&c, err);
    if (!status) status = write_somewhere(path, &c, err);
    free(c.header.bytes);
    free(names);
    free(bytes);
    return status;
}
