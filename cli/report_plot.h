/* A plot in SVG: its frame, its marks, and labels that keep clear of each other. */
#ifndef VR_CLI_REPORT_PLOT_H
#define VR_CLI_REPORT_PLOT_H

#include "report.h"
#include "report_scale.h"

typedef struct {
    double left, top, right, bottom; /* in pixels, y downwards */
} report_box;

typedef struct {
    FILE        *f;
    report_box   area; /* between the axes */
    report_scale x, y;
    report_box  *taken;              /* [room] boxes that labels must keep clear of: markers and labels from the front, */
    size_t       count, lines, room; /* and lines from the back, which a label crosses where nothing else is left */
} report_plot;

/* The frame with its grid, ticks and names; the scales are set. */
void report_plot_axes(const report_plot *p, const char *x_name, const char *y_name);

/* "<path class=... d=... transform=.../>": the marker of a method, hollow for its variants. */
void report_plot_marker(FILE *f, report_method method, int variant, double x, double y);

const char *report_plot_dashes(int variant); /* an attribute for the line of a variant, or "" */
bool        report_plot_inside(const report_plot *p, double x, double y);

/* Keep labels off this place, off a line if possible; forgotten where there is no room for it. */
void report_plot_take(report_plot *p, report_box box);
void report_plot_take_line(report_plot *p, double x0, double y0, double x1, double y1);

/* Write `text` near (x, y) where a free place is found; nothing where there is none, hovering still tells. */
void report_plot_label(report_plot *p, const char *text, double x, double y);

#endif
