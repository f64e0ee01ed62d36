/* crops.c: a cache of crops is read.  Everything but the crops is checked when it is opened; nothing that the file says is
 * used before that, and no size before it is known to fit the file's own. */
#include "crops.h"
#include "crops_parts.h"
#include "file.h"
#include "sum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian and so are its readers");

struct vr_crops {
    int              fd;
    char            *path;
    vr_crops_header  header;
    vr_crop_settings settings;
    size_t           crop_bytes;
    char            *tail;   /* entries, then text */
    vr_crops_item   *item;   /* [pictures] in it */
    const char     **folder; /* [folders] in it */
    const char     **name;   /* [pictures] in it */
    const char     **error;  /* [pictures] in it, or NULL */
};

static vr_status bad(const vr_crops *c, const char *rule, const char *what, vr_error *err)
{
    return vr_fail(err, VR_E_IO, rule, "%s: %s; make the cache again with vitrun cache", vr_quotez(c->path).text, what);
}

static vr_status no_memory(const vr_crops *c, vr_error *err)
{
    return vr_fail(err, VR_E_MEMORY, "", "%s: no memory to read it", vr_quotez(c->path).text);
}

/* ---- header ---- */

static bool switches_fit(const vr_crops_header *h)
{
    return h->allow_truncated < 2 && h->uncropped < 2 && h->exif < 2 && h->zero == 0 && h->resize <= VR_RESIZE_NONE &&
           h->filter <= VR_BICUBIC && h->offset <= VR_OFFSET_FLOOR && h->formats <= VR_FORMAT_ALL;
}

static bool sides_fit(const vr_crops_header *h)
{
    return h->crop_height >= 1 && h->crop_height <= VR_CROPS_SIDE && h->crop_width >= 1 && h->crop_width <= VR_CROPS_SIDE &&
           h->resize_height <= VR_CROPS_SIDE && h->resize_width <= VR_CROPS_SIDE && h->max_side <= INT32_MAX &&
           h->max_scans <= INT32_MAX;
}

/* Whether the parts that the header names fill the file exactly. */
static bool parts_fit(const vr_crops *c, uint64_t size)
{
    const vr_crops_header *h = &c->header;
    size_t                 crops, table, end;
    return h->file_bytes == size && h->pictures >= 1 && h->pictures <= VR_CROPS_MOST && h->folders <= VR_CROPS_MOST &&
           vr_mul((size_t)h->pictures, c->crop_bytes, &crops) && vr_mul((size_t)h->pictures, sizeof(vr_crops_item), &table) &&
           vr_add(VR_CROPS_HEADER, crops, &end) && vr_add(end, table, &end) && vr_add(end, (size_t)h->text_bytes, &end) &&
           end == size && h->folders <= h->text_bytes && h->pictures <= h->text_bytes;
}

static void take_settings(vr_crops *c)
{
    const vr_crops_header *h = &c->header;
    vr_crop_settings      *s = &c->settings;
    s->uncropped = h->uncropped, s->exif = h->exif;
    s->limits = (vr_image_limits){.max_bytes = (size_t)h->max_bytes,
                                  .max_pixels = h->max_pixels,
                                  .max_side = (int)h->max_side,
                                  .max_scans = (int)h->max_scans,
                                  .formats = h->formats,
                                  .allow_truncated = h->allow_truncated};
    s->recipe = (vr_recipe){.resize = (vr_resize)h->resize,
                            .resize_height = (int)h->resize_height,
                            .resize_width = (int)h->resize_width,
                            .filter = (vr_filter)h->filter,
                            .crop_height = (int)h->crop_height,
                            .crop_width = (int)h->crop_width,
                            .offset = (vr_offset)h->offset};
    vr_recipe_name(&s->recipe);
}

static vr_status read_header(vr_crops *c, uint64_t size, vr_error *err)
{
    vr_crops_header *h = &c->header;
    char             page[VR_CROPS_HEADER];
    if (size < sizeof h->magic || vr_file_read_at(c->fd, c->path, 0, page, sizeof h->magic, err) ||
        memcmp(page, VR_CROPS_MAGIC, sizeof h->magic) != 0)
        return vr_fail(err, VR_E_IO, "cache-magic", "%s: is neither a folder nor a cache that vitrun cache wrote",
                       vr_quotez(c->path).text);
    if (size < sizeof page) return bad(c, "cache-size", "is cut short", err);
    if (vr_file_read_at(c->fd, c->path, 0, page, sizeof page, err)) return err->code;
    memcpy(h, page, sizeof *h);
    if (h->head_sum != vr_sum64(h, offsetof(vr_crops_header, head_sum)))
        return bad(c, "cache-sum", "its header is damaged", err);
    for (size_t i = sizeof *h; i < sizeof page; i++)
        if (page[i]) return bad(c, "cache-header", "something stands behind its header", err);
    if (!switches_fit(h) || !sides_fit(h) || memchr(h->version, 0, sizeof h->version) == NULL)
        return bad(c, "cache-header", "its header says what cannot be", err);
    c->crop_bytes = (size_t)h->crop_height * (size_t)h->crop_width * 3;
    if (!parts_fit(c, size)) return bad(c, "cache-size", "its length is not what its header says", err);
    take_settings(c);
    return VR_OK;
}

/* ---- names ---- */

/* "folder/name" with parts that stay below the root. */
static bool safe_path(const char *name)
{
    if (!*name) return false;
    for (const char *p = name;; p++) {
        const size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) return false;
        p += n;
        if (!*p) return true;
    }
}

static bool safe_part(const char *name) { return safe_path(name) && !strchr(name, '/'); }

/* The text that *at stands before and whose NUL stands before `end`; NULL: there is none. */
static const char *next_text(const char **at, const char *end)
{
    const char *text = *at, *nul = text < end ? memchr(text, 0, (size_t)(end - text)) : NULL;
    if (nul) *at = nul + 1;
    return nul ? text : NULL;
}

/* ---- entries ---- */

static bool item_fits(const vr_crops *c, size_t i)
{
    const vr_crops_item *t = &c->item[i];
    const uint32_t       side = c->header.max_side;
    if (t->folder < VR_NO_FOLDER || (t->folder >= 0 && (uint64_t)t->folder >= c->header.folders)) return false;
    if (t->width > side || t->height > side) return false;
    if (t->code == VR_OK) return t->width > 0 && t->height > 0;
    return (t->code == VR_E_IMAGE || t->code == VR_E_IO) && vr_crops_plain(c->error[i]);
}

/* Below its folder, or in none; behind the name before it. */
static bool name_fits(const vr_crops *c, size_t i)
{
    const char *name = c->name[i], *slash = strchr(name, '/');
    const int   f = c->item[i].folder;
    if (!safe_path(name) || (i > 0 && vr_picture_order(c->name[i - 1], name) >= 0)) return false;
    if (f == VR_NO_FOLDER) return !slash;
    const size_t n = strlen(c->folder[f]);
    return slash && (size_t)(slash - name) == n && strncmp(name, c->folder[f], n) == 0;
}

static vr_status take_texts(vr_crops *c, vr_error *err)
{
    const vr_crops_header *h = &c->header;
    const char            *at = (const char *)(c->item + h->pictures), *end = at + h->text_bytes;
    for (size_t i = 0; i < h->folders; i++) {
        c->folder[i] = next_text(&at, end);
        if (!c->folder[i] || !safe_part(c->folder[i]) || (i > 0 && vr_natural_order(c->folder[i - 1], c->folder[i]) >= 0))
            return bad(c, "cache-name", "names a folder that cannot be", err);
    }
    for (size_t i = 0; i < h->pictures; i++) {
        c->name[i] = next_text(&at, end);
        c->error[i] = c->item[i].code && c->name[i] ? next_text(&at, end) : NULL;
        if (!c->name[i] || (c->item[i].code && !c->error[i]) || !item_fits(c, i))
            return bad(c, "cache-table", "says of a picture what cannot be", err);
        if (!name_fits(c, i)) return bad(c, "cache-name", "names a picture that cannot be", err);
    }
    return at == end ? VR_OK : bad(c, "cache-table", "has text behind its last name", err);
}

static vr_status read_tail(vr_crops *c, vr_error *err)
{
    const vr_crops_header *h = &c->header;
    const size_t           table = (size_t)h->pictures * sizeof *c->item, length = table + (size_t)h->text_bytes;
    c->tail = vr_alloc(length, 1);
    c->folder = vr_alloc((size_t)h->folders, sizeof *c->folder);
    c->name = vr_alloc((size_t)h->pictures, sizeof *c->name);
    c->error = vr_alloc((size_t)h->pictures, sizeof *c->error);
    if (!c->tail || !c->folder || !c->name || !c->error) return no_memory(c, err);
    c->item = (vr_crops_item *)(void *)c->tail;
    if (vr_file_read_at(c->fd, c->path, h->file_bytes - length, c->tail, length, err)) return err->code;
    if (vr_sum64(c->tail, length) != h->tail_sum) return bad(c, "cache-sum", "its table of pictures is damaged", err);
    return take_texts(c, err);
}

/* ---- opening ---- */

vr_status vr_crops_open(vr_crops **out, const char *path, vr_error *err)
{
    uint64_t  size;
    vr_crops *c = calloc(1, sizeof *c);
    *out = NULL;
    if (c) c->fd = -1, c->path = strdup(path);
    if (!c || !c->path) {
        free(c);
        return vr_fail(err, VR_E_MEMORY, "", "%s: no memory to open it", vr_quotez(path).text);
    }
    if (vr_file_open(&c->fd, &size, path, err) || read_header(c, size, err) || read_tail(c, err))
        vr_crops_close(c);
    else
        *out = c;
    return err->code;
}

void vr_crops_close(vr_crops *c)
{
    if (!c) return;
    if (c->fd >= 0) close(c->fd);
    free(c->tail);
    free(c->folder);
    free(c->name);
    free(c->error);
    free(c->path);
    free(c);
}

/* ---- use ---- */

size_t                  vr_crops_count(const vr_crops *c) { return (size_t)c->header.pictures; }
size_t                  vr_crops_bytes(const vr_crops *c) { return c->crop_bytes; }
const vr_crop_settings *vr_crops_settings(const vr_crops *c) { return &c->settings; }
const char             *vr_crops_version(const vr_crops *c) { return c->header.version; }

vr_crop_entry vr_crops_entry(const vr_crops *c, size_t i)
{
    const vr_crops_item *t = &c->item[i];
    return (vr_crop_entry){.name = c->name[i],
                           .bytes = t->bytes,
                           .sha256 = t->sha256,
                           .sum = t->sum,
                           .width = (int)t->width,
                           .height = (int)t->height,
                           .code = (vr_status)t->code,
                           .error = c->error[i]};
}

vr_status vr_crops_read(const vr_crops *c, size_t i, uint8_t *out, vr_error *err)
{
    const uint64_t at = VR_CROPS_HEADER + (uint64_t)i * c->crop_bytes;
    if (vr_file_read_at(c->fd, c->path, at, out, c->crop_bytes, err)) return err->code;
    if (vr_sum64(out, c->crop_bytes) == c->item[i].sum) return VR_OK;
    return vr_fail(err, VR_E_IO, "cache-crop", "%s: the crop of %s is damaged; make the cache again with vitrun cache",
                   vr_quotez(c->path).text, vr_quotez(c->name[i]).text);
}

vr_status vr_crops_list(const vr_crops *c, vr_picture_list *list, vr_error *err)
{
    vr_picture_list_begin(list, c->path, err);
    list->unreadable = (size_t)c->header.unreadable;
    for (size_t i = 0; i < c->header.folders && !err->code; i++) vr_picture_list_add_folder(list, c->folder[i], err);
    for (size_t i = 0; i < c->header.pictures && !err->code; i++) {
        char *path;
        if (asprintf(&path, "%s/%s", c->path, c->name[i]) < 0) return no_memory(c, err);
        vr_picture_list_add(list, path, c->item[i].folder, err);
        free(path);
    }
    return err->code;
}

/* ---- does it fit ---- */

static bool same_recipe(const vr_recipe *a, const vr_recipe *b)
{
    return a->resize == b->resize && a->resize_height == b->resize_height &&
           (a->resize == VR_RESIZE_SHORTER || a->resize_width == b->resize_width) && a->filter == b->filter &&
           a->crop_height == b->crop_height && a->crop_width == b->crop_width && a->offset == b->offset;
}

/* "bicubic-256-crop224, offsets rounded down, uncropped" */
static void say_recipe(char *out, size_t room, const vr_crop_settings *s)
{
    snprintf(out, room, "%s%s%s", s->recipe.name, s->recipe.offset == VR_OFFSET_FLOOR ? ", offsets rounded down" : "",
             s->uncropped ? ", pictures of another shape refused" : "");
}

vr_status vr_crops_fit(const vr_crops *c, const vr_crop_settings *wanted, vr_error *err)
{
    const vr_crop_settings *own = &c->settings;
    const vr_image_limits  *a = &own->limits, *b = &wanted->limits;
    char                    found[120], asked[120];
    say_recipe(found, sizeof found, own);
    say_recipe(asked, sizeof asked, wanted);
    if (!same_recipe(&own->recipe, &wanted->recipe) || own->uncropped != wanted->uncropped)
        return vr_fail(err, VR_E_USAGE, "cache-recipe",
                       "%s: holds crops of the recipe %s, but the model wants %s; make one for this model with vitrun cache -m",
                       vr_quotez(c->path).text, found, asked);
    const char *flag = own->exif != wanted->exif                  ? "--exif"
                       : a->max_bytes != b->max_bytes             ? "--max-file-size"
                       : a->max_pixels != b->max_pixels           ? "--max-pixels"
                       : a->max_side != b->max_side               ? "--max-side"
                       : a->formats != b->formats                 ? "--formats"
                       : a->allow_truncated != b->allow_truncated ? "--allow-truncated"
                       : a->max_scans != b->max_scans             ? "the limit of scans"
                                                                  : NULL;
    if (!flag) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "cache-settings",
                   "%s: was made with another %s than is asked for now; say the same, or make the cache again",
                   vr_quotez(c->path).text, flag);
}
