/* What the two halves of golden_runner share: golden_runner.c runs models, golden_reducers.c single reductions. */
#ifndef VR_TESTS_GOLDEN_H
#define VR_TESTS_GOLDEN_H

#include <stddef.h>

typedef enum { PASSED, FAILED, SKIPPED } verdict;

enum { BACKENDS = 4 };
extern const char *const vr_golden_backends[BACKENDS]; /* "reference", then the CPU's instruction sets */

/* Print the line of a case, and count it. */
verdict vr_golden_report(verdict v, const char *name, const char *words);

/* max |found - wanted| / max |wanted|; a NaN stays. */
double vr_golden_relative(const float *found, const float *wanted, size_t n);

/* Run one file of reducers/. */
void vr_golden_reducer(const char *name, const char *path);

#endif
