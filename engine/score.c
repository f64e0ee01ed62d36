/* score.c: the statistics of eval. */
#include "score.h"

#include "../kernels/base.h"

#include <math.h>
#include <stdlib.h>

static double log_sum_exp(const float *logits, int classes)
{
    double top = logits[0], sum = 0;
    for (int i = 1; i < classes; i++) top = fmax(top, (double)logits[i]);
    for (int i = 0; i < classes; i++) sum += exp((double)logits[i] - top);
    return log(sum) + top;
}

double vr_cross_entropy(const float *logits, int classes, int label)
{
    return log_sum_exp(logits, classes) - (double)logits[label];
}

double vr_divergence(const float *of, const float *logits, int classes)
{
    const double p_sum = log_sum_exp(of, classes), q_sum = log_sum_exp(logits, classes);
    double       sum = 0;
    for (int i = 0; i < classes; i++) {
        const double p = (double)of[i] - p_sum, q = (double)logits[i] - q_sum;
        sum += exp(p) * (p - q);
    }
    return sum;
}

void vr_wilson(double *low, double *high, size_t hits, size_t n)
{
    const double z = 1.959963984540054; /* 97.5 % of the normal distribution lie below */
    *low = 0, *high = 1;
    if (n == 0) return;
    double p = (double)hits / (double)n, zz = z * z / (double)n;
    double middle = (p + zz / 2) / (1 + zz), half = z * sqrt(p * (1 - p) / (double)n + zz / (4 * (double)n)) / (1 + zz);
    *low = hits == 0 ? 0 : middle - half;
    *high = hits == n ? 1 : middle + half;
}

double vr_mcnemar(size_t b, size_t c)
{
    const double n = (double)(b + c), less = (double)(b < c ? b : c);
    if (b == c) return 1;
    if (b + c > 1000) {
        double x = (n - 2 * less - 1) * (n - 2 * less - 1) / n; /* |b - c| = n - 2 min(b, c) */
        return erfc(sqrt(x / 2));
    }
    double p = 0;
    for (double k = 0; k <= less; k++) p += exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2));
    return fmin(1, 2 * p);
}

typedef struct {
    int label, answer;
} pair;

static int by_label(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return x->answer < y->answer ? -1 : x->answer > y->answer;
}

/* What the pictures of one label, p [n] sorted by answer, got most often, and how many of them. */
static int modal_answer(const pair *p, size_t n, size_t *times)
{
    int best = p[0].answer;
    *times = 0;
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && p[j].answer == p[i].answer; j++) {}
        if (j - i > *times) *times = j - i, best = p[i].answer;
    }
    return best;
}

/* owners [classes], zeroed: how many labels have that modal answer. */
static bool permuted(const pair *p, size_t n, int *owners)
{
    size_t often = 0, agreeing = 0, times;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0, j; i < n; i = j) {
            for (j = i; j < n && p[j].label == p[i].label; j++) {}
            if (j - i < 3) continue;
            int best = modal_answer(p + i, j - i, &times);
            if (pass == 0)
                owners[best]++, often += j - i;
            else if (owners[best] == 1)
                agreeing += times;
        }
    return often >= 100 && 10 * agreeing >= 6 * often;
}

bool vr_order_suspect(const int *label, const int *answer, size_t n, int classes)
{
    size_t right = 0;
    for (size_t i = 0; i < n; i++) right += label[i] == answer[i];
    if (n < 200 || (double)right >= fmin(5.0 / classes, 0.25) * (double)n) return false;
    pair *p = vr_alloc(n, sizeof *p);
    int  *owners = vr_alloc_zeroed((size_t)classes, sizeof *owners);
    bool  suspect = false;
    for (size_t i = 0; p && i < n; i++) p[i] = (pair){label[i], answer[i]};
    if (p) qsort(p, n, sizeof *p, by_label);
    if (p && owners) suspect = permuted(p, n, owners);
    free(p);
    free(owners);
    return suspect;
}
