/* tune_report.c: what tune found, for people and for machines. */
#include "../engine/score.h"
#include "tune.h"

#include <string.h>

static size_t held(const tune *t) { return t->count - t->searched; }

static void print_flag(FILE *f, const char *name, const char *value)
{
    if (value) fprintf(f, " --%s %s", name, value);
}

/* As one would type it. */
static void print_words(FILE *f, const vitrun_merge *m)
{
    fprintf(f, "--merge %s", m->method);
    print_flag(f, "merge-layers", m->layers);
    print_flag(f, "tau", m->tau);
    print_flag(f, "r", m->r);
    print_flag(f, "keep", m->keep);
    print_flag(f, "merge-weights", m->weights);
    print_flag(f, "merge-pool", m->pool);
    print_flag(f, "prop-attn", m->prop_attn);
    print_flag(f, "rule", m->rule);
    print_flag(f, "refine", m->refine);
    print_flag(f, "partition", m->partition);
    print_flag(f, "merge-seed", m->seed);
    print_flag(f, "feature", m->feature);
    print_flag(f, "forced", m->forced);
    print_flag(f, "restore", m->restore);
    print_flag(f, "restore-mode", m->restore_mode);
    if (m->fuse) fputs(" --fuse", f);
}

/* ---- table ---- */

static void print_held(const tune *t, const tune_result *r, FILE *f)
{
    double low, high;
    vr_wilson(&low, &high, r->agree, held(t));
    fprintf(f, "%.3f GMACs, agrees on %zu of %zu (%.2f %%, 95 %% interval %.2f to %.2f), divergence %.5f, %.2f times as fast\n",
            r->trial.gmacs, r->agree, held(t), 100 * r->trial.agreement, 100 * low, 100 * high, r->trial.divergence,
            r->trial.speedup);
}

static void table(const tune *t, const tune_found *found, FILE *f)
{
    const vr_trial *s = &found->search;
    fputs("found        ", f);
    print_words(f, &found->merge);
    fprintf(f, "\nunmerged     %.3f GMACs\n", t->plain_gmacs);
    fprintf(f, "searched on  %zu pictures: %.3f GMACs, agreement %.2f %%, divergence %.5f", t->searched, s->gmacs,
            100 * s->agreement, s->divergence);
    if (s->speedup > 0) fprintf(f, ", %.2f times as fast", s->speedup);
    fprintf(f, "\nheld out     %zu pictures: ", held(t));
    print_held(t, &found->held, f);
    if (found->compared) {
        fputs("one tau      ", f);
        print_words(f, &found->one_merge);
        fputs(": ", f);
        print_held(t, &found->one, f);
        fprintf(f, "             agrees alone: by block %zu, one tau %zu; McNemar p %.3g\n", found->only_blocks,
                found->only_one, vr_mcnemar(found->only_blocks, found->only_one));
    }
    fprintf(f, "trials       %zu in %.0f s\n", t->trials, t->seconds);
}

/* ---- JSON ---- */

static void pair(FILE *f, const char *name, double value)
{
    fprintf(f, ",\"%s\":", name);
    cli_json_number(f, value);
}

static void json_trial(FILE *f, const char *name, const vr_trial *r)
{
    fprintf(f, ",\"%s\":{\"gmacs\":", name);
    cli_json_number(f, r->gmacs);
    pair(f, "agreement", 100 * r->agreement);
    pair(f, "divergence", r->divergence);
    if (r->speedup > 0) pair(f, "speedup", r->speedup);
}

static void json_held(const tune *t, FILE *f, const char *name, const tune_result *r)
{
    double low, high;
    vr_wilson(&low, &high, r->agree, held(t));
    json_trial(f, name, &r->trial);
    pair(f, "agreement_count", (double)r->agree);
    pair(f, "agreement_low", 100 * low);
    pair(f, "agreement_high", 100 * high);
    fputs(",\"merge\":", f);
    cli_json_string(f, r->name);
    fputc('}', f);
}

static void json(const tune *t, const tune_found *found, FILE *f)
{
    fputs("{\"model\":", f);
    cli_json_string(f, vitrun_about(t->v)->name);
    fputs(",\"merge\":", f);
    cli_json_string(f, found->held.name);
    const struct {
        const char *name, *value;
    } words[] = {
        {"layers", found->merge.layers}, {"tau", found->merge.tau}, {"r", found->merge.r}, {"keep", found->merge.keep}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].value) fprintf(f, ",\"%s\":\"%s\"", words[i].name, words[i].value);
    pair(f, "searched", (double)t->searched);
    pair(f, "held_out", (double)held(t));
    pair(f, "unreadable", (double)t->unreadable);
    pair(f, "unmerged_gmacs", t->plain_gmacs);
    json_trial(f, "search", &found->search);
    fputc('}', f);
    json_held(t, f, "held", &found->held);
    if (found->compared) {
        json_held(t, f, "one_tau", &found->one);
        pair(f, "only_blocks_agree", (double)found->only_blocks);
        pair(f, "only_one_agrees", (double)found->only_one);
        pair(f, "mcnemar_p", vr_mcnemar(found->only_blocks, found->only_one));
    }
    pair(f, "trials", (double)t->trials);
    pair(f, "seconds", t->seconds);
    fputs("}\n", f);
}

void tune_report(const tune *t, const tune_found *found, FILE *f) { (t->o->json ? json : table)(t, found, f); }
