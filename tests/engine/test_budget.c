/* If these failed, a model that does not fit a device's memory would end the program, or be computed in batches that nobody
 * was told of. */
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

#include "../../engine/internal.h"
#include "../../kernels/cpu/cpu.h"

static const char model[] = "tests/golden/models/hf_vit"; /* 32 x 32, 17 tokens an image */

/* A device whose largest piece of memory is `room` bytes. */
static size_t room;
static bool   broken; /* it fails, but not for want of memory */
static vr_ops ops;

static vr_status open_small(vr_backend *be, const vr_wish *wish, vr_error *err)
{
    vr_status status = vr_cpu.open(be, wish, err);
    be->ops = &ops;
    return status;
}

static vr_status alloc_small(vr_backend *be, void **out, size_t bytes, vr_error *err)
{
    *out = NULL;
    if (bytes <= room) return vr_cpu.alloc(be, out, bytes, err);
    return broken ? vr_fail(err, VR_E_DEVICE, "", "the device is gone") : vr_fail(err, VR_E_MEMORY, "", "refused");
}

static size_t free_bytes(vr_backend *be)
{
    (void)be;
    return room;
}

static vitrun_options small_device(size_t bytes)
{
    vitrun_options o = vitrun_defaults();
    room = bytes, broken = false;
    ops = vr_cpu;
    ops.open = open_small, ops.alloc = alloc_small, ops.free_bytes = free_bytes;
    o.model = model, o.threads = 2;
    return o;
}

/* Bytes that a run of so many images takes. */
static size_t bytes_for(int images, const char *merge)
{
    vitrun_options     o = small_device(SIZE_MAX);
    const vitrun_merge m = {.method = merge};
    vr_error           err = {0};
    vitrun            *v;
    o.max_batch = images, o.merge = &m;
    cr_assert_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text);
    const size_t bytes = vitrun_about(v)->activation_bytes;
    cr_expect_eq(vitrun_about(v)->max_batch, images);
    vitrun_close(v);
    return bytes;
}

Test(budget, is_halved_until_it_fits)
{
    static float   pixels[9][3 * 32 * 32], logits[9][16], want[9][16];
    const float   *each[9];
    const size_t   fits = bytes_for(40, "none");
    vr_error       err = {0};
    vitrun_error   e = {0};
    vitrun        *v;
    vitrun_options o = small_device(fits);
    for (int i = 0; i < 9; i++) {
        each[i] = pixels[i];
        for (int c = 0; c < 3 * 32 * 32; c++) pixels[i][c] = (float)((i + 1) * c % 17) / 8 - 1;
    }
    cr_assert_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text); /* 2048 tokens, 1024, 512 */
    cr_expect_eq(vitrun_about(v)->max_batch, 512 / 17);
    cr_expect(strstr(vitrun_about(v)->why_smaller, "batches of 120 images") &&
                  strstr(vitrun_about(v)->why_smaller, "computing 30"),
              "%s", vitrun_about(v)->why_smaller);
    cr_expect_eq(vitrun_run(v, logits[0], each, NULL, 9, &e), VITRUN_OK, "%s", e.text);
    vitrun_close(v);
    o = small_device(SIZE_MAX);
    cr_assert_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text);
    cr_expect_str_eq(vitrun_about(v)->why_smaller, "");
    cr_expect_eq(vitrun_run(v, want[0], each, NULL, 9, &e), VITRUN_OK, "%s", e.text);
    cr_expect_eq(memcmp(logits, want, 9 * sizeof(float) * (size_t)vitrun_about(v)->outputs), 0);
    vitrun_close(v);
}

Test(budget, ends_at_one_image)
{
    const size_t   one = bytes_for(1, "none");
    vr_error       err = {0};
    vitrun        *v;
    vitrun_options o = small_device(one);
    cr_assert_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text);
    cr_expect_eq(vitrun_about(v)->max_batch, 1);
    vitrun_close(v);
    o = small_device(one - 64);
    cr_expect_eq(vr_open_on(&v, &o, &ops, &err), VR_E_MEMORY);
    cr_expect(strstr(err.text, "batches of 120 images") && strstr(err.text, "Not even one image fits"), "%s", err.text);
    cr_expect_null(v);
}

/* Broken if it fails: somebody who measures batches of 64 measures others. */
Test(budget, that_was_asked_for_is_kept_or_refused)
{
    const size_t   fits = bytes_for(23, "none");
    vr_error       err = {0};
    vitrun        *v;
    vitrun_options o = small_device(fits);
    o.max_batch = 64;
    cr_expect_eq(vr_open_on(&v, &o, &ops, &err), VR_E_MEMORY);
    cr_expect(strstr(err.text, "batches of 64 images need") && strstr(err.text, "--max-batch 23"), "%s", err.text);
    o.max_batch = 23;
    err = (vr_error){0};
    cr_expect_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text);
    vitrun_close(v);
    o.max_batch = INT_MAX;
    cr_expect_eq(vr_open_on(&v, &o, &ops, &err), VR_E_USAGE);
    o.max_batch = 2, o.token_budget = 2;
    cr_expect_eq(vr_open_on(&v, &o, &ops, &err), VR_E_USAGE);
    o.max_batch = -1, o.token_budget = 0;
    cr_expect_eq(vr_open_on(&v, &o, &ops, &err), VR_E_USAGE);
}

Test(budget, other_faults_are_not_for_want_of_memory)
{
    vr_error       err = {0};
    vitrun        *v;
    vitrun_options o = small_device(bytes_for(10, "none"));
    room -= 64, broken = true;
    cr_expect_eq(vr_open_on(&v, &o, &ops, &err), VR_E_DEVICE);
    cr_expect_str_eq(err.text, "the device is gone");
}

/* Broken if it fails: a model that runs can be broken by a way of merging that there is no memory for. */
Test(budget, is_halved_for_another_way_of_merging_too)
{
    static const vitrun_merge mame = {.method = "mame", .tau = "0.5"};
    static const float        pixels[3 * 32 * 32];
    const float *const        one[] = {pixels};
    const size_t              fits = bytes_for(50, "mame");
    float                     logits[16];
    int                       number = -1;
    vr_error                  err = {0};
    vitrun_error              e = {0};
    vitrun                   *v;
    vitrun_options            o = small_device(fits);
    o.token_budget = 60 * 17; /* fits unmerged only */
    cr_assert_lt(bytes_for(60, "none"), fits);
    room = fits;
    cr_assert_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text);
    cr_expect_eq(vitrun_add_merge(v, &mame, &number, &e), VITRUN_MEMORY);
    cr_expect(strstr(e.text, "--max-batch 50"), "%s", e.text);
    cr_expect_eq(vitrun_run(v, logits, one, NULL, 1, &e), VITRUN_OK, "%s", e.text);
    vitrun_close(v);
    o.token_budget = 0;
    room = SIZE_MAX;
    cr_assert_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text);
    room = fits;
    cr_expect_eq(vitrun_add_merge(v, &mame, &number, &e), VITRUN_OK, "%s", e.text);
    cr_expect(strstr(vitrun_about(v)->why_smaller, "computing 30"), "%s", vitrun_about(v)->why_smaller);
    cr_expect_eq(vitrun_use_merge(v, number, &e), VITRUN_OK);
    cr_expect_eq(vitrun_run(v, logits, one, NULL, 1, &e), VITRUN_OK, "%s", e.text);
    vitrun_close(v);
}
