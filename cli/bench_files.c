/* bench_files.c: bench --end-to-end: from picture files to answers, decoding beside the arithmetic; then which side limits. */
#include <string.h>

#include "../engine/internal.h"
#include "bench.h"

/* Both sides alone, then together. */
typedef struct {
    const vitrun_about_t *about;
    int                   batch;
    vr_stages             decoding; /* nothing is computed */
    double                compute;  /* pictures a second, already decoded */
    vr_stages             both;
    cli_progress          progress;
} files;

typedef struct {
    files      *f;
    const char *failed; /* the first picture's sentence; NULL: none */
    char        sentence[600];
} pass;

static int one_more(const vitrun_result *r, void *user)
{
    pass *p = user;
    if (r->code && !p->failed) p->failed = strncpy(p->sentence, r->error, sizeof p->sentence - 1);
    cli_progress_show(&p->f->progress, r->index + 1);
    return cli_stop_signal;
}

/* All pictures, with the arithmetic or without it. */
static vr_status run_pass(files *f, vr_stages *out, const bench *b, vitrun *v, bool compute, vr_error *err)
{
    pass p = {.f = f};
    cli_progress_start(&f->progress, b->o, compute ? "files to answers" : "decoding alone", b->name_count);
    vr_classify_files(v, &v->used, compute, NULL, (const char *const *)b->names, b->name_count, f->batch, one_more, &p, out,
                      err);
    cli_progress_end(&f->progress);
    if (!err->code && out->pictures == out->failed && !cli_stop_signal)
        return vr_fail(err, VR_E_IMAGE, "no-picture", "none of the %zu pictures could be read: %s", out->pictures, p.sentence);
    if (p.failed && compute)
        cli_note(b->o, "%zu of %zu pictures without an answer; the first: %s", out->failed, out->pictures, p.failed);
    return err->code;
}

static vr_status compute_alone(files *f, const bench *b, vitrun *v, vr_error *err)
{
    bench_work work = {0};
    double     ms, all = 0;
    int        runs = 0;
    if (bench_work_open(&work, b, v, f->batch, err) == VR_OK && !cli_stop_signal) bench_run_once(v, &work, &ms, err);
    while (!err->code && !cli_stop_signal && (runs < b->o->repetitions || 1e-3 * all < b->o->min_seconds)) {
        if (bench_run_once(v, &work, &ms, err)) break;
        all += ms;
        runs++;
    }
    bench_work_close(&work);
    if (all > 0) f->compute = 1e3 * f->batch * runs / all;
    return err->code;
}

/* ---- forms ---- */

typedef struct {
    const char *name;
    int         threads;
    double      alone, busy, waited, share; /* pictures a second; seconds; of its threads' time, waited */
} stage;

enum { DECODE, RESIZE, COMPUTE, STAGES };

static double rate(double pictures, double seconds) { return seconds > 0 ? pictures / seconds : 0; }

static void stages_of(stage out[STAGES], const files *f)
{
    const vr_stages *d = &f->decoding, *t = &f->both;
    const double     n = (double)d->pictures, threads = d->decoders;
    const double     waited = t->decoders > 0 && t->whole > 0 ? t->decoders_waited / t->decoders / t->whole : 0;
    out[DECODE] = (stage){"decode", t->decoders, rate(n * threads, d->decode), t->decode, t->decoders_waited, waited};
    out[RESIZE] = (stage){"resize", t->decoders, rate(n * threads, d->resize), t->resize, t->decoders_waited, waited};
    out[COMPUTE] = (stage){"compute",         strcmp(f->about->device, "cpu") ? 1 : f->about->threads, f->compute, t->compute,
                           t->compute_waited, t->whole > 0 ? t->compute_waited / t->whole : 0};
}

static double decoding_alone(const files *f) { return rate((double)f->decoding.pictures, f->decoding.whole); }
static double together(const files *f) { return rate((double)f->both.pictures, f->both.whole); }

/* The side that waits less is the one that the other waits for. */
static const char *limit_of(const stage s[STAGES])
{
    if (s[COMPUTE].share <= s[DECODE].share) return "compute";
    return s[DECODE].busy >= s[RESIZE].busy ? "decode" : "resize";
}

static void print_md(const bench *b, const files *f, const stage s[STAGES])
{
    FILE                 *out = b->out.stream;
    const vitrun_about_t *a = f->about;
    fprintf(out, "%s%s, %dx%d, batch %d, %s, %s, %s, merge %s: %zu pictures, %.1f img/s from files to answers\n\n",
            b->printed ? "\n" : "", a->name, a->image_height, a->image_width, f->batch, a->device, a->isa, a->dtype, a->merge,
            f->both.pictures, together(f));
    fputs("| stage | threads | img/s alone | busy s | waited s | waited |\n|---|--:|--:|--:|--:|--:|\n", out);
    for (int i = 0; i < STAGES; i++)
        fprintf(out, "| %s | %d | %.1f | %.3f | %.3f | %.1f %% |\n", s[i].name, s[i].threads, s[i].alone, s[i].busy,
                s[i].waited, 100 * s[i].share);
    fprintf(out, "| decode and resize | %d | %.1f | | | |\n| all together | | %.1f | %.3f | | |\n\nThe limit is %s%s.\n",
            f->decoding.decoders, decoding_alone(f), together(f), f->both.whole, limit_of(s),
            strcmp(a->device, "cpu") ? "" : "; all stages share the processor");
}

static void print_csv(const bench *b, const files *f, const stage s[STAGES])
{
    FILE *out = b->out.stream;
    if (b->printed == 0)
        fputs("model,batch,device,dtype,isa,merge,pictures,failed,stage,threads,img_per_s_alone,busy_s,waited_s,waited_share,"
              "limit\n",
              out);
    for (int i = 0; i <= STAGES; i++) {
        const stage whole = {"whole", 0, together(f), f->both.whole, 0, 0}, *row = i < STAGES ? &s[i] : &whole;
        cli_csv_field(out, f->about->name);
        fprintf(out, ",%d,%s,%s,%s,", f->batch, f->about->device, f->about->dtype, f->about->isa);
        cli_csv_field(out, f->about->merge);
        fprintf(out, ",%zu,%zu,%s,%d,%.9g,%.9g,%.9g,%.9g,%s\n", f->both.pictures, f->both.failed, row->name, row->threads,
                row->alone, row->busy, row->waited, row->share, limit_of(s));
    }
}

static void print_json(const bench *b, const files *f, const stage s[STAGES])
{
    FILE *out = b->out.stream;
    bench_json_model(b, f->about, f->batch);
    bench_json_pair(out, "pictures", (double)f->both.pictures);
    bench_json_pair(out, "failed", (double)f->both.failed);
    bench_json_pair(out, "img_per_s", together(f));
    bench_json_pair(out, "seconds", f->both.whole);
    bench_json_pair(out, "decode_and_resize_img_per_s", decoding_alone(f));
    bench_json_text(out, "limit", limit_of(s));
    fputs(",\"stages\":[", out);
    for (int i = 0; i < STAGES; i++) {
        fprintf(out, "%s{\"stage\":\"%s\"", i ? "," : "", s[i].name);
        bench_json_pair(out, "threads", s[i].threads);
        bench_json_pair(out, "img_per_s_alone", s[i].alone);
        bench_json_pair(out, "busy_s", s[i].busy);
        bench_json_pair(out, "waited_s", s[i].waited);
        bench_json_pair(out, "waited_share", s[i].share);
        fputc('}', out);
    }
    fputs("]}", out);
}

static void print(bench *b, const files *f)
{
    stage s[STAGES];
    stages_of(s, f);
    if (strcmp(b->format, "json") == 0)
        print_json(b, f, s);
    else if (strcmp(b->format, "csv") == 0)
        print_csv(b, f, s);
    else
        print_md(b, f, s);
    b->printed++;
    cli_output_flush(&b->out); /* cli_output_end says why it failed */
}

/* Decoding comes first and brings the files into the system's cache; so the whole is measured with a warm one. */
vr_status bench_files(bench *b, vitrun *v, int batch, vr_error *err)
{
    files     f = {.about = vitrun_about(v)};
    const int most = v->run.tokens_max / f.about->tokens; /* what fits into one micro-batch, as classify has it */
    f.batch = b->o->batch && batch < most ? batch : most;
    if (run_pass(&f, &f.decoding, b, v, false, err) || cli_stop_signal) return err->code;
    if (compute_alone(&f, b, v, err) || cli_stop_signal) return err->code;
    if (run_pass(&f, &f.both, b, v, true, err) || cli_stop_signal) return err->code; /* half of the way is no rate */
    print(b, &f);
    return VR_OK;
}
