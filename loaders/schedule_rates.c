/* schedule_rates.c: DiffRate's published tables, kept in configs/schedules/diffrate.json, found by what a model is or by
 * name, and scaled to its number of tokens where that was asked for. */
#include "schedule_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One family of tables: those searched for one architecture. */
typedef struct {
    const vr_json *rates; /* an object: "8.7" to {"prune", "merge"} */
    const char    *name, *pool, *usual;
    int64_t        dim, depth, tokens;
} family;

static vr_status damaged(const char *path, const char *what, vr_error *err)
{
    return vr_fail(err, VR_E_MODEL, "rates-file", "%s: %s; it should come from make_schedules.py", vr_quotez(path).text, what);
}

static vr_status read_family(family *f, const vr_json *v, const char *path, vr_error *err)
{
    static const char *const keys[] = {"name", "dim", "depth", "tokens", "pool", "default", "rates", NULL};
    if (vr_json_only_keys(v, keys, path, err)) return err->code;
    f->rates = vr_json_get(v, "rates");
    if (vr_json_string(vr_json_get(v, "name"), &f->name) && vr_json_string(vr_json_get(v, "pool"), &f->pool) &&
        vr_json_string(vr_json_get(v, "default"), &f->usual) && vr_json_int(vr_json_get(v, "dim"), 1, 65536, &f->dim) &&
        vr_json_int(vr_json_get(v, "depth"), 1, VR_SCHEDULE_LAYERS, &f->depth) &&
        vr_json_int(vr_json_get(v, "tokens"), 1, 65536, &f->tokens) && vr_json_type(f->rates) == VR_JSON_OBJECT)
        return VR_OK;
    return damaged(path, "a table lacks its name, pool, default, dim, depth, tokens or rates", err);
}

/* How well a family suits a model: 0 not at all, 1 by shape, 2 also by what its head pools. */
static int suits(const family *f, const vr_merge_model *m)
{
    if (f->dim != m->dim || f->depth != m->depth || f->tokens != m->tokens) return 0;
    return strcmp(f->pool, m->mean_pool ? "mean" : "class") == 0 ? 2 : 1;
}

static vr_status find_family(family *out, const vr_json *doc, const char *path, const char *name, size_t length,
                             const vr_merge_model *m, const vr_origin *from)
{
    char           known[160] = "";
    int            best = 0;
    const vr_json *list = vr_json_get(doc, "tables");
    if (vr_json_type(list) != VR_JSON_ARRAY) return damaged(path, "has no list of tables", from->err);
    for (size_t i = 0; i < vr_json_size(list); i++) {
        family f;
        if (read_family(&f, vr_json_item(list, i), path, from->err)) return from->err->code;
        int fit = name ? (strlen(f.name) == length && memcmp(f.name, name, length) == 0) : suits(&f, m);
        if (fit > best) *out = f, best = fit;
        size_t at = strlen(known);
        snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", vr_quotez(f.name).text);
    }
    if (best) return VR_OK;
    if (name)
        return vr_origin_unfit(from, "rates-unknown", "rates_from", "names the tables '%s'; there are %s",
                               vr_quote(name, length).text, known);
    return vr_origin_unfit(from, "rates-unknown", "rates",
                           "finds no table for the width %d, %d blocks and %d tokens of %s; scale one of another model with "
                           "--rates-from, such as deit_small:2.9 (there are %s)",
                           m->dim, m->depth, m->tokens, vr_quotez(m->name).text, known);
}

/* The member whose key is this text, or this number differently written. */
static const vr_json *find_rate(const family *f, const char *text)
{
    char        *end;
    const double wanted = strtod(text, &end);
    for (size_t i = 0; i < vr_json_size(f->rates); i++) {
        const vr_json *v = vr_json_item(f->rates, i);
        if (strcmp(vr_json_key(v), text) == 0) return v;
        if (end != text && *end == 0 && strtod(vr_json_key(v), NULL) == wanted) return v;
    }
    return NULL;
}

static vr_status unknown_rate(const family *f, const char *text, const char *key, const vr_origin *from)
{
    char known[120] = "";
    for (size_t i = 0; i < vr_json_size(f->rates); i++) {
        size_t at = strlen(known);
        snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", vr_quotez(vr_json_key(vr_json_item(f->rates, i))).text);
    }
    return vr_origin_unfit(from, "rates-unknown", key, "asks for %s GMACs; %s has tables for %s", vr_quotez(text).text,
                           vr_quotez(f->name).text, known);
}

/* One list of a table, for a model of `tokens`: counts keep their share of all tokens, rounded to the nearest. */
static bool read_counts(int *out, const vr_json *list, const family *f, int tokens)
{
    int64_t count;
    if (vr_json_type(list) != VR_JSON_ARRAY || vr_json_size(list) != (size_t)f->depth) return false;
    for (size_t i = 0; i < (size_t)f->depth; i++) {
        if (!vr_json_int(vr_json_item(list, i), 1, f->tokens, &count)) return false;
        out[i] = (int)floor((double)count * tokens / (double)f->tokens + 0.5);
        if (out[i] < 2) out[i] = 2; /* the class token and one more */
    }
    return true;
}

static vr_status read_table(int *prune, int *merge, vr_schedule *s, const vr_json *doc, const char *path, const vr_written *w,
                            const vr_merge_model *m, const vr_origin *from)
{
    family      f = {0};
    const char *key = w->rates_from ? "rates_from" : "rates", *rate = w->rates;
    size_t      length = w->rates_from ? strcspn(w->rates_from, ":") : 0;
    if (find_family(&f, doc, path, w->rates_from, length, m, from)) return from->err->code;
    if (w->rates_from) rate = w->rates_from[length] ? w->rates_from + length + 1 : NULL;
    if (!rate) rate = f.usual;
    if (f.depth != m->depth)
        return vr_origin_unfit(from, "rates-depth", key, "is a table for %d blocks, but %s has %d", (int)f.depth,
                               vr_quotez(m->name).text, m->depth);
    const vr_json *table = find_rate(&f, rate);
    if (!table) return unknown_rate(&f, rate, key, from);
    if (!read_counts(prune, vr_json_get(table, "prune"), &f, m->tokens) ||
        !read_counts(merge, vr_json_get(table, "merge"), &f, m->tokens))
        return damaged(path, "a table has not one count of tokens for each block", from->err);
    if (snprintf(s->rates, sizeof s->rates, "%s:%s", f.name, vr_json_key(table)) >= (int)sizeof s->rates)
        return damaged(path, "a table's name is too long", from->err);
    s->rates_scaled = f.tokens != m->tokens;
    return VR_OK;
}

vr_status vr_rates_find(int *prune, int *merge, vr_schedule *s, const char *data_dir, const vr_written *w,
                        const vr_merge_model *m, const vr_origin *from)
{
    static const char *const keys[] = {"source", "tables", NULL};
    char                     path[4400];
    vr_json                 *doc = NULL;
    if (w->rates && w->rates_from)
        return vr_origin_fail(from, "schedule-list", "rates", "and %s contradict each other; say one",
                              from->file ? "rates_from" : "--rates-from");
    if (snprintf(path, sizeof path, "%s/schedules/diffrate.json", data_dir) >= (int)sizeof path)
        return vr_fail(from->err, VR_E_MODEL, "data-dir", "The data folder's name is too long.");
    vr_status status = vr_json_read(&doc, path, 0, from->err);
    if (status == VR_OK) status = vr_json_only_keys(doc, keys, path, from->err);
    if (status == VR_OK) status = read_table(prune, merge, s, doc, path, w, m, from);
    vr_json_free(doc);
    return status;
}
