/* The search for a merge setting, on functions whose answer is known. */
#include <criterion/criterion.h>
#include <math.h>

#include "../../engine/tune.h"

static int trials;

/* Cost falls in proportion to merging, agreement falls with its square. */
static vr_status line(void *user, const double *tau, vr_trial *out, vr_error *err)
{
    (void)user, (void)err;
    const double merged = 1 - *tau;
    trials++;
    *out = (vr_trial){10 - 10 * merged, 1 / (1 - merged), 1 - merged * merged, merged * merged};
    return VR_OK;
}

static double taus[101];

static void fill_taus(void)
{
    for (int i = 0; i <= 100; i++) taus[i] = 1 - i * 0.01;
}

/* Broken if it fails: `tune` hands out a setting that misses its target, or merges more than the target needs. */
Test(tune, one_value_meets_the_target_and_its_neighbour_does_not)
{
    static const vr_target targets[] = {{.gmacs = 6.005}, {.speedup = 1.995}, {.agreement = 0.7499}};
    static const double    wanted[] = {0.60, 0.50, 0.50};
    fill_taus();
    for (int i = 0; i < 3; i++) {
        vr_error err = {0};
        vr_trial there;
        double   found = -1;
        trials = 0;
        cr_assert_eq(vr_tune_one(&found, &there, taus, 100, &targets[i], line, NULL, &err), VR_OK, "%s", err.text);
        cr_expect_float_eq(found, wanted[i], 1e-9, "target %d: %g", i, found);
        cr_expect(vr_target_met(&targets[i], &there));
        cr_expect_leq(trials, 7);
    }
}

Test(tune, a_target_out_of_reach_is_said)
{
    static const vr_target targets[] = {{.gmacs = 0.01}, {.speedup = 1000}, {.agreement = 2}};
    fill_taus();
    for (int i = 0; i < 3; i++) {
        vr_error err = {0};
        vr_trial there;
        double   found;
        cr_expect_eq(vr_tune_one(&found, &there, taus, 100, &targets[i], line, NULL, &err), VR_E_USAGE);
        cr_expect_str_eq(err.rule, "target");
    }
}

/* Three blocks that save alike, but harm 1 : 4 : 100 times the square of their merging. */
static vr_status blocks(void *user, const double *tau, vr_trial *out, vr_error *err)
{
    static const double harm[] = {0.01, 0.04, 1};
    (void)user, (void)err;
    trials++;
    *out = (vr_trial){.gmacs = 10};
    for (int b = 0; b < 3; b++) {
        const double merged = 1 - tau[b];
        out->gmacs -= 3 * merged;
        out->divergence += harm[b] * merged * merged;
    }
    out->agreement = 1 - out->divergence;
    return VR_OK;
}

/* Broken if it fails: the tuned blocks are worse than one value for all. */
Test(tune, blocks_that_harm_less_merge_more)
{
    static const double    values[] = {1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1};
    static const vr_target target = {.gmacs = 7};
    vr_error               err = {0};
    vr_trial               there, same;
    double                 tau[3], one[3] = {2 / 3.0, 2 / 3.0, 2 / 3.0};
    trials = 0;
    cr_assert_eq(vr_tune_blocks(tau, &there, 3, values, 10, &target, blocks, NULL, &err), VR_OK, "%s", err.text);
    cr_expect(tau[0] <= tau[1] && tau[1] < tau[2], "%g %g %g", tau[0], tau[1], tau[2]);
    cr_expect_leq(there.gmacs, 7);
    cr_expect_geq(there.gmacs, 6.97, "%g", there.gmacs);
    blocks(NULL, one, &same, &err);
    cr_expect_lt(there.divergence, same.divergence / 3);
    cr_expect_lt(trials, 40);
    cr_assert_eq(vr_tune_blocks(tau, &there, 3, values, 10, &(vr_target){.agreement = 0.99}, blocks, NULL, &err), VR_OK);
    cr_expect_geq(there.agreement, 0.99);
    cr_expect_lt(there.gmacs, 8);
    cr_expect_eq(vr_tune_blocks(tau, &there, 3, values, 10, &(vr_target){.gmacs = 1}, blocks, NULL, &err), VR_E_USAGE);
}

/* Blocks where the first levels do nothing yet. */
static vr_status steps(void *user, const double *tau, vr_trial *out, vr_error *err)
{
    double late[3];
    for (int b = 0; b < 3; b++) late[b] = fmin(1, tau[b] + 0.25);
    return blocks(user, late, out, err);
}

/* Broken if it fails: a level without effect ends a block's search. */
Test(tune, levels_without_effect_are_passed_over)
{
    static const double values[] = {1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3};
    vr_error            err = {0};
    vr_trial            there;
    double              tau[3];
    cr_assert_eq(vr_tune_blocks(tau, &there, 3, values, 8, &(vr_target){.gmacs = 8.6}, steps, NULL, &err), VR_OK, "%s",
                 err.text);
    cr_expect_leq(there.gmacs, 8.6);
    cr_expect_lt(tau[0], 0.75);
}

static vr_status broken(void *user, const double *tau, vr_trial *out, vr_error *err)
{
    (void)tau, (void)out;
    return ++*(int *)user == 3 ? vr_fail(err, VR_E_MEMORY, "", "no more")
                               : line(NULL, (double[]){1 - *(int *)user * 0.1}, out, err);
}

Test(tune, what_a_trial_fails_with_is_handed_on)
{
    vr_error err = {0};
    vr_trial there;
    double   tau[2], found;
    int      calls = 0;
    fill_taus();
    cr_expect_eq(vr_tune_one(&found, &there, taus, 100, &(vr_target){.gmacs = 1}, broken, &calls, &err), VR_E_MEMORY);
    err = (vr_error){0}, calls = 0;
    cr_expect_eq(vr_tune_blocks(tau, &there, 2, taus, 100, &(vr_target){.gmacs = 1}, broken, &calls, &err), VR_E_MEMORY);
}

/* Broken if it fails: polishing misses the target, or leaves a setting worse than it was. */
Test(tune, polishing_betters_and_keeps_the_target)
{
    const vr_target target = {.gmacs = 7};
    vr_error        err = {0};
    vr_trial        there, before;
    double          tau[] = {2 / 3.0, 2 / 3.0, 2 / 3.0};
    blocks(NULL, tau, &there, &err);
    there.gmacs = fmin(there.gmacs, 7); /* 7 but for rounding */
    before = there;
    cr_assert_eq(vr_tune_polish(tau, &there, 3, &target, blocks, NULL, &err), VR_OK, "%s", err.text);
    cr_expect_leq(there.gmacs, 7);
    cr_expect_lt(there.divergence, before.divergence * 0.8, "%g of %g", there.divergence, before.divergence);
    cr_expect(tau[0] < tau[2], "%g %g %g", tau[0], tau[1], tau[2]);
    double again[] = {tau[0], tau[1], tau[2]};
    before = there;
    cr_assert_eq(vr_tune_polish(again, &there, 3, &target, blocks, NULL, &err), VR_OK);
    cr_expect_leq(there.divergence, before.divergence);
    int calls = 0;
    cr_expect_eq(vr_tune_polish(tau, &there, 1, &target, broken, &calls, &err), VR_E_MEMORY);
}
