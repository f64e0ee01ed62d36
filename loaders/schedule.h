/* Which blocks of a model reduce their tokens, how, and by how much: plain data.  A schedule comes from a file
 * (configs/schedules), or from the words of a command line, and is always made for one model, because most defaults
 * depend on it; what comes out has every number filled in and is known to fit.
 *
 *     { "name": "mine", "source": "paper, Table 1", "scope": "image", "pool": "plain", "prop_attn": "auto",
 *       "steps": [ { "method": "mame", "layers": "0-7", "tau": 0.8 }, { "method": "mare", "layer": 11, "mode": "paper" } ] }
 *
 * Optional for the whole: source; model (the name of the one it was written for); scope image|batch; pool plain|mass;
 * prop_attn auto|on|off.  For the steps of a method:
 *   mame      layers; tau, one or one a layer; rule alg1|similarity; refine; partition alternating|sequential|random, the
 *             last with seed and share; feature x|k|k-mean; similarity cosine|dot; forced null|merge|drop;
 *             weights plain|mass
 *   tome      layers; r, one or one a layer (a list without layers begins at block 0, and ends in zeros);
 *             inflect -1 .. 1: with one r, a straight line through it, -1 from 2r to 0
 *   evit      layers; keep, one or one a layer; fuse
 *   diffrate  rates ("8.7"), or rates_from ("deit_small:2.9", scaled by token count), or prune and merge, one a block
 *   mare      layer; mode paper|copy
 * layers is a text such as "0-7" or "3,6,9", or an array.  Blocks are counted from 0. */
#ifndef VR_SCHEDULE_H
#define VR_SCHEDULE_H

#include <stdio.h>

#include "config.h"

typedef enum { VR_MAME, VR_TOME, VR_EVIT, VR_DIFFRATE, VR_MARE, VR_METHODS } vr_method;

/* The enums are in the order of their words above. */
typedef enum { VR_RULE_ALG1, VR_RULE_SIMILARITY } vr_step_rule;
typedef enum { VR_PARTITION_ALTERNATING, VR_PARTITION_SEQUENTIAL, VR_PARTITION_RANDOM } vr_step_partition;
typedef enum { VR_FEATURE_X, VR_FEATURE_K, VR_FEATURE_K_MEAN } vr_step_feature;
typedef enum { VR_SIMILARITY_COSINE, VR_SIMILARITY_DOT } vr_step_similarity;
typedef enum { VR_FORCED_NONE, VR_FORCED_MERGE, VR_FORCED_DROP } vr_step_forced;
typedef enum { VR_WEIGHTS_PLAIN, VR_WEIGHTS_MASS } vr_step_weights; /* mass: size-aware, "mame-mass" in results */
typedef enum { VR_RESTORE_PAPER, VR_RESTORE_COPY } vr_step_restore;

/* One reduction (between attention and MLP of block `layer`), or one restoration (behind that block).  A method reads
 * only its own numbers; the others are 0. */
typedef struct {
    vr_method method;
    int       layer;

    double             tau; /* mame: similarities must exceed it; from 0 */
    vr_step_rule       rule;
    bool               refine;
    vr_step_partition  partition;
    uint64_t           seed;  /* random partitions only */
    double             share; /* of the ordinary tokens that a random partition makes destinations */
    vr_step_feature    feature;
    vr_step_similarity similarity;
    vr_step_forced     forced;
    vr_step_weights    weights;

    int             r;            /* tome: tokens to merge away; still to be clamped by those that are there */
    double          keep;         /* evit: above 0, at most 1 */
    bool            fuse;         /* evit */
    int             prune, merge; /* diffrate: tokens left by each, special ones included; may exceed those there */
    vr_step_restore restore;      /* mare: all merges since the one before it */
} vr_step;

typedef enum { VR_SCOPE_IMAGE, VR_SCOPE_BATCH } vr_merge_scope;
typedef enum { VR_MERGE_POOL_PLAIN, VR_MERGE_POOL_MASS } vr_merge_pool;
typedef enum { VR_PROP_AUTO, VR_PROP_ON, VR_PROP_OFF } vr_prop_attn;

typedef struct {
    char           name[64];    /* of the file; the method's where there is none; "none" */
    char           source[240]; /* where its numbers come from, "" unknown */
    char           model[96];   /* the model it was written for, "" unknown */
    vr_merge_scope scope;
    vr_merge_pool  pool;         /* how a mean over tokens weighs them; nothing to models without one */
    vr_prop_attn   prop_attn;    /* as said */
    bool           proportional; /* what that means here: ln(size) is added to attention's scores */
    char           rates[48];    /* "deit_small:2.9" where a DiffRate table was used */
    bool           rates_scaled; /* ... and scaled to another number of tokens */

    int      depth, tokens; /* of the model it was made for */
    vr_step *steps;         /* [count] by layer; a restoration stands behind the reduction of its layer */
    int      count;
} vr_schedule;

/* What a schedule needs to know of a model. */
typedef struct {
    const char *name; /* for messages */
    int         depth, dim;
    int         tokens;  /* of one image, special ones included */
    int         special; /* 0: no class token */
    bool        mean_pool;
} vr_merge_model;
vr_merge_model vr_merge_model_of(const vr_config *c); /* at the size that it is run at; borrows the name */

/* A merge setting in the words of the command line; NULL or false: not said. */
typedef struct {
    const char *merge; /* "none", a method, a name in configs/schedules, or a file (it has a / or ends in .json) */
    const char *tau, *layers, *r, *keep, *rates, *rates_from;
    const char *scope, *pool, *weights, *prop_attn;
    const char *rule, *refine, *partition, *feature, *similarity, *forced, *seed;
    const char *restore, *restore_mode; /* a MaRe step behind those of `merge` */
    bool        fuse;
} vr_merge_words;

/* Do the words go together, whatever the model?  A word that its method would ignore is refused.  VR_E_USAGE. */
vr_status vr_merge_words_check(const vr_merge_words *words, vr_error *err);

/* Make the schedule that the words ask for; no words, or "none": one without steps.
 * Fails with VR_E_USAGE: words that cannot be, an unknown name, a schedule that does not fit the model; otherwise as
 * vr_schedule_read.  *out is empty after a failure. */
vr_status vr_schedule_make(vr_schedule *out, const char *data_dir, const vr_merge_words *words, const vr_merge_model *model,
                           vr_error *err);

/* Read one from a file.  data_dir/schedules/diffrate.json holds DiffRate's tables.  Rules:
 *   unknown-key, schedule-type, schedule-missing        not of the form above
 *   schedule-word                                       none of a key's words
 *   schedule-range                                      a number that cannot be: tau, r, keep, seed, share, ...
 *   schedule-list                                       a list that is too long, or not one for each layer
 *   schedule-layer, two-reducers                        a block that the model has not, or one that is named twice
 *   mixed-methods                                       one schedule, one method (and MaRe)
 *   schedule-default                                    no default for that depth
 *   rates-unknown, rates-depth                          DiffRate tables
 *   class-token, distilled, mare-first, mare-method, sizes, scope   what a method or a model cannot do
 * Fails with VR_E_MODEL (the file), VR_E_USAGE (it does not fit the model), VR_E_IO, VR_E_MEMORY. */
vr_status vr_schedule_read(vr_schedule *out, const char *data_dir, const char *path, const vr_merge_model *model,
                           vr_error *err);

void vr_schedule_free(vr_schedule *s); /* an empty one is allowed, twice too */

/* Write it as a file that vr_schedule_read takes back to the same steps: one step a block, every option said.
 *   name    letters, digits, _, - and . only;  source, model: any text of at most 239 and 95 bytes */
void vr_schedule_write(FILE *f, const vr_schedule *s, const char *name, const char *source, const char *model);

/* The reduction (or, with restores, the restoration) of a block; NULL: none. */
const vr_step *vr_schedule_at(const vr_schedule *s, int layer, bool restores);

/* What a result is called: made of the steps alone, so that equal schedules have equal names.  "none",
 * "mame_l0-7_t0.8", "mame-mass_l2-11_t0.85_mare11-copy", "tome_r16", "evit_l3+6+9_k0.7", "diffrate_deit_small:2.9_scaled257".
 * Whatever differs from the method's defaults is in it; a list that would not fit is given by its hash. */
typedef struct {
    char text[256];
} vr_schedule_title;
vr_schedule_title vr_schedule_name(const vr_schedule *s);

#endif
