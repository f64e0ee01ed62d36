/* bench_kernels.c: bench --kernels: where the time of a step goes. */
#include <string.h>

#include "../engine/profile.h"
#include "bench.h"

typedef struct {
    const vitrun_about_t *about;
    int                   batch;
    long                  steps;
    double                ms;                     /* of a step */
    double                peak;                   /* flops a second; 0: not known, or not of this kind of arithmetic */
    int                   order[VR_PROFILE_ROWS]; /* in which rows are printed */
    vr_profiler           profiler;
} watched;

/* The rows' numbers, those of one verb together, in the order in which the verbs came. */
static void order_rows(const vr_profile *p, int order[VR_PROFILE_ROWS])
{
    int count = 0;
    for (int i = 0; i < p->rows; i++) {
        bool seen = false;
        for (int j = 0; j < i; j++) seen |= strcmp(p->row[j].verb, p->row[i].verb) == 0;
        for (int j = i; j < p->rows && !seen; j++)
            if (strcmp(p->row[j].verb, p->row[i].verb) == 0) order[count++] = j;
    }
}

static double rest_ms(const watched *w)
{
    double ms = w->ms;
    for (int i = 0; i < w->profiler.rows.rows; i++) ms -= 1e3 * w->profiler.rows.row[i].seconds / (double)w->steps;
    return ms > 0 ? ms : 0;
}

static double launches(const watched *w)
{
    double sum = 0;
    for (int i = 0; i < w->profiler.rows.rows; i++) sum += (double)w->profiler.rows.row[i].launches;
    return sum / (double)w->steps;
}

/* One row, of one step. */
typedef struct {
    const char *verb, *kernel;
    double      launches, ms, share, bytes, flops, bytes_per_s, flops_per_s;
} row;

static row row_of(const watched *w, int i)
{
    const vr_profile_row *r = &w->profiler.rows.row[w->order[i]];
    const double          steps = (double)w->steps, per_s = r->seconds > 0 ? 1 / r->seconds : 0;
    return (row){r->verb,
                 r->kernel,
                 (double)r->launches / steps,
                 1e3 * r->seconds / steps,
                 1e3 * r->seconds / steps / w->ms,
                 r->work.bytes / steps,
                 r->work.flops / steps,
                 r->work.bytes * per_s,
                 r->work.flops * per_s};
}

static void print_md_row(FILE *f, const row *r, double peak)
{
    fprintf(f, "| %s | %s | %.4g | %.3f | %.1f %% |", r->verb, r->kernel, r->launches, r->ms, 100 * r->share);
    if (r->bytes > 0)
        fprintf(f, " %.2f | %.1f |", 1e-6 * r->bytes, 1e-9 * r->bytes_per_s);
    else
        fprintf(f, " | |");
    if (r->flops > 0)
        fprintf(f, " %.3f | %.1f |", 1e-9 * r->flops, 1e-9 * r->flops_per_s);
    else
        fprintf(f, " | |");
    if (peak > 0 && r->flops > 0) fprintf(f, " %.2f |", r->flops_per_s / peak);
    if (peak > 0 && r->flops <= 0) fprintf(f, " |");
    fputc('\n', f);
}

static void print_md(const bench *b, const watched *w)
{
    FILE                 *f = b->out.stream;
    const vitrun_about_t *a = w->about;
    const double          rest = rest_ms(w);
    fprintf(f, "%s%s, %dx%d %s, batch %d, %d thread%s, %s, %s, %s, merge %s: %.3f ms a step (mean of %ld), %.4g %s\n",
            b->printed ? "\n" : "", a->name, a->image_height, a->image_width, b->name_count ? "photographs" : "synthetic",
            w->batch, a->threads, a->threads == 1 ? "" : "s", a->device, a->isa, a->dtype, a->merge, w->ms, w->steps,
            launches(w), strcmp(a->device, "cpu") ? "launches" : "calls");
    if (w->peak > 0) fprintf(f, "FMA peak in registers: %.1f GFLOP/s\n", 1e-9 * w->peak);
    fprintf(f,
            "\n| verb | kernel | launches | ms | share | MB | GB/s | GFLOP | GFLOP/s "
            "|%s\n|---|---|--:|--:|--:|--:|--:|--:|--:|%s\n",
            w->peak > 0 ? " of the peak |" : "", w->peak > 0 ? "--:|" : "");
    for (int i = 0; i < w->profiler.rows.rows; i++) {
        const row r = row_of(w, i);
        print_md_row(f, &r, w->peak);
    }
    print_md_row(f, &(row){.verb = "the rest", .kernel = "", .ms = rest, .share = rest / w->ms}, w->peak);
}

static void print_csv_row(const bench *b, const watched *w, const row *r)
{
    FILE                 *f = b->out.stream;
    const vitrun_about_t *a = w->about;
    cli_csv_field(f, a->name);
    fprintf(f, ",%d,%d,%s,%s,%s,", w->batch, a->threads, a->device, a->dtype, a->isa);
    cli_csv_field(f, a->merge);
    fprintf(f, ",%s,%ld,%.9g,%.9g,%s,%s", b->name_count ? "photographs" : "synthetic", w->steps, w->ms, w->peak, r->verb,
            r->kernel);
    const double x[] = {r->launches, r->ms, r->share, r->bytes, r->bytes_per_s, r->flops, r->flops_per_s};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) fprintf(f, ",%.9g", x[i]);
    fputc('\n', f);
}

static void print_csv(const bench *b, const watched *w)
{
    const double rest = rest_ms(w);
    if (b->printed == 0)
        fputs("model,batch,threads,device,dtype,isa,merge,input,steps,step_ms,peak_flops_per_s,verb,kernel,launches,ms,share,"
              "bytes,bytes_per_s,flops,flops_per_s\n",
              b->out.stream);
    for (int i = 0; i < w->profiler.rows.rows; i++) {
        const row r = row_of(w, i);
        print_csv_row(b, w, &r);
    }
    print_csv_row(b, w, &(row){.verb = "rest", .kernel = "", .ms = rest, .share = rest / w->ms});
}

static void print_json(const bench *b, const watched *w)
{
    FILE *f = b->out.stream;
    bench_json_model(b, w->about, w->batch);
    bench_json_pair(f, "steps", (double)w->steps);
    bench_json_pair(f, "step_ms", w->ms);
    bench_json_pair(f, "rest_ms", rest_ms(w));
    bench_json_pair(f, "launches", launches(w));
    bench_json_pair(f, "peak_flops_per_s", w->peak);
    fputs(",\"kernels\":[", f);
    for (int i = 0; i < w->profiler.rows.rows; i++) {
        const row r = row_of(w, i);
        fprintf(f, "%s\n {\"verb\":\"%s\",\"kernel\":\"%s\"", i ? "," : "", r.verb, r.kernel);
        bench_json_pair(f, "launches", r.launches);
        bench_json_pair(f, "ms", r.ms);
        bench_json_pair(f, "share", r.share);
        bench_json_pair(f, "bytes", r.bytes);
        bench_json_pair(f, "bytes_per_s", r.bytes_per_s);
        bench_json_pair(f, "flops", r.flops);
        bench_json_pair(f, "flops_per_s", r.flops_per_s);
        fputc('}', f);
    }
    fputs("]}", f);
}

static void print(bench *b, const watched *w)
{
    if (strcmp(b->format, "json") == 0)
        print_json(b, w);
    else if (strcmp(b->format, "csv") == 0)
        print_csv(b, w);
    else
        print_md(b, w);
    b->printed++;
    cli_output_flush(&b->out); /* cli_output_end says why it failed */
}

static vr_status watch(watched *w, vitrun *v, bench_work *work, const cli_options *o, vr_error *err)
{
    const double started = vr_now();
    double       ms;
    if (vr_profiler_start(&w->profiler, v, err)) return err->code;
    while (!err->code && !cli_stop_signal && (w->steps < o->repetitions || vr_now() - started < o->min_seconds)) {
        if (bench_run_once(v, work, &ms, err)) break;
        w->ms += ms;
        w->steps++;
    }
    vr_profiler_stop(&w->profiler, v);
    w->ms /= w->steps ? (double)w->steps : 1;
    return err->code;
}

/* Asked before and after: other jobs may take a core away for as long as one answer takes. */
static void ask_peak(watched *w, vitrun *v)
{
    const double peak = strcmp(w->about->dtype, "f32") == 0 ? vr_peak_flops(v) : 0;
    if (peak > w->peak) w->peak = peak;
}

vr_status bench_kernels(bench *b, vitrun *v, int batch, vr_error *err)
{
    watched    w = {.about = vitrun_about(v), .batch = batch};
    bench_work work = {0};
    double     ms;
    ask_peak(&w, v);
    if (bench_work_open(&work, b, v, batch, err) == VR_OK && !cli_stop_signal && bench_run_once(v, &work, &ms, err) == VR_OK)
        watch(&w, v, &work, b->o, err);
    bench_work_close(&work);
    ask_peak(&w, v);
    order_rows(&w.profiler.rows, w.order);
    if (!err->code && w.steps > 0) print(b, &w);
    return err->code;
}
