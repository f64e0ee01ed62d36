/* Position tables for other sizes; the numbers of timm and transformers are checked by the golden cases *_resized. */
#include <criterion/criterion.h>
#include <math.h>

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
