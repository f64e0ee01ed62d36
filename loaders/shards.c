/* shards.c: a checkpoint in several files.  The index maps every tensor to its file:
 *
 *   {"metadata": {...}, "weight_map": {"blocks.0.attn.qkv.weight": "model-00001-of-00002.safetensors", ...}}
 *
 * Index and files must say the same thing.  Rules, beside those of each file and of lex.c and json.c:
 *   index-type            the index or weight_map is no object, or a value of weight_map no string
 *   unknown-key           the index has a key other than the two
 *   shard-name            a file name that is not plain: empty, hidden, with a slash, a backslash, ".." or a control byte
 *   too-many-shards       more than 256 files (each is kept open)
 *   shard-absent          a file that the index names is not there
 *   shard-tensor-absent   weight_map names a tensor that its file does not have
 *   shard-duplicate       two files have a tensor of the same name
 *   shard-extra           a file has a tensor that weight_map does not name.  It is refused rather than ignored: readers
 *                         that load whole files would see it, readers that follow the map would not.
 *   too-many-tensors      more than 65,536 in all
 *
 * metadata.total_size is not compared with anything: tools disagree on whether shared tensors count once. */
#include "json.h"
#include "safetensors_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_INDEX = 16 << 20, MAX_SHARDS = 256 };

typedef struct {
    const char *tensor, *file;
} mapping;

typedef struct {
    const char *path;
    vr_json    *doc;
    mapping    *map; /* [count], sorted by tensor */
    size_t      count;
    const char *files[MAX_SHARDS]; /* sorted */
    size_t      file_count;
    vr_error   *err;
} shard_index;

static vr_status no_memory(const shard_index *x)
{
    return vr_fail(x->err, VR_E_MEMORY, "", "%s: no memory to open it", vr_quotez(x->path).text);
}

static bool plain_name(const char *name)
{
    if (name[0] == 0 || name[0] == '.' || strstr(name, "..") || strpbrk(name, "/\\")) return false;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) return false;
    return true;
}

static int by_tensor(const void *a, const void *b)
{
    return strcmp(((const mapping *)a)->tensor, ((const mapping *)b)->tensor);
}

static int by_file(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The files that the map names, once each. */
static vr_status collect_files(shard_index *x)
{
    const char **all = vr_alloc(x->count, sizeof *all);
    if (!all) return no_memory(x);
    for (size_t i = 0; i < x->count; i++) all[i] = x->map[i].file;
    qsort(all, x->count, sizeof *all, by_file);
    vr_status status = VR_OK;
    for (size_t i = 0; i < x->count && !status; i++) {
        if (i > 0 && strcmp(all[i - 1], all[i]) == 0) continue;
        if (x->file_count == MAX_SHARDS)
            status = vr_fail(x->err, VR_E_MODEL, "too-many-shards", "%s: names more than %d files", vr_quotez(x->path).text,
                             MAX_SHARDS);
        else
            x->files[x->file_count++] = all[i];
    }
    free(all);
    return status;
}

static vr_status read_map(shard_index *x)
{
    static const char *const keys[] = {"metadata", "weight_map", NULL};
    const vr_quoted          path = vr_quotez(x->path);

    vr_status status = vr_json_read(&x->doc, x->path, MAX_INDEX, x->err);
    if (status) return status;
    const vr_json *map = vr_json_get(x->doc, "weight_map");
    if (!map || vr_json_type(map) != VR_JSON_OBJECT)
        return vr_fail(x->err, VR_E_MODEL, "index-type", "%s: weight_map is %s, wanted an object", path.text,
                       vr_json_type_name(map));
    status = vr_json_only_keys(x->doc, keys, x->path, x->err);
    if (status) return status;

    x->map = vr_alloc(vr_json_size(map), sizeof *x->map);
    if (!x->map) return no_memory(x);
    for (size_t i = 0; i < vr_json_size(map); i++) {
        const vr_json *item = vr_json_item(map, i);
        mapping        m = {.tensor = vr_json_key(item)};
        if (!vr_json_string(item, &m.file))
            return vr_fail(x->err, VR_E_MODEL, "index-type", "%s: the file of tensor '%s' is %s, wanted a string", path.text,
                           vr_quotez(m.tensor).text, vr_json_type_name(item));
        if (!plain_name(m.file))
            return vr_fail(x->err, VR_E_MODEL, "shard-name",
                           "%s: tensor '%s' is said to be in '%s', wanted the plain name of a file in the same folder",
                           path.text, vr_quotez(m.tensor).text, vr_quotez(m.file).text);
        x->map[x->count++] = m;
    }
    if (x->count) qsort(x->map, x->count, sizeof *x->map, by_tensor);
    return collect_files(x);
}

/* Move what `from` has to the end of `to`; `from` is closed. */
static vr_status append(vr_safetensors *to, vr_safetensors *from, const shard_index *x)
{
    vr_status          status = VR_OK;
    vr_st_table       *a = &to->table;
    const vr_st_table *b = &from->table;
    if (b->count > VR_ST_MAX_TENSORS - a->count) {
        status = vr_fail(x->err, VR_E_MODEL, "too-many-tensors", "%s: its files have more than %d tensors",
                         vr_quotez(x->path).text, VR_ST_MAX_TENSORS);
        goto done;
    }
    for (size_t i = 0; i < b->count && !status; i++) {
        if (!vr_st_grow((void **)&a->tensors, a->count, &a->room, sizeof *a->tensors)) {
            status = no_memory(x);
            break;
        }
        a->tensors[a->count] = b->tensors[i];
        a->tensors[a->count++].shard = (int)to->shard_count;
    }
    for (size_t i = 0; i < b->pair_count && !status; i++) {
        if (!vr_st_grow((void **)&a->pairs, a->pair_count, &a->pair_room, sizeof *a->pairs))
            status = no_memory(x);
        else
            a->pairs[a->pair_count++] = b->pairs[i];
    }
    if (status) goto done;
    to->shards[to->shard_count++] = from->shards[0];
    to->bytes += from->bytes;
    from->shard_count = 0; /* its file and its text now belong to `to` */
done:
    vr_safetensors_close(from);
    return status;
}

static vr_status open_shard(vr_safetensors *st, const shard_index *x, const char *file, size_t max_header)
{
    const char *slash = strrchr(x->path, '/');
    int         folder = slash ? (int)(slash - x->path) + 1 : 0;
    char       *path;
    if (asprintf(&path, "%.*s%s", folder, x->path, file) < 0) return no_memory(x);

    struct stat     there;
    vr_safetensors *one;
    vr_status       status;
    if (stat(path, &there) != 0 && errno == ENOENT)
        status = vr_fail(x->err, VR_E_MODEL, "shard-absent", "%s: names the file '%s', which is not there",
                         vr_quotez(x->path).text, vr_quotez(file).text);
    else
        status = vr_st_open_file(&one, path, max_header, x->err);
    free(path);
    return status ? status : append(st, one, x);
}

static int tensor_by_name(const void *a, const void *b)
{
    return strcmp(((const vr_tensor *)a)->name, ((const vr_tensor *)b)->name);
}

/* Walk the map and the tensors, both sorted by name, side by side. */
static vr_status compare(const vr_safetensors *st, const shard_index *x)
{
    const vr_quoted  path = vr_quotez(x->path);
    const vr_tensor *t = st->table.tensors;
    for (size_t i = 1; i < st->table.count; i++)
        if (tensor_by_name(&t[i - 1], &t[i]) == 0)
            return vr_fail(x->err, VR_E_MODEL, "shard-duplicate", "%s: tensor '%s' is in two files, '%s' and '%s'", path.text,
                           vr_quotez(t[i].name).text, vr_quotez(x->files[t[i - 1].shard]).text,
                           vr_quotez(x->files[t[i].shard]).text);

    size_t i = 0, m = 0;
    while (i < st->table.count || m < x->count) {
        int order = i == st->table.count ? 1 : m == x->count ? -1 : strcmp(t[i].name, x->map[m].tensor);
        if (order < 0)
            return vr_fail(x->err, VR_E_MODEL, "shard-extra", "%s: weight_map does not name tensor '%s', which '%s' has",
                           path.text, vr_quotez(t[i].name).text, vr_quotez(x->files[t[i].shard]).text);
        if (order > 0 || strcmp(x->files[t[i].shard], x->map[m].file) != 0)
            return vr_fail(x->err, VR_E_MODEL, "shard-tensor-absent", "%s: tensor '%s' is not in '%s', where weight_map has it",
                           path.text, vr_quotez(x->map[m].tensor).text, vr_quotez(x->map[m].file).text);
        i++, m++;
    }
    return VR_OK;
}

static vr_status open_shards(vr_safetensors **out, const shard_index *x, size_t max_header)
{
    vr_safetensors *st = calloc(1, sizeof *st);
    if (!st) return no_memory(x);
    st->path = strdup(x->path);
    st->shards = calloc(x->file_count ? x->file_count : 1, sizeof *st->shards);
    vr_status status = st->path && st->shards ? VR_OK : no_memory(x);
    for (size_t i = 0; i < x->file_count && !status; i++) status = open_shard(st, x, x->files[i], max_header);
    if (!status && st->table.count) qsort(st->table.tensors, st->table.count, sizeof *st->table.tensors, tensor_by_name);
    if (!status) status = compare(st, x);
    if (status) {
        vr_safetensors_close(st);
        return status;
    }
    *out = st;
    return VR_OK;
}

vr_status vr_st_open_index(vr_safetensors **out, const char *path, size_t max_header, vr_error *err)
{
    shard_index x = {.path = path, .err = err};
    vr_status   status = read_map(&x);
    if (!status) status = open_shards(out, &x, max_header);
    free(x.map);
    vr_json_free(x.doc);
    return status;
}
