/* report_read.c: results files.  Whoever wrote them, they are checked field by field before anything is drawn. */
#include "report.h"

#include "../loaders/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_BYTES = 8 << 20,
    MOST_ROWS = 500, /* more fit no page */
    MOST_BLOCKS = 256,
    LONGEST_MERGE = 200,
    LONGEST_TEXT = 1000
};

static const struct {
    const char *field, *words;
} said[SAIDS] = {
    [SAID_MODEL] = {"model", "model"},           [SAID_SIZE] = {"img_size", "picture size"},
    [SAID_RECIPE] = {"recipe", "preprocessing"}, [SAID_EXIF] = {"exif", "turned by EXIF"},
    [SAID_DATASET] = {"dataset", "data set"},    [SAID_LAYOUT] = {"layout", "layout"},
    [SAID_WANTED] = {"wanted", "pictures"},      [SAID_DEVICE] = {"device", "device"},
    [SAID_CPU] = {"cpu", "processor"},           [SAID_ISA] = {"isa", "instruction set"},
    [SAID_DTYPE] = {"dtype", "element type"},    [SAID_THREADS] = {"threads", "threads"},
    [SAID_VERSION] = {"version", "vitrun"},
};

const char *report_said_words(report_said i) { return said[i].words; }

/* Where in the inputs something is wrong. */
typedef struct {
    const report_file *file;
    size_t             item; /* from 1; 0 where the file holds one result alone */
    vr_error          *err;
} place;

static vr_status wrong(const place *p, vr_status code, const char *field, const char *wanted, const vr_json *found)
{
    char item[40] = "";
    if (p->item) snprintf(item, sizeof item, ", result %zu", p->item);
    return vr_fail(p->err, code, "results", "'%s'%s: field '%s' must be %s; found %s%s", vr_quotez(p->file->path).text, item,
                   field, wanted, found ? vr_json_type_name(found) : "none",
                   code == VR_E_USAGE ? "; report reads what vitrun eval --json writes" : "");
}

static vr_status read_text(const place *p, const vr_json *v, const char *field, size_t longest, const char **out)
{
    char wanted[48];
    snprintf(wanted, sizeof wanted, "a text of 1 to %zu bytes", longest);
    if (!vr_json_string(v, out) || !**out || strlen(*out) > longest) return wrong(p, VR_E_IO, field, wanted, v);
    return VR_OK;
}

/* Texts, numbers and switches alike become text. */
static vr_status read_said(const place *p, const vr_json *object, report_said i, char **out)
{
    const vr_json *v = vr_json_get(object, said[i].field);
    const char    *text = "";
    char           number[40];
    double         x;
    bool           on;
    if (vr_json_double(v, &x)) {
        snprintf(number, sizeof number, "%.9g", x);
        text = number;
    } else if (vr_json_bool(v, &on)) {
        text = on ? "yes" : "no";
    } else if (v && vr_json_type(v) != VR_JSON_NULL && read_text(p, v, said[i].field, LONGEST_TEXT, &text)) {
        return p->err->code;
    }
    *out = strdup(text);
    return *out ? VR_OK : vr_fail(p->err, VR_E_MEMORY, "memory", "no memory for the results");
}

/* null is what eval writes for the mean of nothing. */
static vr_status read_number(const place *p, const vr_json *object, const char *field, double high, double *out)
{
    char           wanted[64];
    const vr_json *v = vr_json_get(object, field);
    double         x;
    *out = NAN;
    if (!v || vr_json_type(v) == VR_JSON_NULL) return VR_OK;
    snprintf(wanted, sizeof wanted, "a number from 0 to %g", high);
    if (!vr_json_double(v, &x) || x < 0 || x > high) return wrong(p, VR_E_IO, field, wanted, v);
    *out = x;
    return VR_OK;
}

static vr_status read_numbers(const place *p, const vr_json *object, report_row *row)
{
    const struct {
        const char *field;
        double      high, *out;
    } numbers[] = {
        {"top1", 100, &row->top1},       {"top1_low", 100, &row->top1_low},       {"top1_high", 100, &row->top1_high},
        {"top5", 100, &row->top5},       {"agreement", 100, &row->agreement},     {"mcnemar_p", 1, &row->mcnemar_p},
        {"gmacs", 1e9, &row->gmacs},     {"merge_gmacs", 1e9, &row->merge_gmacs}, {"infer_ms", 1e12, &row->infer_ms},
        {"speedup", 1e9, &row->speedup},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (read_number(p, object, numbers[i].field, numbers[i].high, numbers[i].out)) return p->err->code;
    if (row->merge_gmacs > 0) row->gmacs += row->merge_gmacs;
    if (row->infer_ms <= 0) row->infer_ms = NAN;
    if (row->speedup <= 0) row->speedup = NAN;
    return VR_OK;
}

static vr_status read_counts(const place *p, const vr_json *object, report_row *row)
{
    const struct {
        const char *field;
        int64_t    *out;
    } counts[] = {
        {"images", &row->images},
        {"skipped", &row->skipped},
        {"agreement_count", &row->agree},
        {"only_merged_right", &row->only_merged},
        {"only_unmerged_right", &row->only_unmerged},
    };
    const int64_t high = 1000000000;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const vr_json *v = vr_json_get(object, counts[i].field);
        *counts[i].out = -1;
        if (v && !vr_json_int(v, 0, high, counts[i].out))
            return wrong(p, VR_E_IO, counts[i].field, "a whole number from 0 to 1000000000", v);
    }
    const vr_json *partial = vr_json_get(object, "partial");
    if (partial && !vr_json_bool(partial, &row->partial)) return wrong(p, VR_E_IO, "partial", "true or false", partial);
    return VR_OK;
}

static vr_status read_tokens(const place *p, const vr_json *object, report_row *row)
{
    static const char wanted[] = "a list of at most 256 numbers from 0 to 1e6";
    const vr_json    *v = vr_json_get(object, "tokens");
    if (!v || vr_json_type(v) == VR_JSON_NULL) return VR_OK;
    const size_t n = vr_json_size(v);
    if (vr_json_type(v) != VR_JSON_ARRAY || n > MOST_BLOCKS) return wrong(p, VR_E_IO, "tokens", wanted, v);
    row->tokens = vr_alloc(n, sizeof *row->tokens);
    if (!row->tokens) return vr_fail(p->err, VR_E_MEMORY, "memory", "no memory for the results");
    for (size_t i = 0; i < n; i++) {
        const vr_json *item = vr_json_item(v, i);
        row->tokens[i] = NAN;
        if (vr_json_type(item) == VR_JSON_NULL) continue;
        if (!vr_json_double(item, &row->tokens[i]) || row->tokens[i] < 0 || row->tokens[i] > 1e6)
            return wrong(p, VR_E_IO, "tokens", wanted, item);
    }
    row->blocks = (int)n;
    return VR_OK;
}

/* Without these it is something else, such as the JSON of bench. */
static vr_status check_kind(const place *p, const vr_json *object)
{
    static const struct {
        const char  *field, *wanted;
        vr_json_kind kind;
    } signs[] = {
        {"merge", "a text", VR_JSON_STRING},  {"model", "a text", VR_JSON_STRING},   {"images", "a number", VR_JSON_NUMBER},
        {"top1", "a number", VR_JSON_NUMBER}, {"gmacs", "a number", VR_JSON_NUMBER},
    };
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        const vr_json *v = vr_json_get(object, signs[i].field);
        bool           nothing = v && vr_json_type(v) == VR_JSON_NULL && signs[i].kind == VR_JSON_NUMBER;
        if (!v || (vr_json_type(v) != signs[i].kind && !nothing))
            return wrong(p, v ? VR_E_IO : VR_E_USAGE, signs[i].field, signs[i].wanted, v);
    }
    return VR_OK;
}

static vr_status read_result(report *r, const place *p, const vr_json *object)
{
    report_row *row = &r->row[r->rows];
    if (check_kind(p, object)) return p->err->code;
    r->rows++; /* from here on report_free frees what it has */
    row->file = (size_t)(p->file - r->file);
    if (read_text(p, vr_json_get(object, "merge"), "merge", LONGEST_MERGE, &row->merge)) return p->err->code;
    for (report_said i = 0; i < SAIDS; i++)
        if (read_said(p, object, i, &row->said[i])) return p->err->code;
    if (read_numbers(p, object, row) || read_counts(p, object, row)) return p->err->code;
    return read_tokens(p, object, row);
}

static vr_status read_results(report *r, const report_file *file, vr_error *err)
{
    place p = {.file = file, .err = err};
    if (vr_json_type(file->doc) == VR_JSON_OBJECT) return read_result(r, &p, file->doc);
    for (size_t i = 0; i < file->rows && !err->code; i++) {
        const vr_json *item = vr_json_item(file->doc, i);
        p.item = i + 1;
        if (vr_json_type(item) != VR_JSON_OBJECT)
            vr_fail(err, VR_E_USAGE, "results", "'%s', result %zu: is %s; wanted an object, as vitrun eval --json writes",
                    vr_quotez(file->path).text, p.item, vr_json_type_name(item));
        else
            read_result(r, &p, item);
    }
    return err->code;
}

/* The JSON of a file, and how many results it says to hold. */
static vr_status read_file(report_file *file, vr_error *err)
{
    char    *text;
    size_t   length;
    vr_error why = {0};
    if (vr_file_read(&text, &length, file->path, MOST_BYTES, &why)) /* a results file is no model: never that exit code */
        return vr_fail(err, why.code == VR_E_MODEL ? VR_E_IO : why.code, why.rule, "%s", why.text);
    file->bytes = length;
    file->hash = vr_sha256(text, length);
    if (vr_json_parse(&file->doc, text, length, file->path, &why))
        vr_fail(err, why.code == VR_E_MODEL ? VR_E_IO : why.code, why.rule, "%s", why.text);
    free(text);
    if (err->code) return err->code;
    const vr_json_kind kind = vr_json_type(file->doc);
    if (kind != VR_JSON_OBJECT && kind != VR_JSON_ARRAY)
        return vr_fail(err, VR_E_USAGE, "results", "'%s' holds %s; wanted an object or an array, as vitrun eval --json writes",
                       vr_quotez(file->path).text, vr_json_type_name(file->doc));
    file->rows = kind == VR_JSON_OBJECT ? 1 : vr_json_size(file->doc);
    if (!file->rows)
        return vr_fail(err, VR_E_USAGE, "results", "'%s' is an empty array: it holds no results", vr_quotez(file->path).text);
    return VR_OK;
}

/* File i, and that it is not one of those before it. */
static vr_status take_file(report *r, size_t i, const char *path, size_t *rows, vr_error *err)
{
    report_file *file = &r->file[i];
    file->path = path;
    if (read_file(file, err)) return err->code;
    for (size_t k = 0; k < i; k++)
        if (strcmp(r->file[k].hash.text, file->hash.text) == 0)
            return vr_fail(err, VR_E_USAGE, "twice", "'%s' and '%s' hold the same bytes; name one of them",
                           vr_quotez(r->file[k].path).text, vr_quotez(path).text);
    if (file->rows > MOST_ROWS - *rows)
        return vr_fail(err, VR_E_USAGE, "too-many", "'%s': with it there are more than %d results, which no page holds",
                       vr_quotez(path).text, MOST_ROWS);
    *rows += file->rows;
    return VR_OK;
}

vr_status report_read(report *r, char *const *paths, size_t count, vr_error *err)
{
    size_t rows = 0;
    r->file = vr_alloc_zeroed(count, sizeof *r->file);
    if (!r->file) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %zu files", count);
    r->files = count;
    for (size_t i = 0; i < count; i++)
        if (take_file(r, i, paths[i], &rows, err)) return err->code;
    r->row = vr_alloc_zeroed(rows, sizeof *r->row);
    if (!r->row) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %zu results", rows);
    for (size_t i = 0; i < r->files && !err->code; i++) read_results(r, &r->file[i], err);
    return err->code;
}

void report_free(report *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        for (int k = 0; k < SAIDS; k++) free(r->row[i].said[k]);
        free(r->row[i].tokens);
    }
    for (size_t i = 0; i < r->sections; i++) free(r->section[i].curve);
    for (size_t i = 0; i < r->files; i++) vr_json_free(r->file[i].doc);
    free(r->section);
    free(r->row);
    free(r->file);
}
