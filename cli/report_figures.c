/* report_figures.c: what is drawn against what. */
#include "report_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 780,
    HEIGHT = 430,
    LEFT = 62,
    TOP = 14,
    RIGHT = 584,
    BOTTOM = 378, /* the area between the axes of a figure; the legend is beside it */
    LEGEND_LINES = 18,
    LEGEND_LETTERS = 25,
    ROOM = 70 /* boxes a point: its marker, its label, and a line across the whole area */
};

const report_axis report_axis_gmacs = {"GMACs a picture, merging’s own included", report_gmacs, 1e-3, 0, INFINITY};
const report_axis report_axis_speedup = {"speed, times the unmerged model’s (same run)", report_speed_of, 0.1, 0, INFINITY};
const report_axis report_axis_rate = {"pictures a second, arithmetic alone (1000 / infer_ms)", report_speed_of, 1e-3, 0,
                                      INFINITY};
const report_axis report_axis_top1 = {"top-1 accuracy, %", report_top1, 1, 0, 100};
const report_axis report_axis_agreement = {"answers as the unmerged model, %", report_agreement, 1, 0, 100};

/* ---- what is drawn ---- */

static bool drawn(const report_section *s, const report_row *row, const report_axis *x, const report_axis *y)
{
    return isfinite(x->of(s, row)) && isfinite(y->of(s, row));
}

bool report_drawable(const report_section *s, const report_axis *x, const report_axis *y)
{
    size_t n = 0;
    for (size_t i = 0; i < s->rows; i++) n += &s->row[i] != s->base && drawn(s, &s->row[i], x, y);
    return n > 0;
}

static report_scale scale(const report_section *s, const report_axis *x, const report_axis *y, const report_axis *of,
                          double from, double to)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < s->rows; i++) {
        if (!drawn(s, &s->row[i], x, y)) continue;
        const double value = of->of(s, &s->row[i]);
        low = fmin(low, value), high = fmax(high, value);
    }
    return report_scale_make(low, high, of->span, of->least, of->most, from, to);
}

/* ---- the parts of a figure ---- */

/* Dashed lines through the unmerged model, and a band for the interval of its accuracy. */
static void draw_base(const report_plot *p, const report_section *s, const report_axis *x, const report_axis *y)
{
    const report_box a = p->area;
    if (!s->base || !drawn(s, s->base, x, y)) return;
    const double at_x = report_scale_at(&p->x, x->of(s, s->base)), at_y = report_scale_at(&p->y, y->of(s, s->base));
    if (y->of == report_top1 && isfinite(s->base->top1_low) && isfinite(s->base->top1_high)) {
        const double high = fmax(report_scale_at(&p->y, s->base->top1_high), a.top);
        const double low = fmin(report_scale_at(&p->y, s->base->top1_low), a.bottom);
        if (low > high)
            fprintf(p->f, "<rect class=\"band\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", a.left, high,
                    a.right - a.left, low - high);
    }
    fprintf(p->f, "<path class=\"base\" d=\"M%.1f %.1fH%.1fM%.1f %.1fV%.1f\"/>\n", a.left, at_y, a.right, at_x, a.top,
            a.bottom);
}

static void draw_line(report_plot *p, const report_section *s, const report_curve *c, const report_axis *x,
                      const report_axis *y)
{
    size_t n = 0;
    double last_x = 0, last_y = 0;
    for (size_t i = 0; i < c->rows; i++) n += drawn(s, &c->row[i], x, y);
    if (!c->joined || n < 2) return;
    fprintf(p->f, "<path class=\"line m%d\"%s d=\"", (int)c->method, report_plot_dashes(c->variant));
    n = 0;
    for (size_t i = 0; i < c->rows; i++) {
        if (!drawn(s, &c->row[i], x, y)) continue;
        const double at_x = report_scale_at(&p->x, x->of(s, &c->row[i])), at_y = report_scale_at(&p->y, y->of(s, &c->row[i]));
        fprintf(p->f, "%c%.1f %.1f", n ? 'L' : 'M', at_x, at_y);
        if (n++) report_plot_take_line(p, last_x, last_y, at_x, at_y);
        last_x = at_x, last_y = at_y;
    }
    fputs("\"/>\n", p->f);
}

static void draw_points(report_plot *p, const report_section *s, const report_curve *c, const report_axis *x,
                        const report_axis *y)
{
    for (size_t i = 0; i < c->rows; i++) {
        const report_row *row = &c->row[i];
        if (!drawn(s, row, x, y)) continue;
        const double at_x = report_scale_at(&p->x, x->of(s, row)), at_y = report_scale_at(&p->y, y->of(s, row));
        fputs("<g class=\"point\"><title>", p->f);
        report_point_title(p->f, s, row);
        fputs("</title>", p->f);
        report_plot_marker(p->f, c->method, c->variant, at_x, at_y);
        fprintf(p->f, "<circle class=\"hit\" cx=\"%.1f\" cy=\"%.1f\" r=\"10\"/></g>\n", at_x, at_y);
        report_plot_take(p, (report_box){at_x - 7, at_y - 7, at_x + 7, at_y + 7});
    }
}

static void draw_labels(report_plot *p, const report_section *s, const report_curve *c, const report_axis *x,
                        const report_axis *y)
{
    for (size_t i = 0; i < c->rows; i++)
        if (drawn(s, &c->row[i], x, y))
            report_plot_label(p, report_point_label(c, &c->row[i]).text, report_scale_at(&p->x, x->of(s, &c->row[i])),
                              report_scale_at(&p->y, y->of(s, &c->row[i])));
}

/* Names end within the figure; a character is never cut in two. */
static void clipped(FILE *f, const char *text)
{
    char   cut[LEGEND_LETTERS + 4];
    size_t n = strlen(text);
    if (n <= LEGEND_LETTERS) {
        report_escape(f, text);
        return;
    }
    for (n = LEGEND_LETTERS - 1; n && ((unsigned char)text[n] & 0xC0) == 0x80;) n--;
    snprintf(cut, sizeof cut, "%.*s…", (int)n, text);
    report_escape(f, cut);
}

static void draw_legend(FILE *f, const report_section *s)
{
    double y = TOP + 10;
    for (size_t i = 0; i < s->curves; i++, y += 20) {
        const report_curve *c = &s->curve[i];
        if (i == LEGEND_LINES - 1 && s->curves > LEGEND_LINES) {
            fprintf(f, "<text x=\"%d\" y=\"%.1f\">and %zu more</text>\n", RIGHT + 46, y + 4, s->curves - i);
            return;
        }
        if (c->joined)
            fprintf(f, "<path class=\"line m%d\"%s d=\"M%d %.1fh24\"/>", (int)c->method, report_plot_dashes(c->variant),
                    RIGHT + 14, y);
        report_plot_marker(f, c->method, c->variant, RIGHT + 26, y);
        fprintf(f, "<text x=\"%d\" y=\"%.1f\">", RIGHT + 46, y + 4);
        clipped(f, report_curve_name(c).text);
        fputs("</text>\n", f);
    }
}

static void open_svg(FILE *f, int width, int height, const char *name, const char *more, bool standalone)
{
    fprintf(f, "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", width, height);
    report_escape(f, name);
    fputs(" – ", f);
    report_escape(f, more);
    fputc('"', f);
    if (standalone)
        fprintf(f,
                " xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" color=\"#222\"><style>%s</style><rect "
                "width=\"%d\" height=\"%d\" fill=\"#fff\"",
                width, height, report_svg_style, width, height);
    fputs(standalone ? "/>\n" : ">\n", f);
}

void report_figure(FILE *f, const report_section *s, const report_axis *x, const report_axis *y, bool standalone)
{
    report_plot p = {.f = f, .area = {LEFT, TOP, RIGHT, BOTTOM}, .room = ROOM * s->rows};
    p.taken = vr_alloc(p.room, sizeof *p.taken);
    if (!p.taken) p.room = 0; /* then there are no labels */
    p.x = scale(s, x, y, x, LEFT, RIGHT);
    p.y = scale(s, x, y, y, BOTTOM, TOP);
    open_svg(f, WIDTH, HEIGHT, y->name, x->name, standalone);
    report_plot_axes(&p, x->name, y->name);
    draw_base(&p, s, x, y);
    for (size_t i = 0; i < s->curves; i++) draw_line(&p, s, &s->curve[i], x, y);
    for (size_t i = 0; i < s->curves; i++) draw_points(&p, s, &s->curve[i], x, y);
    for (size_t i = 0; i < s->curves; i++) draw_labels(&p, s, &s->curve[i], x, y);
    draw_legend(f, s);
    fputs("</svg>\n", f);
    free(p.taken);
}

/* ---- tokens ---- */

enum { SMALL_WIDTH = 380, SMALL_HEIGHT = 230, SMALL_RIGHT = 310, SMALL_BOTTOM = 184 };

static void draw_tokens(const report_plot *p, const report_section *s, const report_row *row, const char *look)
{
    bool pen = false;
    fputs("<g class=\"series\"><title>", p->f);
    report_point_title(p->f, s, row);
    fprintf(p->f, "</title><path class=\"%s\" d=\"", look);
    for (int b = 0; b < row->blocks && b < s->blocks - s->cut; b++) {
        if (isfinite(row->tokens[b]))
            fprintf(p->f, "%c%.1f %.1f", pen ? 'L' : 'M', report_scale_at(&p->x, b), report_scale_at(&p->y, row->tokens[b]));
        pen = isfinite(row->tokens[b]);
    }
    fputs("\"/></g>\n", p->f);
}

void report_tokens_figure(FILE *f, const report_section *s, const report_curve *c)
{
    double      most = 0;
    const int   blocks = s->blocks - s->cut;
    report_plot p = {.f = f, .area = {LEFT, TOP, SMALL_RIGHT, SMALL_BOTTOM}};
    for (size_t i = 0; i < s->rows; i++) /* one scale for all methods of a section */
        for (int b = 0; b < s->row[i].blocks; b++) most = fmax(most, s->row[i].tokens[b]);
    p.x = report_scale_make(0, blocks - 1, 1, 0, blocks > 1 ? blocks - 1 : 1, LEFT + 8, SMALL_RIGHT);
    p.y = report_scale_make(0, most, 1, 0, INFINITY, SMALL_BOTTOM, TOP);
    if (p.x.step < 1) p.x.step = 1, p.x.ticks = 2, p.x.decimals = 0;
    open_svg(f, SMALL_WIDTH, SMALL_HEIGHT, "tokens after each block", report_curve_name(c).text, false);
    report_plot_axes(&p, "after block", "tokens");
    if (s->base && s->base->blocks) draw_tokens(&p, s, s->base, "base");
    report_plot labels = p;
    report_box  taken[64];
    labels.taken = taken, labels.room = sizeof taken / sizeof *taken;
    labels.area = (report_box){SMALL_RIGHT + 2, 0, SMALL_WIDTH, SMALL_HEIGHT};
    for (size_t i = 0; i < c->rows; i++) {
        char look[64];
        snprintf(look, sizeof look, "line m%d", (int)c->method);
        if (!c->row[i].blocks) continue;
        draw_tokens(&p, s, &c->row[i], look);
        const double last = c->row[i].blocks >= blocks ? c->row[i].tokens[blocks - 1] : NAN;
        if (isfinite(last))
            report_plot_label(&labels, report_point_label(c, &c->row[i]).text, SMALL_RIGHT - 3, report_scale_at(&p.y, last));
    }
    fputs("</svg>\n", f);
}
