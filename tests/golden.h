/* What the parts of golden_runner share: golden_runner.c runs models, golden_reducers.c single reductions, golden_reduced.c
 * models with reductions inside. */
#ifndef VR_TESTS_GOLDEN_H
#define VR_TESTS_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>

#include "../engine/vitrun.h"
#include "../kernels/backend.h"
#include "../loaders/json.h"

typedef enum { PASSED, FAILED, SKIPPED, OTHERWISE } verdict; /* the last: no image could be compared, as rounding explains */

/* What cases run on: the oracle (in f32) and the CPU's instruction sets, or the one device of --device. */
enum { BACKENDS = 8 };
typedef struct {
    const char   *name; /* "reference", "avx2", "amx_emulated", "cuda f16" */
    const vr_ops *ops;  /* NULL: the device of --device */
} vr_golden_backend;
int  vr_golden_backends(vr_golden_backend list[BACKENDS], bool with_reference);
void vr_golden_use(const vr_golden_backend *b, vitrun_options *o); /* before opening on it; o may be NULL */

/* How far numbers may be off: max |found - wanted| / max |wanted| where activations are f32; else the normalised mean square
 * error, sum (found - wanted)^2 / sum wanted^2, as golden/README.md has it for halves.  A NaN stays. */
double    vr_golden_error(const float *found, const float *wanted, size_t n);
double    vr_golden_tolerance(bool reduced);
double    vr_golden_leap(void); /* of a MaMe source's weight, more moved than rounding can: a decision was another */
vr_status vr_golden_oracle(vitrun **v, const vitrun_options *o, vr_error *err); /* with weights rounded to the dtype */
bool      vr_golden_halves(void);                                               /* decisions may differ where they are close */

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
