/* eval.c: the command that measures accuracy. */
#include "eval.h"
#include "../engine/internal.h"
#include "../engine/score.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- one picture ---- */

/* Whether the labels look like another order's, said once.  eval.suspect is what the last look saw, so that a run that was
 * resumed reports what one that was not does. */
static void check_order(eval *e)
{
    const eval_row *row = eval_lead(e)->row;
    int            *answer = vr_alloc(e->done, 2 * sizeof *answer), *label = answer ? answer + e->done : NULL;
    size_t          n = 0;
    for (size_t i = 0; answer && i < e->done; i++)
        if (!row[i].code) answer[n] = row[i].best[0], label[n++] = e->label[i];
    e->suspect = answer && vr_order_suspect(label, answer, n, e->valid ? e->valid_count : e->known.count);
    if (e->suspect && !e->warned)
        cli_note(e->o,
                 "this looks like wrong label order: %zu of %zu pictures are right, but those of a class agree on another one",
                 e->hits, n);
    e->warned |= e->suspect;
    free(answer);
}

/* A picture that no setting could judge is one complaint, not one a setting. */
static void say_failures(const eval *e, size_t i)
{
    const char *said = NULL;
    for (size_t k = 0; k < e->settings; k++) {
        const eval_row *r = &e->setting[k].row[i];
        if (r->code && (!said || strcmp(said, r->error) != 0)) cli_error(r->code, said = r->error);
    }
}

static void count_in(eval *e, size_t i)
{
    const eval_row *r = &eval_lead(e)->row[i];
    say_failures(e, i);
    e->judged += r->code == VITRUN_OK;
    e->hits += r->code == VITRUN_OK && r->best[0] == e->label[i];
}

/* Picture `done` is complete. */
static bool settle(eval *e)
{
    count_in(e, e->done++);
    if (e->judged >= e->next_check) {
        check_order(e);
        e->next_check = 2 * e->judged;
    }
    snprintf(e->words, sizeof e->words, "pictures, Acc@1 %.2f", e->judged ? 100 * (double)e->hits / (double)e->judged : 0);
    cli_progress_show(&e->progress, e->done - e->resumed); /* its rate is this run's */
    return eval_state_append(e, e->done - 1);
}

static void fail_row(eval_row *r, const vitrun_result *result)
{
    r->code = result->code;
    free(r->error);
    r->error = strdup(result->error);
    if (!r->error) r->error = strdup("");
}

static int each(const vitrun_result *result, void *user)
{
    eval         *e = user;
    eval_setting *s = &e->setting[result->setting];
    const size_t  i = e->first + result->index;
    eval_row     *r = &s->row[i];
    r->code = VITRUN_OK;
    r->decode_ms = result->decode_ms, r->resize_ms = result->resize_ms, r->infer_ms = result->infer_ms;
    if (result->code) {
        fail_row(r, result);
    } else {
        eval_choose_best(e, r, result->logits, e->label[i]);
        r->gmacs = result->gmacs, r->merge_gmacs = result->merge_gmacs;
        memcpy(s->tokens + i * (size_t)e->depth, result->tokens, (size_t)e->depth * sizeof *s->tokens);
    }
    if ((size_t)result->setting + 1 < e->settings) return 0;
    return !settle(e) || cli_stop_signal;
}

/* ---- the run ---- */

static vr_status batch_size(const cli_options *o, int *batch, vr_error *err)
{
    *batch = 0; /* the engine chooses */
    if (!o->batch || cli_number(batch, o->batch, 1, 65536)) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "value", "--batch is '%s'; it wants a whole number from 1 to 65536",
                   vr_quotez(o->batch).text);
}

static vr_status judge(eval *e, int batch, vr_error *err)
{
    const double started = vr_now();
    cli_progress_start(&e->progress, e->o, e->words, e->count - e->resumed);
    e->first = e->done;
    const vr_cached cached = {e->crops, e->entry + e->first};
    if (!cli_stop_signal)
        vr_classify_files(e->v, e->number, (int)e->settings, e->crops ? &cached : NULL, e->path + e->first, e->count - e->first,
                          batch, each, e, NULL, err);
    cli_progress_end(&e->progress);
    if (cli_stop_signal && e->state && !err->code)
        cli_note(e->o, "interrupted; '%s' keeps %zu of %zu pictures, and the same command goes on from there",
                 vr_quotez(e->o->state).text, e->done, e->count);
    e->seconds = vr_now() - started;
    check_order(e);
    if (e->state_failed) vr_fail(err, VR_E_IO, "state", "cannot write '%s'", vr_quotez(e->o->state).text);
    return err->code;
}

/* ---- what is judged ---- */

static vr_status know_classes(eval *e, vr_error *err)
{
    const int classes = vitrun_about(e->v)->classes;
    e->class_words = vr_alloc_zeroed((size_t)classes, 2 * sizeof *e->class_words);
    if (!e->class_words) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %d classes", classes);
    for (int i = 0; i < classes; i++)
        e->class_words[i] = vitrun_synset(e->v, i), e->class_words[classes + i] = vitrun_label(e->v, i);
    e->known = (vr_classes){classes, e->class_words, e->class_words + classes};
    return VR_OK;
}

/* A file in place of a folder is a cache. */
static vr_status open_cache(eval *e, vr_error *err)
{
    struct stat st;
    if (stat(e->o->imagenet, &st) || !S_ISREG(st.st_mode)) return VR_OK;
    const vr_crop_settings wanted = vr_crop_settings_of(e->v);
    return vr_crops_open(&e->crops, e->o->imagenet, err) ? err->code : vr_crops_fit(e->crops, &wanted, err);
}

static vr_status read_dataset(eval *e, vr_error *err)
{
    const cli_options *o = e->o;
    if (open_cache(e, err)) return err->code;
    const vr_dataset_source from = {o->imagenet, e->crops, o->labels, o->labels_order, o->devkit_map, o->class_map};
    vr_dataset_open(&e->data, &from, &e->known, err);
    if (e->data.unreadable) cli_note(e->o, "%zu folders cannot be read and are left out", e->data.unreadable);
    if (e->data.stray) cli_note(e->o, "%zu pictures lie beside the class folders and are left out", e->data.stray);
    return err->code;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t random_number(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static vr_status shuffle(eval *e, vr_error *err)
{
    char *end = NULL;
    errno = 0;
    uint64_t state = e->o->shuffle ? strtoull(e->o->shuffle, &end, 10) : 0;
    if (!e->o->shuffle) return VR_OK;
    if (errno || *end || e->o->shuffle[0] < '0' || e->o->shuffle[0] > '9')
        return vr_fail(err, VR_E_USAGE, "value", "--shuffle is '%s'; it wants a whole number below 2^64",
                       vr_quotez(e->o->shuffle).text);
    for (size_t i = e->data.count; i > 1; i--) {
        size_t j = (size_t)(random_number(&state) % i), kept = e->pick[i - 1];
        e->pick[i - 1] = e->pick[j];
        e->pick[j] = kept;
    }
    return VR_OK;
}

static vr_status choose(eval *e, vr_error *err)
{
    const size_t all = e->data.count;
    e->pick = vr_alloc(all, sizeof *e->pick);
    if (!e->pick) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %zu pictures", all);
    for (size_t i = 0; i < all; i++) e->pick[i] = i;
    if (shuffle(e, err)) return err->code;
    e->count = e->o->limit && (size_t)e->o->limit < all ? (size_t)e->o->limit : all;
    if (e->count < all && !e->o->shuffle)
        cli_note(e->o, "these are the first %zu pictures of %zu, not of all classes alike; --shuffle SEED picks a sample",
                 e->count, all);
    e->path = vr_alloc(e->count, sizeof *e->path);
    e->label = vr_alloc(e->count, sizeof *e->label);
    e->entry = vr_alloc(e->count, sizeof *e->entry);
    bool enough = e->path && e->label && e->entry;
    for (size_t k = 0; k < e->settings; k++) {
        eval_setting *of = &e->setting[k];
        of->row = vr_alloc_zeroed(e->count, sizeof *of->row);
        of->tokens = vr_alloc_zeroed(e->count, (size_t)e->depth * sizeof *of->tokens);
        enough &= of->row && of->tokens;
    }
    if (!enough) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the results of %zu pictures", e->count);
    for (size_t i = 0; i < e->count; i++) {
        const size_t p = e->pick[i];
        e->path[i] = e->data.path[p], e->label[i] = e->data.label[p], e->entry[i] = e->data.entry[p];
    }
    return VR_OK;
}

/* ---- before and after ---- */

static bool merges_nothing(const eval *e, int number) { return strcmp(vitrun_merge_name(e->v, number), "none") == 0; }

static vr_status add_setting(eval *e, const vitrun_merge *merge, bool shown, vr_error *err)
{
    vitrun_error  ve = {0};
    eval_setting *s = &e->setting[e->settings];
    if (vitrun_add_merge(e->v, merge, &s->number, &ve)) return vr_fail(err, (vr_status)ve.code, "merge", "%s", ve.text);
    cli_say_memory(e->o, e->v);
    for (size_t k = 0; k < e->settings; k++)
        if (strcmp(vitrun_merge_name(e->v, s->number), e->setting[k].name) == 0)
            return vr_fail(err, VR_E_USAGE, "value", "--sweep names the setting %s twice", e->setting[k].name);
    s->name = vitrun_merge_name(e->v, s->number);
    s->shown = shown;
    if (merges_nothing(e, s->number)) e->plain = e->settings;
    e->settings++;
    return VR_OK;
}

/* Every way of merging that is to run.  The unmerged model is among them where it is asked for or compared with. */
static vr_status add_settings(eval *e, vr_error *err)
{
    const vitrun_merge none = {.method = "none"};
    const bool         many = e->o->sweep != NULL;
    const size_t       asked = many ? e->sweep.count : 1, most = asked + 1;
    e->plain = NO_PLAIN;
    e->setting = vr_alloc_zeroed(most, sizeof *e->setting);
    e->number = vr_alloc(most, sizeof *e->number);
    if (!e->setting || !e->number) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %zu settings", most);
    for (size_t k = 0; k < asked && !err->code; k++) add_setting(e, many ? &e->sweep.merge[k] : &e->o->merge, true, err);
    if (!err->code && e->o->agreement && e->plain == NO_PLAIN) add_setting(e, &none, many, err);
    if (err->code) return err->code;
    if (e->settings == 1 && e->o->agreement)
        return vr_fail(err, VR_E_USAGE, "flags",
                       "--agreement compares with the unmerged model, but nothing is merged; add --merge");
    if (e->settings == 1) e->plain = NO_PLAIN; /* nothing to compare */
    for (size_t k = 0; k < e->settings; k++) e->number[k] = e->setting[k].number;
    return VR_OK;
}

static bool any_by_batch(const eval *e)
{
    for (size_t k = 0; k < e->settings; k++)
        if (e->v->setting[e->number[k]].schedule.scope == VR_SCOPE_BATCH) return true;
    return false;
}

static vr_status open_model(eval *e, vr_error *err)
{
    vitrun_options options;
    if (cli_engine_options(e->o, &options, err)) return err->code;
    if (!e->o->exif_given) options.exif = 0; /* as the published accuracies were measured */
    if (e->o->sweep) options.merge = NULL;   /* its words are the sweep's */
    if (e->o->sweep && cli_sweep_parse(&e->sweep, e->o->sweep, &e->o->merge, err)) return err->code;
    if (cli_open(&e->v, e->o, &options, NULL, err)) return err->code;
    const vitrun_about_t *about = vitrun_about(e->v);
    e->model = options.model;
    e->depth = about->depth;
    e->k = about->classes < EVAL_BEST ? about->classes : EVAL_BEST;
    if (about->classes == 0)
        return vr_fail(err, VR_E_MODEL, "no-classifier",
                       "this model has no classifier, so it cannot be judged; give one that was fine-tuned");
    if (know_classes(e, err) || add_settings(e, err)) return err->code;
    if (e->o->state && any_by_batch(e))
        return vr_fail(err, VR_E_USAGE, "flags",
                       "--state with --merge-scope batch is not supported yet: results depend on the batches, and a run that "
                       "goes on has others");
    return VR_OK;
}

static bool is_stdout(const char *path) { return path && strcmp(path, "-") == 0; }

static vr_status check_flags(const cli_options *o, vr_error *err)
{
    if (!o->imagenet) return vr_fail(err, VR_E_USAGE, "flags", "eval wants --imagenet DIR: where are the labelled pictures?");
    if ((!o->output || is_stdout(o->output)) + is_stdout(o->predictions) + is_stdout(o->differences) > 1)
        return vr_fail(err, VR_E_USAGE, "flags",
                       "of the results, --predictions and --differences only one can go to standard output; give -o FILE");
    if (o->labels_order && !o->labels) return vr_fail(err, VR_E_USAGE, "flags", "--labels-order goes with --labels FILE");
    if (o->devkit_map && (!o->labels_order || strcmp(o->labels_order, "devkit") != 0))
        return vr_fail(err, VR_E_USAGE, "flags", "--devkit-map goes with --labels-order devkit");
    if (o->differences && !o->compare) return vr_fail(err, VR_E_USAGE, "flags", "--differences goes with --compare FILE");
    if (o->compare && o->sweep)
        return vr_fail(err, VR_E_USAGE, "flags", "--compare goes with one way of merging, so not with --sweep");
    if (cli_output_probe(o->output, err) || cli_output_probe(o->predictions, err) || cli_output_probe(o->differences, err))
        return err->code;
    return VR_OK;
}

/* A file with lines about pictures; `path` may be NULL. */
static int write_lines(const eval *e, const char *path, bool (*write)(const eval *e, FILE *f))
{
    cli_output out;
    vr_error   err = {0};
    if (!path) return VR_OK;
    if (e->done < e->count) {
        cli_note(e->o, "'%s' is not written: the run did not end", vr_quotez(path).text);
        return VR_OK;
    }
    if (cli_output_open(&out, path, &err)) return cli_failed(&err);
    if (!write(e, out.stream)) return cli_output_end(&out, false, cli_error(VR_E_MEMORY, "no memory for a list of pictures"));
    return cli_output_end(&out, true, VR_OK);
}

static int write_report(const eval *e, int code)
{
    cli_output out;
    vr_error   err = {0};
    if (cli_output_open(&out, e->o->output, &err)) return cli_failed(&err);
    if (!eval_report(e, out.stream)) code = cli_error(VR_E_MEMORY, "no memory for a list of pictures");
    return cli_output_end(&out, true, code);
}

static int exit_code(const eval *e)
{
    size_t failed = 0;
    if (cli_stop_signal && e->done < e->count) return 128 + cli_stop_signal;
    for (size_t i = 0; i < e->done; i++) {
        bool bad = false;
        for (size_t k = 0; k < e->settings; k++) {
            const int code = e->setting[k].row[i].code;
            if (code == VITRUN_NONFINITE) return VITRUN_NONFINITE;
            bad |= code != VITRUN_OK;
        }
        failed += bad;
    }
    if (failed && failed == e->done) return VR_E_IMAGE;
    return failed || e->data.unreadable ? CLI_EXIT_SOME : VR_OK;
}

static void say_resumed(eval *e)
{
    if (!e->resumed) return;
    cli_note(e->o, "going on after %zu of %zu pictures", e->resumed, e->count);
    for (size_t i = 0; i < e->resumed; i++) count_in(e, i);
}

static void close_all(eval *e)
{
    for (size_t k = 0; k < e->settings; k++) {
        for (size_t i = 0; e->setting[k].row && i < e->count; i++) free(e->setting[k].row[i].error);
        free(e->setting[k].row);
        free(e->setting[k].tokens);
    }
    free(e->setting);
    free(e->number);
    cli_sweep_free(&e->sweep);
    vitrun_close(e->v);
    vr_dataset_close(&e->data);
    vr_crops_close(e->crops);
    eval_labels_close(e);
    eval_compare_close(e);
    free(e->class_words);
    free(e->pick);
    free(e->path);
    free(e->label);
    free(e->entry);
}

int cmd_eval(const cli_options *o)
{
    vr_error err = {0};
    eval     e = {.o = o, .next_check = 200};
    int      batch, code = VR_OK;
    if (check_flags(o, &err) || batch_size(o, &batch, &err) || open_model(&e, &err) || eval_labels_open(&e, &err) ||
        read_dataset(&e, &err) || choose(&e, &err) || eval_labels_check(&e, &err) || eval_compare_open(&e, &err) ||
        eval_state_open(&e, &err))
        goto done;
    say_resumed(&e);
    judge(&e, batch, &err);
    if (!err.code) {
        const int predicted = write_lines(&e, o->predictions, eval_predictions);
        const int compared = write_lines(&e, o->differences, eval_differences_csv);
        code = write_report(&e, exit_code(&e));
        if (compared) code = compared;
        if (predicted) code = predicted;
    }
done:
    if (err.code) code = cli_failed(&err);
    eval_state_close(&e);
    close_all(&e);
    return code;
}
