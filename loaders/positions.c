/* positions.c: separable bicubic resampling of position tables, in double. */
#include "positions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One output cell: taps weight[0..count-1] of the inputs first, first+1, ... (each clamped to the grid). */
typedef struct {
    int     first, count;
    double *weight;
} taps;

static double cubic(double x, double a)
{
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static taps plain_taps(int i, double scale, double *weight)
{
    double centre = (i + 0.5) * scale - 0.5, base = floor(centre);
    for (int k = 0; k < 4; k++) weight[k] = cubic(centre - (base - 1 + k), -0.75);
    return (taps){(int)base - 1, 4, weight};
}

static taps antialiased_taps(int i, double scale, int size, double *weight)
{
    double stretch = scale > 1 ? scale : 1, support = 2 * stretch, centre = (i + 0.5) * scale, sum = 0;
    int    first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
    if (first < 0) first = 0;
    if (last > size) last = size;
    for (int k = 0; k < last - first; k++) sum += weight[k] = cubic((first + k - centre + 0.5) / stretch, -0.5);
    for (int k = 0; k < last - first; k++) weight[k] /= sum;
    return (taps){first, last - first, weight};
}

static int clamp(int i, int size) { return i < 0 ? 0 : i >= size ? size - 1 : i; }

/* out [lines, out_n, dim] from in [lines, in_n, dim]; a line and its cells may lie any stride apart. */
static void resample(double *out, const double *in, int lines, size_t out_line, size_t in_line, int out_n, size_t out_cell,
                     int in_n, size_t in_cell, int dim, bool antialias, double *weight)
{
    double scale = (double)in_n / out_n;
    for (int i = 0; i < out_n; i++) {
        taps t = antialias ? antialiased_taps(i, scale, in_n, weight) : plain_taps(i, scale, weight);
        for (int line = 0; line < lines; line++) {
            double *y = out + (size_t)line * out_line + (size_t)i * out_cell;
            memset(y, 0, (size_t)dim * sizeof *y);
            for (int k = 0; k < t.count; k++) {
                const double *x = in + (size_t)line * in_line + (size_t)clamp(t.first + k, in_n) * in_cell;
                for (int c = 0; c < dim; c++) y[c] += t.weight[k] * x[c];
            }
        }
    }
}

vr_status vr_positions_resample(float *out, int out_h, int out_w, const float *in, int in_h, int in_w, int dim, bool antialias,
                                vr_error *err)
{
    size_t d = (size_t)dim, in_cells = (size_t)in_h * (size_t)in_w, out_cells = (size_t)out_h * (size_t)out_w,
           rows_first = (size_t)in_h * (size_t)out_w, columns_first = (size_t)out_h * (size_t)in_w,
           mid_cells = rows_first <= columns_first ? rows_first : columns_first; /* from 1 x N to N x 1 the other has N * N */
    double   *wide = vr_alloc(in_cells * d, sizeof *wide), *middle = vr_alloc(mid_cells * d, sizeof *middle);
    double   *tall = vr_alloc(out_cells * d, sizeof *tall);
    int       longest = in_h > in_w ? in_h : in_w;
    double   *weight = vr_alloc((size_t)(longest > 4 ? longest : 4), sizeof *weight);
    vr_status status = VR_OK;
    if (wide && middle && tall && weight) {
        for (size_t i = 0; i < in_cells * d; i++) wide[i] = in[i];
        if (rows_first <= columns_first) {
            resample(middle, wide, in_h, (size_t)out_w * d, (size_t)in_w * d, out_w, d, in_w, d, dim, antialias, weight);
            resample(tall, middle, out_w, d, d, out_h, (size_t)out_w * d, in_h, (size_t)out_w * d, dim, antialias, weight);
        } else {
            resample(middle, wide, in_w, d, d, out_h, (size_t)in_w * d, in_h, (size_t)in_w * d, dim, antialias, weight);
            resample(tall, middle, out_h, (size_t)out_w * d, (size_t)in_w * d, out_w, d, in_w, d, dim, antialias, weight);
        }
        for (size_t i = 0; i < out_cells * d; i++) out[i] = (float)tall[i];
    } else {
        status = vr_fail(err, VR_E_MEMORY, "", "No memory to resample a position table from %dx%d to %dx%d.", in_h, in_w, out_h,
                         out_w);
    }
    free(wide);
    free(middle);
    free(tall);
    free(weight);
    return status;
}
