/* profile: where the time of a forward pass goes, verb by verb, with and without merging.
 *
 *     profile MODEL BATCH RUNS PICTURE...
 *
 * The table of verbs is wrapped in one that holds a watch; on the CPU a verb has done its work when it returns.  Settings
 * take turns from run to run, so what disturbs the machine disturbs all alike.  Times are the least of the runs, for an image. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../engine/internal.h"

static const vitrun_merge settings[] = {{.method = "none"},
                                        {.method = "mame", .tau = "0.8"},
                                        {.method = "mame", .tau = "0.8", .weights = "mass"},
                                        {.method = "tome", .r = "16"},
                                        {.method = "evit", .keep = "0.7"},
                                        {.method = "diffrate", .rates_from = "deit_small:2.9"}};
enum { SETTINGS = sizeof settings / sizeof *settings };

typedef enum { EMBED, NORM, LINEAR, ATTENTION, POOL, GATHER, REDUCE, VERBS } verb;
static const char *const names[VERBS] = {"patch embed", "layernorm", "linear", "attention", "pool", "gather", "reducers"};

typedef struct {
    double seconds[VERBS], flops[VERBS], total;
} profile;
static profile now;

static double started;
static void   begin(void) { started = vr_now(); }
static void   end(verb v, double flops)
{
    now.seconds[v] += vr_now() - started;
    now.flops[v] += flops;
}

static void embed(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in, const vr_embed *w)
{
    begin();
    vr_cpu.patch_embed(be, x, scratch, rows, in, w);
    end(EMBED, 2.0 * x.rows * w->proj.in * w->proj.out);
}
static void layernorm(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w)
{
    begin();
    vr_cpu.layernorm(be, y, x, w);
    end(NORM, 0);
}
static void linear(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into)
{
    begin();
    vr_cpu.linear(be, y, x, w, act, into);
    end(LINEAR, 2.0 * x.rows * w->in * w->out);
}
static void attention(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows,
                      int heads, const vr_extras *extras)
{
    double flops = 0;
    for (int b = 0; b < q_rows->images; b++)
        flops += 4.0 * q.cols * (q_rows->offsets[b + 1] - q_rows->offsets[b]) * (kv_rows->offsets[b + 1] - kv_rows->offsets[b]);
    begin();
    vr_cpu.attention(be, y, q, k, v, q_rows, kv_rows, heads, extras);
    end(ATTENTION, flops);
}
static void pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how)
{
    begin();
    vr_cpu.pool(be, y, x, rows, how);
    end(POOL, 0);
}
static void gather(vr_backend *be, vr_mat y, vr_mat x, const int *index)
{
    begin();
    vr_cpu.gather(be, y, x, index);
    end(GATHER, 0);
}
static void mame(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat feature, const vr_mame *how, vr_trace *trace)
{
    begin();
    vr_cpu.mame(be, out, in, feature, how, trace);
    end(REDUCE, 0);
}
static void tome(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat metric, int r, vr_trace *trace)
{
    begin();
    vr_cpu.tome(be, out, in, metric, r, trace);
    end(REDUCE, 0);
}
static void evit(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_evit *how, vr_trace *trace)
{
    begin();
    vr_cpu.evit(be, out, in, scores, how, trace);
    end(REDUCE, 0);
}
static void diffrate(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_diffrate *how,
                     vr_trace *trace)
{
    begin();
    vr_cpu.diffrate(be, out, in, scores, how, trace);
    end(REDUCE, 0);
}

static void print(const char *name, const profile *p, const profile *plain, double gmacs, double plain_gmacs, int images)
{
    const double ratio = plain_gmacs / gmacs, speedup = plain->total / p->total;
    double       rest = p->total;
    printf("\n%s: %.3f ms an image, %.3f GMACs; %.2f times as fast at %.2f times less work (%.2f of it)\n", name,
           1e3 * p->total / images, gmacs, speedup, ratio, speedup / ratio);
    for (int v = 0; v < VERBS; v++) {
        rest -= p->seconds[v];
        if (p->seconds[v] == 0) continue;
        printf("  %-12s %8.3f ms %6.1f %%", names[v], 1e3 * p->seconds[v] / images, 100 * p->seconds[v] / p->total);
        if (p->flops[v] > 0) printf("  %7.1f GFLOP/s", 1e-9 * p->flops[v] / p->seconds[v]);
        putchar('\n');
    }
    printf("  %-12s %8.3f ms %6.1f %%\n", "the rest", 1e3 * rest / images, 100 * rest / p->total);
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "profile: %s: %s\n", what, why);
    return 1;
}

int main(int argc, char **argv)
{
    vr_ops         ops = vr_cpu;
    vitrun_options o = vitrun_defaults();
    vitrun_error   e = {0};
    vitrun        *v;
    if (argc < 5) return fail("usage", "profile MODEL BATCH RUNS PICTURE...");
    ops.patch_embed = embed, ops.layernorm = layernorm, ops.linear = linear, ops.attention = attention;
    ops.pool = pool, ops.gather = gather, ops.mame = mame, ops.tome = tome, ops.evit = evit, ops.diffrate = diffrate;
    const int batch = atoi(argv[2]), runs = atoi(argv[3]), files = argc - 4;
    if (batch < 1 || runs < 1) return fail("usage", "BATCH and RUNS are numbers from 1");
    o.model = argv[1], o.exif = 0;
    if (vitrun_open(&v, &o, &e)) return fail(argv[1], e.text);
    v->backend.ops = &ops;
    const int             images = (files + batch - 1) / batch * batch;
    const vitrun_about_t *a = vitrun_about(v);
    const size_t          cells = 3 * (size_t)a->image_height * (size_t)a->image_width;
    float                *pixels = malloc((size_t)files * cells * sizeof *pixels);
    const float         **each = malloc((size_t)images * sizeof *each);
    float                *logits = malloc((size_t)batch * (size_t)a->outputs * sizeof *logits);
    static profile        best[SETTINGS];
    double                gmacs[SETTINGS] = {0};
    int                   number[SETTINGS];
    if (!pixels || !each || !logits) return fail("memory", "not enough");
    for (int i = 0; i < files; i++)
        if (vitrun_pixels_of_file(v, argv[4 + i], pixels + (size_t)i * cells, &e)) return fail("picture", e.text);
    for (int i = 0; i < images; i++) each[i] = pixels + (size_t)(i % files) * cells;
    for (int k = 0; k < SETTINGS; k++) {
        best[k].total = INFINITY;
        if (vitrun_add_merge(v, &settings[k], &number[k], &e)) number[k] = -1, printf("left out: %s\n", e.text);
    }
    for (int run = 0; run < runs; run++)
        for (int turn = 0; turn < SETTINGS; turn++) {
            const int k = (run + turn) % SETTINGS;
            double    cost = 0, one, t0 = vr_now();
            if (number[k] < 0) continue;
            now = (profile){0};
            vitrun_use_merge(v, number[k], &e);
            for (int at = 0; at < images; at += batch) {
                if (vitrun_run(v, logits, each + at, NULL, batch, &e)) return fail("run", e.text);
                for (int i = 0; i < batch && !vitrun_cost(v, i, NULL, &one, NULL, &e); i++) cost += one;
            }
            now.total = vr_now() - t0;
            gmacs[k] = cost / images;
            if (now.total < best[k].total) best[k] = now;
        }
    printf("%s, %s %s, %d threads, batch %d, %d images, least of %d runs\n", a->name, a->isa, a->dtype, a->threads, batch,
           images, runs);
    for (int k = 0; k < SETTINGS; k++)
        if (number[k] >= 0) print(vitrun_merge_name(v, number[k]), &best[k], &best[0], gmacs[k], gmacs[0], images);
    vitrun_close(v);
    free(pixels);
    free(each);
    free(logits);
    return 0;
}
