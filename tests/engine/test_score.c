/* The statistics of eval. */
#include "../../engine/score.h"

#include <criterion/criterion.h>
#include <math.h>

static bool near(double got, double want, double tolerance) { return fabs(got - want) <= tolerance; }

/* Broken: a loss that overflows or names another class. */
Test(score, cross_entropy)
{
    const float even[] = {1, 1, 1, 1}, large[] = {1000, 0, -1000};
    cr_assert(near(vr_cross_entropy(even, 4, 2), log(4), 1e-15));
    cr_assert(near(vr_cross_entropy(large, 3, 0), 0, 1e-15));
    cr_assert(near(vr_cross_entropy(large, 3, 2), 2000, 1e-9));
}

/* Broken: `tune` follows a divergence that is not one. */
Test(score, divergence)
{
    const float  even[] = {0, 0}, tilted[] = {1, 0}, far[] = {3000, 0};
    const double p = 1 / (1 + exp(-1));
    cr_assert(near(vr_divergence(tilted, tilted, 2), 0, 1e-15));
    cr_assert(near(vr_divergence(tilted, even, 2), p * log(2 * p) + (1 - p) * log(2 * (1 - p)), 1e-12));
    cr_assert(near(vr_divergence(even, far, 2), 1500 - log(2), 1e-9));
    cr_assert(near(vr_divergence(far, even, 2), log(2), 1e-12));
}

/* Broken: the interval that results carry is not the one that is named.  Values of statsmodels' proportion_confint. */
Test(score, wilson)
{
    static const struct {
        size_t hits, n;
        double low, high;
    } cases[] = {{2866, 2925, 0.974070, 0.984330}, {0, 10, 0, 0.277533}, {10, 10, 0.722467, 1}, {5, 10, 0.236593, 0.763407}};
    double low, high;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vr_wilson(&low, &high, cases[i].hits, cases[i].n);
        cr_expect(near(low, cases[i].low, 2e-6) && near(high, cases[i].high, 2e-6), "%zu: %.7f %.7f", i, low, high);
    }
    vr_wilson(&low, &high, 0, 0);
    cr_assert(low == 0 && high == 1);
}

/* Broken: a difference between models is called significant, or not, by a wrong number. */
Test(score, mcnemar)
{
    cr_expect_eq(vr_mcnemar(0, 0), 1);
    cr_expect_eq(vr_mcnemar(7, 7), 1);
    cr_expect(near(vr_mcnemar(0, 5), 0.0625, 1e-12)); /* 2 / 2^5 */
    cr_expect(near(vr_mcnemar(5, 0), 0.0625, 1e-12));
    cr_expect(near(vr_mcnemar(1, 9), 22.0 / 1024, 1e-12));   /* 2 (1 + 10) / 2^10 */
    cr_expect(near(vr_mcnemar(2, 10), 158.0 / 4096, 1e-12)); /* 2 (1 + 12 + 66) / 2^12 */
    cr_expect(near(vr_mcnemar(600, 500), 0.00283613, 1e-7)); /* (99)^2 / 1100 = 8.91 */
    cr_expect(near(vr_mcnemar(480, 520), 0.21744829, 1e-8)); /* the exact one, just below where chi-square begins */
    cr_expect(near(vr_mcnemar(481, 520), 0.22972594, 1e-8));
}

/* Broken: labels in another order pass unnoticed, or a weak model is accused. */
Test(score, order)
{
    enum { N = 400, CLASSES = 10 };
    int label[N], shifted[N], constant[N], scattered[N], mixed[N];
    for (int i = 0; i < N; i++) {
        label[i] = i / 40;
        shifted[i] = (label[i] + 3) % CLASSES;
        constant[i] = 7;
        scattered[i] = (label[i] + 1 + i % 9) % CLASSES;
        mixed[i] = i % 10 < 7 ? shifted[i] : scattered[i];
    }
    cr_expect(vr_order_suspect(label, shifted, N, CLASSES));
    cr_expect(vr_order_suspect(label, mixed, N, CLASSES));
    cr_expect(vr_order_suspect(label, shifted, 200, 1000), "the first five classes of many");
    cr_expect_not(vr_order_suspect(label, label, N, CLASSES));
    cr_expect_not(vr_order_suspect(label, constant, N, CLASSES));
    cr_expect_not(vr_order_suspect(label, scattered, N, CLASSES));
    cr_expect_not(vr_order_suspect(label, shifted, 199, CLASSES));
}
