/* report_sections.c: like with like.  Results that were measured alike form a section, those of one method in it a curve. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- methods, from the names that loaders/schedule_name.c makes ---- */

report_method report_method_of(const char *merge)
{
    static const char *const names[METHOD_OTHER] = {"none", "tome", "evit", "diffrate", "mame", "mame-mass"};
    const size_t             length = strcspn(merge, "_");
    for (report_method m = 0; m < METHOD_OTHER; m++)
        if (strlen(names[m]) == length && memcmp(names[m], merge, length) == 0) return m;
    return METHOD_OTHER;
}

/* A part of a name that tells a quantity, such as "l0-7", "t0.8", "r#1a2b3c4d"; others tell a variant, such as "fused". */
static bool quantity(report_method method, const char *part, size_t length)
{
    static const char *const words[] = {"pool-", "prop-", "batch", "mare"};
    if (method == METHOD_DIFFRATE) { /* "deit_small:2.9" is the name of its table */
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strncmp(part, words[i], strlen(words[i])) == 0) return false;
        return true;
    }
    return length > 1 && strchr("lrtkpm", part[0]) && (part[1] == '#' || part[1] == '-' || (part[1] >= '0' && part[1] <= '9'));
}

/* "t0.9+0.8", "t#1a2b3c4d": a number for each block, which is no point on the curve of one for all. */
static bool by_block(const char *part, size_t length)
{
    return length > 1 && strchr("trk", part[0]) && (part[1] == '#' || memchr(part, '+', length));
}

/* The blocks that merge, "l0-7", where not all settings of the method have the same. */
static bool other_blocks(const report *r, report_method method, const char *part, size_t length)
{
    for (size_t i = 0; part[0] == 'l' && i < r->rows; i++) {
        const char *own = report_method_of(r->row[i].merge) == method ? strstr(r->row[i].merge, "_l") : NULL;
        if (own && (strcspn(own + 1, "_") != length || memcmp(own + 1, part, length) != 0)) return true;
    }
    return false;
}

static void find_variant(const report *r, report_row *row)
{
    const report_method method = report_method_of(row->merge);
    size_t              at = 0;
    if (method == METHOD_OTHER || method == METHOD_NONE) return;
    for (const char *p = strchr(row->merge, '_'); p; p = strchr(p + 1, '_'))
        if (by_block(p + 1, strcspn(p + 1, "_"))) {
            snprintf(row->variant, sizeof row->variant, "by block");
            return;
        }
    for (const char *p = row->merge + strcspn(row->merge, "_"); *p;) {
        size_t     length = strcspn(++p, "_");
        const bool tells = !quantity(method, p, length) || other_blocks(r, method, p, length);
        if (length && tells && at + length + 2 < sizeof row->variant)
            at += (size_t)snprintf(row->variant + at, sizeof row->variant - at, "%s%.*s", at ? " " : "", (int)length, p);
        p += length;
    }
}

/* ---- the order of rows ---- */

/* A row is measured as another was where all is said alike. */
static bool alike(const report_row *a, const report_row *b)
{
    for (int i = 0; i < SAIDS; i++)
        if (strcmp(a->said[i], b->said[i]) != 0) return false;
    return true;
}

/* Sections in the order of their first rows. */
static void number_sections(report *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        size_t k = 0;
        while (k < i && !alike(&r->row[k], &r->row[i])) k++;
        r->row[i].section = k < i ? r->row[k].section : r->sections++;
    }
}

static bool same_curve(const report_row *a, const report_row *b)
{
    return report_method_of(a->merge) == report_method_of(b->merge) && strcmp(a->variant, b->variant) == 0;
}

/* Section, method, variant, the dearest first, name; then as they were given, so that the order is one. */
static int by_place(const void *a, const void *b)
{
    const report_row *x = a, *y = b;
    if (x->section != y->section) return x->section < y->section ? -1 : 1;
    const report_method m = report_method_of(x->merge), n = report_method_of(y->merge);
    if (m != n) return m < n ? -1 : 1;
    int order = strcmp(x->variant, y->variant);
    if (order) return order;
    const double gx = isnan(x->gmacs) ? -1 : x->gmacs, gy = isnan(y->gmacs) ? -1 : y->gmacs;
    if (gx != gy) return gx > gy ? -1 : 1;
    order = strcmp(x->merge, y->merge);
    if (order) return order;
    return x->given < y->given ? -1 : x->given > y->given;
}

/* ---- what a section is ---- */

static void find_curves(report_section *s)
{
    for (size_t i = 0; i < s->rows; i++) {
        const report_row *row = &s->row[i];
        report_curve     *last = s->curves ? &s->curve[s->curves - 1] : NULL;
        if (last && same_curve(last->row, row)) {
            last->rows++;
            continue;
        }
        report_curve *c = &s->curve[s->curves++];
        *c = (report_curve){.row = row, .rows = 1, .method = report_method_of(row->merge)};
        c->variant = last && last->method == c->method ? last->variant + 1 : row->variant[0] != 0;
        c->joined = c->method != METHOD_NONE && c->method != METHOD_OTHER;
    }
}

static void choose_speed(report_section *s)
{
    size_t ups = 0, rates = 0;
    for (size_t i = 0; i < s->rows; i++) {
        ups += isfinite(s->row[i].speedup) || &s->row[i] == s->base ? 1 : 0;
        rates += isfinite(s->row[i].infer_ms) ? 1 : 0;
    }
    const bool any = ups > (s->base != NULL); /* the unmerged model's own is no measurement */
    s->speed = any && ups >= rates ? SPEED_UP : rates ? SPEED_RATE : SPEED_UNKNOWN;
}

/* Where only the special tokens' rows of the last block are computed, its count says nothing about merging. */
static void find_cut(report_section *s)
{
    enum { SPECIAL = 8 }; /* more special tokens has no model */
    double last = NAN;
    s->cut = 1;
    for (size_t i = 0; i < s->rows; i++) {
        const report_row *row = &s->row[i];
        if (!row->blocks) continue;
        if (row->blocks > s->blocks) s->blocks = row->blocks;
        const double t = row->tokens[row->blocks - 1];
        if (isnan(last)) last = t;
        if (t != last || t > SPECIAL || row->blocks != s->blocks || row->blocks < 3) s->cut = 0;
    }
    if (!s->blocks) s->cut = 0;
}

vr_status report_arrange(report *r, vr_error *err)
{
    for (size_t i = 0; i < r->rows; i++) {
        r->row[i].given = i;
        find_variant(r, &r->row[i]);
    }
    number_sections(r);
    qsort(r->row, r->rows, sizeof *r->row, by_place);
    const size_t sections = r->sections;
    r->section = vr_alloc_zeroed(sections, sizeof *r->section);
    r->sections = 0;
    if (!r->section) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the report");
    for (size_t i = 0; i < r->rows;) {
        report_section *s = &r->section[r->sections++];
        s->row = &r->row[i];
        while (i < r->rows && r->row[i].section == s->row->section) i++, s->rows++;
        s->curve = vr_alloc_zeroed(s->rows, sizeof *s->curve);
        if (!s->curve) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the report");
        if (report_method_of(s->row->merge) == METHOD_NONE) s->base = s->row;
        find_curves(s);
        choose_speed(s);
        find_cut(s);
    }
    return VR_OK;
}

/* ---- quantities ---- */

double report_top1(const report_section *s, const report_row *row)
{
    (void)s;
    return row->top1;
}

double report_gmacs(const report_section *s, const report_row *row)
{
    (void)s;
    return row->gmacs;
}

/* The unmerged model agrees with itself, also where nobody compared it. */
double report_agreement(const report_section *s, const report_row *row)
{
    return row == s->base && isnan(row->agreement) ? 100 : row->agreement;
}

double report_speedup(const report_section *s, const report_row *row, bool *together)
{
    *together = true;
    if (!isnan(row->speedup)) return row->speedup;
    if (row == s->base) return 1;
    *together = false;
    return s->base ? s->base->infer_ms / row->infer_ms : NAN;
}

double report_speed_of(const report_section *s, const report_row *row)
{
    bool         together;
    const double up = report_speedup(s, row, &together);
    return s->speed == SPEED_UP ? (together ? up : NAN) : s->speed == SPEED_RATE ? 1000 / row->infer_ms : NAN;
}

double report_share(const report_section *s, const report_row *row)
{
    bool         together;
    const double saved = s->base ? s->base->gmacs / row->gmacs - 1 : NAN;
    return saved > 0.01 ? (report_speedup(s, row, &together) - 1) / saved : NAN; /* of next to nothing there is no share */
}
