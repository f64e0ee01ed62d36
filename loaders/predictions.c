/* predictions.c: read three forms of the same table, and find pictures in it. */
#include "predictions.h"

#include "csv.h"
#include "dataset.h"
#include "file.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 64 << 20 };

typedef struct {
    vr_predictions   *out;
    size_t            room;
    const char       *path;
    const vr_classes *classes;
    vr_error         *err;
} reader;

/* What a column holds. */
typedef enum { NAMES, INDICES, LABELS } meaning;
static const struct {
    const char *name;
    meaning     is;
} known[] = {/* the best first */
             {"filename", NAMES}, {"file", NAMES},     {"index1", INDICES}, {"index_0", INDICES},
             {"index", INDICES},  {"label_0", LABELS}, {"label", LABELS}};
enum { KNOWN = sizeof known / sizeof *known };

/* ---- rows ---- */

static vr_status add(reader *r, const char *name, int class)
{
    vr_predictions *out = r->out;
    if (out->count == r->room) {
        size_t         room = r->room ? 2 * r->room : 1024;
        vr_prediction *grown = reallocarray(out->item, room, sizeof *grown);
        if (grown) out->item = grown, r->room = room;
    }
    char *copy = out->count < r->room ? strdup(name) : NULL;
    if (!copy) return vr_fail(r->err, VR_E_MEMORY, "", "%s: no memory for its predictions", vr_quotez(r->path).text);
    out->item[out->count++] = (vr_prediction){copy, class};
    return VR_OK;
}

static vr_status add_index(reader *r, const char *name, int64_t class)
{
    if (class >= 0 && class < r->classes->count) return add(r, name, (int)class);
    return vr_fail(r->err, VR_E_USAGE, "predictions-class",
                   "%s: the answer for '%.60s' is no class; wanted an index from 0 to %d, for the model has %d classes",
                   vr_quotez(r->path).text, vr_quotez(name).text, r->classes->count - 1, r->classes->count);
}

static vr_status add_label(reader *r, const char *name, const char *label)
{
    int class = vr_class_among(r->classes->synset, r->classes->count, label);
    if (class < 0) class = vr_class_named(r->classes, label);
    if (class >= 0) return add(r, name, class);
    return vr_fail(r->err, VR_E_USAGE, "predictions-class",
                   "%s: the answer for '%.60s' is '%.60s', which names %s of the model's classes; inference.py writes indices "
                   "with --include-index and synsets with --label-type name",
                   vr_quotez(r->path).text, vr_quotez(name).text, vr_quotez(label).text,
                   class == VR_CLASS_SEVERAL ? "several" : "none");
}

/* ---- CSV ---- */

/* The first item of "[3 1]", "[3, 1]" or "['cat' 'dog']", cut out where it stands; another cell as it is. */
static char *first_item(char *cell)
{
    if (cell[0] != '[') return cell;
    cell += 1 + strspn(cell + 1, " \n");
    const bool quoted = cell[0] == '\'' || cell[0] == '"';
    const char end[] = {cell[0], 0};
    cell += quoted;
    cell[strcspn(cell, quoted ? end : " ,]\r\n")] = 0;
    return cell;
}

static vr_status add_cell(reader *r, const char *name, char *cell, meaning is)
{
    const char *word = first_item(cell);
    if (!word[0]) return VR_OK;
    return is == INDICES ? add_index(r, name, vr_class_number(word)) : add_label(r, name, word);
}

/* Where the best known column of names, or of classes, stands; `none` where there is no such. */
static size_t column(const char *const *header, size_t columns, bool names, meaning *is, size_t none)
{
    for (size_t k = 0; k < KNOWN; k++)
        for (size_t c = 0; c < columns; c++)
            if ((known[k].is == NAMES) == names && strcmp(header[c], known[k].name) == 0) return *is = known[k].is, c;
    return none;
}

static vr_status no_column(const reader *r)
{
    return vr_fail(
        r->err, VR_E_USAGE, "predictions-columns",
        "%s: has no column of names or none of classes; wanted file or filename, and index1, index_0, index, label_0 "
        "or label",
        vr_quotez(r->path).text);
}

static bool all_numbers(char *const *field, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (vr_class_number(field[i]) < 0) return false;
    return n > 0;
}

static vr_status read_csv(reader *r, char *text, size_t length)
{
    vr_csv  c;
    meaning is = INDICES;
    if (vr_csv_parse(&c, text, length, r->path, r->err)) return r->err->code;
    const bool         bare = all_numbers(c.field + 1, c.columns - 1); /* no header */
    const char *const *header = (const char *const *)c.field;
    const size_t       name = bare ? 0 : column(header, c.columns, true, &is, c.columns);
    const size_t class = bare ? 1 : column(header, c.columns, false, &is, c.columns);
    if (name == c.columns || class == c.columns) no_column(r);
    for (size_t i = !bare; i < c.rows && !r->err->code; i++)
        add_cell(r, c.field[i * c.columns + name], c.field[i * c.columns + class], is);
    vr_csv_free(&c);
    return r->err->code;
}

/* ---- JSON ---- */

static vr_status add_value(reader *r, const char *name, const vr_json *v, meaning is)
{
    int64_t class = VR_CLASS_NONE;
    const char *label = "";
    if (v && vr_json_type(v) == VR_JSON_ARRAY) v = vr_json_item(v, 0);
    if (!v || vr_json_type(v) == VR_JSON_NULL) return VR_OK;
    if (is == LABELS && vr_json_string(v, &label)) return add_label(r, name, label);
    vr_json_int(v, 0, INT32_MAX, &class);
    return add_index(r, name, is == LABELS ? VR_CLASS_NONE : class);
}

/* {"NAME": {"index": 3, "prob": 0.5}, ...} */
static vr_status read_by_name(reader *r, const vr_json *doc)
{
    for (size_t i = 0; i < vr_json_size(doc) && !r->err->code; i++) {
        const vr_json *row = vr_json_item(doc, i), *v = NULL;
        meaning        is = INDICES;
        for (size_t k = 0; k < KNOWN && !v; k++)
            if (known[k].is != NAMES) v = vr_json_get(row, known[k].name), is = known[k].is;
        if (!v) return no_column(r);
        add_value(r, vr_json_key(row), v, is);
    }
    return r->err->code;
}

/* {"columns": ["filename", "index"], "data": [["a.jpg", 3], ...]} */
static vr_status read_split(reader *r, const vr_json *columns, const vr_json *data)
{
    enum { COLUMNS = 64 };
    const char  *header[COLUMNS], *name;
    const size_t n = vr_json_size(columns);
    meaning      is = INDICES;
    for (size_t c = 0; c < n; c++)
        if (c >= COLUMNS || !vr_json_string(vr_json_item(columns, c), &header[c])) return no_column(r);
    const size_t names = column(header, n, true, &is, n), class = column(header, n, false, &is, n);
    if (names == n || class == n) return no_column(r);
    for (size_t i = 0; i < vr_json_size(data) && !r->err->code; i++) {
        const vr_json *row = vr_json_item(data, i);
        if (vr_json_size(row) != n || !vr_json_string(vr_json_item(row, names), &name)) return no_column(r);
        add_value(r, name, vr_json_item(row, class), is);
    }
    return r->err->code;
}

static vr_status read_json(reader *r, const char *text, size_t length)
{
    vr_json *doc;
    if (vr_json_parse(&doc, text, length, r->path, r->err)) return r->err->code;
    const vr_json *columns = vr_json_get(doc, "columns"), *data = vr_json_get(doc, "data");
    if (columns && data)
        read_split(r, columns, data);
    else
        read_by_name(r, doc);
    vr_json_free(doc);
    return r->err->code;
}

/* ---- reading ---- */

static int by_name(const void *a, const void *b)
{
    const vr_prediction *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static vr_status sort(reader *r)
{
    vr_predictions *a = r->out;
    if (a->count) qsort(a->item, a->count, sizeof *a->item, by_name);
    for (size_t i = 1; i < a->count; i++)
        if (by_name(&a->item[i - 1], &a->item[i]) == 0)
            return vr_fail(r->err, VR_E_USAGE, "predictions-twice",
                           "%s: '%.60s' stands twice; wanted one line a picture, of one setting, with names that tell them "
                           "apart (inference.py: --fullname)",
                           vr_quotez(r->path).text, vr_quotez(a->item[i].name).text);
    return VR_OK;
}

vr_status vr_predictions_read(vr_predictions *out, const char *path, const vr_classes *classes, vr_error *err)
{
    reader r = {.out = out, .path = path, .classes = classes, .err = err};
    char  *text = NULL;
    size_t length;
    *out = (vr_predictions){0};
    if (!vr_file_read(&text, &length, path, MAX_BYTES, err)) {
        const bool json = text[strspn(text, " \t\r\n")] == '{';
        if (json ? !read_json(&r, text, length) : !read_csv(&r, text, length)) sort(&r);
    }
    free(text);
    if (err->code == VR_E_MODEL) err->code = VR_E_USAGE; /* no model is at fault */
    if (err->code) vr_predictions_free(out);
    return err->code;
}

void vr_predictions_free(vr_predictions *a)
{
    for (size_t i = 0; i < a->count; i++) free(a->item[i].name);
    free(a->item);
    *a = (vr_predictions){0};
}

/* ---- matching ---- */

static size_t whole_name(const vr_predictions *a, const char *path)
{
    for (const char *end = path; end; end = strchr(end, '/'), end += end != NULL) {
        const vr_prediction  key = {(char *)end, 0};
        const vr_prediction *found = a->count ? bsearch(&key, a->item, a->count, sizeof key, by_name) : NULL;
        if (found) return (size_t)(found - a->item);
    }
    return VR_PREDICTION_NONE;
}

/* The last part of a path, and whose it is. */
typedef struct {
    const char *part;
    size_t      owner;
} last_part;

static int by_part(const void *a, const void *b)
{
    const last_part *x = a, *y = b;
    return strcmp(x->part, y->part);
}

/* The only entry with that part, or NULL. */
static const last_part *only(const last_part *sorted, size_t count, const char *part)
{
    const last_part  key = {part, 0};
    const last_part *found = count ? bsearch(&key, sorted, count, sizeof key, by_part) : NULL;
    if (!found || (found > sorted && by_part(found - 1, found) == 0)) return NULL;
    return found + 1 < sorted + count && by_part(found + 1, found) == 0 ? NULL : found;
}

/* For pictures that no name fits whole.  Parts that are alone on both sides cannot meet a prediction that is taken. */
static vr_status by_last_part(const vr_predictions *a, size_t *place, const char *const *path, size_t count, vr_error *err)
{
    last_part *ours = vr_alloc(count, sizeof *ours), *theirs = vr_alloc(a->count, sizeof *theirs);
    if (!ours || !theirs) vr_fail(err, VR_E_MEMORY, "", "no memory to match %zu pictures", count);
    for (size_t i = 0; i < count && !err->code; i++) ours[i] = (last_part){vr_file_name(path[i]), i};
    for (size_t i = 0; i < a->count && !err->code; i++) theirs[i] = (last_part){vr_file_name(a->item[i].name), i};
    if (!err->code) {
        qsort(ours, count, sizeof *ours, by_part);
        qsort(theirs, a->count, sizeof *theirs, by_part);
    }
    for (size_t i = 0; i < count && !err->code; i++) {
        const char      *part = vr_file_name(path[i]);
        const last_part *found = place[i] == VR_PREDICTION_NONE ? only(theirs, a->count, part) : NULL;
        if (found && only(ours, count, part)) place[i] = found->owner;
    }
    free(ours);
    free(theirs);
    return err->code;
}

vr_status vr_predictions_match(const vr_predictions *a, size_t *place, const char *const *path, size_t count, vr_error *err)
{
    size_t *taken = vr_alloc_zeroed(a->count, sizeof *taken); /* by which picture, from 1 */
    if (!taken) return vr_fail(err, VR_E_MEMORY, "", "no memory to match %zu pictures", count);
    for (size_t i = 0; i < count && !err->code; i++) {
        place[i] = whole_name(a, path[i]);
        if (place[i] == VR_PREDICTION_NONE) continue;
        size_t *by = &taken[place[i]];
        if (*by)
            vr_fail(err, VR_E_USAGE, "predictions-shared",
                    "'%.100s' and '%.100s' are both found as '%.60s' among the predictions", vr_quotez(path[*by - 1]).text,
                    vr_quotez(path[i]).text, vr_quotez(a->item[place[i]].name).text);
        *by = i + 1;
    }
    free(taken);
    return err->code ? err->code : by_last_part(a, place, path, count, err);
}
