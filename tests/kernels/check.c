/* check.c: see check.h. */
#include "check.h"

#include "../../kernels/cpu/cpu.h"
#include "../../loaders/safetensors.h"
#include "../reference/reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN = 32 };

/* Some tests ask for memory that cannot be, and want NULL for it, not the address sanitizer's abort. */
__attribute__((weak, visibility("default"))) const char *__asan_default_options(void);
const char                                              *__asan_default_options(void) { return "allocator_may_return_null=1"; }

/* A NaN that no arithmetic makes: read by mistake, it spoils the result; overwritten, it is missed. */
static const uint16_t canary = 0x7fc5; /* once a bf16, twice an f32 */

static float next_number(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1;
}

float *vr_numbers(size_t count, unsigned seed, float scale)
{
    float *p = vr_alloc(count, sizeof *p);
    cr_assert_not_null(p);
    for (size_t i = 0; i < count; i++) p[i] = scale * next_number(&seed);
    return p;
}

static size_t halves_of(vr_dtype type) { return type == VR_F32 ? 2 : 1; }

static vr_guarded guarded(vr_dtype type, int rows, int cols, size_t after)
{
    size_t     stride = (size_t)cols + 5, cells = rows ? (size_t)(rows - 1) * stride + (size_t)cols : 0;
    vr_guarded g = {.halves = (MARGIN + cells + after) * halves_of(type)};
    g.memory = malloc(g.halves * sizeof canary);
    cr_assert_not_null(g.memory);
    for (size_t i = 0; i < g.halves; i++) g.memory[i] = canary;
    g.m = (vr_mat){(float *)(void *)(g.memory + MARGIN * halves_of(type)), rows, cols, stride, type};
    return g;
}

static void fill(vr_mat m, unsigned seed, float scale)
{
    for (int r = 0; r < m.rows; r++)
        for (int c = 0; c < m.cols; c++) m.data[(size_t)r * m.stride + (size_t)c] = scale * next_number(&seed);
}

vr_guarded vr_input(int rows, int cols, unsigned seed, float scale)
{
    vr_guarded g = guarded(VR_F32, rows, cols, 0);
    fill(g.m, seed, scale);
    return g;
}

vr_guarded vr_output(int rows, int cols, unsigned seed, float scale)
{
    vr_guarded g = guarded(VR_F32, rows, cols, MARGIN);
    fill(g.m, seed, scale);
    return g;
}

static void convert(vr_mat to, vr_mat from)
{
    for (int r = 0; r < from.rows; r++)
        for (int c = 0; c < from.cols; c++) {
            const size_t at = (size_t)r * from.stride + (size_t)c;
            const float  x = from.type == VR_F32 ? from.data[at] : vr_bf16_to_f32(((uint16_t *)from.data)[at]);
            void        *out = vr_mat_at(to, (size_t)r, c, 1, 1).data;
            if (to.type == VR_F32)
                *(float *)out = x;
            else
                *(uint16_t *)out = vr_f32_to_bf16(x);
        }
}

vr_guarded vr_input_as(vr_dtype type, vr_mat from)
{
    vr_guarded g = guarded(type, from.rows, from.cols, 0);
    convert(g.m, from);
    return g;
}

vr_guarded vr_output_as(vr_dtype type, vr_mat from)
{
    vr_guarded g = guarded(type, from.rows, from.cols, MARGIN);
    convert(g.m, from);
    return g;
}

void vr_round(float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) numbers[i] = vr_bf16_to_f32(vr_f32_to_bf16(numbers[i]));
}

void vr_round_mat(vr_mat m)
{
    for (int r = 0; r < m.rows; r++) vr_round(m.data + (size_t)r * m.stride, (size_t)m.cols);
}

void vr_guarded_free(vr_guarded *g)
{
    free(g->memory);
    *g = (vr_guarded){0};
}

void vr_check_canaries(const vr_guarded *g, const char *what)
{
    for (size_t i = 0; i < g->halves; i++) {
        size_t cell = i / halves_of(g->m.type) - MARGIN; /* wraps in the front margin and is then beyond every row */
        bool   inside = cell / g->m.stride < (size_t)g->m.rows && cell % g->m.stride < (size_t)g->m.cols;
        if (!inside && g->memory[i] != canary)
            cr_assert_fail("%s: wrote outside the view, at element %td of it", what, (ptrdiff_t)cell);
    }
}

void vr_check_close(vr_mat got, vr_mat want, const char *what)
{
    double error = 0, square = 0, worst = 0, largest = 0;
    int    row = 0, col = 0;
    for (int r = 0; r < want.rows; r++)
        for (int c = 0; c < want.cols; c++) {
            double w = (double)want.data[(size_t)r * want.stride + (size_t)c];
            double d = fabs((double)got.data[(size_t)r * got.stride + (size_t)c] - w);
            error += d * d, square += w * w;
            if (fabs(w) > largest) largest = fabs(w);
            if (!(d <= worst)) worst = d, row = r, col = c;
        }
    if (!(error <= 1e-12 * square) || !(worst <= 1.5e-6 * largest))
        cr_assert_fail("%s: squared error %.2e of the values', largest error %.2e of the largest value, at row %d, column %d",
                       what, error / square, worst / largest, row, col);
}

void vr_check_error(vr_mat got, vr_mat want, double error, const char *what)
{
    double off = 0, square = 0;
    for (int r = 0; r < want.rows; r++)
        for (int c = 0; c < want.cols; c++) {
            const double w = (double)want.data[(size_t)r * want.stride + (size_t)c];
            const double d = (double)got.data[(size_t)r * got.stride + (size_t)c] - w;
            off += d * d, square += w * w;
        }
    cr_assert(off <= error * square, "%s: squared error %.2e of the values', at most %.2e is allowed", what, off / square,
              error);
}

void vr_check_same(vr_mat got, vr_mat want, const char *what)
{
    for (int r = 0; r < want.rows; r++)
        if (memcmp(vr_mat_rows(got, r, 1).data, vr_mat_rows(want, r, 1).data, (size_t)want.cols * halves_of(want.type) * 2))
            cr_assert_fail("%s: row %d has other bits", what, r);
}

const char *vr_case(const char *format, ...)
{
    static char text[256];
    va_list     args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return text;
}

vr_backend vr_open_isa(const char *isa, int threads, int tokens, int head_size)
{
    return vr_open_isa_as(VR_MATH_AUTO, isa, threads, tokens, head_size);
}

vr_backend vr_open_isa_as(vr_math math, const char *isa, int threads, int tokens, int head_size)
{
    vr_backend    be;
    vr_error      err = {0};
    const vr_ops *ops = strcmp(isa, "reference") == 0 ? &vr_reference : &vr_cpu;
    if (ops == &vr_cpu) setenv("VITRUN_ISA", isa, 1);
    cr_assert_eq(ops->open(&be, &(vr_wish){.threads = threads, .math = math}, &err), VR_OK, "%s", err.text);
    cr_assert_eq(ops->reserve(&be, &(vr_limits){.longest = tokens}, head_size, 1, &err), VR_OK, "%s", err.text);
    return be;
}

static void list_isas(const char **there, const char *const *all, vr_math math)
{
    for (size_t n = 0; *all; all++) {
        if (vr_cpu_isa_supported(*all, math))
            there[n++] = *all;
        else
            fprintf(stderr, "NOT TESTED: this machine or build has no %s\n", *all);
    }
}

const char *const *vr_isas(void)
{
    static const char *const all[] = {"portable", "avx2", "avx512", NULL};
    static const char       *there[4];
    if (!there[0]) list_isas(there, all, VR_MATH_F32);
    return there;
}

const char *const *vr_isas_bf16(void)
{
    static const char *const all[] = {"portable",     "avx2", "avx512",     "avx512bf16_emulated",
                                      "amx_emulated", "amx",  "avx512bf16", NULL};
    static const char       *there[8];
    if (!there[0]) list_isas(there, all, VR_MATH_BF16);
    return there;
}

const char *const *vr_isas_int8(void)
{
    static const char *const all[] = {"avx512vnni_emulated", "avx512vnni", NULL};
    static const char       *there[3];
    if (!there[0]) list_isas(there, all, VR_MATH_INT8);
    return there;
}
