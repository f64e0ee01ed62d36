/* report_scale.c: axes. */
#include "report_scale.h"

#include <math.h>

enum { TICKS = 6 }; /* about as many intervals as an axis gets */

/* The step of 1, 2 or 5 times a power of ten that is nearest above an even division. */
static double nice_step(double span)
{
    double rough = span / TICKS, power = pow(10, floor(log10(rough)));
    double lead = rough / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

report_scale report_scale_make(double low, double high, double span, double least, double most, double from, double to)
{
    const double middle = (low + high) / 2, size = fmax(fabs(low), fabs(high));
    /* Doubles near `size` must still differ between the ticks. */
    const double width = fmax(fmax((high - low) * 1.12, span), size * 1e-9);
    const double a = fmax(middle - width / 2, least), b = fmin(middle + width / 2, most);
    report_scale s = {.low = a, .high = b, .from = from, .to = to, .step = nice_step(b - a)};
    s.first_tick = ceil(a / s.step - 1e-9) * s.step;
    s.ticks = (int)floor((b - s.first_tick) / s.step + 1e-9) + 1;
    s.decimals = (int)fmax(0, -floor(log10(s.step) + 1e-9));
    return s;
}

double report_scale_at(const report_scale *s, double value)
{
    return s->from + (value - s->low) / (s->high - s->low) * (s->to - s->from);
}

double report_scale_tick(const report_scale *s, int i)
{
    double value = s->first_tick + i * s->step;
    return fabs(value) < s->step / 2 ? 0 : value; /* never "-0" */
}
