/* Measuring verb by verb: it changes nothing, and what it counts is what the model does. */
#include <criterion/criterion.h>
#include <string.h>

#include "../../engine/internal.h"
#include "../../engine/profile.h"
#include "../../kernels/cpu/cpu.h"
#include "../reference/reference.h"

enum { SIDE = 32, IMAGES = 3, CELLS = 3 * SIDE * SIDE, OUTPUTS = 10 };
static const char model[] = "tests/golden/models/timm_cls"; /* 32 x 32, ten classes */

static float pixels[IMAGES][CELLS];

static vitrun *open_with(const vitrun_merge *merge, const vr_ops *ops)
{
    vitrun        *v;
    vr_error       e = {0};
    vitrun_options o = vitrun_defaults();
    o.model = model, o.threads = 2, o.merge = merge;
    cr_assert_eq(vr_open_on(&v, &o, ops, &e), VR_OK, "%s", e.text);
    cr_assert(vitrun_about(v)->image_height == SIDE && vitrun_about(v)->outputs == OUTPUTS);
    for (int i = 0; i < IMAGES; i++)
        for (int c = 0; c < CELLS; c++) pixels[i][c] = (float)((i * CELLS + c) * 37 % 101) / 50 - 1;
    return v;
}

static void run(vitrun *v, float *logits)
{
    const float *each[IMAGES] = {pixels[0], pixels[1], pixels[2]};
    vitrun_error e = {0};
    cr_assert_eq(vitrun_run(v, logits, each, NULL, IMAGES, &e), VITRUN_OK, "%s", e.text);
}

static const vr_profile_row *row_of(const vr_profile *p, const char *verb)
{
    for (int i = 0; i < p->rows; i++)
        if (strcmp(p->row[i].verb, verb) == 0 && p->row[i].kernel[0] == 0) return &p->row[i];
    cr_assert_fail("no row for %s", verb);
    return NULL;
}

/* Broken if it fails: bench --kernels measures another computation than the one that users run. */
Test(profile, watching_changes_no_bit_and_ends)
{
    const vitrun_merge mame = {.method = "mame", .tau = "0.5"};
    vitrun            *v = open_with(&mame, &vr_cpu);
    float              before[IMAGES * OUTPUTS], watched[IMAGES * OUTPUTS], after[IMAGES * OUTPUTS];
    vr_profiler        p;
    vr_error           err = {0};
    run(v, before);
    cr_assert_eq(vr_profiler_start(&p, v, &err), VR_OK);
    run(v, watched);
    vr_profiler_stop(&p, v);
    const int rows = p.rows.rows;
    p.rows.rows = 0;
    run(v, after);
    cr_expect_eq(memcmp(before, watched, sizeof before), 0);
    cr_expect_eq(memcmp(before, after, sizeof before), 0);
    cr_expect(rows >= 6 && p.rows.rows == 0, "%d rows, and %d after the end", rows, p.rows.rows);
    cr_expect_eq(v->backend.ops, &vr_cpu);
    vitrun_close(v);
}

/* Broken if it fails: GFLOP/s and GB/s of the table are of another amount of work than was done. */
Test(profile, counts_what_the_model_costs)
{
    vitrun     *v = open_with(NULL, &vr_cpu);
    float       logits[IMAGES * OUTPUTS];
    vr_profiler p;
    vr_error    err = {0};
    double      flops = 0, gmacs = 0, one;
    cr_assert_eq(vr_profiler_start(&p, v, &err), VR_OK);
    run(v, logits);
    vr_profiler_stop(&p, v);
    const int depth = vitrun_about(v)->depth;
    cr_expect_eq(row_of(&p.rows, "attention")->launches, depth);
    cr_expect_eq(row_of(&p.rows, "layernorm")->launches, 2 * depth + 1);
    cr_expect_eq(row_of(&p.rows, "linear")->launches, 4 * depth + 2); /* the last block's queries, and the classifier */
    for (int i = 0; i < p.rows.rows; i++) {
        flops += p.rows.row[i].work.flops;
        cr_expect(p.rows.row[i].seconds > 0 && p.rows.row[i].work.bytes > 0, "%s", p.rows.row[i].verb);
    }
    for (int i = 0; i < IMAGES && vitrun_cost(v, i, NULL, &one, NULL, NULL) == VITRUN_OK; i++) gmacs += one;
    /* patch_embed multiplies rows for the special tokens too, which cost counts for patches alone */
    cr_expect(flops >= 2e9 * gmacs && flops < 2.1e9 * gmacs, "%g flops against %g multiply-adds", flops, 1e9 * gmacs);
    vitrun_close(v);
}

/* Broken if it fails: GB/s of a type with smaller weights are of weights as large as the activations. */
Test(profile, weights_count_as_they_are_stored)
{
    static const struct {
        vr_dtype type;
        double   bytes;
    } kept[] = {{VR_F32, 4}, {VR_BF16, 2}, {VR_F16, 2}, {VR_I8, 1}};
    const vr_mat x = {.rows = 3, .cols = 64, .type = VR_F32}, y = {.rows = 3, .cols = 10, .type = VR_F32};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        const vr_weight w = {.out = 10, .in = 64, .type = kept[i].type};
        cr_expect_eq(vr_work_linear(y, x, &w, VR_SET).bytes, 4 * 3 * (64 + 10) + kept[i].bytes * 640, "%s",
                     vr_dtype_name(kept[i].type));
    }
}

/* Broken if it fails: a row that was never filled, or one of another verb, is added to. */
Test(profile, rows_are_told_apart_by_verb_and_kernel)
{
    vr_profile p = {.verb = "linear"};
    cr_expect_eq(vr_profile_find(&p, "matmul"), 0);
    cr_expect_eq(vr_profile_find(&p, "gelu"), 1);
    p.verb = "patch_embed";
    cr_expect_eq(vr_profile_find(&p, "matmul"), 2);
    p.verb = "linear";
    cr_expect_eq(vr_profile_find(&p, "matmul"), 0);
    for (int i = 0; i < 2 * VR_PROFILE_ROWS; i++) {
        char name[16];
        snprintf(name, sizeof name, "k%d", i);
        cr_assert(vr_profile_find(&p, name) < VR_PROFILE_ROWS);
    }
    cr_expect_eq(p.rows, VR_PROFILE_ROWS);
}

/* Broken if it fails: the share of the peak is of nothing. */
Test(profile, peak_of_the_cpu_and_of_a_back_end_without_one)
{
    vitrun      *v = open_with(NULL, &vr_cpu), *reference = open_with(NULL, &vr_reference);
    const double peak = vr_peak_flops(v);
    cr_expect(peak > 1e8 && peak < 1e15, "%g", peak);
    cr_expect_eq(vr_peak_flops(reference), 0);
    vitrun_close(v);
    vitrun_close(reference);
}
