/* eval.c: the command that measures accuracy. */
#include "eval.h"
#include "../engine/internal.h"
#include "../engine/score.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 64 }; /* pictures that the merged and then the unmerged model see, with --agreement */

/* ---- one picture ---- */

/* Whether the labels look like another order's, said once.  eval.suspect is what the last look saw, so that a run that was
 * resumed reports what one that was not does. */
static void check_order(eval *e)
{
    int   *answer = vr_alloc(e->done, 2 * sizeof *answer), *label = answer ? answer + e->done : NULL;
    size_t n = 0;
    for (size_t i = 0; answer && i < e->done; i++)
        if (!e->row[i].code) answer[n] = e->row[i].best[0], label[n++] = e->label[i];
    e->suspect = answer && vr_order_suspect(label, answer, n, vitrun_about(e->v)->classes);
    if (e->suspect && !e->warned)
        cli_note(e->o,
                 "this looks like wrong label order: %zu of %zu pictures are right, but those of a class agree on another one",
                 e->hits, n);
    e->warned |= e->suspect;
    free(answer);
}

/* Row `done` is complete. */
static bool settle(eval *e)
{
    const eval_row *r = &e->row[e->done];
    if (r->code) {
        cli_error(r->code, r->error);
    } else {
        e->judged++;
        e->hits += r->best[0] == e->label[e->done];
    }
    e->done++;
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
    eval                 *e = user;
    const size_t          i = e->first + result->index;
    eval_row             *r = &e->row[i];
    const vitrun_about_t *about = vitrun_about(e->v);
    vitrun_class          best[EVAL_BEST];
    r->code = VITRUN_OK;
    r->plain = -1;
    r->decode_ms = result->decode_ms, r->resize_ms = result->resize_ms, r->infer_ms = result->infer_ms;
    if (result->code) {
        fail_row(r, result);
    } else {
        vitrun_topk(result->logits, about->classes, e->k, best);
        for (int k = 0; k < e->k; k++) r->best[k] = best[k].index, r->logit[k] = best[k].logit;
        r->loss = vr_cross_entropy(result->logits, about->classes, e->label[i]);
        r->gmacs = result->gmacs, r->merge_gmacs = result->merge_gmacs;
        memcpy(e->tokens + i * (size_t)e->depth, result->tokens, (size_t)e->depth * sizeof *e->tokens);
    }
    return (!e->unmerged && !settle(e)) || cli_stop_signal;
}

static int each_unmerged(const vitrun_result *result, void *user)
{
    eval        *e = user;
    eval_row    *r = &e->row[e->first + result->index];
    vitrun_class best;
    if (result->code && !r->code) fail_row(r, result);
    if (!result->code && vitrun_topk(result->logits, vitrun_about(e->v)->classes, 1, &best)) r->plain = best.index;
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
    const size_t chunk = batch ? ((size_t)batch + CHUNK - 1) / (size_t)batch * (size_t)batch : CHUNK;
    double       started = vr_now();
    cli_progress_start(&e->progress, e->o, e->words, e->count - e->resumed);
    while (e->done < e->count && !cli_stop_signal && !err->code && !e->state_failed) {
        vitrun_error ve = {0};
        size_t       n = e->count - e->done;
        if (e->unmerged && n > chunk) n = chunk;
        e->first = e->done;
        int code = vitrun_classify(e->v, e->path + e->first, n, batch, each, e, &ve);
        if (!code && e->unmerged && !cli_stop_signal)
            code = vitrun_classify(e->unmerged, e->path + e->first, n, batch, each_unmerged, e, &ve);
        if (code) vr_fail(err, (vr_status)code, "engine", "%s", ve.text);
    }
    cli_progress_end(&e->progress);
    e->seconds = vr_now() - started;
    check_order(e);
    if (e->state_failed) vr_fail(err, VR_E_IO, "state", "cannot write '%s'", vr_quotez(e->o->state).text);
    return err->code;
}

/* ---- what is judged ---- */

static vr_status read_dataset(eval *e, vr_error *err)
{
    const int         classes = vitrun_about(e->v)->classes;
    const char      **words = vr_alloc_zeroed((size_t)classes, 2 * sizeof *words);
    const vr_classes  known = {classes, words, words + classes};
    vr_dataset_source from = {e->o->imagenet, e->o->labels, e->o->labels_order, e->o->class_map};
    if (!words) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %d classes", classes);
    for (int i = 0; i < classes; i++) words[i] = vitrun_synset(e->v, i), words[classes + i] = vitrun_label(e->v, i);
    vr_dataset_open(&e->data, &from, &known, err);
    free(words);
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
    e->row = vr_alloc_zeroed(e->count, sizeof *e->row);
    e->tokens = vr_alloc_zeroed(e->count, (size_t)e->depth * sizeof *e->tokens);
    if (!e->path || !e->label || !e->row || !e->tokens)
        return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the results of %zu pictures", e->count);
    for (size_t i = 0; i < e->count; i++) e->path[i] = e->data.path[e->pick[i]], e->label[i] = e->data.label[e->pick[i]];
    return VR_OK;
}

/* ---- before and after ---- */

static vr_status open_models(eval *e, vr_error *err)
{
    vitrun_options     options;
    vitrun_error       ve = {0};
    const vitrun_merge none = {.method = "none"};
    if (cli_engine_options(e->o, &options, err)) return err->code;
    if (!e->o->exif_given) options.exif = 0; /* as the published accuracies were measured */
    if (cli_open(&e->v, e->o, &options, NULL, err)) return err->code;
    const vitrun_about_t *about = vitrun_about(e->v);
    e->model = options.model;
    e->depth = about->depth;
    e->k = about->classes < EVAL_BEST ? about->classes : EVAL_BEST;
    if (about->classes == 0)
        return vr_fail(err, VR_E_MODEL, "no-classifier",
                       "this model has no classifier, so it cannot be judged; give one that was fine-tuned");
    if (e->o->state && e->v->run.schedule.scope == VR_SCOPE_BATCH)
        return vr_fail(err, VR_E_USAGE, "flags",
                       "--state with --merge-scope batch is not supported yet: results depend on the batches, and a run that "
                       "goes on has others");
    if (!e->o->agreement) return VR_OK;
    if (strcmp(about->merge, "none") == 0)
        return vr_fail(err, VR_E_USAGE, "flags",
                       "--agreement compares with the unmerged model, but nothing is merged; add --merge");
    options.merge = &none;
    if (vitrun_open(&e->unmerged, &options, &ve)) return vr_fail(err, (vr_status)ve.code, "engine", "%s", ve.text);
    return VR_OK;
}

/* That FILE cannot be written should be known before hours of work; pipes and devices must not be opened twice. */
static vr_status probe(const char *path, vr_error *err)
{
    struct stat s;
    cli_output  out;
    if (!path || strcmp(path, "-") == 0 || (stat(path, &s) == 0 && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode))) return VR_OK;
    if (cli_output_open(&out, path, err)) return err->code;
    return cli_output_close(&out, false, err);
}

static vr_status check_flags(const cli_options *o, vr_error *err)
{
    if (!o->imagenet) return vr_fail(err, VR_E_USAGE, "flags", "eval wants --imagenet DIR: where are the labelled pictures?");
    if (o->predictions && strcmp(o->predictions, "-") == 0 && (!o->output || strcmp(o->output, "-") == 0))
        return vr_fail(err, VR_E_USAGE, "flags",
                       "--predictions and the results cannot both go to standard output; give -o FILE");
    if (o->labels_order && !o->labels) return vr_fail(err, VR_E_USAGE, "flags", "--labels-order goes with --labels FILE");
    if (probe(o->output, err) || probe(o->predictions, err)) return err->code;
    return VR_OK;
}

static int write_predictions(const eval *e)
{
    cli_output out;
    vr_error   err = {0};
    if (!e->o->predictions) return VR_OK;
    if (e->done < e->count) {
        cli_note(e->o, "'%s' is not written: the run did not end", vr_quotez(e->o->predictions).text);
        return VR_OK;
    }
    if (cli_output_open(&out, e->o->predictions, &err)) return cli_failed(&err);
    if (!eval_predictions(e, out.stream))
        return cli_output_end(&out, false, cli_error(VR_E_MEMORY, "no memory for the predictions"));
    return cli_output_end(&out, true, VR_OK);
}

static int write_report(const eval *e, int code)
{
    cli_output out;
    vr_error   err = {0};
    if (cli_output_open(&out, e->o->output, &err)) return cli_failed(&err);
    eval_report(e, out.stream);
    return cli_output_end(&out, true, code);
}

static int exit_code(const eval *e)
{
    size_t failed = 0;
    if (cli_stop_signal && e->done < e->count) return 128 + cli_stop_signal;
    for (size_t i = 0; i < e->done; i++) {
        if (e->row[i].code == VITRUN_NONFINITE) return VITRUN_NONFINITE;
        failed += e->row[i].code != VITRUN_OK;
    }
    if (failed && failed == e->done) return VR_E_IMAGE;
    return failed || e->data.unreadable ? CLI_EXIT_SOME : VR_OK;
}

static void say_resumed(eval *e)
{
    if (!e->resumed) return;
    cli_note(e->o, "going on after %zu of %zu pictures", e->resumed, e->count);
    for (size_t i = 0; i < e->resumed; i++) {
        if (e->row[i].code)
            cli_error(e->row[i].code, e->row[i].error);
        else
            e->judged++, e->hits += e->row[i].best[0] == e->label[i];
    }
}

static void close_all(eval *e)
{
    vitrun_close(e->v);
    vitrun_close(e->unmerged);
    vr_dataset_close(&e->data);
    for (size_t i = 0; e->row && i < e->count; i++) free(e->row[i].error);
    free(e->pick);
    free(e->path);
    free(e->label);
    free(e->row);
    free(e->tokens);
}

int cmd_eval(const cli_options *o)
{
    vr_error err = {0};
    eval     e = {.o = o, .next_check = 200};
    int      batch, code = VR_OK;
    if (check_flags(o, &err) || batch_size(o, &batch, &err) || open_models(&e, &err) || read_dataset(&e, &err) ||
        choose(&e, &err) || eval_state_open(&e, &err))
        goto done;
    say_resumed(&e);
    judge(&e, batch, &err);
    if (!err.code) {
        code = write_predictions(&e);
        int reported = write_report(&e, exit_code(&e));
        if (!code) code = reported;
    }
done:
    if (err.code) code = cli_failed(&err);
    eval_state_close(&e);
    close_all(&e);
    return code;
}
