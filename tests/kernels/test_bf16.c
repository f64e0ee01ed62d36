/* If these failed, --dtype bf16 would compute something else on some processor: other numbers at sizes that fill no pair, vector
 * or tile, in another company, or from what lies behind a row.
 *
 * Inputs and weights are numbers that bf16 has, so products are exact and only sums and what is stored are rounded. */
#include "../../loaders/safetensors.h"
#include "../support/emulation.h"
#include "batch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static vr_backend open_bf16(const char *isa, int threads, int tokens, int head_size)
{
    return vr_open_isa_as(strcmp(isa, "reference") ? VR_MATH_BF16 : VR_MATH_AUTO, isa, threads, tokens, head_size);
}

/* What rounding to nearest may cost: up to 2^-8 of a number, evenly spread, so a third of that squared; measured 2.8e-6. */
static double rounding(vr_dtype type) { return type == VR_F32 ? 1e-12 : 0x1p-16 / 3; }

/* got is of the back end's type, want of f32. */
static void check_rounded(const vr_guarded *got, vr_mat want, double error, const char *what)
{
    vr_guarded wide = vr_input_as(VR_F32, got->m);
    vr_check_error(wide.m, want, error, what);
    vr_check_canaries(got, what);
    vr_guarded_free(&wide);
}

static float *rounded_numbers(size_t count, unsigned seed, float scale)
{
    float *p = vr_numbers(count, seed, scale);
    vr_round(p, count);
    return p;
}

/* ---- linear ---- */

typedef struct {
    int     rows, out, in;
    vr_act  act;
    vr_into into;
    bool    halves; /* the result is an activation */
} linear_case;

static vr_guarded run_linear(const char *isa, int threads, const linear_case *t, vr_mat x, vr_mat before)
{
    vr_backend be = open_bf16(isa, threads, 1, 1);
    vr_error   err = {0};
    vr_weight  w;
    float     *weight = rounded_numbers((size_t)t->out * (size_t)t->in, 11, 1 / sqrtf((float)t->in));
    float     *bias = vr_numbers((size_t)t->out, 12, 1);
    cr_assert_eq(be.ops->pack(&be, &w, weight, bias, t->out, t->in, VR_LAYER_OF_BLOCK, &err), VR_OK, "%s", err.text);
    vr_guarded in = vr_input_as(be.activations, x), y = vr_output_as(t->halves ? be.activations : VR_F32, before);
    vr_linear(&be, y.m, in.m, &w, t->act, t->into);
    be.ops->unpack(&be, &w);
    be.ops->close(&be);
    free(weight), free(bias), vr_guarded_free(&in);
    return y;
}

static void check_linear(const linear_case *t)
{
    vr_guarded x = vr_input(t->rows, t->in, 1, 1), before = vr_input(t->rows, t->out, 2, 1);
    vr_round_mat(x.m);
    vr_guarded want = run_linear("reference", 1, t, x.m, before.m);
    for (const char *const *isa = vr_isas_bf16(); *isa; isa++)
        for (int threads = 1; threads <= 3; threads += 2) {
            vr_guarded  got = run_linear(*isa, threads, t, x.m, before.m);
            const char *what = vr_case("%s, %d threads, [%d, %d] x [%d, %d]%s%s to %s", *isa, threads, t->rows, t->in, t->in,
                                       t->out, t->act ? " GELU" : "", t->into ? ", added" : "", vr_dtype_name(got.m.type));
            check_rounded(&got, want.m, rounding(got.m.type), what);
            vr_guarded_free(&got);
        }
    vr_guarded_free(&x), vr_guarded_free(&before), vr_guarded_free(&want);
}

Test(bf16, linear_of_1_to_20_rows)
{
    const int in[] = {1, 2, 5, 31, 32, 33, 75};
    for (int rows = 1; rows <= 20; rows++)
        for (size_t i = 0; i < sizeof in / sizeof *in; i++)
            check_linear(&(linear_case){rows, 33, in[i], VR_NO_ACT, VR_SET, rows % 2});
}

Test(bf16, linear_of_odd_shapes)
{
    const int rows[] = {29, 32, 33, 47, 65, 197}, sides[][2] = {{1, 1}, {3, 7}, {16, 1}, {31, 97}, {48, 64}, {100, 588}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t s = 0; s < sizeof sides / sizeof *sides; s++)
            check_linear(&(linear_case){rows[r], sides[s][0], sides[s][1], VR_NO_ACT, VR_SET, s % 2});
}

Test(bf16, linear_with_every_epilogue)
{
    for (int n = 0; n < 6; n++)
        check_linear(&(linear_case){35, 45, 24, n & 1 ? VR_GELU_ERF : VR_NO_ACT, n / 2 == 1 ? VR_ADD : VR_SET, n / 2 == 2});
}

Test(bf16, linear_of_a_model)
{
    check_linear(&(linear_case){1, 1000, 384, VR_NO_ACT, VR_SET, false});
    check_linear(&(linear_case){197, 192, 768, VR_NO_ACT, VR_ADD, false});
    check_linear(&(linear_case){50, 256, 64, VR_GELU_ERF, VR_SET, true});
}

Test(bf16, linear_of_more_rows_than_the_cache_holds) { check_linear(&(linear_case){1500, 33, 1024, VR_NO_ACT, VR_SET, true}); }

Test(bf16, linear_of_a_depth_that_is_multiplied_part_by_part)
{
    check_linear(&(linear_case){250, 150, 769, VR_NO_ACT, VR_ADD, false});
    check_linear(&(linear_case){19, 50, 1601, VR_GELU_ERF, VR_SET, true});
}

Test(bf16, linear_of_no_rows) { check_linear(&(linear_case){0, 5, 3, VR_NO_ACT, VR_SET, true}); }

/* A NaN in a row, and one behind it. */
Test(bf16, a_nan_reaches_its_row_and_no_other)
{
    const linear_case t = {40, 33, 33, VR_GELU_ERF, VR_SET, true};
    vr_guarded        x = vr_input(t.rows, t.in, 1, 1), before = vr_input(t.rows, t.out, 2, 1);
    x.m.data[17 * x.m.stride + 32] = NAN;
    for (const char *const *isa = vr_isas_bf16(); *isa; isa++) {
        vr_guarded y = run_linear(*isa, 2, &t, x.m, before.m), wide = vr_input_as(VR_F32, y.m);
        for (int r = 0; r < t.rows; r++)
            for (int c = 0; c < t.out; c++)
                cr_assert_eq(isnan(wide.m.data[(size_t)r * wide.m.stride + (size_t)c]) != 0, r == 17, "%s: row %d", *isa, r);
        vr_guarded_free(&y), vr_guarded_free(&wide);
    }
    vr_guarded_free(&x), vr_guarded_free(&before);
}

/* ---- attention ---- */

typedef struct {
    int  heads, size, queries, keys;
    bool extras;
} attention_case;

typedef struct {
    vr_guarded y, scores, mean;
} attended;

static attended run_attention(const char *isa, int threads, const attention_case *t, vr_mat q, vr_mat kv, const float *size)
{
    const int  C = t->heads * t->size, q_offsets[] = {0, t->queries}, kv_offsets[] = {0, t->keys};
    vr_backend be = open_bf16(isa, threads, t->keys, t->size);
    vr_guarded left = vr_input_as(be.activations, q), right = vr_input_as(be.activations, kv);
    attended   a = {vr_output_as(be.activations, q), vr_output(1, t->keys, 4, 1), vr_output(t->keys, t->size, 5, 1)};
    vr_extras  extras = {size, a.scores.m.data, a.mean.m};
    vr_attention(&be, a.y.m, left.m, vr_mat_cols(right.m, 0, C), vr_mat_cols(right.m, C, C), &(vr_rows){1, q_offsets},
                 &(vr_rows){1, kv_offsets}, t->heads, t->extras ? &extras : NULL);
    vr_guarded_free(&left), vr_guarded_free(&right);
    be.ops->close(&be);
    return a;
}

static void free_attended(attended *a) { vr_guarded_free(&a->y), vr_guarded_free(&a->scores), vr_guarded_free(&a->mean); }

/* Weights are rounded, and so are results; where weighted values cancel, the first counts for more.  Below the 5e-5 allowed. */
static void check_attention(const attention_case *t)
{
    vr_guarded q = vr_input(t->queries, t->heads * t->size, 1, 1), kv = vr_input(t->keys, 2 * t->heads * t->size, 2, 1);
    float     *size = vr_numbers((size_t)t->keys, 6, 1);
    for (int i = 0; i < t->keys; i++) size[i] = 20 * fabsf(size[i]) + 0.5f;
    vr_round_mat(q.m), vr_round_mat(kv.m);
    attended want = run_attention("reference", 1, t, q.m, kv.m, size);
    for (const char *const *isa = vr_isas_bf16(); *isa; isa++)
        for (int threads = 1; threads <= 3; threads += 2) {
            attended    got = run_attention(*isa, threads, t, q.m, kv.m, size);
            const char *what =
                vr_case("%s, %d threads, %d heads of %d, %d x %d", *isa, threads, t->heads, t->size, t->queries, t->keys);
            check_rounded(&got.y, want.y.m, (got.y.m.type == VR_F32 ? 1 : 4) * rounding(got.y.m.type), what);
            if (t->extras) vr_check_close(got.scores.m, want.scores.m, what), vr_check_close(got.mean.m, want.mean.m, what);
            vr_check_canaries(&got.scores, what), vr_check_canaries(&got.mean, what);
            free_attended(&got);
        }
    free_attended(&want), vr_guarded_free(&q), vr_guarded_free(&kv), free(size);
}

Test(bf16, attention_of_every_head_size_and_length)
{
    const int sizes[] = {1, 7, 16, 32, 48, 64, 80, 128}, lengths[] = {1, 2, 13, 32, 33, 50, 197};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++)
            check_attention(&(attention_case){2, sizes[s], lengths[n], lengths[n], n % 2});
}

Test(bf16, attention_of_few_queries_and_of_many_keys)
{
    check_attention(&(attention_case){3, 64, 1, 197, true});
    check_attention(&(attention_case){3, 13, 2, 31, true});
    check_attention(&(attention_case){1, 64, 70, 1601, false});
}

/* ---- what else makes and takes activations ---- */

Test(bf16, layernorm_rounds_each_number_once)
{
    enum { ROWS = 21, COLS = 83 };
    float     *weight = vr_numbers(COLS, 4, 1), *bias = vr_numbers(COLS, 5, 1);
    vr_norm    norm = {weight, bias, 1e-6f};
    vr_guarded x = vr_input(ROWS, COLS, 1, 3), want = vr_output(ROWS, COLS, 2, 1);
    vr_backend oracle = open_bf16("reference", 1, 1, 1);
    vr_layernorm(&oracle, want.m, x.m, &norm);
    oracle.ops->close(&oracle);
    for (const char *const *isa = vr_isas_bf16(); *isa; isa++) {
        vr_backend be = open_bf16(*isa, 2, 1, 1);
        vr_guarded y = vr_output_as(be.activations, want.m);
        vr_layernorm(&be, y.m, x.m, &norm);
        check_rounded(&y, want.m, rounding(y.m.type), *isa);
        vr_guarded_free(&y);
        be.ops->close(&be);
    }
    vr_guarded_free(&x), vr_guarded_free(&want), free(weight), free(bias);
}

static vr_guarded run_embed(const char *isa, const vr_picture *picture, int patch, int cols, const float *normal)
{
    const int  rows = 1 + (picture->height / patch) * (picture->width / patch), in = 3 * patch * patch;
    vr_backend be = open_bf16(isa, 2, 1, 1);
    float     *weight = rounded_numbers((size_t)(cols * in), 5, 0.1f), *prefix = vr_numbers((size_t)cols, 7, 1);
    vr_embed   w = {.patch = patch, .prefix = 1, .prefix_tokens = prefix, .normal = normal};
    vr_guarded empty = vr_input(rows, in, 2, 1), x = vr_output(rows, cols, 1, 1);
    vr_guarded scratch = vr_output_as(be.activations, empty.m);
    cr_assert_eq(be.ops->pack(&be, &w.proj, weight, NULL, cols, in, VR_LAYER_OF_BLOCK, NULL), VR_OK);
    vr_patch_embed(&be, x.m, scratch.m, &(vr_rows){1, (int[]){0, rows}}, picture, &w);
    vr_check_canaries(&scratch, isa);
    be.ops->unpack(&be, &w.proj);
    be.ops->close(&be);
    free(weight), free(prefix), vr_guarded_free(&scratch), vr_guarded_free(&empty);
    return x;
}

static void check_embed(const vr_picture *picture, int side, int cols, const float *normal)
{
    vr_guarded want = run_embed("reference", picture, side, cols, normal);
    for (const char *const *isa = vr_isas_bf16(); *isa; isa++) {
        vr_guarded x = run_embed(*isa, picture, side, cols, normal);
        vr_check_close(x.m, want.m, vr_case("%s, patches of %d from %s", *isa, side, picture->pixels ? "numbers" : "bytes"));
        vr_check_canaries(&x, *isa);
        vr_guarded_free(&x);
    }
    vr_guarded_free(&want);
}

Test(bf16, patches_become_tokens_of_f32)
{
    const int sides[] = {1, 3, 14, 16, 40}, cols = 35;
    float    *normal = rounded_numbers(3 * 256, 22, 2), *positions = vr_numbers(20 * 35, 21, 1);
    for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
        const int    side = sides[s];
        const size_t count = (size_t)(3 * 4 * side * 5 * side);
        float       *pixels = rounded_numbers(count, 20, 1);
        uint8_t     *rgb = vr_alloc(count, 1);
        for (size_t i = 0; i < count; i++) rgb[i] = (uint8_t)(i * 37 % 256);
        check_embed(&(vr_picture){.pixels = pixels, .height = 4 * side, .width = 5 * side, .positions = positions}, side, cols,
                    normal);
        check_embed(&(vr_picture){.rgb = rgb, .height = 4 * side, .width = 5 * side, .positions = positions}, side, cols,
                    normal);
        free(pixels), free(rgb);
    }
    free(normal), free(positions);
}

/* From either type to either. */
Test(bf16, pool_and_gather)
{
    enum { ROWS = 30, COLS = 70 };
    const int  offsets[] = {0, 10, 30}, index[] = {3, 29, 0};
    vr_rows    rows = {2, offsets};
    vr_guarded x = vr_input(ROWS, COLS, 1, 1), want = vr_output(2, 2 * COLS, 2, 1);
    vr_pooling how = {.kind = VR_POOL_CLASS_MEAN, .prefix = 1};
    vr_round_mat(x.m);
    vr_backend oracle = open_bf16("reference", 1, 1, 1), be = open_bf16("portable", 3, 1, 1);
    vr_pool(&oracle, want.m, x.m, &rows, how);
    for (int n = 0; n < 4; n++) {
        const vr_dtype from = n & 1 ? VR_BF16 : VR_F32, to = n & 2 ? VR_BF16 : VR_F32;
        vr_guarded in = vr_input_as(from, x.m), y = vr_output_as(to, want.m), few = vr_output_as(from, vr_mat_rows(x.m, 0, 3));
        vr_pool(&be, y.m, in.m, &rows, how);
        check_rounded(&y, want.m, rounding(to), vr_case("pool from %s to %s", vr_dtype_name(from), vr_dtype_name(to)));
        vr_gather(&be, few.m, in.m, index);
        for (int i = 0; i < 3; i++) vr_check_same(vr_mat_rows(few.m, i, 1), vr_mat_rows(in.m, index[i], 1), "gather");
        vr_check_canaries(&few, "gather");
        vr_guarded_free(&in), vr_guarded_free(&y), vr_guarded_free(&few);
    }
    be.ops->close(&be), oracle.ops->close(&oracle);
    vr_guarded_free(&x), vr_guarded_free(&want);
}

/* Keys of bf16 decide as the same numbers in f32 do. */
Test(bf16, reducers_see_widened_keys)
{
    const int counts[] = {30, 1, 45};
    vr_batch  in, out[2];
    vr_batch_make(&in, NULL, counts, 3, 1, 24);
    vr_guarded keys = vr_input(in.t.x.rows, 24, 9, 1);
    vr_round_mat(keys.m);
    vr_guarded halves = vr_input_as(VR_BF16, keys.m);
    for (int method = 0; method < 2; method++) {
        for (int i = 0; i < 2; i++) {
            vr_backend be = vr_open_reducer(vr_isas()[0], 2, &in.t);
            vr_batch_room(&out[i], &in);
            if (method == 0)
                vr_mame_merge(&be, &out[i].t, &in.t, i ? halves.m : keys.m, &(vr_mame){.tau = 0.2f, .refine = true}, NULL);
            else
                vr_tome_merge(&be, &out[i].t, &in.t, i ? halves.m : keys.m, 9, NULL);
            be.ops->close(&be);
        }
        cr_assert_eq(out[0].t.x.rows, out[1].t.x.rows);
        cr_assert_lt(out[0].t.x.rows, in.t.x.rows);
        vr_check_same(vr_mat_rows(out[1].t.x, 0, out[0].t.x.rows), out[0].t.x, method ? "ToMe" : "MaMe");
        vr_batch_free(&out[0]), vr_batch_free(&out[1]);
    }
    vr_guarded_free(&keys), vr_guarded_free(&halves), vr_batch_free(&in);
}

/* ---- company ---- */

/* Rows first .. first+count-1 alone give the bits that they give among all, on any number of threads. */
static void check_alone(const char *isa, int first, int count, int threads)
{
    enum { ROWS = 197, COLS = 96 };
    const linear_case all = {ROWS, 100, COLS, VR_GELU_ERF, VR_SET, true}, few = {count, 100, COLS, VR_GELU_ERF, VR_SET, true};
    vr_guarded        x = vr_input(ROWS, COLS, 1, 1), y = vr_input(ROWS, 100, 2, 1);
    vr_guarded        want = run_linear(isa, 1, &all, x.m, y.m);
    vr_guarded        got = run_linear(isa, threads, &few, vr_mat_rows(x.m, first, count), vr_mat_rows(y.m, first, count));
    vr_check_same(got.m, vr_mat_rows(want.m, first, count),
                  vr_case("%s: linear, rows %d to %d", isa, first, first + count - 1));

    const attention_case many = {2, 48, ROWS, ROWS, false}, part = {2, 48, count, ROWS, false};
    vr_guarded           kv = vr_input(ROWS, 2 * COLS, 3, 1);
    attended             a = run_attention(isa, 1, &many, x.m, kv.m, NULL);
    attended             b = run_attention(isa, threads, &part, vr_mat_rows(x.m, first, count), kv.m, NULL);
    vr_check_same(b.y.m, vr_mat_rows(a.y.m, first, count), vr_case("%s: attention, %d queries from %d", isa, count, first));
    free_attended(&a), free_attended(&b), vr_guarded_free(&kv);
    vr_guarded_free(&x), vr_guarded_free(&y), vr_guarded_free(&want), vr_guarded_free(&got);
}

Test(bf16, company_and_threads_change_no_bit)
{
    const int parts[][2] = {{0, 1}, {3, 2}, {10, 15}, {16, 17}, {31, 33}, {5, 49}, {100, 97}, {0, 197}};
    for (const char *const *isa = vr_isas_bf16(); *isa; isa++)
        for (int i = 0; i < 8; i++) check_alone(*isa, parts[i][0], parts[i][1], 1 + i % 3);
}

/* ---- the choice ---- */

Test(bf16, the_environment_picks_how_it_is_multiplied)
{
    for (const char *const *isa = vr_isas_bf16(); *isa; isa++) {
        vr_backend be = open_bf16(*isa, 1, 10, 16);
        cr_assert_str_eq(be.chip, *isa);
        cr_assert_eq(be.math, VR_MATH_BF16);
        cr_assert_eq(be.residual, VR_F32);
        be.ops->close(&be);
    }
}

/* ---- the emulation itself ---- */

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static bool emulation_runs(void)
{
    for (const char *const *isa = vr_isas_bf16(); *isa; isa++)
        if (strcmp(*isa, "amx_emulated") == 0) return true;
    return false;
}

Test(bf16, emulated_rounding)
{
    if (!emulation_runs()) return;
    uint32_t state = 1;
    for (int round = 0; round < 5000; round++) {
        float    in[16];
        uint16_t out[16];
        for (int i = 0; i < 16; i++) {
            state = state * 1664525u + 1013904223u;
            in[i] = float_of(round % 4 ? state : (state & 0xffff0000) | (i % 4 == 0 ? 0x8000 : i % 4 == 1 ? 0x7fff : 0x8001));
        }
        vr_emulation_round(out, in);
        for (int i = 0; i < 16; i++) cr_assert_eq(out[i], vr_f32_to_bf16(in[i]), "%a becomes %04x", (double)in[i], out[i]);
    }
}

Test(bf16, emulated_dot_products)
{
    if (!emulation_runs()) return;
    uint16_t a[32], b[32];
    float   *numbers = vr_numbers(80, 3, 1), sum[16], want[16];
    for (int i = 0; i < 32; i++) a[i] = vr_f32_to_bf16(numbers[i]), b[i] = vr_f32_to_bf16(numbers[32 + i]);
    for (int i = 0; i < 16; i++) {
        want[i] = fmaf(vr_bf16_to_f32(a[2 * i + 1]), vr_bf16_to_f32(b[2 * i + 1]), sum[i] = 1e-3f * numbers[64 + i]);
        want[i] = fmaf(vr_bf16_to_f32(a[2 * i]), vr_bf16_to_f32(b[2 * i]), want[i]);
    }
    vr_emulation_dot(sum, a, b);
    for (int i = 0; i < 16; i++) cr_assert_eq(sum[i], want[i], "lane %d", i);
    free(numbers);
}
