/* An axis: from values to places, and where its ticks stand. */
#ifndef VR_CLI_REPORT_SCALE_H
#define VR_CLI_REPORT_SCALE_H

typedef struct {
    double low, high;  /* values at the ends; low < high */
    double from, to;   /* places of these, in pixels */
    double first_tick; /* low or above it */
    double step;       /* 1, 2 or 5 times a power of ten */
    int    ticks;      /* at least 2 */
    int    decimals;   /* that tell neighbouring ticks apart */
} report_scale;

/* A scale on which values [low, high] (finite, at most 1e15 in size, in either order) fill most of from .. to.  It is never
 * narrower than `span` (above 0), and does not leave floor .. ceiling where the values do not. */
report_scale report_scale_make(double low, double high, double span, double floor, double ceiling, double from, double to);

double report_scale_at(const report_scale *s, double value); /* the place of a value */
double report_scale_tick(const report_scale *s, int i);

#endif
