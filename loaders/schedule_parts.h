/* What the files of the schedule reader share: steps as they were written, before they meet a model. */
#ifndef VR_SCHEDULE_PARTS_H
#define VR_SCHEDULE_PARTS_H

#include "json.h"
#include "schedule.h"

enum { VR_SCHEDULE_LAYERS = 256, VR_SCHEDULE_STEPS = 2 * VR_SCHEDULE_LAYERS };

/* Where words come from, for messages and for the code of a failure. */
typedef struct {
    const char *file; /* NULL: the command line */
    int         step; /* of the file; -1: the whole */
    vr_error   *err;
} vr_origin;

/* "schedules/x.json: steps[2].tau", or "--tau". */
typedef struct {
    char text[256];
} vr_place;
vr_place vr_origin_place(const vr_origin *from, const char *key);

/* Record a failure at a key; the sentence begins with its place. */
vr_status vr_origin_fail(const vr_origin *from, const char *rule, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same where the words are right but the model is another: always VR_E_USAGE. */
vr_status vr_origin_unfit(const vr_origin *from, const char *rule, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

typedef struct {
    int    count; /* 0: not said */
    double at[VR_SCHEDULE_LAYERS];
} vr_numbers;

/* One step as written.  `say` holds its method and what all its layers share; texts are borrowed. */
typedef struct {
    vr_step     say;
    bool        layers_said; /* an empty list may be said */
    vr_numbers  layers, tau, r, keep, prune, merge;
    double      inflect;
    bool        inflect_said, random_said; /* random_said: seed or share */
    const char *rates, *rates_from;
    int         origin; /* number of the step in its file; -1 for the command line */
} vr_written;

void vr_written_begin(vr_written *w, vr_method method, int origin);

/* Keys whose values are words, and where in vr_step an int (an enum) takes the number of the word. */
typedef struct {
    const char *key;
    unsigned    methods; /* bits, 1 << vr_method */
    size_t      offset;
    const char *words[4];
} vr_word_key;
extern const vr_word_key vr_word_keys[]; /* ends with a NULL key */
extern const char *const vr_method_words[], *const vr_scope_words[], *const vr_pool_words[], *const vr_prop_words[];

/* The number of the word; fails with schedule-word, naming them all. */
vr_status vr_word_find(int *out, const vr_origin *from, const char *key, const char *const *words, const char *text);

/* Keys whose values are numbers, one or a list: their bounds, whether whole, and where in vr_written they go. */
typedef struct {
    const char *key;
    unsigned    methods;
    size_t      offset; /* of the vr_numbers */
    bool        whole, open_low;
    double      low, high;
} vr_number_key;
extern const vr_number_key vr_number_keys[]; /* ends with a NULL key */

vr_status vr_numbers_check(const vr_origin *from, const vr_number_key *k, double value);
vr_status vr_numbers_add(vr_numbers *out, const vr_origin *from, const vr_number_key *k, double value);
vr_status vr_numbers_parse(vr_numbers *out, const vr_origin *from, const vr_number_key *k, const char *text);
vr_status vr_layers_parse(vr_numbers *out, const vr_origin *from, const char *key, const char *text); /* "0-7,9" */
vr_status vr_layers_add(vr_numbers *out, const vr_origin *from, const char *key, double layer);

/* Fill *w from one object of "steps". */
vr_status vr_written_read(vr_written *w, const vr_json *object, const vr_origin *from);

/* An empty schedule with room for all steps; the header and the steps of a file, not yet settled, so that a command line
 * may still say what stands beside them. */
vr_status vr_schedule_begin(vr_schedule *s, const vr_merge_model *m, vr_error *err);
vr_status vr_schedule_read_steps(vr_schedule *s, bool *pool_said, const char *data_dir, const char *path,
                                 const vr_merge_model *m, vr_error *err);
bool      vr_schedule_plain_name(const char *name); /* letters, digits, _, - and . */

/* DiffRate's tables: prune and merge [model->depth] of the table that w asks for; s->rates says which. */
vr_status vr_rates_find(int *prune, int *merge, vr_schedule *s, const char *data_dir, const vr_written *w,
                        const vr_merge_model *model, const vr_origin *from);

/* Append the steps of *w, with every default filled in. */
vr_status vr_schedule_expand(vr_schedule *s, const char *data_dir, const vr_written *w, const vr_merge_model *model,
                             const vr_origin *from);

/* Put the steps in order and check them with one another and with the model; resolve pool (where not said) and
 * prop_attn. */
vr_status vr_schedule_settle(vr_schedule *s, bool pool_said, const vr_merge_model *model, const vr_origin *from);

#endif
