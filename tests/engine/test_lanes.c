/* If these failed, answers would depend on which of two threads computed them, or a fault in one would be lost. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

#include "../../engine/internal.h"
#include "../../kernels/cpu/cpu.h"

static const char model[] = "tests/golden/models/hf_vit"; /* 32 x 32, 17 tokens an image */

enum { IMAGES = 41, CELLS = 3 * 32 * 32 };

/* The CPU, with a sibling as a GPU has one. */
static vr_ops     ops;
static int        opened;         /* back ends */
static bool       no_memory;      /* for a sibling's run */
static atomic_int finishes;       /* micro-batches done */
static atomic_int failing_finish; /* which of them fails; 0: none */

static vr_status open_one(vr_backend *be, const vr_wish *wish, vr_error *err)
{
    vr_status status = vr_cpu.open(be, wish, err);
    be->ops = &ops;
    opened++;
    return status;
}

static vr_status open_sibling(vr_backend *be, vr_backend *of, vr_error *err)
{
    (void)of;
    return open_one(be, &(vr_wish){.threads = 1}, err);
}

static vr_status alloc(vr_backend *be, void **out, size_t bytes, vr_error *err)
{
    *out = NULL;
    return no_memory && opened == 2 ? vr_fail(err, VR_E_MEMORY, "", "refused") : vr_cpu.alloc(be, out, bytes, err);
}

static vr_status finish(vr_backend *be, vr_error *err)
{
    const int number = atomic_fetch_add(&finishes, 1) + 1;
    if (number == atomic_load(&failing_finish)) return vr_fail(err, VR_E_DEVICE, "", "the device is gone");
    return vr_cpu.finish(be, err);
}

static vitrun *open_lanes(int lanes, const vitrun_merge *merge)
{
    vr_error       err = {0};
    vitrun        *v;
    vitrun_options o = vitrun_defaults();
    ops = vr_cpu;
    ops.open = open_one, ops.open_sibling = open_sibling, ops.alloc = alloc, ops.finish = finish;
    opened = 0;
    o.model = model, o.threads = 2, o.max_batch = 3, o.lanes = lanes, o.merge = merge;
    cr_assert_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text);
    return v;
}

static const float *const *images(void)
{
    static float        pixels[IMAGES][CELLS];
    static const float *each[IMAGES];
    for (int i = 0; i < IMAGES; i++) {
        each[i] = pixels[i];
        for (int c = 0; c < CELLS; c++) pixels[i][c] = (float)((i + 3) * (c + 7 * i) % 31) / 12 - 1;
    }
    return each;
}

static void compare(const vitrun_merge *merge)
{
    static float want[IMAGES][16], got[IMAGES][16];
    vitrun_error e = {0};
    vitrun      *one = open_lanes(1, merge), *two;
    cr_expect_eq(vitrun_about(one)->lanes, 1);
    cr_assert_eq(vitrun_run(one, want[0], images(), NULL, IMAGES, &e), VITRUN_OK, "%s", e.text);
    two = open_lanes(0, merge);
    cr_expect_eq(vitrun_about(two)->lanes, 2);
    cr_expect_gt(vitrun_about(two)->activation_bytes, vitrun_about(one)->activation_bytes);
    for (int round = 0; round < 20; round++) {
        memset(got, 0, sizeof got);
        cr_assert_eq(vitrun_run(two, got[0], images(), NULL, IMAGES, &e), VITRUN_OK, "%s", e.text);
        cr_assert_eq(memcmp(got, want, sizeof got), 0, "round %d", round);
        for (int i = 0; i < IMAGES; i++) {
            int    tokens[2][64];
            double gmacs[2], merging[2];
            vitrun_cost(one, i, tokens[0], &gmacs[0], &merging[0], &e);
            cr_assert_eq(vitrun_cost(two, i, tokens[1], &gmacs[1], &merging[1], &e), VITRUN_OK, "%s", e.text);
            cr_assert_eq(memcmp(tokens[0], tokens[1], (size_t)vitrun_about(one)->depth * sizeof(int)), 0);
            cr_assert(gmacs[0] <= gmacs[1] && gmacs[0] >= gmacs[1] && merging[0] <= merging[1] && merging[0] >= merging[1]);
        }
    }
    vitrun_close(one);
    vitrun_close(two);
}

Test(lanes, give_the_same_answers)
{
    compare(NULL);
    compare(&(vitrun_merge){.method = "mame", .tau = "0.5"});
    compare(&(vitrun_merge){.method = "tome", .r = "2"});
}

Test(lanes, a_fault_in_either_ends_the_call)
{
    static float logits[IMAGES][16];
    vitrun      *v = open_lanes(2, NULL);
    for (int n = 1; n <= 14; n++) {
        vitrun_error e = {0};
        atomic_store(&finishes, 0);
        atomic_store(&failing_finish, n);
        cr_expect_eq(vitrun_run(v, logits[0], images(), NULL, IMAGES, &e), VITRUN_DEVICE, "micro-batch %d", n);
        cr_expect_str_eq(e.text, "the device is gone");
        cr_expect_eq(vitrun_cost(v, 0, NULL, NULL, NULL, &e), VITRUN_USAGE);
        atomic_store(&failing_finish, 0);
        cr_expect_eq(vitrun_run(v, logits[0], images(), NULL, IMAGES, &e), VITRUN_OK);
    }
    vitrun_close(v);
}

/* Broken if it fails: a device that has room for one lane runs nothing. */
Test(lanes, one_is_enough)
{
    static float              logits[IMAGES][16];
    static const vitrun_merge mame = {.method = "mame", .tau = "0.5"};
    vitrun_error              e = {0};
    int                       number;
    no_memory = true;
    vitrun *v = open_lanes(2, NULL);
    cr_expect_eq(vitrun_about(v)->lanes, 1);
    cr_expect_eq(vitrun_run(v, logits[0], images(), NULL, IMAGES, &e), VITRUN_OK, "%s", e.text);
    no_memory = false, opened = 0; /* there is room now, and more is needed: a second one is tried for again */
    cr_expect_eq(vitrun_add_merge(v, &mame, &number, &e), VITRUN_OK, "%s", e.text);
    cr_expect_eq(vitrun_about(v)->lanes, 2);
    cr_expect_eq(vitrun_use_merge(v, number, &e), VITRUN_OK);
    cr_expect_eq(vitrun_run(v, logits[0], images(), NULL, IMAGES, &e), VITRUN_OK, "%s", e.text);
    vitrun_close(v);
}

static int note(const vitrun_result *r, void *user)
{
    float(*logits)[16] = user;
    if (r->code == VITRUN_OK) memcpy(logits[2 * r->index + (size_t)r->setting], r->logits, 10 * sizeof(float));
    return 0;
}

Test(lanes, files_too)
{
    static const char *const  some[] = {"tests/pictures/china.jpg", "tests/bad/absent.jpg", "tests/pictures/flower.jpg",
                                        "tests/pictures/rgb.png", "tests/pictures/grey.png"};
    static const char        *paths[40];
    static float              want[80][16], got[80][16];
    static const int          both[] = {0, 1};
    static const vitrun_merge mame = {.method = "mame", .tau = "0.5"};
    vitrun_error              e = {0};
    int                       number;
    for (int i = 0; i < 40; i++) paths[i] = some[i * 7 % 5];
    for (int lanes = 1; lanes <= 2; lanes++) {
        vitrun *v = open_lanes(lanes, NULL);
        cr_assert_eq(vitrun_add_merge(v, &mame, &number, &e), VITRUN_OK, "%s", e.text);
        cr_assert_leq(vitrun_about(v)->outputs, 10);
        cr_assert_eq(vitrun_classify_under(v, both, 2, paths, 40, 0, note, lanes == 1 ? want : got, &e), VITRUN_OK, "%s",
                     e.text);
        vitrun_close(v);
    }
    cr_expect_eq(memcmp(got, want, sizeof got), 0);
    cr_expect_neq(memcmp(got[0], got[1], sizeof got[0]), 0);
}

/* Broken if it fails: who puts a table of verbs before the back end's, to watch it, sees half of the work. */
Test(lanes, a_watched_back_end_does_it_all)
{
    static float logits[IMAGES][16];
    vitrun_error e = {0};
    vitrun      *v = open_lanes(2, NULL);
    vr_ops       watched = ops;
    ops.finish = vr_cpu.finish; /* of the second lane: counts nothing */
    v->backend.ops = &watched;
    atomic_store(&finishes, 0);
    cr_expect_eq(vitrun_run(v, logits[0], images(), NULL, IMAGES, &e), VITRUN_OK, "%s", e.text);
    cr_expect_eq(atomic_load(&finishes), (IMAGES + 2) / 3);
    v->backend.ops = &ops;
    vitrun_close(v);
}

/* Broken if it fails: block outputs and traces are those of whichever micro-batch came last. */
Test(lanes, what_is_kept_is_kept_in_order)
{
    vr_error       err = {0};
    vitrun_options o = vitrun_defaults();
    vitrun        *v = open_lanes(2, NULL); /* fills in ops */
    vitrun_close(v);
    o.model = model, o.threads = 1, o.max_batch = 3, o.lanes = 2, o.keep_blocks = 1;
    cr_assert_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text);
    cr_expect_eq(vitrun_about(v)->lanes, 1);
    vitrun_close(v);
    o.keep_blocks = 0, o.keep_trace = 1;
    cr_assert_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text);
    cr_expect_eq(vitrun_about(v)->lanes, 1);
    vitrun_close(v);
    o.lanes = 3;
    cr_expect_eq(vr_open_on(&v, &o, &ops, &err), VR_E_USAGE);
}

/* ---- how many images go together ---- */

/* The micro-batches that nine images of 17 tokens are computed in where the device is fastest with so many tokens. */
static int micro_batches(int together, const vitrun_options *wanted)
{
    static float   logits[9][16];
    vr_error       err = {0};
    vitrun_error   e = {0};
    vitrun        *v;
    vitrun_options o = *wanted;
    ops = vr_cpu;
    ops.open = open_one, ops.finish = finish;
    o.model = model, o.threads = 2;
    cr_assert_eq(vr_open_on(&v, &o, &ops, &err), VR_OK, "%s", err.text);
    v->backend.together = together;
    atomic_store(&finishes, 0);
    cr_assert_eq(vitrun_run(v, logits[0], images(), NULL, 9, &e), VITRUN_OK, "%s", e.text);
    vitrun_close(v);
    return atomic_load(&finishes);
}

Test(lanes, images_go_together_as_suits_the_device_unless_more_are_asked_for)
{
    const vitrun_merge whole = {.method = "mame", .tau = "0.5", .scope = "batch"};
    vitrun_options     o = vitrun_defaults();
    const int          all = micro_batches(0, &o);
    cr_expect_eq(micro_batches(1000, &o), all);
    cr_expect_eq(micro_batches(40, &o), all + 4, "two at a time");
    cr_expect_eq(micro_batches(5, &o), all + 8, "an image is never cut");
    o.max_batch = 9;
    cr_expect_eq(micro_batches(40, &o), all, "a number that was asked for");
    o.max_batch = 0, o.keep_trace = 1;
    cr_expect_eq(micro_batches(40, &o), all, "traces are of one micro-batch");
    o.keep_trace = 0, o.merge = &whole;
    cr_expect_eq(micro_batches(40, &o), all, "a rule that looks at the batch");
}
