/* report_plot.c: the marks that all figures are made of.  Colours are Okabe and Ito's, which colour-blind readers tell apart;
 * every method has a shape of its own besides. */
#include "report_plot.h"

#include <math.h>
#include <string.h>

const char report_svg_style[] =
    ".plot{font:12px system-ui,sans-serif;fill:currentColor}"
    ".axis{stroke:currentColor;fill:none}.grid{stroke:currentColor;opacity:.13}.base{stroke:currentColor;fill:none;"
    "stroke-dasharray:5 4;opacity:.6}.band{fill:currentColor;stroke:none;opacity:.07}.name{font-weight:600}"
    ".label{font-size:11px;stroke:var(--paper,#fff);stroke-width:3px;stroke-linejoin:round;paint-order:stroke}.mark{stroke-"
    "width:1.2}.line{fill:none;stroke-width:1.8}.hit{fill:transparent;stroke:none}"
    ".point:hover .mark,.series:hover .line{stroke-width:4}.open{fill:var(--paper,#fff)!important;stroke-width:2}"
    ".m0{stroke:currentColor;fill:none;stroke-width:2.6}.m1{stroke:#0072b2;fill:#0072b2}.m2{stroke:#009e73;fill:#009e73}"
    ".m3{stroke:#e69f00;fill:#e69f00}.m4{stroke:#d55e00;fill:#d55e00}.m5{stroke:#cc79a7;fill:#cc79a7}"
    ".m6{stroke:#56b4e9;fill:#56b4e9}.line.m0,.line.m1,.line.m2,.line.m3,.line.m4,.line.m5,.line.m6{fill:none}";

void report_plot_marker(FILE *f, report_method method, int variant, double x, double y)
{
    static const char *const shapes[METHODS] = {
        [METHOD_NONE] = "M-5-5L5 5M-5 5L5-5",                                         /* a cross */
        [METHOD_TOME] = "M-4.2-4.2h8.4v8.4h-8.4z",                                    /* a square */
        [METHOD_EVIT] = "M0-5.5L5.2 4h-10.4z",                                        /* a triangle */
        [METHOD_DIFFRATE] = "M0 5.5L5.2-4h-10.4z",                                    /* on its point */
        [METHOD_MAME] = "M-4.6 0a4.6 4.6 0 1 0 9.2 0a4.6 4.6 0 1 0-9.2 0z",           /* a disc */
        [METHOD_MAME_MASS] = "M0-6L6 0L0 6L-6 0z",                                    /* a diamond */
        [METHOD_OTHER] = "M-1.7-5h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z", /* a plus */
    };
    fprintf(f, "<path class=\"mark m%d%s\" transform=\"translate(%.1f %.1f)\" d=\"%s\"/>", (int)method, variant ? " open" : "",
            x, y, shapes[method]);
}

const char *report_plot_dashes(int variant)
{
    static const char *const dashes[] = {"", " stroke-dasharray=\"7 3\"", " stroke-dasharray=\"2 3\"",
                                         " stroke-dasharray=\"9 3 2 3\""};
    return dashes[variant < 4 ? variant : 1 + (variant - 1) % 3];
}

bool report_plot_inside(const report_plot *p, double x, double y)
{
    return x >= p->area.left && x <= p->area.right && y >= p->area.top && y <= p->area.bottom;
}

void report_plot_axes(const report_plot *p, const char *x_name, const char *y_name)
{
    const report_box a = p->area;
    for (int i = 0; i < p->x.ticks; i++) {
        const double value = report_scale_tick(&p->x, i), x = report_scale_at(&p->x, value);
        fprintf(p->f,
                "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.*f</text>\n",
                x, a.top, a.bottom, x, a.bottom + 17, p->x.decimals, value);
    }
    for (int i = 0; i < p->y.ticks; i++) {
        const double value = report_scale_tick(&p->y, i), y = report_scale_at(&p->y, value);
        fprintf(p->f,
                "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.*f</text>\n",
                a.left, y, a.right, a.left - 7, y + 4, p->y.decimals, value);
    }
    fprintf(p->f, "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", a.left, a.top, a.bottom, a.right);
    fprintf(p->f, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (a.left + a.right) / 2, a.bottom + 36);
    report_escape(p->f, x_name);
    fprintf(p->f, "</text>\n<text class=\"name\" transform=\"translate(%.1f %.1f) rotate(-90)\" text-anchor=\"middle\">",
            a.left - 44, (a.top + a.bottom) / 2);
    report_escape(p->f, y_name);
    fputs("</text>\n", p->f);
}

void report_plot_take(report_plot *p, report_box box)
{
    if (p->count + p->lines < p->room) p->taken[p->count++] = box;
}

void report_plot_take_line(report_plot *p, double x0, double y0, double x1, double y1)
{
    enum { STEP = 10 }; /* the gaps are lower than a label */
    const int steps = 1 + (int)(hypot(x1 - x0, y1 - y0) / STEP);
    for (int i = 0; i <= steps && p->count + p->lines < p->room; i++) {
        const double x = x0 + (x1 - x0) * i / steps, y = y0 + (y1 - y0) * i / steps;
        p->taken[p->room - ++p->lines] = (report_box){x - 2, y - 2, x + 2, y + 2};
    }
}

static bool clear(report_box b, const report_box *taken, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (b.left < taken[i].right && taken[i].left < b.right && b.top < taken[i].bottom && taken[i].top < b.bottom)
            return false;
    return true;
}

static bool is_free(const report_plot *p, report_box b, bool on_lines)
{
    return report_plot_inside(p, b.left, b.top) && report_plot_inside(p, b.right, b.bottom) && clear(b, p->taken, p->count) &&
           (on_lines || clear(b, p->taken + p->room - p->lines, p->lines));
}

/* Where a label of this width finds a place: first beside all lines, then across them. */
static bool find_place(const report_plot *p, double w, double x, double y, report_box *out)
{
    enum { HEIGHT = 12, AWAY = 9, BESIDE = 6 }; /* of 11-pixel type; from the middle of a marker to its label */
    const double left[] = {x - w / 2,  x - w / 2,  x + AWAY,       x - AWAY - w,
                           x + BESIDE, x + BESIDE, x - BESIDE - w, x - BESIDE - w};
    const double above = y - AWAY - HEIGHT + 1, below = y + AWAY - 1, level = y - HEIGHT / 2.0;
    const double top[] = {above, below, level, level, above + 2, below - 2, above + 2, below - 2};
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < sizeof top / sizeof *top; i++) {
            *out = (report_box){left[i], top[i], left[i] + w, top[i] + HEIGHT};
            if (is_free(p, *out, pass)) return true;
        }
    return false;
}

void report_plot_label(report_plot *p, const char *text, double x, double y)
{
    enum { LETTER = 6, LONGEST = 30 }; /* a letter is about 6 pixels wide */
    const size_t length = strlen(text);
    report_box   b;
    if (!length || length > LONGEST || p->count + p->lines == p->room || !find_place(p, (double)length * LETTER, x, y, &b))
        return;
    report_plot_take(p, b);
    fprintf(p->f, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (b.left + b.right) / 2, b.bottom - 2);
    report_escape(p->f, text);
    fputs("</text>\n", p->f);
}
