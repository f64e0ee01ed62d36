/* From picture files to results: what the model may be given, and what a caller is told. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../engine/internal.h"
#include "../../kernels/cpu/cpu.h"
#include "../../loaders/file.h"
#include "../loaders/scratch.h"

static const char good[] = "tests/golden/models/hf_vit"; /* 32 x 32, patches of 8 */

static void copy(const char *name)
{
    char     from[200], *bytes;
    size_t   length;
    vr_error err = {0};
    snprintf(from, sizeof from, "%s/%s", good, name);
    cr_assert_eq(vr_file_read(&bytes, &length, from, 1 << 24, &err), VR_OK, "%s", err.text);
    scratch_write(name, bytes, length);
    free(bytes);
}

/* The good model with another preprocessor_config.json; NULL: with its own. */
static vitrun *open_with(const char *preprocessor)
{
    vitrun        *v;
    vitrun_error   e = {0};
    vitrun_options o = vitrun_defaults();
    copy("config.json");
    copy("model.safetensors");
    if (preprocessor)
        scratch_text("preprocessor_config.json", preprocessor);
    else
        copy("preprocessor_config.json");
    o.device = "cpu";
    o.model = scratch_path("."), o.threads = 1;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    return v;
}

/* A grey picture of a size. */
static size_t make_picture(char out[1 << 14], int width, int height)
{
    int n = snprintf(out, 1 << 14, "P5 %d %d 255\n", width, height);
    for (int i = 0; i < width * height; i++) out[n + i] = (char)(i * 7);
    return (size_t)(n + width * height);
}

/* Broken if it fails: a picture is cropped where the model's own library takes it whole or not at all. */
Test(pictures, what_is_not_cropped_must_come_out_at_the_models_size, .init = scratch_begin, .fini = scratch_end)
{
    static const struct {
        const char *preprocessor;
        int         width, height, code;
    } table[] = {
        {"{\"do_resize\":false}", 32, 32, VITRUN_OK},
        {"{\"do_resize\":false}", 40, 32, VITRUN_IMAGE},
        {"{\"do_resize\":false}", 32, 31, VITRUN_IMAGE},
        {"{\"do_resize\":false,\"do_center_crop\":true,\"crop_size\":32}", 40, 33, VITRUN_OK},
        {"{\"size\":{\"shortest_edge\":32}}", 64, 64, VITRUN_OK},
        {"{\"size\":{\"shortest_edge\":32}}", 64, 32, VITRUN_IMAGE},
        {"{\"size\":{\"height\":32,\"width\":32}}", 64, 40, VITRUN_OK},
    };
    static char  bytes[1 << 14];
    static float pixels[3 * 32 * 32];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        vitrun_error e = {0};
        vitrun      *v = open_with(table[i].preprocessor);
        size_t       length = make_picture(bytes, table[i].width, table[i].height);
        cr_expect_eq(vitrun_pixels_of_memory(v, bytes, length, pixels, &e), table[i].code, "case %zu: %s", i, e.text);
        vitrun_close(v);
    }
}

/* Broken if it fails: somebody who goes through pictures with one vitrun_error reads the first failure's sentence for all. */
Test(pictures, an_error_is_that_of_the_last_failure, .init = scratch_begin, .fini = scratch_end)
{
    static float pixels[3 * 32 * 32];
    vitrun_error e = {0};
    vitrun      *v = open_with(NULL);
    cr_expect_eq(vitrun_pixels_of_file(v, "absent.jpg", pixels, &e), VITRUN_IO);
    cr_expect_eq(vitrun_pixels_of_memory(v, "hello", 5, pixels, &e), VITRUN_IMAGE);
    cr_expect_eq(e.code, VITRUN_IMAGE);
    cr_expect(strstr(e.text, "no picture"), "%s", e.text);
    vitrun_close(v);
}

static bool get_fails;

static vr_status get(vr_backend *be, void *host, const void *src, size_t bytes, vr_error *err)
{
    if (get_fails) return vr_fail(err, VR_E_DEVICE, "get", "the device is gone");
    return vr_cpu.get(be, host, src, bytes, err);
}

static int count_answers(const vitrun_result *r, void *user)
{
    *(int *)user += r->code == VITRUN_OK;
    return 0;
}

/* Broken if it fails: after block outputs could not be kept once, the same vitrun never classifies again. */
Test(pictures, a_failed_run_does_not_spoil_the_next)
{
    static const char *const paths[] = {"tests/pictures/rgb.png", "tests/pictures/grey.png"};
    static const float       pixels[3 * 32 * 32];
    const float *const       one[] = {pixels};
    vr_ops                   ops = vr_cpu;
    vitrun_error             e = {0};
    vitrun_options           o = vitrun_defaults();
    float                    logits[16];
    int                      answers = 0;
    vitrun                  *v;
    ops.get = get;
    o.device = "cpu";
    o.model = good, o.threads = 1, o.keep_blocks = 1;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    v->backend.ops = &ops;
    get_fails = true;
    cr_expect_eq(vitrun_run(v, logits, one, NULL, 1, &e), VITRUN_DEVICE);
    get_fails = false;
    cr_expect_eq(vitrun_classify(v, paths, 2, 0, count_answers, &answers, &e), VITRUN_OK, "%s", e.text);
    cr_expect_eq(answers, 2);
    cr_expect_eq(vitrun_run(v, logits, one, NULL, 1, &e), VITRUN_OK, "%s", e.text);
    vitrun_close(v);
}

/* Broken if it fails: no images at all are an error, or undefined behaviour. */
Test(pictures, a_run_of_nothing)
{
    int            offsets[1] = {7};
    float          out[1];
    vitrun        *v;
    vitrun_error   e = {0};
    vitrun_options o = vitrun_defaults();
    o.device = "cpu";
    o.model = good, o.threads = 1, o.keep_blocks = 1;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    cr_expect_eq(vitrun_run(v, out, NULL, NULL, 0, &e), VITRUN_OK, "%s", e.text);
    cr_expect_eq(vitrun_block_output(v, 0, out, offsets, &e), VITRUN_OK, "%s", e.text);
    cr_expect_eq(offsets[0], 0);
    vitrun_close(v);
}

/* Broken if it fails: a caller who saves three quarters of the memory gets other answers. */
Test(pictures, bytes_give_the_logits_of_pixels)
{
    static const char *const path[] = {"tests/pictures/china.jpg", "tests/pictures/rgb.png"};
    static uint8_t           rgb[2][3 * 32 * 32];
    static float             pixels[2][3 * 32 * 32], want[2][16], got[2][16], of_file[16];
    vitrun                  *v;
    vitrun_error             e = {0};
    vitrun_options           o = vitrun_defaults();
    o.model = good, o.threads = 2;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    const size_t outputs = (size_t)vitrun_about(v)->outputs;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(vitrun_crop_of_file(v, path[i], rgb[i], &e), VITRUN_OK, "%s", e.text);
        cr_assert_eq(vitrun_pixels_of_file(v, path[i], pixels[i], &e), VITRUN_OK, "%s", e.text);
        cr_assert_eq(vitrun_run(v, want[i], (const float *const[]){pixels[i]}, NULL, 1, &e), VITRUN_OK, "%s", e.text);
    }
    cr_assert_eq(vitrun_run_rgb(v, got[0], (const uint8_t *const[]){rgb[0]}, NULL, 1, &e), VITRUN_OK, "%s", e.text);
    cr_assert_eq(vitrun_run_rgb(v, got[1], (const uint8_t *const[]){rgb[1]}, NULL, 1, &e), VITRUN_OK, "%s", e.text);
    cr_assert_eq(vitrun_logits_of_file(v, path[1], of_file, &e), VITRUN_OK, "%s", e.text);
    for (int i = 0; i < 2; i++) cr_expect_eq(memcmp(got[i], want[i], outputs * sizeof(float)), 0, "picture %d", i);
    cr_expect_eq(memcmp(of_file, want[1], outputs * sizeof(float)), 0);
    cr_expect_neq(memcmp(want[0], want[1], outputs * sizeof(float)), 0);
    cr_expect_eq(vitrun_crop_of_file(v, "absent.jpg", rgb[0], &e), VITRUN_IO);
    vitrun_close(v);
}

static int note_error(const vitrun_result *r, void *user)
{
    snprintf(user, 600, "%s", r->error ? r->error : "");
    return 0;
}

/* Broken if it fails: among a thousand pictures nobody can tell which one does not suit the model. */
Test(pictures, what_does_not_suit_is_named, .init = scratch_begin, .fini = scratch_end)
{
    static const char *const path[] = {"tests/pictures/rgb.png"}; /* 25 x 18 */
    static float             pixels[3 * 32 * 32];
    char                     text[600] = "";
    vitrun_error             e = {0};
    vitrun                  *v = open_with("{\"do_resize\":false}");
    cr_expect_eq(vitrun_pixels_of_file(v, path[0], pixels, &e), VITRUN_IMAGE);
    cr_expect(strstr(e.text, "rgb.png") && strstr(e.text, "25x18"), "%s", e.text);
    cr_expect_eq(vitrun_classify(v, path, 1, 0, note_error, text, &e), VITRUN_OK, "%s", e.text);
    cr_expect(strstr(text, "rgb.png") && strstr(text, "25x18"), "%s", text);
    vitrun_close(v);
}

/* Broken if it fails: a size of which one side was forgotten runs the model at another. */
Test(pictures, one_side_is_no_size)
{
    vitrun        *v;
    vitrun_error   e = {0};
    vitrun_options o = vitrun_defaults();
    o.device = "cpu";
    o.model = good, o.image_width = 16;
    cr_expect_eq(vitrun_open(&v, &o, &e), VITRUN_USAGE);
    cr_expect(strstr(e.text, "0x16"), "%s", e.text);
    vitrun_close(v);
}

typedef struct {
    int   calls, outputs;
    float logits[64][16];
    char  order[64]; /* path and setting of each call, in one number */
    int   tokens[64];
} answers;

static int note_answer(const vitrun_result *r, void *user)
{
    answers *a = user;
    a->order[a->calls] = (char)(10 * (int)r->index + r->setting);
    if (r->code == VITRUN_OK) {
        memcpy(a->logits[a->calls], r->logits, (size_t)a->outputs * sizeof(float));
        a->tokens[a->calls] = r->tokens[0];
    }
    a->calls++;
    return 0;
}

/* Broken if it fails: a sweep gives a setting the answers of another, or of another picture. */
Test(pictures, many_settings_give_what_each_gives_alone)
{
    static const char *const  paths[] = {"tests/pictures/china.jpg", "tests/bad/absent.jpg", "tests/pictures/flower.jpg",
                                         "tests/pictures/rgb.png", "tests/pictures/grey.png"};
    static const vitrun_merge ways[] = {{.method = "none"}, {.method = "mame", .tau = "0.5"}, {.method = "tome", .r = "2"}};
    static const int          asked[] = {2, 0, 1};
    static answers            together, alone;
    vitrun_error              e = {0};
    vitrun_options            o = vitrun_defaults();
    vitrun                   *v;
    int                       number[3] = {0};
    o.device = "cpu";
    o.model = good, o.threads = 2;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    for (int k = 1; k < 3; k++) cr_assert_eq(vitrun_add_merge(v, &ways[k], &number[k], &e), VITRUN_OK, "%s", e.text);
    cr_expect_str_eq(vitrun_about(v)->merge, "none");
    cr_expect_str_eq(vitrun_merge_name(v, number[2]), "tome_r2");
    together.outputs = alone.outputs = vitrun_about(v)->outputs;
    cr_assert_eq(vitrun_classify_under(v, asked, 3, paths, 5, 2, note_answer, &together, &e), VITRUN_OK, "%s", e.text);
    cr_assert_eq(together.calls, 15);
    for (int i = 0; i < 15; i++) cr_expect_eq(together.order[i], 10 * (i / 3) + i % 3);
    for (int k = 0; k < 3; k++) {
        alone.calls = 0;
        cr_assert_eq(vitrun_use_merge(v, asked[k], &e), VITRUN_OK);
        cr_assert_eq(vitrun_classify(v, paths, 5, 3, note_answer, &alone, &e), VITRUN_OK, "%s", e.text);
        for (int i = 0; i < 5; i++) {
            cr_expect_eq(memcmp(alone.logits[i], together.logits[3 * i + k], sizeof alone.logits[i]), 0, "%d %d", i, k);
            cr_expect_eq(alone.tokens[i], together.tokens[3 * i + k]);
        }
    }
    cr_expect_neq(memcmp(together.logits[0], together.logits[1], sizeof together.logits[0]), 0);
    cr_expect_eq(vitrun_use_merge(v, 3, &e), VITRUN_USAGE);
    cr_expect_eq(vitrun_add_merge(v, &(vitrun_merge){.method = "tome", .r = "-1"}, &number[0], &e), VITRUN_USAGE);
    vitrun_close(v);
}

static void slow_pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how)
{
    const double until = vr_now() + 0.01;
    while (vr_now() < until) {}
    vr_cpu.pool(be, y, x, rows, how);
}

static int count_logits(const vitrun_result *r, void *user)
{
    *(int *)user += r->logits != NULL;
    return 0;
}

/* Broken if it fails: bench --end-to-end blames the wrong stage. */
Test(pictures, stages_tell_who_worked_and_who_waited)
{
    enum { PICTURES = 24, BATCH = 2 };
    const char    *paths[PICTURES];
    vr_ops         ops = vr_cpu;
    vr_stages      s;
    vr_error       err = {0};
    vitrun_error   e = {0};
    vitrun_options o = vitrun_defaults();
    vitrun        *v;
    int            given = 0;
    for (int i = 0; i < PICTURES; i++) paths[i] = i == 5 ? "tests/bad/absent.jpg" : "tests/pictures/grey.png";
    ops.pool = slow_pool;
    o.model = good, o.threads = 2;
    cr_assert_eq(vitrun_open(&v, &o, &e), VITRUN_OK, "%s", e.text);
    v->backend.ops = &ops;
    cr_assert_eq(vr_classify_files(v, &v->used, 1, NULL, paths, PICTURES, BATCH, count_logits, &given, &s, &err), VR_OK);
    cr_expect(s.pictures == PICTURES && s.failed == 1 && given == PICTURES - 1 && s.decoders == 2);
    cr_expect(s.compute >= 0.01 * PICTURES / BATCH && s.whole >= s.compute + s.compute_waited);
    cr_expect(s.decode > 0 && s.resize > 0 && s.decoders_waited > s.compute_waited, "%g %g", s.decoders_waited,
              s.compute_waited);
    given = 0;
    cr_assert_eq(vr_classify_files(v, NULL, 0, NULL, paths, PICTURES, BATCH, count_logits, &given, &s, &err), VR_OK);
    cr_expect(s.pictures == PICTURES && s.failed == 1 && given == 0 && s.compute <= 0 && s.decode > 0);
    v->backend.ops = &vr_cpu;
    vitrun_close(v);
}
