/* report_plot.c: the marks that all figures are made of.  Colours are Okabe and Ito's, which colour-blind readers tell apart;
 * every method has a shape of its own besides. */
#include "report_plot.h"

#include <math.h>
#include <string.h>

const char report_svg_style[] =
    ".plot{font:12px system-ui,sans-serif;fill:currentColor}.plot text{stroke:none}"
    ".axis{stroke:currentColor;fill:none}.grid{stroke:currentColor;opacity:.13}.base{stroke:currentColor;fill:none;"
    "stroke-dasharray:5 4;opacity:.6}.band{fill:currentColor;stroke:none;opacity:.07}.name{font-weight:600}"
    ".small{font-size:11px}.mark{stroke-width:1.2}.line{fill:none;stroke-width:1.8}.hit{fill:transparent;stroke:none}"
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
    if (p->count < p->room) p->taken[p->count++] = box;
}

static bool is_free(const report_plot *p, report_box b)
{
    if (!report_plot_inside(p, b.left, b.top) || !report_plot_inside(p, b.right, b.bottom)) return false;
    for (size_t i = 0; i < p->count; i++) {
        const report_box *t = &p->taken[i];
        if (b.left < t->right && t->left < b.right && b.top < t->bottom && t->top < b.bottom) return false;
    }
    return true;
}

void report_plot_label(report_plot *p, const char *text, double x, double y)
{
    enum { LETTER = 6, HEIGHT = 12, AWAY = 9 }; /* of 11-pixel type, about; from the middle of a marker to its label */
    const size_t length = strlen(text);
    if (!length || length > 30 || p->count == p->room) return;
    const double w = (double)length * LETTER, h = HEIGHT;
    const struct {
        double left, top;
    } tries[] = {{x - w / 2, y - AWAY - h + 1}, {x - w / 2, y + AWAY - 1}, {x + AWAY, y - h / 2},
                 {x - AWAY - w, y - h / 2},     {x + 6, y - AWAY - h + 3}, {x + 6, y + AWAY - 3},
                 {x - 6 - w, y - AWAY - h + 3}};
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        const report_box b = {tries[i].left, tries[i].top, tries[i].left + w, tries[i].top + h};
        if (!is_free(p, b)) continue;
        report_plot_take(p, b);
        fprintf(p->f, "<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", b.left + w / 2, b.bottom - 2);
        report_escape(p->f, text);
        fputs("</text>\n", p->f);
        return;
    }
}
