/* bench_reducers.c: each reducer once on a batch of 8 images of 197 tokens of DeiT-S and DeiT-B, in microseconds, beside
 * the MLP of one block.  Not part of vr_tests:
 *   make build/libvitrun.a && gcc -O2 -D_GNU_SOURCE -o build/bench_reducers tests/bench/bench_reducers.c build/libvitrun.a -lm -lpthread
 *   build/bench_reducers [threads [images]]            VITRUN_ISA=avx2 build/bench_reducers */
#include "../../kernels/cpu/cpu.h"
#include "../../kernels/trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 197 };
static vr_backend be;
static vr_tokens  in, out;
static vr_trace   trace;
static vr_mat     metric, hidden;
static vr_weight  fc1, fc2;
static float     *scores;

static float *numbers(size_t count, float scale)
{
    float *p = vr_alloc(count, sizeof *p);
    if (!p) exit(1);
    for (size_t i = 0; i < count; i++) p[i] = scale * ((float)rand() / (float)RAND_MAX - 0.5f);
    return p;
}

static vr_mat matrix(int rows, int cols)
{
    size_t stride = vr_row_stride(cols);
    return (vr_mat){numbers((size_t)rows * stride, 1), rows, cols, stride, VR_F32};
}

static void run_mame(void) { vr_mame_merge(&be, &out, &in, in.x, &(vr_mame){.tau = 0, .refine = true}, &trace); }
static void run_mare(void)
{
    vr_mare_restore(&be, in.x, vr_mat_rows(out.x, 0, trace.out_offsets[in.images]), &trace, VR_MARE_PAPER);
}
static void run_tome(void) { vr_tome_merge(&be, &out, &in, metric, 16, NULL); }
static void run_evit(void) { vr_evit_keep(&be, &out, &in, scores, &(vr_evit){0.7, true}, NULL); }
static void run_diffrate(void) { vr_diffrate_merge(&be, &out, &in, scores, &(vr_diffrate){168, 156}, NULL); }
static void run_mlp(void)
{
    vr_linear(&be, hidden, in.x, &fc1, VR_GELU_ERF, VR_SET);
    vr_linear(&be, out.x, hidden, &fc2, VR_NO_ACT, VR_SET);
}

static const struct {
    const char *name;
    void (*run)(void);
} verbs[] = {{"mame", run_mame}, {"mare", run_mare},         {"tome", run_tome},
             {"evit", run_evit}, {"diffrate", run_diffrate}, {"mlp", run_mlp}};

static double best_us(void (*run)(void))
{
    double best = 1e30;
    for (int i = 0; i < 60; i++) {
        out.x.rows = in.x.rows;
        double start = vr_now();
        run();
        double us = 1e6 * (vr_now() - start);
        if (us < best) best = us;
    }
    return best;
}

static void measure(int images, int C)
{
    const vr_limits most = {images, images * N, N, C};
    vr_arena        a = {0};
    vr_trace_lay_out(&trace, &a, &most, true);
    a = (vr_arena){.base = vr_alloc(a.used, 1)};
    vr_trace_lay_out(&trace, &a, &most, true);
    in = (vr_tokens){matrix(most.rows, C), numbers((size_t)most.rows, 1), vr_alloc((size_t)images + 1, sizeof(int)), images, 1};
    out =
        (vr_tokens){matrix(most.rows, C), numbers((size_t)most.rows, 1), vr_alloc((size_t)images + 1, sizeof(int)), images, 1};
    for (int b = 0; b <= images; b++) in.offsets[b] = b * N;
    for (int r = 0; r < most.rows; r++) in.size[r] = 1;
    metric = matrix(most.rows, 64), hidden = matrix(most.rows, 4 * C), scores = numbers((size_t)most.rows, 1);
    float *weight = numbers((size_t)(4 * C * C), 0.01f);
    if (be.ops->reserve_reduction(&be, &most, NULL) ||
        be.ops->pack(&be, &fc1, weight, NULL, 4 * C, C, VR_LAYER_OF_BLOCK, NULL) ||
        be.ops->pack(&be, &fc2, weight, NULL, C, 4 * C, VR_LAYER_OF_BLOCK, NULL))
        exit(1);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        printf("  %d x %d tokens of %d: %-9s %8.0f us\n", images, N, C, verbs[i].name, best_us(verbs[i].run));
}

int main(int argc, char **argv)
{
    vr_error err = {0};
    if (vr_cpu.open(&be, &(vr_wish){.threads = argc > 1 ? atoi(argv[1]) : 1}, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%s, %d threads\n", be.chip, vr_cpu_threads(&be));
    measure(argc > 2 ? atoi(argv[2]) : 8, 384);
    measure(argc > 2 ? atoi(argv[2]) : 8, 768);
    return 0;
}
