/* Position tables for other sizes; the numbers of timm and transformers are checked by the golden cases *_resized. */
#include <criterion/criterion.h>
#include <math.h>
#include <sys/resource.h>

#include "../../loaders/positions.h"

/* Broken if it fails: weights do not sum to 1, so that resampling shifts every position. */
Test(positions, a_constant_field_stays_constant)
{
    float    in[5 * 4 * 3], out[9 * 2 * 3];
    vr_error err = {0};
    for (int i = 0; i < 60; i++) in[i] = (float)(i % 3) - 0.5f;
    for (int antialias = 0; antialias < 2; antialias++) {
        cr_assert_eq(vr_positions_resample(out, 9, 2, in, 5, 4, 3, antialias, &err), VR_OK, "%s", err.text);
        for (int i = 0; i < 54; i++) cr_expect(fabs((double)out[i] - (i % 3 - 0.5)) < 1e-6);
    }
}

/* Broken if it fails: asking for the table's own size changes it. */
Test(positions, the_same_size_is_the_same_table)
{
    float    in[6 * 7 * 2], out[6 * 7 * 2];
    vr_error err = {0};
    for (int i = 0; i < 84; i++) in[i] = sinf((float)i);
    for (int antialias = 0; antialias < 2; antialias++) {
        cr_assert_eq(vr_positions_resample(out, 6, 7, in, 6, 7, 2, antialias, &err), VR_OK);
        cr_expect_arr_eq(out, in, sizeof in);
    }
}

/* Broken if it fails: the two passes do not give the same table in either order, which the sizes choose. */
Test(positions, a_turned_table_gives_a_turned_result)
{
    float    in[7 * 3 * 2], turned[3 * 7 * 2], out[2 * 5 * 2], other[5 * 2 * 2];
    vr_error err = {0};
    for (int i = 0; i < 42; i++) in[i] = sinf((float)i);
    for (int y = 0; y < 7; y++)
        for (int x = 0; x < 3; x++)
            for (int c = 0; c < 2; c++) turned[(x * 7 + y) * 2 + c] = in[(y * 3 + x) * 2 + c];
    for (int antialias = 0; antialias < 2; antialias++) {
        cr_assert_eq(vr_positions_resample(out, 2, 5, in, 7, 3, 2, antialias, &err), VR_OK);
        cr_assert_eq(vr_positions_resample(other, 5, 2, turned, 3, 7, 2, antialias, &err), VR_OK);
        for (int i = 0; i < 20; i++)
            cr_expect(fabs((double)out[i] - (double)other[(i / 2 % 5 * 2 + i / 10) * 2 + i % 2]) < 1e-6, "%d", i);
    }
}

/* Broken if it fails: a small file with a long thin table takes gigabytes, for all its rows at all new columns. */
Test(positions, a_thin_table_costs_no_square, .timeout = 20)
{
    enum { LONG = 16384 };
    static float in[LONG], out[LONG];
    vr_error     err = {0};
    for (int i = 0; i < LONG; i++) in[i] = 1;
    for (int antialias = 0; antialias < 2; antialias++) {
        struct rusage before, after;
        getrusage(RUSAGE_SELF, &before);
        cr_assert_eq(vr_positions_resample(out, 1, LONG, in, LONG, 1, 1, antialias, &err), VR_OK, "%s", err.text);
        cr_assert_eq(vr_positions_resample(out, LONG, 1, in, 1, LONG, 1, antialias, &err), VR_OK, "%s", err.text);
        getrusage(RUSAGE_SELF, &after);
        cr_expect(after.ru_maxrss - before.ru_maxrss < 100 << 10, "%ld KiB", after.ru_maxrss - before.ru_maxrss);
        for (int i = 0; i < LONG; i++) cr_assert(fabs((double)out[i] - 1) < 1e-6);
    }
}
