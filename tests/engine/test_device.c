/* Names of devices and dtypes, and reading activations of any type back. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../engine/device.h"
#include "../../engine/fetch.h"
#include "../../kernels/cpu/cpu.h"
#include "../../loaders/safetensors.h"

/* Broken if it fails: a machine without a GPU says a line at every start, or one who asked for "auto" hears no reason. */
Test(device, without_a_plugin_the_cpu_computes)
{
    static const struct {
        const char *device, *dtype;
        vr_status   want;
        bool        why;
    } cases[] = {{NULL, NULL, VR_OK, false},          {"auto", "bf16", VR_OK, true},         {"cpu", "f32", VR_OK, false},
                 {"cuda", NULL, VR_E_DEVICE, false},  {"cuda:1", NULL, VR_E_DEVICE, false},  {"cuda:", NULL, VR_E_USAGE, false},
                 {"cuda:x", NULL, VR_E_USAGE, false}, {"cuda:100", NULL, VR_E_USAGE, false}, {"cuda1", NULL, VR_E_USAGE, false},
                 {"cpu", "f16", VR_E_USAGE, false},   {"auto", "tf32", VR_E_USAGE, true},    {"cpu", "int8", VR_E_USAGE, false},
                 {"cpu", "f64", VR_E_USAGE, false}};
    setenv("VITRUN_PLUGIN_PATH", "/nowhere", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const vr_ops *ops = NULL;
        vr_wish       wish = {0};
        vr_error      err = {0};
        char          why[600] = "?";
        vr_status     status = vr_device_choose(&ops, &wish, why, cases[i].device, cases[i].dtype, &err);
        cr_expect_eq(status, cases[i].want, "case %zu: %s", i, err.text);
        if (status == VR_OK) cr_expect_eq(ops, &vr_cpu, "case %zu", i);
        if (status == VR_OK) cr_expect_eq(why[0] != 0, cases[i].why, "case %zu: \"%s\"", i, why);
    }
}

/* Element i of a matrix whose columns and rows can be told apart. */
static float number(int row, int col) { return (float)(row * 3 + col % 29 - 7); }

static void check_fetch(vr_dtype type, int rows, int cols, size_t stride)
{
    const size_t size = vr_dtype_bits(type) / 8;
    char        *cells = calloc((size_t)rows * stride, size);
    float       *out = malloc((size_t)rows * (size_t)(cols + 1) * sizeof *out);
    vr_backend   be = {.ops = &vr_cpu};
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            const float    f = number(r, c);
            const uint16_t half = type == VR_F16 ? vr_f32_to_f16(f) : vr_f32_to_bf16(f);
            memcpy(cells + ((size_t)r * stride + (size_t)c) * size, type == VR_F32 ? (const void *)&f : &half, size);
        }
    for (int i = 0; i < rows * (cols + 1); i++) out[i] = -1000;
    vr_error err = {0};
    cr_assert_eq(vr_fetch(&be, out, (size_t)cols + 1, (vr_mat){(float *)(void *)cells, rows, cols, stride, type}, &err), VR_OK);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c <= cols; c++)
            cr_assert_eq(out[r * (cols + 1) + c], c < cols ? number(r, c) : -1000, "%s %dx%d: row %d, column %d",
                         vr_dtype_name(type), rows, cols, r, c);
    free(cells);
    free(out);
}

/* Broken if it fails: features and block outputs of a GPU are other numbers than it computed. */
Test(device, activations_of_any_type_are_read_back)
{
    static const vr_dtype types[] = {VR_F32, VR_F16, VR_BF16};
    for (int t = 0; t < 3; t++) {
        check_fetch(types[t], 1, 1, 1);
        check_fetch(types[t], 0, 5, 16);
        check_fetch(types[t], 20, 10, 16);      /* one piece */
        check_fetch(types[t], 70, 700, 704);    /* several rows a piece */
        check_fetch(types[t], 3, 20000, 20016); /* several pieces a row */
    }
}
