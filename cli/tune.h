/* What the files of tune share: pictures in memory, trials of settings on them, and what is told in the end. */
#ifndef VR_CLI_TUNE_H
#define VR_CLI_TUNE_H

#include "../engine/tune.h"
#include "cli.h"

enum { TUNE_BLOCKS = 256 };

/* A setting in words: what a user would write after the command. */
typedef struct {
    char tau[16 * TUNE_BLOCKS], layers[4 * TUNE_BLOCKS], number[24];
} tune_words;

/* A setting on the pictures that were held out. */
typedef struct {
    vr_trial    trial;
    size_t      agree;
    const char *name;
} tune_result;

typedef struct {
    const cli_options *o;
    vitrun            *v;
    size_t             count, searched; /* pictures that could be read; the first of them, on which settings are tried */
    size_t             unreadable;
    uint8_t           *crops;  /* [count, height, width, 3] */
    const uint8_t    **each;   /* [count] into crops */
    float             *plain;  /* [count, outputs] logits of the unmerged model */
    float             *logits; /* [count, outputs] of a trial */
    bool              *same;   /* [count] a trial's answer is the unmerged model's */
    bool               timed;  /* the search needs to know speeds */
    double             plain_gmacs;
    int                blocks;             /* that may merge, with --per-block; else 0 */
    int                block[TUNE_BLOCKS]; /* their numbers */
    bool               alike[TUNE_BLOCKS]; /* those that share one tau, while that is tried */
    size_t             trials;
    double             seconds;
} tune;

/* The merge setting of a search's numbers: one, or one a block (1: that block does not merge).  It borrows from *words. */
vitrun_merge tune_merge(const tune *t, tune_words *words, const double *setting, bool by_block);

/* Add the setting to the engine and run it on pictures first .. first+n-1; same[] is written for them.
 *   timed  run the unmerged model in turn, and compare the times */
vr_status tune_try(tune *t, const vitrun_merge *merge, size_t first, size_t n, bool timed, tune_result *out, vr_error *err);

/* What was found.  one: the comparison with a single number at the same cost, where there was one; only_blocks, only_one:
 * held-out pictures on which just one of the two agrees with the unmerged model. */
typedef struct {
    vitrun_merge merge, one_merge;
    vr_trial     search;
    tune_result  held, one;
    bool         compared;
    size_t       only_blocks, only_one;
} tune_found;

void tune_report(const tune *t, const tune_found *found, FILE *f);

#endif
