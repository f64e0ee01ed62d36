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

static void put_string(FILE *f, const char *text)
{
    fputc('"', f);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(f, "\\%c", *c);
        else if (*c < 0x20)
            fprintf(f, "\\u%04x", *c);
        else
            fputc(*c, f);
    }
    fputc('"', f);
}

static void put_tensor(FILE *f, const vr_tensor_out *t, uint64_t begin, uint64_t end)
{
    put_string(f, t->name);
    fprintf(f, ":{\"dtype\":\"%s\",\"shape\":[", vr_dtype_name(t->dtype));
    for (int d = 0; d < t->rank; d++) fprintf(f, "%s%" PRIu64, d ? "," : "", t->shape[d]);
    fprintf(f, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, end);
}

static void put_json(FILE *f, const vr_tensor_out *tensors, const uint64_t *bytes, size_t count, const char *const *keys,
                     const char *const *values, size_t pairs)
{
    const char *comma = "";
    uint64_t    at = 0;
    fputc('{', f);
    if (pairs) {
        fputs("\"__metadata__\":{", f);
        for (size_t i = 0; i < pairs; i++) {
            if (i) fputc(',', f);
            put_string(f, keys[i]);
            fputc(':', f);
            put_string(f, values[i]);
        }
        fputc('}', f);
        comma = ",";
    }
    for (size_t i = 0; i < count; i++, comma = ",") {
        fputs(comma, f);
        put_tensor(f, &tensors[i], at, at + bytes[i]);
        at += bytes[i];
    }
    fputc('}', f);
}

/* The length and the JSON behind it, in fresh memory. */
static vr_status make_header(char **out, size_t *length, const vr_tensor_out *tensors, const uint64_t *bytes, size_t count,
                             const char *const *keys, const char *const *values, size_t pairs, vr_error *err)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, length);
    if (!f) return vr_fail(err, VR_E_MEMORY, "", "no memory for the header");
    for (int i = 0; i < VR_ST_PREFIX; i++) fputc(0, f);
    put_json(f, tensors, bytes, count, keys, values, pairs);
    for (long at = ftell(f); at % 8; at++) fputc(' ', f);
    bool failed = ferror(f);
    if (fclose(f) != 0 || failed) {
        free(text);
        return vr_fail(err, VR_E_MEMORY, "", "no memory for the header");
    }
    uint64_t n = *length - VR_ST_PREFIX;
    if (n > VR_ST_HEADER_CAP) {
        free(text);
        return vr_fail(err, VR_E_USAGE, "header-too-large",
                       "names and metadata make a header of %" PRIu64 " bytes, at most %d fit", n, VR_ST_HEADER_CAP);
    }
    memcpy(text, &n, VR_ST_PREFIX);
    *out = text;
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

/* What is to be written, complete. */
typedef struct {
    const char          *path; /* for messages */
    const char          *header;
    size_t               header_bytes;
    const vr_tensor_out *tensors;
    const uint64_t      *bytes; /* [count] */
    size_t               count;
} content;

static vr_status failed(const content *c, const char *what, vr_error *err)
{
    return vr_fail(err, VR_E_IO, "write", "%s: cannot be %s: %s", vr_quotez(c->path).text, what, strerror(errno));
}

static vr_status write_content(int fd, const content *c, vr_error *err)
{
    if (!write_all(fd, c->header, c->header_bytes)) return failed(c, "written", err);
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
    char     *real = there ? realpath(path, NULL) : NULL;                 /* a link stays one; its target is replaced */
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
    char        *header = NULL;
    size_t       header_bytes = 0;
    uint64_t    *bytes = vr_alloc(count, sizeof *bytes);
    const char **names = vr_alloc(count, sizeof *names);
    vr_status    status = bytes && names ? VR_OK : vr_fail(err, VR_E_MEMORY, "", "no memory for %zu tensors", count);
    if (!status) status = check_tensors(tensors, count, bytes, names, err);
    if (!status) status = check_pairs(keys, values, pairs, err);
    if (!status) status = make_header(&header, &header_bytes, tensors, bytes, count, keys, values, pairs, err);
    if (!status) status = write_somewhere(path, &(content){path, header, header_bytes, tensors, bytes, count}, err);
    free(header);
    free(names);
    free(bytes);
    return status;
}
