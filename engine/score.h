/* What answers are worth: loss, intervals, tests, and whether the labels are in another order than the model's. */
#ifndef VR_SCORE_H
#define VR_SCORE_H

#include <stdbool.h>
#include <stddef.h>

/* -log softmax(logits)[label], in float64. */
double vr_cross_entropy(const float *logits, int classes, int label);

/* KL divergence of softmax(logits) from softmax(of), in nats: what is lost where the former stands for the latter. */
double vr_divergence(const float *of, const float *logits, int classes);

/* Wilson's 95 % interval of the share hits / n; 0 to 1 where n is 0. */
void vr_wilson(double *low, double *high, size_t hits, size_t n);

/* McNemar's test, two-sided: b pictures that only one model got right, c that only the other did.  Exact (binomial) up to
 * b + c = 1000, beyond it chi-square with continuity correction. */
double vr_mcnemar(size_t b, size_t c);

/* True where the answers look like right ones in another order of classes.  The rule:
 *   - at least 200 pictures, of which fewer than min(5 / classes, 1/4) are right;
 *   - at least 100 of them have a label that occurs three times or more;
 *   - at least 60 % of those got the most frequent answer of their label, that answer being no other such label's.
 *   label, answer  [n] */
bool vr_order_suspect(const int *label, const int *answer, size_t n, int classes);

#endif
