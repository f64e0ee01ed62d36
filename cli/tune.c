/* tune.c: the command that finds a merge setting for a target, on pictures without labels. */
#include "tune.h"
#include "../engine/internal.h"
#include "../engine/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 512, DEFAULT_PICTURES = 256, CHUNK = 8 };

/* ---- a setting in words ---- */

static const char *method(const tune *t) { return t->o->merge.method ? t->o->merge.method : "mame"; }

vitrun_merge tune_merge(const tune *t, tune_words *words, const double *setting, bool by_block)
{
    vitrun_merge merge = t->o->merge;
    merge.method = method(t);
    if (by_block) {
        size_t tau = 0, layers = 0;
        words->tau[0] = words->layers[0] = 0;
        for (int b = 0; b < t->blocks; b++) {
            if (setting[b] >= 1) continue;
            tau += (size_t)sprintf(words->tau + tau, "%s%.4g", tau ? "," : "", setting[b]);
            layers += (size_t)sprintf(words->layers + layers, "%s%d", layers ? "," : "", t->block[b]);
        }
        if (!tau) return (vitrun_merge){.method = "none"};
        merge.tau = words->tau, merge.layers = words->layers;
        return merge;
    }
    snprintf(words->number, sizeof words->number, "%.4g", *setting);
    if (strcmp(merge.method, "mame") == 0) merge.tau = words->number;
    if (strcmp(merge.method, "tome") == 0) merge.r = words->number;
    if (strcmp(merge.method, "evit") == 0) merge.keep = words->number;
    return merge;
}

/* From the least merging to the most. */
static size_t values_of(const tune *t, double values[MOST_VALUES])
{
    size_t n = 0;
    if (strcmp(method(t), "tome") == 0)
        for (int r = 1; r <= vitrun_about(t->v)->tokens / 2 && n < MOST_VALUES; r++) values[n++] = r;
    else if (strcmp(method(t), "evit") == 0)
        for (int percent = 99; percent >= 5; percent--) values[n++] = percent / 100.0;
    else
        for (int thousandth = 995; thousandth >= 300; thousandth -= 5) values[n++] = thousandth / 1000.0;
    return n;
}

/* ---- trials ---- */

static vr_status run(tune *t, int setting, float *logits, size_t first, size_t n, double *seconds, double *gmacs, vr_error *err)
{
    vitrun_error ve = {0};
    double       started = vr_now(), one, merging;
    int          code = vitrun_use_merge(t->v, setting, &ve);
    if (!code) code = vitrun_run_rgb(t->v, logits, t->each + first, NULL, (int)n, &ve);
    *seconds += vr_now() - started;
    for (size_t i = 0; i < n && !code; i++)
        if (!(code = vitrun_cost(t->v, (int)i, NULL, &one, &merging, &ve))) *gmacs += one + merging;
    return code ? vr_fail(err, (vr_status)code, "engine", "%s", ve.text) : VR_OK;
}

/* Against the unmerged model's logits, which are known. */
static void judge(tune *t, size_t first, size_t n, tune_result *out)
{
    const int classes = vitrun_about(t->v)->classes;
    for (size_t i = first; i < first + n; i++) {
        const float *plain = t->plain + i * (size_t)classes, *merged = t->logits + i * (size_t)classes;
        vitrun_class best, was;
        vitrun_topk(merged, classes, 1, &best);
        vitrun_topk(plain, classes, 1, &was);
        t->same[i] = best.index == was.index;
        out->agree += t->same[i];
        out->trial.divergence += vr_divergence(plain, merged, classes) / (double)n;
    }
    out->trial.agreement = (double)out->agree / (double)n;
}

vr_status tune_try(tune *t, const vitrun_merge *merge, size_t first, size_t n, bool timed, tune_result *out, vr_error *err)
{
    vitrun_error ve = {0};
    const size_t outputs = (size_t)vitrun_about(t->v)->outputs;
    double       seconds = 0, plain_seconds = 0, gmacs = 0, unused = 0;
    int          setting;
    if (cli_stop_signal) return vr_fail(err, VR_E_USAGE, "stopped", "interrupted");
    int code = vitrun_add_merge(t->v, merge, &setting, &ve);
    if (code) return vr_fail(err, (vr_status)code, "merge", "%s", ve.text);
    for (size_t at = first; at < first + n; at += CHUNK) {
        const size_t some = first + n - at < CHUNK ? first + n - at : CHUNK;
        float       *plain = t->plain + at * outputs; /* the same numbers again */
        if (timed && run(t, 0, plain, at, some, &plain_seconds, &unused, err)) return err->code;
        if (run(t, setting, t->logits + at * outputs, at, some, &seconds, &gmacs, err)) return err->code;
    }
    *out = (tune_result){.name = vitrun_merge_name(t->v, setting)};
    out->trial.gmacs = gmacs / (double)n;
    out->trial.speedup = timed ? plain_seconds / seconds : 0;
    judge(t, first, n, out);
    t->trials++;
    if (t->o->verbose)
        cli_note(t->o, "%s: %.3f GMACs, agrees on %zu of %zu, divergence %.5f", out->name, out->trial.gmacs, out->agree, n,
                 out->trial.divergence);
    return VR_OK;
}

static vr_status attempt(tune *t, const double *setting, bool by_block, vr_trial *out, vr_error *err)
{
    tune_words         words;
    const vitrun_merge merge = tune_merge(t, &words, setting, by_block);
    tune_result        result = {0};
    tune_try(t, &merge, 0, t->searched, t->timed, &result, err);
    *out = result.trial;
    return err->code;
}
static vr_status attempt_one(void *user, const double *s, vr_trial *out, vr_error *err)
{
    return attempt(user, s, false, out, err);
}
static vr_status attempt_blocks(void *user, const double *s, vr_trial *out, vr_error *err)
{
    return attempt(user, s, true, out, err);
}
/* One tau for the blocks that are marked, none for the others. */
static vr_status attempt_alike(void *user, const double *s, vr_trial *out, vr_error *err)
{
    const tune *t = user;
    double      setting[TUNE_BLOCKS];
    for (int b = 0; b < t->blocks; b++) setting[b] = t->alike[b] ? *s : 1;
    return attempt(user, setting, true, out, err);
}

/* ---- pictures ---- */

/* The same shuffle for the same names: what is searched on and what is held out must not depend on chance. */
static void shuffle(char **names, size_t count, uint64_t seed)
{
    for (size_t i = count; i > 1; i--) {
        const size_t j = (size_t)(vr_partition_key(seed, 0, (int)(i & INT32_MAX)) % i);
        char        *kept = names[i - 1];
        names[i - 1] = names[j];
        names[j] = kept;
    }
}

static vr_status read_pictures(tune *t, vr_error *err)
{
    const vitrun_about_t *a = vitrun_about(t->v);
    const size_t          bytes = 3 * (size_t)a->image_height * (size_t)a->image_width;
    char                **names;
    size_t                count, most = t->o->limit ? (size_t)t->o->limit : DEFAULT_PICTURES;
    if (cli_expand_inputs(t->o, &names, &count, err)) return err->code;
    shuffle(names, count, t->o->seed);
    if (most > count) most = count;
    t->crops = vr_alloc(most, bytes);
    t->each = vr_alloc(most, sizeof *t->each);
    t->plain = vr_alloc(most, (size_t)a->outputs * sizeof *t->plain);
    t->logits = vr_alloc(most, (size_t)a->outputs * sizeof *t->logits);
    t->same = vr_alloc_zeroed(most, sizeof *t->same);
    if (!t->crops || !t->each || !t->plain || !t->logits || !t->same)
        vr_fail(err, VR_E_MEMORY, "memory", "no memory for %zu pictures; lower --limit", most);
    for (size_t i = 0; i < count && t->count < most && !err->code && !cli_stop_signal; i++) {
        vitrun_error ve = {0};
        uint8_t     *crop = t->crops + t->count * bytes;
        t->each[t->count] = crop;
        if (vitrun_crop_of_file(t->v, names[i], crop, &ve))
            t->unreadable++, cli_error(ve.code, ve.text);
        else
            t->count++;
    }
    cli_inputs_free(names, count);
    t->searched = t->count / 2;
    if (!err->code && t->count < 4)
        vr_fail(err, VR_E_IMAGE, "pictures", "%zu pictures could be read; tune wants at least 4, and some hundred to be of use",
                t->count);
    return err->code;
}

static vr_status run_plain(tune *t, vr_error *err)
{
    double seconds = 0, gmacs = 0;
    if (run(t, 0, t->plain, 0, t->count, &seconds, &gmacs, err)) return err->code;
    t->plain_gmacs = gmacs / (double)t->count;
    return VR_OK;
}

/* ---- the search ---- */

/* The blocks that a setting of the command line would merge in; without --merge-layers all but the last. */
static vr_status find_blocks(tune *t, vr_error *err)
{
    vitrun_error ve = {0};
    vitrun_merge merge = t->o->merge;
    char         all[24];
    int          setting;
    if (!t->o->per_block) return VR_OK;
    snprintf(all, sizeof all, "0-%d", vitrun_about(t->v)->depth > 1 ? vitrun_about(t->v)->depth - 2 : 0);
    merge.method = "mame";
    if (!merge.layers) merge.layers = all;
    int code = vitrun_add_merge(t->v, &merge, &setting, &ve);
    if (code) return vr_fail(err, (vr_status)code, "merge", "%s", ve.text);
    const vr_schedule *s = &t->v->setting[setting].schedule;
    for (int i = 0; i < s->count; i++)
        if (s->steps[i].method == VR_MAME) t->block[t->blocks++] = s->steps[i].layer;
    return VR_OK;
}

static vr_target target_of(const cli_options *o)
{
    return (vr_target){o->target_gmacs, o->target_speed, o->target_agreement / 100};
}

/* One tau for some of the blocks, where that diverges less than what is at hand. */
static vr_status start_alike(tune *t, double *setting, vr_trial *there, const vr_target *target, vr_error *err)
{
    double   values[MOST_VALUES], one;
    vr_trial alike;
    vr_error missed = {0};
    if (vr_tune_one(&one, &alike, values, values_of(t, values), target, attempt_alike, t, &missed))
        return strcmp(missed.rule, "target") == 0 ? VR_OK : vr_fail(err, missed.code, missed.rule, "%s", missed.text);
    if (alike.divergence >= there->divergence) return VR_OK;
    for (int b = 0; b < t->blocks; b++) setting[b] = t->alike[b] ? one : 1;
    *there = alike;
    return VR_OK;
}

/* A tau for each block: the best of a greedy descent, one tau for all blocks and one for those that merge by default,
 * polished. */
static vr_status search_blocks(tune *t, double *setting, vr_trial *there, const vr_target *target, vr_error *err)
{
    static const double levels[] = {1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3};
    const int           by_default = 8;
    if (vr_tune_blocks(setting, there, (size_t)t->blocks, levels, sizeof levels / sizeof *levels, target, attempt_blocks, t,
                       err) ||
        target->agreement > 0)
        return err->code;
    for (int b = 0; b < t->blocks; b++) t->alike[b] = true;
    if (start_alike(t, setting, there, target, err)) return err->code;
    for (int b = 0; b < t->blocks; b++) t->alike[b] = t->block[b] < by_default;
    if (!t->o->merge.layers && start_alike(t, setting, there, target, err)) return err->code;
    return vr_tune_polish(setting, there, (size_t)t->blocks, target, attempt_blocks, t, err);
}

/* One number at the cost of the setting by blocks, on the same held-out pictures. */
static vr_status compare(tune *t, tune_found *found, tune_words *words, vr_error *err)
{
    const vr_target same_cost = {.gmacs = found->search.gmacs};
    const size_t    held = t->count - t->searched;
    double          values[MOST_VALUES], value;
    vr_trial        there;
    vr_error        missed = {0}; /* one number may not get there */
    bool           *by_block = vr_alloc(t->count, sizeof *by_block);
    if (!by_block) return vr_fail(err, VR_E_MEMORY, "memory", "no memory to compare %zu pictures", t->count);
    memcpy(by_block, t->same, t->count * sizeof *by_block);
    t->timed = false;
    if (vr_tune_one(&value, &there, values, values_of(t, values), &same_cost, attempt_one, t, &missed) == VR_OK) {
        found->one_merge = tune_merge(t, words, &value, false);
        tune_try(t, &found->one_merge, t->searched, held, true, &found->one, err);
        for (size_t i = t->searched; i < t->count; i++) {
            found->only_blocks += by_block[i] && !t->same[i];
            found->only_one += t->same[i] && !by_block[i];
        }
        found->compared = true;
    } else if (strcmp(missed.rule, "target") != 0) {
        vr_fail(err, missed.code, missed.rule, "%s", missed.text);
    }
    free(by_block);
    return err->code;
}

static vr_status search(tune *t, tune_found *found, tune_words words[2], vr_error *err)
{
    const vr_target target = target_of(t->o);
    double          values[MOST_VALUES], setting[TUNE_BLOCKS];
    if (t->blocks)
        search_blocks(t, setting, &found->search, &target, err);
    else
        vr_tune_one(setting, &found->search, values, values_of(t, values), &target, attempt_one, t, err);
    if (err->code) return err->code;
    found->merge = tune_merge(t, &words[0], setting, t->blocks > 0);
    if (tune_try(t, &found->merge, t->searched, t->count - t->searched, true, &found->held, err)) return err->code;
    return t->blocks ? compare(t, found, &words[1], err) : VR_OK;
}

/* ---- the command ---- */

static vr_status check_flags(const cli_options *o, vr_error *err)
{
    const char *m = o->merge.method ? o->merge.method : "mame";
    const int   targets = (o->target_gmacs > 0) + (o->target_speed > 0) + (o->target_agreement > 0);
    if (targets != 1)
        return vr_fail(err, VR_E_USAGE, "flags", "tune wants one of --target-gmacs, --target-speed and --target-agreement%s",
                       targets ? ", not more" : "");
    if (strcmp(m, "diffrate") == 0)
        return vr_fail(err, VR_E_USAGE, "flags",
                       "diffrate's tables are given, there is nothing to tune; compare them with eval --sweep");
    if (strcmp(m, "mame") != 0 && strcmp(m, "tome") != 0 && strcmp(m, "evit") != 0)
        return vr_fail(err, VR_E_USAGE, "flags", "tune finds numbers for mame, tome or evit, not for '%s'", vr_quotez(m).text);
    if (o->per_block && strcmp(m, "mame") != 0)
        return vr_fail(err, VR_E_USAGE, "flags", "--per-block goes with mame; --merge is %s", m);
    if (o->per_block && o->merge.restore)
        return vr_fail(
            err, VR_E_USAGE, "flags",
            "--per-block with --restore is not supported yet: blocks behind the restored one would have nothing to undo");
    if (o->merge.tau || o->merge.r || o->merge.keep)
        return vr_fail(err, VR_E_USAGE, "flags", "--%s is what tune looks for; leave it out",
                       o->merge.tau ? "tau"
                       : o->merge.r ? "r"
                                    : "keep");
    if (o->merge.similarity && strcmp(o->merge.similarity, "dot") == 0)
        return vr_fail(err, VR_E_USAGE, "flags", "tune with --similarity dot is not supported yet: its tau has no bounds");
    if (o->merge.scope && strcmp(o->merge.scope, "batch") == 0)
        return vr_fail(err, VR_E_USAGE, "flags",
                       "tune looks at one picture at a time; --merge-scope batch does not go with it");
    if (cli_output_probe(o->save, err) || cli_output_probe(o->output, err)) return err->code;
    return VR_OK;
}

static vr_status open_model(tune *t, vr_error *err)
{
    vitrun_options     options;
    const vitrun_merge none = {.method = "none"};
    if (cli_engine_options(t->o, &options, err)) return err->code;
    options.merge = &none;
    if (cli_open(&t->v, t->o, &options, NULL, err)) return err->code;
    if (vitrun_about(t->v)->classes == 0)
        return vr_fail(err, VR_E_MODEL, "no-classifier", "this model has no classifier whose answers could agree or not");
    return VR_OK;
}

static vr_status save(const tune *t, const tune_found *found, vr_error *err)
{
    char         source[240], name[64];
    cli_output   out;
    vitrun_error ve = {0};
    int          setting, code;
    if (!t->o->save) return VR_OK;
    if ((code = vitrun_add_merge(t->v, &found->merge, &setting, &ve)))
        return vr_fail(err, (vr_status)code, "merge", "%s", ve.text);
    const bool mass = t->o->merge.weights && strcmp(t->o->merge.weights, "mass") == 0;
    snprintf(name, sizeof name, "tuned_%s%s_%s%.10g", method(t), mass ? "-mass" : "", t->o->per_block ? "blocks_" : "",
             t->o->target_gmacs + t->o->target_speed + t->o->target_agreement); /* one of them */
    snprintf(source, sizeof source, "vitrun tune: %s %g on %zu pictures; on %zu others %.3f GMACs, agreement %.2f %%",
             t->o->target_gmacs > 0   ? "GMACs at most"
             : t->o->target_speed > 0 ? "speed-up at least"
                                      : "agreement at least",
             t->o->target_gmacs + t->o->target_speed + t->o->target_agreement, t->searched, t->count - t->searched,
             found->held.trial.gmacs, 100 * found->held.trial.agreement);
    if (cli_output_open(&out, t->o->save, err)) return err->code;
    vr_schedule_write(out.stream, &t->v->setting[setting].schedule, name, source, vitrun_about(t->v)->name);
    if (cli_output_close(&out, true, err) == VR_OK) cli_note(t->o, "saved as %s", vr_quotez(t->o->save).text);
    return err->code;
}

static int tell(const tune *t, const tune_found *found)
{
    cli_output out;
    vr_error   err = {0};
    if (cli_output_open(&out, t->o->output, &err)) return cli_failed(&err);
    tune_report(t, found, out.stream);
    return cli_output_end(&out, true, t->unreadable ? CLI_EXIT_SOME : VR_OK);
}

int cmd_tune(const cli_options *o)
{
    tune       t = {.o = o};
    tune_found found = {0};
    tune_words words[2];
    vr_error   err = {0};
    double     started = vr_now();
    int        code;
    if (check_flags(o, &err) == VR_OK && open_model(&t, &err) == VR_OK && read_pictures(&t, &err) == VR_OK &&
        find_blocks(&t, &err) == VR_OK && run_plain(&t, &err) == VR_OK) {
        t.timed = o->target_speed > 0;
        search(&t, &found, words, &err);
    }
    t.seconds = vr_now() - started;
    code = cli_stop_signal ? 128 + cli_stop_signal : err.code ? cli_failed(&err) : tell(&t, &found);
    if (!code || code == CLI_EXIT_SOME) code = save(&t, &found, &err) ? cli_failed(&err) : code;
    vitrun_close(t.v);
    free(t.crops);
    free(t.each);
    free(t.plain);
    free(t.logits);
    free(t.same);
    return code;
}
