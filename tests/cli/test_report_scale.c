/* The axes of report's figures. */
#include "../../cli/report_scale.h"

#include <criterion/criterion.h>
#include <math.h>

/* Broken: a point lies outside of its figure, or an axis has too few ticks to be read, too many, or wrong ones. */
Test(report_scale, every_range)
{
    static const double lows[] = {-3e4, 0, 1e-7, 0.5, 91.4, 97.98, 99.9999, 1e6};
    static const double widths[] = {0, 1e-6, 0.01, 0.3, 1, 6.3, 25, 99, 12345, 1e9};
    for (size_t i = 0; i < sizeof lows / sizeof *lows; i++)
        for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
            const double       low = lows[i], high = low + widths[k];
            const report_scale s = report_scale_make(low, high, 1e-3, -INFINITY, INFINITY, 10, 210);
            cr_expect(report_scale_at(&s, low) >= 10 && report_scale_at(&s, high) <= 210, "%g to %g", low, high);
            cr_expect(s.ticks >= 2 && s.ticks <= 8, "%g to %g: %d ticks", low, high, s.ticks);
            const double lead = s.step / pow(10, floor(log10(s.step) + 1e-9));
            cr_expect(fabs(lead - 1) < 1e-6 || fabs(lead - 2) < 1e-6 || fabs(lead - 5) < 1e-6, "step %g", s.step);
            for (int t = 0; t < s.ticks; t++) {
                const double value = report_scale_tick(&s, t), times = value / s.step;
                cr_expect(value >= s.low - 1e-6 * s.step && value <= s.high + 1e-6 * s.step);
                cr_expect(fabs(times - round(times)) < 1e-3, "%.12g is no multiple of %g", value, s.step);
                cr_expect(fabs(value * pow(10, s.decimals) - round(value * pow(10, s.decimals))) < 1e-3);
            }
        }
}

/* Broken: accuracies above 100 %, or negative costs, on an axis. */
Test(report_scale, bounds)
{
    report_scale s = report_scale_make(92, 100, 1, 0, 100, 300, 0);
    cr_expect_float_eq(s.high, 100, 1e-12);
    cr_expect_float_eq(report_scale_at(&s, 100), 0, 1e-9, "y grows upwards");
    s = report_scale_make(100, 100, 1, 0, 100, 300, 0);
    cr_expect(s.high <= 100 + 1e-12 && s.low < 100);
    s = report_scale_make(0.02, 5, 1, 0, INFINITY, 0, 300);
    cr_expect_float_eq(s.low, 0, 1e-12);
}

/* Broken: ticks that nobody would write. */
Test(report_scale, ticks)
{
    report_scale s = report_scale_make(91.4, 97.98, 1, 0, 100, 0, 300);
    cr_expect_float_eq(s.step, 2, 1e-12);
    cr_expect_float_eq(report_scale_tick(&s, 0), 92, 1e-9);
    cr_expect_eq(s.decimals, 0);
    s = report_scale_make(97.9, 98.1, 0.1, 0, 100, 0, 300);
    cr_expect_float_eq(s.step, 0.05, 1e-12);
    cr_expect_eq(s.decimals, 2);
    s = report_scale_make(-1, 1, 0.1, -INFINITY, INFINITY, 0, 300);
    for (int t = 0; t < s.ticks; t++) cr_expect_not(report_scale_tick(&s, t) == 0 && signbit(report_scale_tick(&s, t)), "-0");
}
