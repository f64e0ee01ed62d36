/* dataset.c: give every picture of a list its class. */
#include "dataset.h"

#include "labels.h"

#include <stdlib.h>
#include <string.h>

enum { DEVKIT_MOST = 100000 };

/* How class folders are named. */
typedef enum { BY_MAP, BY_SYNSET, BY_NAME, BY_INDEX, SCHEMES } scheme;
static const char *const layouts[SCHEMES] = {"map folders", "synset folders", "name folders", "index folders"};

typedef struct {
    const vr_dataset_source *from;
    const vr_classes        *classes;
    vr_labels                map;    /* of class_map */
    int                     *devkit; /* [DEVKIT_MOST + 1] class of an id, or VR_CLASS_NONE; NULL without a devkit_map */
    vr_dataset              *out;
    vr_picture_list          list;
} scan;

static vr_status no_memory(vr_error *err) { return vr_fail(err, VR_E_MEMORY, "", "no memory for the names of the pictures"); }

/* The class that `word` names, VR_CLASS_NONE or VR_CLASS_SEVERAL. */
static int class_of(const scan *s, scheme how, const char *word)
{
    const vr_classes *c = s->classes;
    if (how == BY_MAP) return vr_class_among(s->map.name, (int)s->map.count, word);
    if (how == BY_SYNSET) return vr_class_among(c->synset, c->count, word);
    if (how == BY_NAME) return vr_class_named(c, word);
    const int i = vr_class_number(word);
    return i < c->count ? i : VR_CLASS_NONE;
}

/* Picture i of the list becomes the next of the data. */
static void take(scan *s, size_t i, int class)
{
    vr_dataset *d = s->out;
    d->path[d->count] = s->list.path[i];
    s->list.path[i] = NULL;
    d->entry[d->count] = i;
    d->label[d->count++] = class;
}

/* ---- class folders ---- */

static scheme choose_scheme(const scan *s)
{
    scheme best = BY_SYNSET;
    size_t most = 0;
    if (s->from->class_map) return BY_MAP;
    for (scheme how = BY_SYNSET; how < SCHEMES; how++) {
        size_t fit = 0;
        for (size_t i = 0; i < s->list.folders; i++) fit += class_of(s, how, s->list.folder_name[i]) != VR_CLASS_NONE;
        if (fit > most) most = fit, best = how;
    }
    return best;
}

static vr_status refuse_folders(const scan *s, scheme how, const int *class, vr_error *err)
{
    size_t      unknown = 0, first = 0;
    const char *example = "";
    for (size_t i = s->list.folders; i-- > 0;)
        if (class[i] < 0) unknown++, first = i;
    if (how == BY_MAP)
        example = s->map.name[0];
    else if (s->classes->count)
        example = s->classes->synset[0][0] ? s->classes->synset[0] : s->classes->name[0];
    return vr_fail(
        err, VR_E_USAGE, "classes-unknown",
        "'%s': %zu of its %zu folders name %s, the first is '%.60s'; wanted only classes of the model, which has %d%s%.60s",
        vr_quotez(s->list.root).text, unknown, s->list.folders,
        class[first] == VR_CLASS_SEVERAL ? "several classes" : "no class", vr_quotez(s->list.folder_name[first]).text,
        s->classes->count, example[0] ? ", such as " : "", vr_quotez(example).text);
}

/* Indices say nothing about what they index, so they count only where none is missing.  7 and 07 are one.
 *   class  [folders] each in 0 .. classes - 1 */
static vr_status check_indices(const scan *s, const int *class, vr_error *err)
{
    const size_t wanted = (size_t)s->classes->count;
    bool        *seen = vr_alloc_zeroed(wanted, sizeof *seen);
    size_t       different = 0;
    if (!seen) return no_memory(err);
    for (size_t i = 0; i < s->list.folders; i++) {
        different += !seen[class[i]];
        seen[class[i]] = true;
    }
    free(seen);
    if (different == s->list.folders && different == wanted) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "classes-count",
                   "'%s' has %zu folders named by number, of %zu classes, but the model has %zu classes; wanted a folder for "
                   "each, 0 to %zu",
                   vr_quotez(s->list.root).text, s->list.folders, different, wanted, wanted - 1);
}

static vr_status label_folders(scan *s, vr_error *err)
{
    vr_dataset  *d = s->out;
    const scheme how = choose_scheme(s);
    int *class = vr_alloc(s->list.folders, sizeof *class);
    size_t known = 0;
    if (!class) return no_memory(err);
    for (size_t i = 0; i < s->list.folders; i++) known += (class[i] = class_of(s, how, s->list.folder_name[i])) >= 0;
    if (known < s->list.folders)
        refuse_folders(s, how, class, err);
    else if (how == BY_INDEX)
        check_indices(s, class, err);
    for (size_t i = 0; i < s->list.count && !err->code; i++) {
        if (s->list.folder[i] == VR_NO_FOLDER)
            d->stray++;
        else
            take(s, i, class[s->list.folder[i]]);
    }
    d->folders = s->list.folders;
    d->layout = layouts[how];
    free(class);
    return err->code;
}

/* ---- a flat folder with a file of answers ---- */

/* 1234 of "ILSVRC2012_val_00001234.JPEG", 0 where it is named otherwise. */
static size_t picture_number(const char *path)
{
    const char *name = vr_file_name(path), *low = strrchr(name, '_');
    if (!low || strspn(low + 1, "0123456789") != 8 || low[9] != '.') return 0;
    return (size_t)strtoul(low + 1, NULL, 10);
}

size_t vr_imagenet_number(const char *path)
{
    static const char prefix[] = "ILSVRC2012_val_";
    return strncmp(vr_file_name(path), prefix, sizeof prefix - 1) == 0 ? picture_number(path) : 0;
}

/* The last word of a line. */
static const char *answer(const char *line)
{
    const char *space = strrchr(line, ' ');
    return space ? space + 1 : line;
}

typedef struct {
    const char *name; /* [length] */
    size_t      length, line;
} named_line;

static int by_line_name(const void *a, const void *b)
{
    const named_line *x = a, *y = b;
    size_t            n = x->length < y->length ? x->length : y->length;
    int               order = memcmp(x->name, y->name, n);
    return order ? order : x->length < y->length ? -1 : x->length > y->length;
}

/* Numbers count from 0 where one of them is 0; else they may be the devkit's. */
static vr_status check_order(const scan *s, const vr_labels *l, vr_error *err)
{
    const char *order = s->from->labels_order;
    int         low = INT32_MAX, high = -1;
    if (order && strcmp(order, "devkit") == 0 && !s->devkit)
        return vr_fail(err, VR_E_USAGE, "labels-order",
                       "--labels-order devkit needs the devkit's own table of classes: give --devkit-map FILE with a line "
                       "'ID SYNSET' for each, or use class folders or a file of synsets");
    for (size_t i = 0; i < l->count; i++) {
        int n = vr_class_number(answer(l->name[i]));
        if (n >= 0 && n < low) low = n;
        if (n > high) high = n;
    }
    if (high < 0 || order || low == 0) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "labels-order",
                   "'%s' numbers its classes %d to %d, without a 0: that may be ILSVRC2012's devkit order, which is not the "
                   "models'; use class folders or synsets, or say --labels-order index if they count from 0",
                   vr_quotez(s->from->labels).text, low, high);
}

/* The class that line i says. */
static vr_status label_of_line(const scan *s, const vr_labels *l, size_t i, int *class, vr_error *err)
{
    const char  *word = answer(l->name[i]);
    const int    n = vr_class_number(word);
    const scheme how = s->from->class_map ? BY_MAP : n >= 0 ? BY_INDEX : BY_SYNSET;
    if (how == BY_INDEX && s->devkit)
        *class = n <= DEVKIT_MOST ? s->devkit[n] : VR_CLASS_NONE;
    else
        *class = class_of(s, how, word);
    if (*class >= 0) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "classes-unknown", "'%s': line %zu says '%.60s', which is none of the model's %d classes",
                   vr_quotez(s->from->labels).text, i + 1, vr_quotez(word).text, s->classes->count);
}

static vr_status label_flat(scan *s, const vr_labels *l, vr_error *err)
{
    const bool  named = strchr(l->name[0], ' ') != NULL;
    named_line *lines = vr_alloc(l->count, sizeof *lines);
    if (!lines) return no_memory(err);
    for (size_t i = 0; i < l->count; i++) lines[i] = (named_line){l->name[i], (size_t)(answer(l->name[i]) - l->name[i]), i};
    for (size_t i = 0; i < l->count; i++) lines[i].length -= lines[i].length > 0;
    if (named) qsort(lines, l->count, sizeof *lines, by_line_name);
    for (size_t i = 0; i < s->list.count && !err->code; i++) {
        const char       *path = s->list.path[i], *name = vr_file_name(path);
        const named_line  key = {name, strlen(name), 0};
        const named_line *found = named ? bsearch(&key, lines, l->count, sizeof *lines, by_line_name) : NULL;
        size_t            line = named ? (found ? found->line + 1 : 0) : picture_number(path);
        int class;
        if (s->list.folder[i] != VR_NO_FOLDER) continue;
        if (line == 0 || line > l->count)
            vr_fail(err, VR_E_USAGE, "labels-missing", "'%s' has no line in '%s' (%zu lines; wanted %s)", vr_quotez(path).text,
                    vr_quotez(s->from->labels).text, l->count,
                    named ? "its name in one" : "a picture named like ILSVRC2012_val_00000001.JPEG");
        else if (label_of_line(s, l, line - 1, &class, err) == VR_OK)
            take(s, i, class);
    }
    s->out->layout = "flat";
    free(lines);
    return err->code;
}

/* ---- opening ---- */

static vr_status read_map(scan *s, vr_error *err)
{
    if (!s->from->class_map || vr_labels_read_given(&s->map, s->from->class_map, err)) return err->code;
    if (s->map.count == (size_t)s->classes->count) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "classes-count", "'%s' has %zu lines, but the model has %d classes",
                   vr_quotez(s->from->class_map).text, s->map.count, s->classes->count);
}

/* One line "ID SYNSET".  The devkit also numbers classes above those that are judged, so a synset may be unknown. */
static vr_status add_devkit(scan *s, char *line, size_t i, bool *seen, vr_error *err)
{
    char *space = strchr(line, ' '), *word = space ? space + 1 : line;
    if (space) *space = 0;
    const int id = vr_class_number(line);
    if (!space || !word[0] || strchr(word, ' ') || id < 1 || id > DEVKIT_MOST || seen[id])
        return vr_fail(err, VR_E_USAGE, "devkit-map",
                       "'%s': line %zu is no 'ID SYNSET'; wanted an id from 1 to %d that no other line has, a space, a synset",
                       vr_quotez(s->from->devkit_map).text, i + 1, DEVKIT_MOST);
    seen[id] = true;
    s->devkit[id] = class_of(s, BY_SYNSET, word);
    return VR_OK;
}

static vr_status read_devkit(scan *s, vr_error *err)
{
    vr_labels lines = {0};
    if (!s->from->devkit_map || vr_labels_read_given(&lines, s->from->devkit_map, err)) return err->code;
    bool *seen = vr_alloc_zeroed(DEVKIT_MOST + 1, sizeof *seen);
    s->devkit = vr_alloc(DEVKIT_MOST + 1, sizeof *s->devkit);
    if (!seen || !s->devkit) no_memory(err);
    for (size_t i = 0; i <= DEVKIT_MOST && !err->code; i++) s->devkit[i] = VR_CLASS_NONE;
    if (lines.synset && !err->code)
        vr_fail(err, VR_E_USAGE, "devkit-map", "'%s': its lines have tabs; wanted 'ID SYNSET' with a space between",
                vr_quotez(s->from->devkit_map).text);
    for (size_t i = 0; i < lines.count && !err->code; i++)
        add_devkit(s, lines.text + (lines.name[i] - lines.text), i, seen, err);
    free(seen);
    vr_labels_free(&lines);
    return err->code;
}

static vr_status label(scan *s, vr_error *err)
{
    vr_labels lines = {0};
    if (s->from->labels) {
        if (!vr_labels_read_given(&lines, s->from->labels, err) && !check_order(s, &lines, err)) label_flat(s, &lines, err);
        vr_labels_free(&lines);
    } else if (s->list.folders) {
        label_folders(s, err);
    } else if (s->list.count) {
        vr_fail(err, VR_E_USAGE, "labels-missing",
                "'%s' holds %zu pictures but no class folders; say with --labels FILE which classes they are",
                vr_quotez(s->list.root).text, s->list.count);
    }
    return err->code;
}

/* The pictures, and room for as many in the data. */
static vr_status list(scan *s, vr_error *err)
{
    const bool deep = !s->from->labels;
    vr_status  status = s->from->crops ? vr_crops_list(s->from->crops, &s->list, err)
                                       : vr_picture_list_walk(&s->list, s->from->folder, deep, err);
    if (status) return status;
    vr_dataset *d = s->out;
    d->path = vr_alloc_zeroed(s->list.count, sizeof *d->path);
    d->label = vr_alloc(s->list.count, sizeof *d->label);
    d->entry = vr_alloc(s->list.count, sizeof *d->entry);
    d->unreadable = deep ? s->list.unreadable : 0;
    return d->path && d->label && d->entry ? VR_OK : no_memory(err);
}

vr_status vr_dataset_open(vr_dataset *out, const vr_dataset_source *from, const vr_classes *classes, vr_error *err)
{
    scan s = {.from = from, .classes = classes, .out = out};
    *out = (vr_dataset){.layout = "none"};
    if (!read_map(&s, err) && !read_devkit(&s, err) && !list(&s, err)) label(&s, err);
    if (!err->code && out->count == 0)
        vr_fail(err, VR_E_IMAGE, "no-picture", "'%s' holds no picture%s", vr_quotez(s.list.root).text,
                from->labels ? " of its own" : " in class folders");
    vr_picture_list_free(&s.list);
    free(s.devkit);
    vr_labels_free(&s.map);
    if (err->code) vr_dataset_close(out);
    return err->code;
}

void vr_dataset_close(vr_dataset *d)
{
    for (size_t i = 0; i < d->count; i++) free(d->path[i]);
    free(d->path);
    free(d->label);
    free(d->entry);
    *d = (vr_dataset){0};
}
