/* inputs.c: from the words of a command line to the names of pictures. */
#include "../loaders/dataset.h"
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    char **names;
    size_t count, room;
} list;

/* The list takes over `name`, also where it fails. */
static vr_status add(list *l, char *name, vr_error *err)
{
    if (name && l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        char **names = reallocarray(l->names, room, sizeof *names);
        if (names) l->names = names, l->room = room;
    }
    if (!name || l->count == l->room) {
        free(name);
        return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the names of the pictures");
    }
    l->names[l->count++] = name;
    return VR_OK;
}

void cli_inputs_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
}

/* ---- folders ---- */

/* A folder that was walked, so that links in a circle end. */
typedef struct {
    dev_t device;
    ino_t node;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* True the first time that it sees a folder. */
static bool first_visit(void **visited, const struct stat *s)
{
    place *p = malloc(sizeof *p);
    if (!p) return false;
    *p = (place){s->st_dev, s->st_ino};
    place **found = tsearch(p, visited, compare_places);
    if (!found || *found != p) {
        free(p);
        return false;
    }
    return true;
}

static int not_hidden(const struct dirent *e) { return e->d_name[0] != '.'; }
static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static char *join(const char *folder, const char *name)
{
    char  *path;
    size_t n = strlen(folder);
    return asprintf(&path, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name) < 0 ? NULL : path;
}

static vr_status walk(list *l, const char *folder, void **visited, vr_error *err)
{
    struct dirent **entries;
    int             n = scandir(folder, &entries, not_hidden, by_bytes);
    if (n < 0) return add(l, strdup(folder), err); /* its row will carry the system's reason */
    for (int i = 0; i < n; i++) {
        struct stat s;
        char       *path = err->code ? NULL : join(folder, entries[i]->d_name);
        bool        there = path && stat(path, &s) == 0;
        bool        picture = vr_picture_name(entries[i]->d_name);
        free(entries[i]);
        if (!path && !err->code) vr_fail(err, VR_E_MEMORY, "memory", "no memory for the names of the pictures");
        if (there && S_ISDIR(s.st_mode)) {
            if (first_visit(visited, &s)) walk(l, path, visited, err);
            free(path);
        } else if (path && picture && (!there || S_ISREG(s.st_mode))) {
            add(l, path, err); /* a dangling link too: it fails as a row, not in silence */
        } else {
            free(path);
        }
    }
    free(entries);
    return err->code;
}

static vr_status add_name(const cli_options *o, list *l, const char *name, vr_error *err)
{
    struct stat s;
    if (strcmp(name, "-") == 0 || stat(name, &s) || !S_ISDIR(s.st_mode)) return add(l, strdup(name), err);
    size_t before = l->count;
    void  *visited = NULL;
    first_visit(&visited, &s);
    walk(l, name, &visited, err);
    tdestroy(visited, free);
    if (!err->code && l->count == before) cli_note(o, "'%s' holds no picture", vr_quotez(name).text);
    return err->code;
}

/* ---- lists of names ---- */

/* All of a list, with a NUL behind it.  A pipe will do: `vitrun classify @<(find ...)`. */
static vr_status read_list(char **out, size_t *length, const char *path, vr_error *err)
{
    bool   own = strcmp(path, "-") != 0;
    FILE  *f = own ? fopen(path, "re") : stdin;
    size_t room = 0, n = 0, got = 1;
    *out = NULL;
    while (f && got) {
        if (n + 4096 > room) {
            room = 2 * room + 8192;
            char *grown = realloc(*out, room);
            if (!grown) break;
            *out = grown;
        }
        n += got = fread(*out + n, 1, room - n - 1, f);
    }
    if (got && f)
        vr_fail(err, VR_E_MEMORY, "memory", "%s: no memory for the names of the pictures", vr_quotez(path).text);
    else if (!f || ferror(f))
        vr_fail(err, VR_E_IO, "list", "%s: cannot read the list of names: %s", vr_quotez(path).text, strerror(errno));
    else
        (*out)[n] = 0;
    if (f && own) fclose(f);
    *length = n;
    return err->code;
}

/* Names one a line or, where the list has a NUL anywhere, each ended by a NUL. */
static vr_status add_listed(const cli_options *o, list *l, const char *path, vr_error *err)
{
    char  *bytes;
    size_t length;
    if (read_list(&bytes, &length, path, err)) {
        free(bytes);
        return err->code;
    }
    const char *text = bytes, *end = bytes + length;
    char        separator = memchr(text, 0, length) ? 0 : '\n';
    while (text < end && !err->code) {
        const char *stop = memchr(text, separator, (size_t)(end - text));
        size_t      n = (size_t)((stop ? stop : end) - text);
        size_t      kept = separator == '\n' && n && text[n - 1] == '\r' ? n - 1 : n;
        bool        dash = kept == 1 && text[0] == '-'; /* in a list that is a file's name */
        char       *name = dash ? strdup("./-") : strndup(text, kept);
        if (!name) vr_fail(err, VR_E_MEMORY, "memory", "no memory for the names of the pictures");
        if (name && kept) add_name(o, l, name, err);
        free(name);
        text += n + 1;
    }
    free(bytes);
    return err->code;
}

static vr_status stdin_once(const cli_options *o, vr_error *err)
{
    int uses = o->files_from && strcmp(o->files_from, "-") == 0;
    for (size_t i = 0; i < o->input_count; i++)
        if (strcmp(o->inputs[i], "-") == 0 || strcmp(o->inputs[i], "@-") == 0) uses++;
    if (uses > 1) return vr_fail(err, VR_E_USAGE, "stdin", "standard input can be read once, but - is given %d times", uses);
    return VR_OK;
}

vr_status cli_expand_inputs(const cli_options *o, char ***names, size_t *count, vr_error *err)
{
    list l = {0};
    *names = NULL, *count = 0;
    stdin_once(o, err);
    for (size_t i = 0; i < o->input_count && !err->code; i++) {
        const char *name = o->inputs[i];
        if (!name[0])
            vr_fail(err, VR_E_USAGE, "input", "one of the names of pictures is empty");
        else if (name[0] == '@' && name[1])
            add_listed(o, &l, name + 1, err);
        else
            add_name(o, &l, name, err);
    }
    if (o->files_from && !err->code) add_listed(o, &l, o->files_from, err);
    if (!err->code && l.count == 0)
        vr_fail(err, VR_E_IMAGE, "no-picture", "there is no picture to read: no name ends in .jpg, .png, .webp or the like");
    if (err->code) {
        cli_inputs_free(l.names, l.count);
        return err->code;
    }
    *names = l.names, *count = l.count;
    return VR_OK;
}
