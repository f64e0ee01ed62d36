/* resample.c: each output pixel by itself, its weights computed anew, no window kept.  Slow, and short enough to be believed. */
#include "resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double kernel(vr_filter filter, double x)
{
    x = x < 0 ? -x : x;
    if (filter == VR_BILINEAR) return x < 1 ? 1 - x : 0;
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1; /* a = -0.5 */
    return x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0;
}

/* One output of a pass along a line of `n` samples that lie `step` apart. */
static uint8_t sample(const uint8_t *line, int n, size_t step, int i, int outputs, vr_filter filter)
{
    const double scale = (double)n / outputs, wide = scale > 1 ? scale : 1;
    const double reach = (filter == VR_BICUBIC ? 2 : 1) * wide, center = (i + 0.5) * scale;
    int          first = (int)(center - reach + 0.5), last = (int)(center + reach + 0.5);
    double       sum = 0;
    long long    total = 1 << 21;
    first = first < 0 ? 0 : first, last = last > n ? n : last;
    for (int x = first; x < last; x++) sum += kernel(filter, (x - center + 0.5) * (1 / wide));
    for (int x = first; x < last; x++) {
        const double weight = kernel(filter, (x - center + 0.5) * (1 / wide)) / sum * (1 << 22);
        total += (long long)(weight < 0 ? weight - 0.5 : weight + 0.5) * line[(size_t)x * step];
    }
    total = total >= 0 ? total >> 22 : -1;
    return (uint8_t)(total < 0 ? 0 : total > 255 ? 255 : total);
}

static void pass(uint8_t *out, int out_w, int out_h, const uint8_t *in, int in_w, int in_h, vr_filter filter)
{
    for (int y = 0; y < out_h; y++)
        for (int x = 0; x < out_w; x++)
            for (int c = 0; c < 3; c++) {
                const size_t row = (size_t)in_w * 3;
                uint8_t     *to = out + ((size_t)y * (size_t)out_w + (size_t)x) * 3 + c;
                if (out_w != in_w)
                    *to = sample(in + (size_t)y * row + c, in_w, 3, x, out_w, filter);
                else
                    *to = sample(in + (size_t)x * 3 + c, in_h, row, y, out_h, filter);
            }
}

void ref_resize(uint8_t *out, int out_w, int out_h, const uint8_t *in, int in_w, int in_h, vr_filter filter)
{
    const bool down_first = out_h < in_h && in_h - out_h > 2 * (in_w - out_w);
    if (out_w == in_w && out_h == in_h) {
        memcpy(out, in, (size_t)in_w * (size_t)in_h * 3);
    } else if (out_w == in_w || out_h == in_h) {
        pass(out, out_w, out_h, in, in_w, in_h, filter);
    } else {
        const int w = down_first ? in_w : out_w, h = down_first ? out_h : in_h;
        uint8_t  *between = calloc((size_t)w * (size_t)h, 3);
        if (!between) abort();
        pass(between, w, h, in, in_w, in_h, filter);
        pass(out, out_w, out_h, between, w, h, filter);
        free(between);
    }
}
