/* What the CPU's reducers share: their scratch, and the steps that more than one of them takes (reduce.c). */
#ifndef VR_CPU_REDUCE_H
#define VR_CPU_REDUCE_H

#include "../arena.h"
#include "../backend.h"
#include "isa.h"

/* Scratch of one thread. */
typedef struct {
    float    *packed; /* [max(cols, longest), panel] the right side of a product */
    float    *block;  /* [longest, panel] a product */
    uint64_t *keys;   /* [longest] */
    int      *best;   /* [longest] */
    float    *score;  /* [longest] */
} vr_lane;

/* Scratch of a batch.  An image's part of an array of T begins at its first row, as in the batch. */
typedef struct {
    vr_limits most;
    vr_trace  trace; /* for callers who want none */
    int      *order; /* [T] an image's tokens as a method wants them, destinations first, then sources */
    vr_mat    rows;  /* [T, cols] their features, in that order */
    float    *scale; /* [T] 1 / the norm of each, 0 for a row of zeros */
    int      *parts; /* [T] how many tokens went into each token of the output */
    vr_lane  *lanes; /* [threads] */
    void     *memory;
} vr_reduction;

/* Enlarge the scratch; on failure it is empty. */
vr_status vr_reduction_reserve(vr_reduction *r, const vr_limits *most, int threads, int panel, vr_error *err);
void      vr_reduction_release(vr_reduction *r);

/* Checks what every verb promises, sets the images and offsets[0] of out and trace, and returns the trace to fill: the
 * caller's, or scratch. */
vr_trace *vr_reduction_begin(const vr_reduction *r, vr_tokens *out, const vr_tokens *in, vr_trace *trace);

/* Notes that nothing was done to image b: each token is its own row. */
void vr_trace_keep_all(vr_trace *t, const vr_tokens *in, int b);

/* Image b has `count` tokens from here on; images in rising order. */
void vr_reduction_count(vr_tokens *out, vr_trace *t, const vr_tokens *in, int b, int count);

/* Fills rows from .. to-1 of r->rows, and r->scale, from the features of image b in the order of r->order, widened to f32:
 * decisions are f32 whatever the activations are. */
void vr_reduction_gather(const vr_reduction *r, vr_mat feature, int first, int from, int to);

/* lane->block [M, sources]: the cosines of the M first gathered rows of an image with `sources` of its others.
 *   first   the image's first row;  source   the first source's place in the order */
void vr_reduction_cosines(const vr_reduction *r, const vr_isa *isa, const vr_lane *lane, int first, int M, int source,
                          int sources, int depth, bool dot);

/* For each of the N gathered rows after the first M the most similar of rows barred .. M-1, the first of equals, and
 * the similarity: lane->best, lane->score [N].  Without a candidate -1 and -infinity; where all similarities are NaN, row
 * `barred` and -FLT_MAX. */
void vr_reduction_nearest(const vr_reduction *r, const vr_isa *isa, const vr_lane *lane, int first, int M, int N, int barred,
                          int depth);

/* keys [count] sorted so that their low 32 bits number the values from the largest to the smallest, equals in order. */
void vr_reduction_sort(uint64_t *keys, const float *values, int count);
void vr_reduction_sort_keys(uint64_t *keys, int count); /* the smallest first */

/* The tokens that go into a row, all at once or not at all: out = trace's map of in.  A lone token is copied. */
void vr_reduction_follow(vr_backend *be, vr_tokens *out, const vr_tokens *in, const vr_trace *t);

#endif
