/* bench_kernels.c: the verbs at the shapes of DeiT-S and DeiT-B, in GFLOP/s and as a share of a loop of nothing but
 * multiply-adds that runs beside them; then the verbs of a whole forward.  Not part of vr_tests:
 *   make build/bench_kernels
 *   build/bench_kernels [threads [bf16] [S1] [S8] [B1] [B8]]      each verb, or whole forwards of DeiT-S or -B, batch 1 or 8
 *   VITRUN_ISA=avx2 build/bench_kernels
 * One thread is timed by the processor's time that it took, so that neighbours do not count. */
#include "../../kernels/cpu/cpu.h"
#include "../../kernels/threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static clockid_t measure = CLOCK_MONOTONIC;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(measure, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef float wide __attribute__((vector_size(64)));

/* 24 independent chains of 512-bit multiply-adds; needs AVX-512. */
__attribute__((target("avx512f,fma"), noinline)) static double peak_gflops(void)
{
    wide sum[24];
    /* Unrolled as well, or the sums would live in memory and the loop would run at half the rate. */
#pragma GCC unroll 24
    for (int i = 0; i < 24; i++) sum[i] = (wide){0} + 1e-3f * (float)i;
    wide   a = (wide){0} + 0.5f, b = (wide){0} + 0.25f;
    double best = 0;
    for (int repeat = 0; repeat < 5; repeat++) {
        double start = seconds_now();
        for (int n = 0; n < 20000; n++)
#pragma GCC unroll 24
            for (int i = 0; i < 24; i++) __asm__ volatile("vfmadd231ps %1, %2, %0" : "+v"(sum[i]) : "v"(a), "v"(b));
        double rate = 20000.0 * 24 * 32 / (seconds_now() - start) / 1e9;
        if (rate > best) best = rate;
    }
    return best;
}

static vr_backend be;
static double     peak;

static float *numbers(size_t count, float scale)
{
    float *p = vr_alloc(count, sizeof *p);
    if (!p) exit(1);
    unsigned state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        p[i] = scale * ((float)(state >> 8) / 8388608.0f - 1);
    }
    return p;
}

/* Of the residual stream, which is f32. */
static vr_mat mat(int rows, int cols)
{
    size_t stride = vr_row_stride(cols);
    return (vr_mat){numbers((size_t)rows * stride, 1), rows, cols, stride, VR_F32};
}

/* Of what is multiplied. */
static vr_mat operand(int rows, int cols)
{
    vr_mat          m = mat(rows, cols);
    const float    *number = m.data;
    unsigned short *half = (unsigned short *)m.data;
    for (size_t i = 0; be.activations == VR_BF16 && i < (size_t)rows * m.stride; i++) {
        unsigned bits;
        memcpy(&bits, number + i, sizeof bits);
        half[i] = (unsigned short)(bits >> 16);
    }
    m.type = be.activations;
    return m;
}

static vr_weight weight(int out, int in)
{
    vr_error  err = {0};
    vr_weight w;
    float    *host = numbers((size_t)out * (size_t)in, 0.05f), *bias = numbers((size_t)out, 1);
    if (be.ops->pack(&be, &w, host, bias, out, in, VR_LAYER_OF_BLOCK, &err) != VR_OK) exit(1);
    free(host), free(bias);
    return w;
}

static int by_value(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}

static void tell(const char *what, double *seconds, int count, double flops)
{
    qsort(seconds, (size_t)count, sizeof *seconds, by_value);
    double best = seconds[0], median = seconds[count / 2];
    printf("%-28s min %8.1f us  median %8.1f us  %7.1f GFLOP/s  %.2f of peak (min), %.2f (median)\n", what, 1e6 * best,
           1e6 * median, flops / best / 1e9, flops / best / 1e9 / peak, flops / median / 1e9 / peak);
    fflush(stdout);
}

enum { REPEATS = 41, COPIES = 4 };

static void bench_linear(const char *what, int rows, int out, int in, vr_act act, vr_into into)
{
    vr_mat    x = operand(rows, in), y = into == VR_ADD || rows == 1 ? mat(rows, out) : operand(rows, out);
    vr_weight w[COPIES];
    for (int i = 0; i < COPIES; i++) w[i] = weight(out, in);
    double seconds[REPEATS];
    for (int r = 0; r < REPEATS; r++) {
        double start = seconds_now();
        vr_linear(&be, y, x, &w[r % COPIES], act, into);
        seconds[r] = seconds_now() - start;
    }
    tell(what, seconds, REPEATS, 2.0 * rows * out * in);
    for (int i = 0; i < COPIES; i++) be.ops->unpack(&be, &w[i]);
    free(x.data), free(y.data);
}

static void bench_attention(const char *what, int images, int tokens, int heads, int size)
{
    int    C = heads * size, *offsets = malloc(((size_t)images + 1) * sizeof *offsets);
    vr_mat qkv = operand(images * tokens, 3 * C), y = operand(images * tokens, C);
    for (int b = 0; b <= images; b++) offsets[b] = b * tokens;
    vr_rows  rows = {images, offsets};
    vr_error err = {0};
    if (be.ops->reserve(&be, &(vr_limits){.longest = tokens}, size, 16, &err) != VR_OK) exit(1);
    double seconds[REPEATS];
    for (int r = 0; r < REPEATS; r++) {
        double start = seconds_now();
        vr_attention(&be, y, vr_mat_cols(qkv, 0, C), vr_mat_cols(qkv, C, C), vr_mat_cols(qkv, 2 * C, C), &rows, &rows, heads,
                     NULL);
        seconds[r] = seconds_now() - start;
    }
    tell(what, seconds, REPEATS, 4.0 * images * tokens * tokens * C);
    free(qkv.data), free(y.data), free(offsets);
}

static void bench_layernorm(const char *what, int rows, int cols)
{
    vr_mat  x = mat(rows, cols), y = operand(rows, cols);
    float  *weight = numbers((size_t)cols, 1);
    vr_norm norm = {weight, weight, 1e-6f};
    double  seconds[REPEATS];
    for (int r = 0; r < REPEATS; r++) {
        double start = seconds_now();
        vr_layernorm(&be, y, x, &norm);
        seconds[r] = seconds_now() - start;
    }
    tell(what, seconds, REPEATS, 8.0 * rows * cols);
    free(x.data), free(y.data), free(weight);
}

typedef struct {
    vr_weight qkv, proj, fc1, fc2;
} block;

/* The verbs of a whole model, 12 blocks with their own weights, but for the last block's savings. */
static void bench_forward(const char *what, int images, int C, int heads)
{
    enum { BLOCKS = 12, N = 197, ROUNDS = 9 };
    block  blocks[BLOCKS];
    double packing = 0, seconds[ROUNDS], part[6] = {0};
    for (int i = 0; i < BLOCKS; i++) {
        float    *host = numbers((size_t)(4 * C) * (size_t)C, 0.03f), *bias = numbers((size_t)(4 * C), 0.1f);
        double    start = seconds_now();
        vr_status status = be.ops->pack(&be, &blocks[i].qkv, host, bias, 3 * C, C, VR_LAYER_OF_BLOCK, NULL) |
                           be.ops->pack(&be, &blocks[i].proj, host, bias, C, C, VR_LAYER_OF_BLOCK, NULL) |
                           be.ops->pack(&be, &blocks[i].fc1, host, bias, 4 * C, C, VR_LAYER_OF_BLOCK, NULL) |
                           be.ops->pack(&be, &blocks[i].fc2, host, bias, C, 4 * C, VR_LAYER_OF_BLOCK, NULL);
        packing += seconds_now() - start;
        if (status != VR_OK) exit(1);
        free(host), free(bias);
    }
    int rows = images * N, offsets[65];
    for (int b = 0; b <= images; b++) offsets[b] = b * N;
    vr_rows    seg = {images, offsets};
    vr_mat     x = mat(rows, C), t = operand(rows, C), h = operand(rows, 4 * C);
    vr_mat     qkv = vr_mat_cols(h, 0, 3 * C), patches = {h.data, rows, 768, h.stride, h.type};
    vr_norm    norm = {numbers((size_t)C, 1), numbers((size_t)C, 1), 1e-6f};
    vr_weight  proj = weight(C, 768), head = weight(1000, C);
    vr_embed   embed = {.proj = proj, .patch = 16, .prefix = 1, .prefix_tokens = norm.weight};
    vr_picture pictures[64];
    vr_mat     pooled = mat(images, C), normed = operand(images, C), logits = mat(images, 1000);
    float     *positions = numbers((size_t)(N * C), 1), *pixels = numbers((size_t)(images * 3 * 224 * 224), 1);
    for (int b = 0; b < images; b++)
        pictures[b] =
            (vr_picture){.pixels = pixels + (size_t)b * 3 * 224 * 224, .height = 224, .width = 224, .positions = positions};
    if (be.ops->reserve(&be, &(vr_limits){.longest = N}, C / heads, 16, NULL) != VR_OK) exit(1);
    for (int r = 0; r < ROUNDS; r++) {
        double start = seconds_now(), then = start, now;
#define LAP(i) (now = seconds_now(), part[i] += now - then, then = now)
        vr_patch_embed(&be, x, patches, &seg, pictures, &embed);
        LAP(0);
        for (int i = 0; i < BLOCKS; i++) {
            vr_layernorm(&be, t, x, &norm);
            LAP(1);
            vr_linear(&be, qkv, t, &blocks[i].qkv, VR_NO_ACT, VR_SET);
            LAP(2);
            vr_attention(&be, t, vr_mat_cols(qkv, 0, C), vr_mat_cols(qkv, C, C), vr_mat_cols(qkv, 2 * C, C), &seg, &seg, heads,
                         NULL);
            LAP(3);
            vr_linear(&be, x, t, &blocks[i].proj, VR_NO_ACT, VR_ADD);
            LAP(2);
            vr_layernorm(&be, t, x, &norm);
            LAP(1);
            vr_linear(&be, h, t, &blocks[i].fc1, VR_GELU_ERF, VR_SET);
            LAP(4);
            vr_linear(&be, x, h, &blocks[i].fc2, VR_NO_ACT, VR_ADD);
            LAP(2);
        }
        vr_pool(&be, pooled, x, &seg, (vr_pooling){.kind = VR_POOL_ROW, .prefix = 1});
        vr_layernorm(&be, normed, pooled, &norm);
        vr_linear(&be, logits, normed, &head, VR_NO_ACT, VR_SET);
        LAP(5);
        seconds[r] = now - start;
    }
    double gemm = 2.0 * rows * C * (12.0 * C) * BLOCKS, attention = 4.0 * images * N * N * C * BLOCKS;
    tell(what, seconds, ROUNDS, gemm + attention + 2.0 * images * 196 * 768 * C);
    printf("    pack %.1f ms; embed %.2f, norm %.2f, qkv+proj+fc2 %.2f, attention %.2f, fc1 %.2f, end %.2f ms on average\n",
           1e3 * packing, 1e3 * part[0] / ROUNDS, 1e3 * part[1] / ROUNDS, 1e3 * part[2] / ROUNDS, 1e3 * part[3] / ROUNDS,
           1e3 * part[4] / ROUNDS, 1e3 * part[5] / ROUNDS);
    for (int i = 0; i < BLOCKS; i++) {
        be.ops->unpack(&be, &blocks[i].qkv), be.ops->unpack(&be, &blocks[i].proj);
        be.ops->unpack(&be, &blocks[i].fc1), be.ops->unpack(&be, &blocks[i].fc2);
    }
    free(x.data), free(t.data), free(h.data), free(pixels), free(positions);
}

static void bench_verbs(void)
{
    for (int C = 384; C <= 768; C += 384) {
        bench_linear(C == 384 ? "S qkv" : "B qkv", 197, 3 * C, C, VR_NO_ACT, VR_SET);
        bench_linear("  proj, added", 197, C, C, VR_NO_ACT, VR_ADD);
        bench_linear("  fc1, GELU", 197, 4 * C, C, VR_GELU_ERF, VR_SET);
        bench_linear("  fc2, added", 197, C, 4 * C, VR_NO_ACT, VR_ADD);
        bench_linear("  head, 1 row", 1, 1000, C, VR_NO_ACT, VR_SET);
        bench_attention("  attention", 1, 197, C / 64, 64);
        bench_layernorm("  layernorm", 197, C);
    }
    bench_attention("attention, 1024 tokens", 1, 1024, 12, 64);
}

int main(int count, char **args)
{
    vr_error   err = {0};
    const bool bf16 = count > 2 && strcmp(args[2], "bf16") == 0;
    if (vr_cpu.open(&be, &(vr_wish){.threads = count > 1 ? atoi(args[1]) : 1, .math = bf16 ? VR_MATH_BF16 : VR_MATH_F32}, &err))
        return fprintf(stderr, "%s\n", err.text), 1;
    if (vr_cpu_threads(&be) == 1) measure = CLOCK_PROCESS_CPUTIME_ID;
    peak = peak_gflops() * vr_cpu_threads(&be);
    printf("%s, %s, %d threads, peak of f32 multiply-adds %.0f GFLOP/s\n", bf16 ? "bf16" : "f32", be.chip, vr_cpu_threads(&be),
           peak);
    const struct {
        const char *name;
        int         images, C, heads;
    } models[] = {{"S1", 1, 384, 6}, {"S8", 8, 384, 6}, {"B1", 1, 768, 12}, {"B8", 8, 768, 12}};
    if (count <= 2 + bf16) bench_verbs();
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        for (int a = 2; a < count; a++)
            if (strcmp(args[a], models[i].name) == 0)
                bench_forward(models[i].name, models[i].images, models[i].C, models[i].heads);
    vr_cpu.close(&be);
    return 0;
}
