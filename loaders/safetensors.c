/* safetensors.c: open a checkpoint and read from it.  The header is checked completely when the file is opened
 * (safetensors_header.c says how); after that a read has nothing left to refuse but the operating system's answer. */
#include "safetensors.h"

#include "file.h"
#include "safetensors_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian and so are its readers");
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "sizes of files are used as sizes of memory");

/* Bytes of a shard from its start. */
static vr_status fetch(const vr_st_shard *s, uint64_t at, void *out, size_t bytes, vr_error *err)
{
    if (s->fd >= 0) return vr_file_read_at(s->fd, s->path, at, out, bytes, err);
    if (bytes) memcpy(out, s->memory + at, bytes);
    return VR_OK;
}

static vr_status read_header(vr_safetensors *st, size_t max_header, vr_error *err)
{
    vr_st_shard *s = &st->shards[0];
    uint64_t     n = 0;
    if (s->size < VR_ST_PREFIX)
        return vr_fail(err, VR_E_MODEL, "header-too-small", "%s: has %llu bytes, too few for a safetensors file",
                       vr_quotez(s->path).text, (unsigned long long)s->size);
    vr_status status = fetch(s, 0, &n, VR_ST_PREFIX, err);
    if (status) return status;
    if (n > max_header)
        return vr_fail(err, VR_E_MODEL, "header-too-large",
                       "%s: says its header has %llu bytes, at most %zu are accepted; is it a safetensors file?",
                       vr_quotez(s->path).text, (unsigned long long)n, max_header);
    if (n > s->size - VR_ST_PREFIX)
        return vr_fail(err, VR_E_MODEL, "header-past-end",
                       "%s: says its header has %llu bytes, the file has %llu after it begins", vr_quotez(s->path).text,
                       (unsigned long long)n, (unsigned long long)(s->size - VR_ST_PREFIX));

    s->header = malloc(n + 1); /* n is at most the size of the file */
    if (!s->header)
        return vr_fail(err, VR_E_MEMORY, "", "%s: no memory for its header of %llu bytes", vr_quotez(s->path).text,
                       (unsigned long long)n);
    status = fetch(s, VR_ST_PREFIX, s->header, n, err);
    if (status) return status;
    s->header[n] = 0;
    s->data_begin = VR_ST_PREFIX + n;
    st->bytes = s->size - s->data_begin;
    return vr_st_scan(&st->table, s->header, n, st->bytes, s->path, err);
}

/* An object with one shard that is still closed. */
static vr_status make(vr_safetensors **out, const char *path, vr_error *err)
{
    vr_safetensors *st = calloc(1, sizeof *st);
    if (st) {
        st->path = strdup(path);
        st->shards = calloc(1, sizeof *st->shards);
        if (st->shards) {
            st->shard_count = 1;
            st->shards[0].fd = -1;
            st->shards[0].path = strdup(path);
        }
    }
    if (!st || !st->path || !st->shards || !st->shards[0].path) {
        vr_safetensors_close(st);
        return vr_fail(err, VR_E_MEMORY, "", "%s: no memory to open it", vr_quotez(path).text);
    }
    *out = st;
    return VR_OK;
}

static vr_status header_limit(size_t *max_header, vr_error *err)
{
    if (*max_header > VR_ST_HEADER_CAP)
        return vr_fail(err, VR_E_USAGE, "max-header", "the limit of a header is %zu bytes, at most %d can be asked for",
                       *max_header, VR_ST_HEADER_CAP);
    if (*max_header == 0) *max_header = VR_ST_HEADER_LIMIT;
    return VR_OK;
}

vr_status vr_st_open_file(vr_safetensors **out, const char *path, size_t max_header, vr_error *err)
{
    vr_safetensors *st;
    vr_status       status = make(&st, path, err);
    if (status) return status;
    vr_st_shard *s = &st->shards[0];
    status = vr_file_open(&s->fd, &s->size, path, err);
    if (!status) status = read_header(st, max_header, err);
    if (status) {
        vr_safetensors_close(st);
        return status;
    }
    *out = st;
    return VR_OK;
}

vr_status vr_safetensors_open_memory(vr_safetensors **out, const void *bytes, size_t length, size_t max_header, vr_error *err)
{
    vr_safetensors *st;
    *out = NULL;
    vr_status status = header_limit(&max_header, err);
    if (!status) status = make(&st, "(memory)", err);
    if (status) return status;
    st->shards[0].memory = bytes;
    st->shards[0].size = length;
    status = read_header(st, max_header, err);
    if (status) {
        vr_safetensors_close(st);
        return status;
    }
    *out = st;
    return VR_OK;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* A folder is a checkpoint by the file in it that has one of the two usual names. */
static vr_status open_folder(vr_safetensors **out, const char *folder, size_t max_header, vr_error *err)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json"};
    for (int i = 0; i < 2; i++) {
        char       *path;
        struct stat st;
        if (asprintf(&path, "%s/%s", folder, names[i]) < 0)
            return vr_fail(err, VR_E_MEMORY, "", "%s: no memory to open it", vr_quotez(folder).text);
        vr_status status = VR_OK;
        bool      there = stat(path, &st) == 0;
        if (there) status = i == 0 ? vr_st_open_file(out, path, max_header, err) : vr_st_open_index(out, path, max_header, err);
        free(path);
        if (there) return status;
    }
    return vr_fail(err, VR_E_MODEL, "no-checkpoint", "%s: the folder has neither %s nor %s", vr_quotez(folder).text, names[0],
                   names[1]);
}

vr_status vr_safetensors_open(vr_safetensors **out, const char *path, size_t max_header, vr_error *err)
{
    *out = NULL;
    struct stat st;
    vr_status   status = header_limit(&max_header, err);
    if (status) return status;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        status = open_folder(out, path, max_header, err);
    else if (ends_with(path, ".index.json"))
        status = vr_st_open_index(out, path, max_header, err);
    else
        status = vr_st_open_file(out, path, max_header, err);
    if (status || strcmp((*out)->path, path) == 0) return status;

    char *given = strdup(path); /* a folder: the object was opened under the name of the file in it */
    if (!given) {
        vr_safetensors_close(*out);
        *out = NULL;
        return vr_fail(err, VR_E_MEMORY, "", "%s: no memory to open it", vr_quotez(path).text);
    }
    free((*out)->path);
    (*out)->path = given;
    return VR_OK;
}

void vr_safetensors_close(vr_safetensors *st)
{
    if (!st) return;
    for (size_t i = 0; i < st->shard_count; i++) {
        if (st->shards[i].fd >= 0) close(st->shards[i].fd);
        free(st->shards[i].path);
        free(st->shards[i].header);
    }
    vr_st_table_free(&st->table);
    free(st->shards);
    free(st->path);
    free(st);
}

size_t           vr_safetensors_count(const vr_safetensors *st) { return st->table.count; }
const vr_tensor *vr_safetensors_at(const vr_safetensors *st, size_t i)
{
    return i < st->table.count ? &st->table.tensors[i] : NULL;
}
const char *vr_safetensors_path(const vr_safetensors *st) { return st->path; }
uint64_t    vr_safetensors_bytes(const vr_safetensors *st) { return st->bytes; }

static int name_of(const void *name, const void *tensor) { return strcmp(name, ((const vr_tensor *)tensor)->name); }

const vr_tensor *vr_safetensors_find(const vr_safetensors *st, const char *name)
{
    if (st->table.count == 0) return NULL;
    return bsearch(name, st->table.tensors, st->table.count, sizeof(vr_tensor), name_of);
}

const char *vr_safetensors_metadata(const vr_safetensors *st, const char *key)
{
    for (size_t i = 0; i < st->table.pair_count; i++)
        if (strcmp(st->table.pairs[i].key, key) == 0) return st->table.pairs[i].value;
    return NULL;
}

/* The size is asked again before a read: a file cut short while it was in use is damaged even where the bytes wanted
 * now are still there. */
static vr_status check_size(const vr_st_shard *s, vr_error *err)
{
    struct stat st;
    if (s->fd < 0) return VR_OK;
    if (fstat(s->fd, &st) != 0)
        return vr_fail(err, VR_E_IO, "read", "%s: cannot be examined: %s", vr_quotez(s->path).text, strerror(errno));
    if ((uint64_t)st.st_size < s->size)
        return vr_fail(err, VR_E_IO, "file-shrank", "%s: had %llu bytes when it was opened and has %llu now",
                       vr_quotez(s->path).text, (unsigned long long)s->size, (unsigned long long)st.st_size);
    return VR_OK;
}

static const vr_st_shard *shard_of(const vr_safetensors *st, const vr_tensor *t)
{
    assert(t->shard >= 0 && (size_t)t->shard < st->shard_count);
    return &st->shards[t->shard];
}

/* May elements first .. first+count-1 of t be read as numbers? */
static vr_status check_request(const vr_safetensors *st, const vr_tensor *t, uint64_t first, uint64_t count, vr_error *err)
{
    const vr_st_shard *s = shard_of(st, t);
    if (t->dtype != VR_F32 && t->dtype != VR_F16 && t->dtype != VR_BF16 && t->dtype != VR_F64)
        return vr_fail(err, VR_E_MODEL, "dtype", "%s: tensor '%s' is %s, wanted one of F32, F16, BF16, F64",
                       vr_quotez(s->path).text, vr_quotez(t->name).text, vr_dtype_name(t->dtype));
    if (first > t->elements || count > t->elements - first)
        return vr_fail(err, VR_E_USAGE, "range", "%s: tensor '%s' has %llu elements, %llu from number %llu were asked for",
                       vr_quotez(s->path).text, vr_quotez(t->name).text, (unsigned long long)t->elements,
                       (unsigned long long)count, (unsigned long long)first);
    return check_size(s, err);
}

/* Bytes of elements first .. first+count-1; bits are a multiple of 8 for the types that can be read. */
static vr_status fetch_elements(const vr_safetensors *st, const vr_tensor *t, uint64_t first, uint64_t count, void *out,
                                vr_error *err)
{
    const vr_st_shard *s = shard_of(st, t);
    const size_t       each = vr_dtype_bits(t->dtype) / 8;
    return fetch(s, s->data_begin + t->begin + first * each, out, count * each, err);
}

static void widen_to_f32(float *out, const void *in, size_t count, vr_dtype dtype)
{
    if (dtype == VR_F32) memcpy(out, in, count * sizeof *out);
    if (dtype == VR_F16) vr_f16_to_f32_many(out, in, count);
    if (dtype == VR_BF16) vr_bf16_to_f32_many(out, in, count);
    if (dtype == VR_F64)
        for (size_t i = 0; i < count; i++) out[i] = (float)((const double *)in)[i];
}

enum { CHUNK_BYTES = 1 << 16 }; /* converted at a time: small enough for the second cache, large enough for the kernel */

vr_status vr_safetensors_read_f32(const vr_safetensors *st, const vr_tensor *t, uint64_t first, uint64_t count, float *out,
                                  vr_error *err)
{
    vr_status status = check_request(st, t, first, count, err);
    if (status) return status;
    if (t->dtype == VR_F32) return fetch_elements(st, t, first, count, out, err);

    double       chunk[CHUNK_BYTES / sizeof(double)]; /* of any type; doubles align it */
    const size_t most = sizeof chunk * 8 / vr_dtype_bits(t->dtype);
    while (count > 0 && !status) {
        size_t n = count < most ? count : most;
        status = fetch_elements(st, t, first, n, chunk, err);
        if (!status) widen_to_f32(out, chunk, n, t->dtype);
        out += n, first += n, count -= n;
    }
    return status;
}

vr_status vr_safetensors_read_f64(const vr_safetensors *st, const vr_tensor *t, uint64_t first, uint64_t count, double *out,
                                  vr_error *err)
{
    vr_status status = check_request(st, t, first, count, err);
    if (status) return status;
    if (t->dtype == VR_F64) return fetch_elements(st, t, first, count, out, err);

    float        wide[CHUNK_BYTES / sizeof(float)];
    const size_t most = sizeof wide / sizeof *wide;
    while (count > 0 && !status) {
        size_t n = count < most ? count : most;
        status = vr_safetensors_read_f32(st, t, first, n, wide, err);
        for (size_t i = 0; i < n && !status; i++) out[i] = (double)wide[i];
        out += n, first += n, count -= n;
    }
    return status;
}

vr_status vr_safetensors_read_raw(const vr_safetensors *st, const vr_tensor *t, void *out, vr_error *err)
{
    const vr_st_shard *s = shard_of(st, t);
    vr_status          status = check_size(s, err);
    return status ? status : fetch(s, s->data_begin + t->begin, out, t->bytes, err);
}
