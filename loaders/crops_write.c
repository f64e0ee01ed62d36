/* crops_write.c: a cache of crops is written.  Crops go to their places as they come; what is known of them follows in the
 * end, the header last, so that a file that was not finished has none. */
#include "crops.h"
#include "crops_parts.h"
#include "sum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct vr_crops_writer {
    int                    fd;
    char                  *path;
    const vr_picture_list *list;
    vr_crops_header        header;
    size_t                 crop_bytes;
    uint64_t               table_at;
    vr_crops_item         *item;  /* [pictures] */
    char                 **error; /* [pictures] */
};

static vr_status write_at(const vr_crops_writer *w, uint64_t at, const void *bytes, size_t length, vr_error *err)
{
    const char *from = bytes;
    while (length > 0) {
        const ssize_t n = pwrite(w->fd, from, length, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return vr_fail(err, VR_E_IO, "write", "cannot write '%s': %s", vr_quotez(w->path).text,
                           strerror(n < 0 ? errno : EIO));
        from += n, at += (uint64_t)n, length -= (size_t)n;
    }
    return VR_OK;
}

static vr_status no_memory(vr_error *err) { return vr_fail(err, VR_E_MEMORY, "", "no memory to write a cache of crops"); }

static void fill_header(vr_crops_header *h, const vr_crop_settings *s, const vr_picture_list *list)
{
    const vr_recipe *r = &s->recipe;
    *h = (vr_crops_header){.pictures = list->count,
                           .folders = list->folders,
                           .unreadable = list->unreadable,
                           .max_bytes = s->limits.max_bytes,
                           .max_pixels = s->limits.max_pixels,
                           .max_side = (uint32_t)s->limits.max_side,
                           .max_scans = (uint32_t)s->limits.max_scans,
                           .formats = s->limits.formats,
                           .allow_truncated = s->limits.allow_truncated,
                           .resize = r->resize,
                           .resize_height = (uint32_t)r->resize_height,
                           .resize_width = r->resize == VR_RESIZE_SHORTER ? 0 : (uint32_t)r->resize_width,
                           .filter = r->filter,
                           .crop_height = (uint32_t)r->crop_height,
                           .crop_width = (uint32_t)r->crop_width,
                           .offset = r->offset,
                           .uncropped = s->uncropped,
                           .exif = s->exif};
    memcpy(h->magic, VR_CROPS_MAGIC, sizeof h->magic);
}

/* A full disk should be known before hours of work; not every file system can say. */
static vr_status reserve(const vr_crops_writer *w, vr_error *err)
{
    const uint64_t bytes = w->table_at + w->list->count * sizeof *w->item;
    if (fallocate(w->fd, 0, 0, (off_t)bytes) == 0 || (errno != ENOSPC && errno != EFBIG)) return VR_OK;
    return vr_fail(err, VR_E_IO, "write", "cannot write '%s': it needs %llu bytes: %s", vr_quotez(w->path).text,
                   (unsigned long long)bytes, strerror(errno));
}

vr_status vr_crops_begin(vr_crops_writer **out, int fd, const char *path, const vr_crop_settings *settings,
                         const vr_picture_list *list, vr_error *err)
{
    const vr_recipe *r = &settings->recipe;
    *out = NULL;
    if (r->crop_height < 1 || r->crop_width < 1 || r->crop_height > VR_CROPS_SIDE || r->crop_width > VR_CROPS_SIDE)
        return vr_fail(err, VR_E_USAGE, "recipe", "crops of %dx%d pixels cannot be kept; wanted 1 to %d a side", r->crop_height,
                       r->crop_width, VR_CROPS_SIDE);
    if (list->count > VR_CROPS_MOST)
        return vr_fail(err, VR_E_USAGE, "cache-pictures", "a cache holds at most %d pictures, not %zu", VR_CROPS_MOST,
                       list->count);
    vr_crops_writer *w = calloc(1, sizeof *w);
    if (!w) return no_memory(err);
    fill_header(&w->header, settings, list);
    w->fd = fd;
    w->list = list;
    w->crop_bytes = (size_t)r->crop_height * (size_t)r->crop_width * 3;
    w->table_at = VR_CROPS_HEADER + (uint64_t)list->count * w->crop_bytes;
    w->path = strdup(path);
    w->item = vr_alloc_zeroed(list->count, sizeof *w->item);
    w->error = vr_alloc_zeroed(list->count, sizeof *w->error);
    if (!w->path || !w->item || !w->error)
        no_memory(err);
    else
        reserve(w, err);
    if (err->code)
        vr_crops_writer_free(w);
    else
        *out = w;
    return err->code;
}

bool vr_crops_plain(const char *sentence)
{
    const size_t length = strlen(sentence);
    if (!length || !vr_utf8_valid(sentence, length)) return false;
    for (const char *p = sentence; *p;) {
        size_t n = 1;
        while ((p[n] & 0xC0) == 0x80) n++;
        if (strncmp(vr_quote(p, n).text, p, n) != 0) return false;
        p += n;
    }
    return true;
}

vr_status vr_crops_put(vr_crops_writer *w, size_t i, const vr_crop_source *from, const uint8_t *rgb, const vr_error *why,
                       vr_error *err)
{
    vr_crops_item *item = &w->item[i];
    *item = (vr_crops_item){.bytes = from->bytes,
                            .folder = w->list->folder[i],
                            .width = (uint32_t)from->width,
                            .height = (uint32_t)from->height,
                            .code = rgb ? VR_OK : why->code};
    memcpy(item->sha256, from->sha256, sizeof item->sha256);
    if (!rgb) {
        const char *text = why->text[0] ? why->text : "no reason was given";
        w->error[i] = strdup(vr_crops_plain(text) ? text : vr_quotez(text).text);
        return w->error[i] ? VR_OK : no_memory(err);
    }
    item->sum = vr_sum64(rgb, w->crop_bytes);
    return write_at(w, VR_CROPS_HEADER + (uint64_t)i * w->crop_bytes, rgb, w->crop_bytes, err);
}

/* Entries and text in one piece, which has one checksum: *tail [*length], the caller's. */
static vr_status make_tail(const vr_crops_writer *w, char **tail, size_t *length, vr_error *err)
{
    FILE *f = open_memstream(tail, length);
    if (!f) return no_memory(err);
    fwrite(w->item, sizeof *w->item, w->list->count, f);
    for (size_t i = 0; i < w->list->folders; i++) fwrite(w->list->folder_name[i], strlen(w->list->folder_name[i]) + 1, 1, f);
    for (size_t i = 0; i < w->list->count; i++) {
        const char *name = vr_picture_list_name(w->list, i);
        fwrite(name, strlen(name) + 1, 1, f);
        if (w->error[i]) fwrite(w->error[i], strlen(w->error[i]) + 1, 1, f);
    }
    const bool bad = ferror(f);
    return fclose(f) || bad ? no_memory(err) : VR_OK;
}

vr_status vr_crops_end(vr_crops_writer *w, const char *version, vr_error *err)
{
    vr_crops_header *h = &w->header;
    char             page[VR_CROPS_HEADER] = {0}, *tail = NULL;
    size_t           length = 0;
    if (make_tail(w, &tail, &length, err) == VR_OK) {
        strncpy(h->version, version, sizeof h->version - 1);
        h->text_bytes = length - w->list->count * sizeof *w->item;
        h->file_bytes = w->table_at + length;
        h->tail_sum = vr_sum64(tail, length);
        h->head_sum = vr_sum64(h, offsetof(vr_crops_header, head_sum));
        memcpy(page, h, sizeof *h);
        if (write_at(w, w->table_at, tail, length, err) == VR_OK) write_at(w, 0, page, sizeof page, err);
    }
    free(tail);
    return err->code;
}

const char *vr_crops_why(const vr_crops_writer *w, size_t i) { return w->error[i]; }

void vr_crops_writer_free(vr_crops_writer *w)
{
    if (!w) return;
    for (size_t i = 0; w->error && i < w->list->count; i++) free(w->error[i]);
    free(w->error);
    free(w->item);
    free(w->path);
    free(w);
}
