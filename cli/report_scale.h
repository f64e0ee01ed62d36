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

/* A scale on which values [low, high] (finite, at most 1e15 in size) fill most of from .. to.  It spans `span` (above 0) at
 * least, or the half of it at the edge of least .. most, in which the values lie and which it does not leave. */
report_scale report_scale_make(double low, double high, double span, double least, double most, double from, double to);

double report_scale_at(const report_scale *s, double value); /* the place of a value */
double report_scale_tick(const report_scale *s, int i);

#endif
