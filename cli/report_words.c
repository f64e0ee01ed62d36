/* report_words.c: what points and curves are called, and how hostile text becomes harmless. */
#include "report.h"

#include <math.h>
#include <string.h>

void report_escape(FILE *f, const char *text)
{
    for (const char *p = text; *p;) {
        size_t n = 1, left = strnlen(p, 4);
        while (n <= left && !vr_utf8_valid(p, n)) n++;
        const unsigned char c = (unsigned char)*p;
        const bool          control = c < 0x20 || c == 0x7F || (c == 0xC2 && n == 2 && (unsigned char)p[1] < 0xA0);
        const bool          no_character = n == 3 && c == 0xEF && (unsigned char)p[1] == 0xBF && (unsigned char)p[2] >= 0xBE;
        if (n > left) { /* no UTF-8 here */
            fputs("\xEF\xBF\xBD", f);
            n = 1;
        } else if (control || no_character) { /* XML has no place for them */
            fputs(c == '\n' || c == '\t' ? " " : "\xEF\xBF\xBD", f);
        } else if (strchr("&<>\"'", c)) {
            fprintf(f, "&#%d;", c);
        } else {
            fwrite(p, 1, n, f);
        }
        p += n;
    }
}

report_words report_curve_name(const report_curve *c)
{
    static const char *const names[METHODS] = {"unmerged", "ToMe", "EViT", "DiffRate", "MaMe", "MaMe-mass", "other"};
    report_words             w;
    snprintf(w.text, sizeof w.text, "%s%s%s", names[c->method], c->row->variant[0] ? ", " : "", c->row->variant);
    return w;
}

/* Is this part among those of a text that `separator` (one character) parts? */
static bool has_part(const char *text, const char *separator, const char *part, size_t length)
{
    for (const char *p = text;; p++) {
        const size_t n = strcspn(p, separator);
        if (n == length && memcmp(p, part, n) == 0) return true;
        p += n;
        if (!*p) return false;
    }
}

/* What the curve's name says, or all of its points share, need not be said at each. */
static bool common(const report_curve *c, const char *part, size_t length)
{
    if (has_part(c->row->variant, " ", part, length)) return true;
    for (size_t i = 0; i < c->rows; i++)
        if (!has_part(c->row[i].merge, "_", part, length)) return false;
    return c->rows > 1;
}

report_words report_point_label(const report_curve *c, const report_row *row)
{
    report_words w = {""};
    size_t       at = 0;
    if (c->method == METHOD_NONE) return w;
    if (c->method == METHOD_OTHER) {
        snprintf(w.text, sizeof w.text, "%s", row->merge);
        return w;
    }
    for (const char *p = row->merge + strcspn(row->merge, "_"); *p;) {
        size_t n = strcspn(++p, "_");
        if (n && !common(c, p, n) && at + n + 2 < sizeof w.text)
            at += (size_t)snprintf(w.text + at, sizeof w.text - at, "%s%.*s", at ? " " : "", (int)n, p);
        p += n;
    }
    return w;
}

void report_point_title(FILE *f, const report_section *s, const report_row *row)
{
    bool         together;
    const double up = report_speedup(s, row, &together), agreement = report_agreement(s, row);
    report_escape(f, row->merge);
    if (isfinite(row->top1)) fprintf(f, "\ntop-1 %.2f %%", row->top1);
    if (isfinite(row->top1_low) && isfinite(row->top1_high))
        fprintf(f, " (95 %% interval %.2f to %.2f)", row->top1_low, row->top1_high);
    if (isfinite(agreement)) fprintf(f, "\nanswers as the unmerged model %.2f %%", agreement);
    if (isfinite(row->gmacs)) fprintf(f, "\n%.3f GMACs", row->gmacs);
    if (isfinite(row->merge_gmacs)) fprintf(f, ", merging %.4f of them", row->merge_gmacs);
    if (isfinite(row->infer_ms)) fprintf(f, "\n%.2f ms, %.1f pictures/s", row->infer_ms, 1000 / row->infer_ms);
    if (isfinite(up)) fprintf(f, "\nspeed-up %.2f%s", up, together ? "" : " (separate runs)");
}
