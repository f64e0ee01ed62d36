/* profile: where the time of a forward pass goes, verb by verb, with and without merging.
 *
 *     profile MODEL BATCH RUNS PICTURE...
 *
 * `vitrun bench --kernels` shows one setting; here several take turns from run to run, so what disturbs the machine disturbs all
 * alike.  Times are the least of the runs, for an image. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../engine/internal.h"
#include "../../engine/profile.h"

static const vitrun_merge settings[] = {{.method = "none"},
                                        {.method = "mame", .tau = "0.8"},
                                        {.method = "mame", .tau = "0.8", .weights = "mass"},
                                        {.method = "tome", .r = "16"},
                                        {.method = "evit", .keep = "0.7"},
                                        {.method = "diffrate", .rates_from = "deit_small:2.9"}};
enum { SETTINGS = sizeof settings / sizeof *settings };

typedef struct {
    vr_profile rows;
    double     total;
} profile;

static double peak; /* flops a second of all threads, in registers; 0: of another kind of arithmetic */

static void print(const char *name, const profile *p, const profile *plain, double gmacs, double plain_gmacs, int images)
{
    const double ratio = plain_gmacs / gmacs, speedup = plain->total / p->total;
    double       rest = p->total;
    printf("\n%s: %.3f ms an image, %.3f GMACs; %.2f times as fast at %.2f times less work (%.2f of it)\n", name,
           1e3 * p->total / images, gmacs, speedup, ratio, speedup / ratio);
    for (int i = 0; i < p->rows.rows; i++) {
        const vr_profile_row *r = &p->rows.row[i];
        rest -= r->seconds;
        printf("  %-12s %8.3f ms %6.1f %%", r->verb, 1e3 * r->seconds / images, 100 * r->seconds / p->total);
        if (r->work.flops > 0) printf("  %7.1f GFLOP/s", 1e-9 * r->work.flops / r->seconds);
        if (r->work.flops > 0 && peak > 0) printf("  %.2f of the peak", r->work.flops / r->seconds / peak);
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
    static vr_profiler profiler;
    vitrun_options     o = vitrun_defaults();
    vitrun_error       e = {0};
    vr_error           err = {0};
    vitrun            *v;
    if (argc < 5) return fail("usage", "profile MODEL BATCH RUNS PICTURE...");
    const int batch = atoi(argv[2]), runs = atoi(argv[3]), files = argc - 4;
    if (batch < 1 || runs < 1) return fail("usage", "BATCH and RUNS are numbers from 1");
    o.model = argv[1], o.exif = 0, o.device = "cpu";
    if (vitrun_open(&v, &o, &e)) return fail(argv[1], e.text);
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
    if (strcmp(a->dtype, "f32") == 0) peak = vr_peak_flops(v);
    if (vr_profiler_start(&profiler, v, &err)) return fail("profiler", err.text);
    for (int run = 0; run < runs; run++)
        for (int turn = 0; turn < SETTINGS; turn++) {
            const int k = (run + turn) % SETTINGS;
            double    cost = 0, one, t0 = vr_now();
            if (number[k] < 0) continue;
            profiler.rows.rows = 0;
            vitrun_use_merge(v, number[k], &e);
            for (int at = 0; at < images; at += batch) {
                if (vitrun_run(v, logits, each + at, NULL, batch, &e)) return fail("run", e.text);
                for (int i = 0; i < batch && !vitrun_cost(v, i, NULL, &one, NULL, &e); i++) cost += one;
            }
            const double total = vr_now() - t0;
            gmacs[k] = cost / images;
            if (total < best[k].total) best[k] = (profile){profiler.rows, total};
        }
    vr_profiler_stop(&profiler, v);
    printf("%s, %s %s, %d threads, batch %d, %d images, least of %d runs; FMA peak %.1f GFLOP/s\n", a->name, a->isa, a->dtype,
           a->threads, batch, images, runs, 1e-9 * peak);
    for (int k = 0; k < SETTINGS; k++)
        if (number[k] >= 0) print(vitrun_merge_name(v, number[k]), &best[k], &best[0], gmacs[k], gmacs[0], images);
    vitrun_close(v);
    free(pixels);
    free(each);
    free(logits);
    return 0;
}
