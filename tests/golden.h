/* What the parts of golden_runner share: golden_runner.c runs models, golden_reducers.c single reductions, golden_reduced.c
 * models with reductions inside. */
#ifndef VR_TESTS_GOLDEN_H
#define VR_TESTS_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>

#include "../engine/vitrun.h"
#include "../loaders/json.h"

typedef enum { PASSED, FAILED, SKIPPED } verdict;

enum { BACKENDS = 4 };
extern const char *const vr_golden_backends[BACKENDS]; /* "reference", then the CPU's instruction sets */

/* Print the line of a case, and count it. */
verdict vr_golden_report(verdict v, const char *name, const char *words);

/* max |found - wanted| / max |wanted|; a NaN stays. */
double vr_golden_relative(const float *found, const float *wanted, size_t n);

/* Run one file of reducers/. */
void vr_golden_reducer(const char *name, const char *path);

/* A whole model with reduction, and what it must come to. */
typedef struct {
    const char    *method; /* "mame", ... */
    const vr_json *options;
    int            images, classes, depth;
    float         *pixels; /* [images, 3, height, width] */
    float         *logits; /* [images, classes] */
    int           *counts; /* [images, depth] tokens after each block */
    bool           with_reference;
} vr_golden_case;
verdict vr_golden_reduced(const char *name, vitrun_options o, const vr_golden_case *x);

/* Run one file of reduced/. */
void vr_golden_reduced_file(const char *name, const char *path);

#endif
