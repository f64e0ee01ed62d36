/* bench.c: the command that measures, and its first mode: how long a run takes. */
#include "bench.h"
#include "../engine/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SAMPLES = 1000000 };

/* One combination of batch, threads and dtype, measured. */
typedef struct {
    const vitrun_about_t *about;
    int                   batch;
    double               *ms; /* [count], in the order of the runs */
    size_t                count;
    double                mean, sd, rate, rate_sd, p10, p50, p90, p99, least;
    double                peak_bytes;
    double                gmacs, merge_gmacs, tokens_left; /* of an image, on average */
    size_t                costed;                          /* images that those are of */
    size_t                pictures;                        /* different ones; 0: random pixels */
    uint64_t              digest;                          /* of the first run, so that it is always of the same images */
} result;

/* ---- statistics ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between the two samples around it, as numpy.percentile is. */
static double percentile(const double *sorted, size_t n, double p)
{
    double at = p * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

static double deviation(const double *x, size_t n, double mean)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : 0;
}

/* Images a second are taken from the mean time, so that they are what a long run would do. */
static vr_status summarise(result *r, vr_error *err)
{
    double *sorted = malloc(r->count * sizeof *sorted);
    if (!sorted) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %zu samples", r->count);
    memcpy(sorted, r->ms, r->count * sizeof *sorted);
    qsort(sorted, r->count, sizeof *sorted, ascending);
    r->mean = mean_of(r->ms, r->count);
    r->sd = deviation(r->ms, r->count, r->mean);
    r->rate = 1e3 * r->batch / r->mean;
    r->rate_sd = r->rate * r->sd / r->mean;
    r->least = sorted[0];
    r->p10 = percentile(sorted, r->count, 0.1);
    r->p50 = percentile(sorted, r->count, 0.5);
    r->p90 = percentile(sorted, r->count, 0.9);
    r->p99 = percentile(sorted, r->count, 0.99);
    free(sorted);
    return VR_OK;
}

/* ---- measuring ---- */

static uint64_t fnv1a(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t             h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001B3u;
    return h;
}

static bool add_sample(result *r, size_t *room, double ms)
{
    if (r->count == *room) {
        size_t  more = *room ? 2 * *room : 64;
        double *grown = reallocarray(r->ms, more, sizeof *grown);
        if (!grown) return false;
        r->ms = grown, *room = more;
    }
    r->ms[r->count++] = ms;
    return true;
}

/* What the images of a run cost on average, and the tokens that were left behind the last block that computes them all. */
static void add_costs(result *r, const vitrun *v)
{
    const int last = r->about->depth - 1 - (r->about->depth > 1 && v->model.few);
    int       tokens[256]; /* no model is deeper */
    for (int i = 0; i < r->batch; i++) {
        double gmacs, merge;
        if (vitrun_cost(v, i, tokens, &gmacs, &merge, NULL)) return;
        const double share = 1 / (double)++r->costed;
        r->gmacs += (gmacs - r->gmacs) * share;
        r->merge_gmacs += (merge - r->merge_gmacs) * share;
        r->tokens_left += (tokens[last] - r->tokens_left) * share;
    }
}

/* One run to warm up, then at least as many and as long as was asked for. */
static vr_status measure(result *r, vitrun *v, const bench *b, vr_error *err)
{
    const cli_options *o = b->o;
    bench_work         w = {0};
    size_t             room = 0;
    double             ms, started = 0;
    if (bench_work_open(&w, b, v, r->batch, err) == VR_OK && !cli_stop_signal && bench_run_once(v, &w, &ms, err) == VR_OK) {
        r->digest = fnv1a(w.logits, (size_t)r->batch * (size_t)vitrun_about(v)->outputs * sizeof *w.logits);
        started = vr_now();
    }
    while (!err->code && !cli_stop_signal && r->count < MOST_SAMPLES &&
           (r->count < (size_t)o->repetitions || vr_now() - started < o->min_seconds)) {
        if (bench_run_once(v, &w, &ms, err)) break;
        add_costs(r, v);
        if (!add_sample(r, &room, ms)) vr_fail(err, VR_E_MEMORY, "memory", "no memory for %zu samples", r->count + 1);
    }
    r->peak_bytes = (double)cli_peak_bytes();
    r->pictures = w.synthetic ? 0 : w.different;
    bench_work_close(&w);
    return err->code || r->count == 0 ? err->code : summarise(r, err);
}

/* ---- forms ---- */

static void print_md(const bench *b, const result *r)
{
    FILE       *f = b->out.stream;
    const char *digest = b->o->digest ? " digest |" : "";
    if (b->printed == 0)
        fprintf(f,
                "| model | input | batch | threads | dtype | merge | img/s | ms per batch | p50 | p90 | p99 | min | tokens | "
                "left | GMACs | merging | load s | peak MB |%s\n"
                "|---|---|--:|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|%s\n",
                digest, b->o->digest ? "---|" : "");
    fprintf(f,
            "| %s | %dx%d %s | %d | %d | %s | %s | %.2f ± %.2f | %.2f ± %.2f | %.2f | %.2f | %.2f | %.2f | %d | %.1f | %.3f | "
            "%.3f | %.3f | %.0f |",
            r->about->name, r->about->image_height, r->about->image_width, r->pictures ? "photographs" : "synthetic", r->batch,
            r->about->threads, r->about->dtype, r->about->merge, r->rate, r->rate_sd, r->mean, r->sd, r->p50, r->p90, r->p99,
            r->least, r->about->tokens, r->tokens_left, r->gmacs, r->merge_gmacs, r->about->load_seconds, r->peak_bytes * 1e-6);
    if (b->o->digest) fprintf(f, " %016llx |", (unsigned long long)r->digest);
    fputc('\n', f);
}

static void print_csv(const bench *b, const result *r)
{
    FILE *f = b->out.stream;
    if (b->printed == 0)
        fputs("model,image_height,image_width,batch,threads,device,dtype,isa,repetitions,img_per_s,img_per_s_sd,ms_mean,ms_sd,"
              "ms_p50,ms_p90,ms_p99,ms_min,tokens,gmacs,parameters,load_s,peak_bytes,digest,merge,merge_gmacs,tokens_left,"
              "input,pictures\n",
              f);
    cli_csv_field(f, r->about->name);
    fprintf(f, ",%d,%d,%d,%d,%s,%s,%s,%zu", r->about->image_height, r->about->image_width, r->batch, r->about->threads,
            r->about->device, r->about->dtype, r->about->isa, r->count);
    const double x[] = {r->rate, r->rate_sd, r->mean, r->sd, r->p50, r->p90, r->p99, r->least};
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) fprintf(f, ",%.9g", x[i]);
    fprintf(f, ",%d,%.9g,%llu,%.9g,%.0f,", r->about->tokens, r->gmacs, (unsigned long long)r->about->parameters,
            r->about->load_seconds, r->peak_bytes);
    if (b->o->digest) fprintf(f, "%016llx", (unsigned long long)r->digest);
    fputc(',', f);
    cli_csv_field(f, r->about->merge);
    fprintf(f, ",%.9g,%.9g,%s,%zu\n", r->merge_gmacs, r->tokens_left, r->pictures ? "photographs" : "synthetic", r->pictures);
}

void bench_json_pair(FILE *f, const char *key, double x)
{
    fprintf(f, ",\"%s\":", key);
    cli_json_number(f, x);
}

void bench_json_text(FILE *f, const char *key, const char *text)
{
    fprintf(f, ",\"%s\":", key);
    cli_json_string(f, text);
}

void bench_json_model(const bench *b, const vitrun_about_t *a, int batch)
{
    FILE *f = b->out.stream;
    fprintf(f, "%s{\"model\":", b->printed ? ",\n" : "[\n");
    cli_json_string(f, a->name);
    bench_json_text(f, "merge", a->merge);
    bench_json_text(f, "version", VITRUN_VERSION);
    bench_json_text(f, "input", b->name_count ? "photographs" : "synthetic");
    bench_json_text(f, "device", a->device);
    bench_json_text(f, "dtype", a->dtype);
    bench_json_text(f, "isa", a->isa);
    bench_json_pair(f, "batch", batch);
    bench_json_pair(f, "threads", a->threads);
    bench_json_pair(f, "image_height", a->image_height);
    bench_json_pair(f, "image_width", a->image_width);
    bench_json_pair(f, "tokens", a->tokens);
}

/* Our own names first, then those of timm's benchmark.py, then every sample. */
static void print_json(const bench *b, const result *r)
{
    FILE                 *f = b->out.stream;
    const vitrun_about_t *a = r->about;
    bench_json_model(b, a, r->batch);
    const struct {
        const char *key;
        double      value;
    } pairs[] = {{"pictures", (double)r->pictures},
                 {"img_per_s", r->rate},
                 {"img_per_s_sd", r->rate_sd},
                 {"ms_mean", r->mean},
                 {"ms_sd", r->sd},
                 {"ms_p10", r->p10},
                 {"ms_p50", r->p50},
                 {"ms_p90", r->p90},
                 {"ms_p99", r->p99},
                 {"ms_min", r->least},
                 {"load_s", a->load_seconds},
                 {"infer_samples_per_sec", r->rate},
                 {"infer_step_time", r->mean},
                 {"infer_batch_size", r->batch},
                 {"infer_img_size", a->image_height},
                 {"gmacs", r->gmacs},
                 {"merge_gmacs", r->merge_gmacs},
                 {"tokens_left", r->tokens_left},
                 {"infer_gmacs", r->gmacs},
                 {"param_count", (double)a->parameters * 1e-6}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) bench_json_pair(f, pairs[i].key, pairs[i].value);
    fprintf(f, ",\"parameters\":%llu,\"peak_bytes\":%.0f", (unsigned long long)a->parameters, r->peak_bytes);
    if (b->o->digest) fprintf(f, ",\"digest\":\"%016llx\"", (unsigned long long)r->digest);
    fputs(",\"samples_ms\":[", f);
    for (size_t i = 0; i < r->count; i++) fprintf(f, "%s%.9g", i ? "," : "", r->ms[i]);
    fputs("]}", f);
}

static bool print(bench *b, const result *r)
{
    if (strcmp(b->format, "json") == 0)
        print_json(b, r);
    else if (strcmp(b->format, "csv") == 0)
        print_csv(b, r);
    else
        print_md(b, r);
    b->printed++;
    return cli_output_flush(&b->out); /* cli_output_end says why it failed */
}

vr_status bench_whole(bench *b, vitrun *v, int batch, vr_error *err)
{
    result r = {.about = vitrun_about(v), .batch = batch};
    if (measure(&r, v, b, err) == VR_OK && r.count > 0) print(b, &r);
    free(r.ms);
    return err->code;
}

/* ---- every combination ---- */

static void say_machine(const bench *b, const vitrun *v, const char *what)
{
    if (b->printed) return;
    cli_machine m = cli_machine_read();
    cli_note(b->o, "%s, %d core%s usable, %s; version %s; %s", m.cpu, m.cores, m.cores == 1 ? "" : "s", vitrun_about(v)->isa,
             VITRUN_VERSION, what);
}

static vr_status bench_opened(bench *b, vitrun *v, const int *batches, size_t count, vr_error *err)
{
    bench_mode *mode = b->o->kernels ? bench_kernels : b->o->end_to_end ? bench_files : bench_whole;
    for (size_t i = 0; i < count && !err->code && !cli_stop_signal && !ferror(b->out.stream); i++) {
        say_machine(b, v, b->name_count ? "photographs" : "synthetic pixels");
        mode(b, v, batches[i], err);
    }
    return err->code;
}

static vr_status bench_one(bench *b, const char *dtype, int threads, const int *batches, size_t count, vr_error *err)
{
    cli_options    o = *b->o;
    vitrun_options options;
    vitrun        *v = NULL;
    o.dtype = dtype;
    o.threads = NULL;
    o.quiet |= b->printed > 0; /* what opening has to say is said once */
    if (cli_engine_options(&o, &options, err)) return err->code;
    options.threads = threads;
    if (!options.model && options.arch) options.random = 1;
    if (cli_open(&v, &o, &options, NULL, err) == VR_OK) bench_opened(b, v, batches, count, err);
    vitrun_close(v);
    return err->code;
}

static vr_status bench_all(bench *b, char *dtypes, const int *threads, size_t thread_counts, const int *batches, size_t count,
                           vr_error *err)
{
    char *rest = dtypes;
    for (char *dtype = strsep(&rest, ","); dtype && !err->code; dtype = strsep(&rest, ","))
        for (size_t i = 0; i < thread_counts && !err->code && !cli_stop_signal && !ferror(b->out.stream); i++)
            bench_one(b, dtype, threads[i], batches, count, err);
    return err->code;
}

static vr_status find_format(bench *b, vr_error *err)
{
    static const char *const known[] = {"md", "table", "csv", "json", NULL};
    b->format = b->o->json ? "json" : b->o->format ? b->o->format : "md";
    for (const char *const *k = known; *k; k++)
        if (strcmp(*k, b->format) == 0) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "value", "bench writes no %s; --format can be one of: md csv json", b->format);
}

int cmd_bench(const cli_options *o)
{
    bench    b = {.o = o};
    vr_error err = {0};
    int     *batches = NULL, *threads = NULL, all = 0;
    size_t   batch_count = 0, thread_count = 1;
    char    *dtypes = strdup(o->dtype ? o->dtype : "auto");
    if (!dtypes) vr_fail(&err, VR_E_MEMORY, "memory", "no memory for the list of dtypes");
    if (err.code || find_format(&b, &err) || bench_names_find(&b, &err)) goto done;
    if (cli_numbers(&batches, &batch_count, o->batch ? o->batch : "1", "--batch", 1, 65536, &err)) goto done;
    if (o->threads && cli_numbers(&threads, &thread_count, o->threads, "--threads", 1, 1024, &err)) goto done;
    if (cli_output_open(&b.out, o->output, &err)) goto done;
    bench_all(&b, dtypes, threads ? threads : &all, thread_count, batches, batch_count, &err);
    if (b.printed && strcmp(b.format, "json") == 0) fputs("\n]\n", b.out.stream);
done:;
    int code = err.code ? cli_failed(&err) : cli_stop_signal ? 128 + cli_stop_signal : VR_OK;
    if (b.out.stream) code = cli_output_end(&b.out, b.printed > 0, code);
    bench_names_free(&b);
    free(batches);
    free(threads);
    free(dtypes);
    return code;
}
