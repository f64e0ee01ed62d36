/* A run: a model, and every buffer that its forward pass writes, laid out once. */
#ifndef VR_PLAN_H
#define VR_PLAN_H

#include "../kernels/trace.h"
#include "../loaders/schedule.h"
#include "model.h"

typedef struct vr_run vr_run;

/* What merging asks of a run's buffers: of one schedule, or the most of several. */
typedef struct {
    bool reduces;
    bool weights; /* MaMe is among what is traced */
    int  traces;  /* reductions whose record is kept */
} vr_run_needs;
vr_run_needs vr_run_needs_of(const vr_schedule *schedule,
                             bool               trace); /* trace: every reduction is, not only what MaRe undoes */

/* Called with the residual stream x [T, C] after block `block` (-1: before the first). */
typedef void vr_tap(void *user, int block, vr_mat x, const vr_rows *rows);

struct vr_run {
    const vr_model *model;
    vr_backend     *backend;
    int             tokens_max, images_max; /* of one micro-batch */
    int             longest;                /* tokens of the largest image */

    /* Their elements are backend->activations, but backend->residual in the residual stream, and f32 in logits and
     * mean_keys. */
    vr_mat x, t;         /* [tokens_max, C] residual stream; what a norm or attention has just made of it */
    vr_mat h;            /* [tokens_max, max(3C, mlp, 3PP)] qkv, the MLP's hidden layer, or unfolded patches */
    vr_mat few_x, few_t; /* [images_max * prefix, C] the last block's rows where only special tokens go on */
    vr_mat pooled;       /* [images_max, C or 2C] residual stream where a norm follows, else what is multiplied */
    vr_mat normed;       /* like pooled */
    vr_mat logits;       /* [images_max, outputs] */
    int   *offsets;      /* [images_max + 1], host */
    int   *few_offsets;  /* [images_max + 1], host */
    int   *patches;      /* [images_max], host: of each image before anything was merged */
    int   *few_index;    /* [images_max * prefix], host: which rows of x are special tokens */

    /* Token reduction; no buffers where no schedule has steps. */
    vr_run_needs       needs;
    const vr_schedule *schedule;         /* the one that is followed now; borrowed, fits the needs */
    vr_mat             other_x;          /* [tokens_max, C] x and this one take turns */
    int               *other_offsets;    /* [images_max + 1], host; the same for offsets */
    float             *ones;             /* [tokens_max] sizes before anything was merged */
    float             *size[2];          /* [tokens_max] each: sizes after a reduction, taking turns */
    float             *scores;           /* [tokens_max] the class row of attention, where a step asks for it */
    vr_mat             mean_keys;        /* [tokens_max, C / heads] likewise */
    vr_trace          *trace;            /* [needs.traces] of the reductions in their order, host */
    int                traced, restored; /* how many are filled; how many of them MaRe has undone */
    int                flip;             /* whose turn it was */
    vr_extras          extras;
    int               *tokens_after; /* [depth, images_max], host: tokens that left each block */

    vr_tap *tap; /* NULL: nobody looks */
    void   *tap_user;

    void  *device_memory, *host_memory;
    size_t device_bytes;
};

/* Plan and place the buffers for micro-batches of at most token_budget tokens (at least one image of the largest size).
 * The caller then says which schedule to follow. */
vr_status vr_run_open(vr_run *run, const vr_model *model, vr_run_needs needs, int token_budget, vr_error *err);
void      vr_run_close(vr_run *run);

#endif
