/* report_table.c: one list of columns, for the page and for markdown. */
#include "report.h"

#include <math.h>
#include <string.h>

enum { CELL = 4096 }; /* the tokens of the deepest model are 2,560 bytes */

typedef struct {
    const char *name, *meaning;
    bool        text; /* aligned to the left */
    void (*cell)(char *out, const report_section *s, const report_row *row);
} column;

static void real(char *out, const char *format, double x) __attribute__((format(printf, 2, 0)));
static void real(char *out, const char *format, double x)
{
    if (isfinite(x)) snprintf(out, CELL, format, x);
}

static void count(char *out, int64_t n)
{
    if (n >= 0) snprintf(out, CELL, "%lld", (long long)n);
}

#define COLUMN(name) static void name(char *out, const report_section *s, const report_row *row)

COLUMN(merge) { (void)s, snprintf(out, CELL, "%s", row->merge); }
COLUMN(top1) { (void)s, real(out, "%.2f", row->top1); }
COLUMN(top5) { (void)s, real(out, "%.2f", row->top5); }
COLUMN(agreement) { (void)s, real(out, "%.2f", row->agreement); }
COLUMN(gmacs) { (void)s, real(out, "%.3f", row->gmacs); }
COLUMN(merge_gmacs) { (void)s, real(out, "%.4f", row->merge_gmacs); }
COLUMN(infer) { (void)s, real(out, "%.2f", row->infer_ms); }
COLUMN(share) { real(out, "%.2f", report_share(s, row)); }
COLUMN(p_value) { (void)s, real(out, "%.3g", row->mcnemar_p); }
COLUMN(images) { (void)s, count(out, row->images); }
COLUMN(skipped) { (void)s, count(out, row->skipped); }
COLUMN(partial) { (void)s, snprintf(out, CELL, "%s", row->partial ? "partial" : ""); }
COLUMN(interval)
{
    (void)s;
    if (isfinite(row->top1_low) && isfinite(row->top1_high)) snprintf(out, CELL, "%.2f–%.2f", row->top1_low, row->top1_high);
}
COLUMN(flips)
{
    (void)s;
    if (row->agree >= 0 && row->images >= row->agree) count(out, row->images - row->agree);
}
COLUMN(right_alone)
{
    (void)s;
    if (row->only_merged >= 0 && row->only_unmerged >= 0)
        snprintf(out, CELL, "%lld : %lld", (long long)row->only_merged, (long long)row->only_unmerged);
}
COLUMN(speedup)
{
    bool         together;
    const double up = report_speedup(s, row, &together);
    real(out, together ? "%.2f" : "≈ %.2f", up);
}
COLUMN(tokens)
{
    size_t at = 0;
    (void)s;
    for (int b = 0; b < row->blocks && at + 16 < CELL; b++) {
        if (b) out[at++] = ' ';
        at += (size_t)(isfinite(row->tokens[b]) ? snprintf(out + at, CELL - at, "%.9g", round(row->tokens[b] * 10) / 10)
                                                : snprintf(out + at, CELL - at, "–"));
    }
}

static const column columns[] = {
    {"merging", "the setting, by the name that tells all of it", true, merge},
    {"top-1 %", "pictures whose best class is right", false, top1},
    {"95 % interval", "Wilson’s, of top-1", false, interval},
    {"top-5 %", "pictures whose right class is among the best five", false, top5},
    {"agrees %", "pictures that get the unmerged model’s answer", false, agreement},
    {"flips", "pictures that get another answer than the unmerged model’s", false, flips},
    {"right alone", "of the flips: only the merged model is right : only the unmerged one is", false, right_alone},
    {"McNemar p", "how easily chance alone makes “right alone” as uneven as that", false, p_value},
    {"GMACs", "10⁹ multiply-adds a picture, merging’s own among them", false, gmacs},
    {"of them merging", "merging’s own GMACs", false, merge_gmacs},
    {"infer ms", "the arithmetic’s time for a picture, decoding left out", false, infer},
    {"speed-up", "time of the unmerged model / this one’s; ≈: from separate runs, else measured side by side", false, speedup},
    {"share",
     "of the saved arithmetic that became speed: (speed-up − 1) / (the unmerged model’s GMACs / these GMACs − 1); 1 is all of "
     "it",
     false, share},
    {"pictures", "judged", false, images},
    {"skipped", "pictures that could not be read", false, skipped},
    {"partial", "the run was interrupted", true, partial},
    {"tokens after each block", "mean over the pictures, special tokens among them", true, tokens},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* A column of which no row has anything is left out. */
static bool told(const report_section *s, const column *c)
{
    for (size_t i = 0; i < s->rows; i++) {
        char text[CELL] = "";
        c->cell(text, s, &s->row[i]);
        if (text[0]) return true;
    }
    return false;
}

void report_table_html(FILE *f, const report_section *s)
{
    bool shown[COLUMNS];
    fputs("<div class=\"wide\"><table>\n<thead><tr>", f);
    for (int i = 0; i < COLUMNS; i++) {
        shown[i] = told(s, &columns[i]);
        if (!shown[i]) continue;
        fprintf(f, "<th scope=\"col\"%s title=\"", columns[i].text ? " class=\"text\"" : "");
        report_escape(f, columns[i].meaning);
        fprintf(f, "\">%s</th>", columns[i].name);
    }
    fputs("</tr></thead>\n<tbody>\n", f);
    for (size_t r = 0; r < s->rows; r++) {
        fputs("<tr>", f);
        for (int i = 0; i < COLUMNS; i++) {
            char text[CELL] = "";
            if (!shown[i]) continue;
            columns[i].cell(text, s, &s->row[r]);
            fputs(columns[i].cell == tokens ? "<td class=\"text tokens\">"
                  : columns[i].text         ? "<td class=\"text\">"
                                            : "<td>",
                  f);
            report_escape(f, text);
            fputs("</td>", f);
        }
        fputs("</tr>\n", f);
    }
    fputs("</tbody></table></div>\n<dl class=\"legend\">\n", f);
    for (int i = 0; i < COLUMNS; i++)
        if (shown[i]) fprintf(f, "<div><dt>%s</dt><dd>%s</dd></div>\n", columns[i].name, columns[i].meaning);
    fputs("</dl>\n", f);
}

/* ---- markdown ---- */

/* What markdown or the HTML in it would take for its own. */
static void escape_markdown(FILE *f, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '<' || *p == '&')
            fputs(*p == '<' ? "&lt;" : "&amp;", f);
        else if ((unsigned char)*p < 0x20 || *p == 0x7F)
            fputc(' ', f);
        else
            fprintf(f, "%s%c", strchr("\\`*|[]~", *p) ? "\\" : "", *p);
    }
}

static void table_markdown(FILE *f, const report_section *s)
{
    bool shown[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        if ((shown[i] = told(s, &columns[i]))) fprintf(f, "| %s ", columns[i].name);
    fputs("|\n", f);
    for (int i = 0; i < COLUMNS; i++)
        if (shown[i]) fputs(columns[i].text ? "|---" : "|--:", f);
    fputs("|\n", f);
    for (size_t r = 0; r < s->rows; r++) {
        for (int i = 0; i < COLUMNS; i++) {
            char text[CELL] = "";
            if (!shown[i]) continue;
            columns[i].cell(text, s, &s->row[r]);
            fputs("| ", f);
            escape_markdown(f, text);
            fputc(' ', f);
        }
        fputs("|\n", f);
    }
}

void report_markdown(FILE *f, const report *r)
{
    for (size_t i = 0; i < r->sections; i++) {
        if (i) fputc('\n', f);
        report_heading(f, &r->section[i], escape_markdown);
        fputs("\n\n", f);
        table_markdown(f, &r->section[i]);
    }
}
