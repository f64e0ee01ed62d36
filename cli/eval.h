/* What the files of eval share: the run, its rows, the file that keeps them, and the report. */
#ifndef VR_CLI_EVAL_H
#define VR_CLI_EVAL_H

#include "../loaders/dataset.h"
#include "cli.h"

enum { EVAL_BEST = 5 };

/* What became of one picture. */
typedef struct {
    int    code;  /* VITRUN_OK, or why it has no answer */
    char  *error; /* the sentence, or NULL */
    int    best[EVAL_BEST];
    float  logit[EVAL_BEST]; /* the first eval.k of each */
    double loss, gmacs, merge_gmacs;
    double decode_ms, resize_ms, infer_ms;
    int    plain; /* the best class of the unmerged model, -1 without --agreement */
} eval_row;

typedef struct {
    const cli_options *o;
    vitrun            *v, *unmerged; /* unmerged: NULL without --agreement */
    const char        *model;        /* path of the model, NULL for random weights */
    vr_dataset         data;
    size_t             count;           /* pictures to judge, after --limit */
    size_t            *pick;            /* [count] places in data, in the order of judging */
    const char       **path;            /* [count] in the order of judging, as are label, row and tokens */
    int               *label;           /* [count] */
    eval_row          *row;             /* [count] */
    int               *tokens;          /* [count, depth] */
    size_t             first, done;     /* of the call that runs; judged in all */
    size_t             resumed;         /* of those done, by an earlier run */
    size_t             next_check;      /* of the order of labels */
    bool               suspect, warned; /* the labels look like another order's; it was said */
    int                k, depth;
    double             seconds;
    FILE              *state; /* NULL without --state */
    bool               state_failed;
    cli_progress       progress;
    char               words[48];    /* of the progress */
    size_t             hits, judged; /* so far, for the progress */
} eval;

/* --state FILE: open or create it, take over the rows that it holds (eval.done, resumed), and make it ready for more.
 * A last line that was cut is dropped.  VR_E_USAGE where it was written for another model, other settings or other
 * pictures, is in use, or is no such file; VR_E_IO. */
vr_status eval_state_open(eval *e, vr_error *err);
bool      eval_state_append(eval *e, size_t i); /* false: it cannot be written */
void      eval_state_close(eval *e);

void eval_report(const eval *e, FILE *f);      /* --format, --json */
bool eval_predictions(const eval *e, FILE *f); /* a line a picture, in the order of the data; false: no memory */

#endif
