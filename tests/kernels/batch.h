/* What the tests of the reducers share: batches of tokens between canaries, and the promises that every reducer makes. */
#ifndef VR_TESTS_KERNELS_BATCH_H
#define VR_TESTS_KERNELS_BATCH_H

#include "../../kernels/trace.h"
#include "check.h"

enum { VR_BATCH_IMAGES = 8 };

typedef struct {
    vr_guarded x;    /* [T, C] */
    vr_guarded size; /* [1, T] */
    int        offsets[VR_BATCH_IMAGES + 1];
    vr_tokens  t; /* views of the above: a batch stays where it was made */
} vr_batch;

/* `images` images of counts[b] tokens each, special ones among them.
 *   x   [T, cols] packed; NULL: tokens that resemble each other in groups, some numbers of them the same */
void vr_batch_make(vr_batch *b, const float *x, const int *counts, int images, int prefix, int cols);
void vr_batch_room(vr_batch *out, const vr_batch *in); /* for a result */
void vr_batch_free(vr_batch *b);

vr_trace vr_trace_make(const vr_tokens *in, void **memory); /* memory: for free() */

/* A back end with room for reducing such a batch. */
vr_backend vr_open_reducer(const char *isa, int threads, const vr_tokens *in);

typedef void (*vr_reduce_fn)(vr_backend *be, vr_tokens *out, const vr_tokens *in, const void *how, vr_trace *trace);

/* Every instruction set and one to three threads against the oracle; an image alone, in company and in another place of
 * the batch: the same bits.  Images of 0 to 128 ordinary tokens. */
void vr_check_reducer(vr_reduce_fn reduce, const void *how, int prefix, const char *what);

/* A worked example, one image, on the oracle and every instruction set: tokens [rows, cols], sizes [rows] or NULL. */
void vr_check_example(vr_reduce_fn reduce, const void *how, int prefix, const float *x, int tokens, int cols,
                      const float *wanted, int rows, const float *sizes, const char *what);

#endif
