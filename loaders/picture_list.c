/* picture_list.c: walk a folder. */
#include "picture_list.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { DEEPEST = 32 };

static vr_status no_memory(vr_error *err) { return vr_fail(err, VR_E_MEMORY, "", "no memory for the names of the pictures"); }

/* ---- names ---- */

bool vr_picture_name(const char *name)
{
    static const char *const endings[] = {"jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp",
                                          "pnm", "ppm",  "pgm", "pbm",  "tga", "psd",  NULL};
    const char              *dot = strrchr(name, '.');
    if (!dot || name[0] == '.') return false;
    for (const char *const *e = endings; *e; e++)
        if (strcasecmp(dot + 1, *e) == 0) return true;
    return false;
}

const char *vr_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool digit(char c) { return c >= '0' && c <= '9'; }

int vr_natural_order(const char *a, const char *b)
{
    const char *x = a, *y = b;
    while (*x && *y) {
        if (digit(*x) && digit(*y)) {
            while (*x == '0') x++;
            while (*y == '0') y++;
            size_t m = strspn(x, "0123456789"), n = strspn(y, "0123456789");
            int    order = m != n ? (m < n ? -1 : 1) : strncmp(x, y, m);
            if (order) return order;
            x += m, y += n;
        } else if (*x != *y) {
            break;
        } else {
            x++, y++;
        }
    }
    if (*x != *y) return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
    return strcmp(a, b); /* 1 and 01 */
}

enum { PART_MOST = 1024 }; /* more than a file system allows */

/* The part of a path that *at stands before; *at goes behind it. */
static void next_part(char part[PART_MOST], const char **at)
{
    const size_t n = strcspn(*at, "/");
    snprintf(part, PART_MOST, "%.*s", (int)(n < PART_MOST ? n : PART_MOST - 1), *at);
    *at += n + ((*at)[n] == '/');
}

int vr_picture_order(const char *a, const char *b)
{
    char        x[PART_MOST], y[PART_MOST];
    const char *p = a, *q = b;
    while (*p && *q) {
        next_part(x, &p);
        next_part(y, &q);
        const int order = vr_natural_order(x, y);
        if (order) return order;
    }
    return *p ? 1 : *q ? -1 : strcmp(a, b);
}

/* ---- the list ---- */

vr_status vr_picture_list_begin(vr_picture_list *list, const char *root, vr_error *err)
{
    *list = (vr_picture_list){.root = strdup(root)};
    return list->root ? VR_OK : no_memory(err);
}

vr_status vr_picture_list_add(vr_picture_list *list, const char *path, int folder, vr_error *err)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 1024;
        char **paths = reallocarray(list->path, room, sizeof *paths);
        if (paths) list->path = paths;
        int *folders = paths ? reallocarray(list->folder, room, sizeof *folders) : NULL;
        if (folders) list->folder = folders;
        if (!folders) return no_memory(err);
        list->room = room;
    }
    char *copy = strdup(path);
    if (!copy) return no_memory(err);
    list->path[list->count] = copy;
    list->folder[list->count++] = folder;
    return VR_OK;
}

vr_status vr_picture_list_add_folder(vr_picture_list *list, const char *name, vr_error *err)
{
    if (list->folders == list->folder_room) {
        size_t room = list->folder_room ? 2 * list->folder_room : 1024;
        char **names = reallocarray(list->folder_name, room, sizeof *names);
        if (!names) return no_memory(err);
        list->folder_name = names, list->folder_room = room;
    }
    char *copy = strdup(name);
    if (!copy) return no_memory(err);
    list->folder_name[list->folders++] = copy;
    return VR_OK;
}

void vr_picture_list_free(vr_picture_list *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->path[i]);
    for (size_t i = 0; i < list->folders; i++) free(list->folder_name[i]);
    free(list->path);
    free(list->folder);
    free(list->folder_name);
    free(list->root);
    *list = (vr_picture_list){0};
}

const char *vr_picture_list_name(const vr_picture_list *list, size_t i)
{
    const char *name = list->path[i] + strlen(list->root);
    return name + strspn(name, "/");
}

/* ---- the walk ---- */

static int by_name(const FTSENT **a, const FTSENT **b) { return vr_natural_order((*a)->fts_name, (*b)->fts_name); }

static vr_status unreadable_root(const vr_picture_list *list, int reason, vr_error *err)
{
    return vr_fail(err, VR_E_IO, "open", "cannot read folder '%s': %s", vr_quotez(list->root).text, strerror(reason));
}

/* One entry of the walk. */
static vr_status visit(vr_picture_list *list, bool deep, FTS *walk, FTSENT *e, vr_error *err)
{
    bool below = e->fts_level > FTS_ROOTLEVEL, hidden = below && e->fts_name[0] == '.';
    int  folder = e->fts_level > 1 ? (int)list->folders - 1 : VR_NO_FOLDER;
    switch (e->fts_info) {
    case FTS_D:
        if (e->fts_level > DEEPEST) list->unreadable++;
        if (hidden || e->fts_level > DEEPEST || (!deep && below))
            fts_set(walk, e, FTS_SKIP);
        else if (e->fts_level == 1)
            return vr_picture_list_add_folder(list, e->fts_name, err);
        return VR_OK;
    case FTS_DNR:
        if (!below) return unreadable_root(list, e->fts_errno, err);
        list->unreadable++;
        return VR_OK;
    case FTS_NS:
    case FTS_ERR:
    case FTS_SLNONE:
        if (!below) return unreadable_root(list, e->fts_errno ? e->fts_errno : ENOENT, err);
        /* fall through */
    case FTS_F:
        if (!below) return vr_fail(err, VR_E_IO, "not-a-folder", "'%s' is no folder", vr_quotez(list->root).text);
        return vr_picture_name(e->fts_name) ? vr_picture_list_add(list, e->fts_path, folder, err) : VR_OK;
    default: /* a circle, a device, the way back up */
        return VR_OK;
    }
}

static vr_status walk(vr_picture_list *list, bool deep, vr_error *err)
{
    char *roots[] = {list->root, NULL};
    FTS  *f = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    if (!f) return unreadable_root(list, errno, err);
    while (!err->code) {
        errno = 0;
        FTSENT *e = fts_read(f);
        if (!e && errno) unreadable_root(list, errno, err);
        if (!e) break;
        visit(list, deep, f, e, err);
    }
    fts_close(f);
    return err->code;
}

/* The folder itself, or the place in it where ImageNet's archives put the validation set. */
static vr_status find_root(vr_picture_list *list, const char *folder, vr_error *err)
{
    static const char *const places[] = {"val", "validation", "ILSVRC/Data/CLS-LOC/val", NULL};
    for (const char *const *p = places; *p; p++) {
        struct stat st;
        char       *place;
        if (asprintf(&place, "%s/%s", folder, *p) < 0) return no_memory(err);
        const bool there = stat(place, &st) == 0 && S_ISDIR(st.st_mode);
        if (there) vr_picture_list_begin(list, place, err);
        free(place);
        if (there) return err->code;
    }
    return vr_picture_list_begin(list, folder, err);
}

vr_status vr_picture_list_walk(vr_picture_list *list, const char *folder, bool deep, vr_error *err)
{
    *list = (vr_picture_list){0};
    if (find_root(list, folder, err) || walk(list, deep, err)) vr_picture_list_free(list);
    return err->code;
}
