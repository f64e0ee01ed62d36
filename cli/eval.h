/* What the files of eval share: the run, its labels, its rows, the file that keeps them, and the report. */
#ifndef VR_CLI_EVAL_H
#define VR_CLI_EVAL_H

#include "../loaders/dataset.h"
#include "../loaders/predictions.h"
#include "../loaders/real_labels.h"
#include "cli.h"
#include "sweep.h"

enum { EVAL_BEST = 5 };
#define NO_PLAIN SIZE_MAX

/* What became of one picture. */
typedef struct {
    int    code;  /* VITRUN_OK, or why it has no answer */
    char  *error; /* the sentence, or NULL */
    int    best[EVAL_BEST];
    float  logit[EVAL_BEST]; /* the first eval.k of each */
    double loss, gmacs, merge_gmacs;
    double decode_ms, resize_ms, infer_ms;
} eval_row;

/* A way of merging, and what it made of every picture. */
typedef struct {
    int         number; /* the engine's */
    const char *name;
    bool        shown;  /* false: it runs only so that others can be compared with it */
    eval_row   *row;    /* [count] in the order of judging */
    int        *tokens; /* [count, depth] */
} eval_setting;

typedef struct {
    const cli_options *o;
    vitrun            *v;
    const char        *model; /* path of the model, NULL for random weights */
    cli_sweep          sweep; /* the settings as they were asked for */
    eval_setting      *setting;
    int               *number;      /* [settings] of each, in one list */
    size_t             settings;    /* at least 1 */
    size_t             plain;       /* which of them merges nothing; NO_PLAIN where none has to be compared with it */
    const char       **class_words; /* what `known` points into */
    vr_classes         known;       /* the model's */
    int               *valid;       /* [valid_count] classes to choose among, rising; NULL: all */
    int                valid_count;
    float             *few;   /* [valid_count] the logits of one picture */
    vr_crops          *crops; /* where --imagenet names a cache, else NULL */
    vr_dataset         data;
    size_t             count;           /* pictures to judge, after --limit */
    size_t            *pick;            /* [count] places in data, in the order of judging */
    const char       **path;            /* [count] in the order of judging, as is label */
    int               *label;           /* [count] */
    size_t            *entry;           /* [count] places in the cache */
    size_t             first, done;     /* of the call that runs; judged in all, under every setting */
    size_t             resumed;         /* of those done, by an earlier run */
    size_t             next_check;      /* of the order of labels */
    bool               suspect, warned; /* the labels look like another order's; it was said */
    vr_real_labels     real;            /* empty without --real-labels */
    vr_predictions     theirs;          /* empty without --compare */
    size_t            *place;           /* [count] in theirs, in the order of judging; NULL without --compare */
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

/* The setting whose answers stand for the run on the screen and in the check of the labels' order. */
static inline const eval_setting *eval_lead(const eval *e) { return &e->setting[e->plain == NO_PLAIN ? 0 : e->plain]; }

/* --valid-labels, --real-labels: read them once the model is open; and, once the pictures are known, see that these go with
 * them.  VR_E_USAGE where they do not; VR_E_IO, VR_E_MEMORY. */
vr_status eval_labels_open(eval *e, vr_error *err);
vr_status eval_labels_check(const eval *e, vr_error *err);
void      eval_labels_close(eval *e);

/* The best classes of a picture, and its loss, among those that are valid. */
void eval_choose_best(const eval *e, eval_row *r, const float *logits, int label);

/* True where ReaL judges picture i at all, for it has no label for some.  *at [*size] are its labels. */
bool eval_real_labels(const eval *e, size_t i, const int **at, size_t *size);

/* --compare: read what another program answered, and find the pictures in it. */
vr_status eval_compare_open(eval *e, vr_error *err);
void      eval_compare_close(eval *e);

/* Pictures that both judged, those of them whose best classes differ, and what only one side judged. */
typedef struct {
    size_t compared, differ, missing_there, missing_here;
} eval_comparison;
eval_comparison eval_compare_count(const eval *e);
bool            eval_differences_csv(const eval *e, FILE *f); /* a line a difference; false: no memory */
bool            eval_differences_table(const eval *e, FILE *f);

/* The places in data that were judged, each with its row from 1, 0 elsewhere: [data.count], the caller's; NULL: no memory. */
size_t *eval_rows_of_data(const eval *e);

bool eval_report(const eval *e, FILE *f);      /* --format, --json; false: no memory */
bool eval_predictions(const eval *e, FILE *f); /* a line a picture, in the order of the data; false: no memory */

#endif
