/* Every allocation and every call of the operating system fails once, and for good, in each of the loaders' tasks. */
#include "../../loaders/json.h"
#include "../../loaders/labels.h"
#include "../../loaders/safetensors.h"
#include "faults.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *single, *folder, *target, *labels, *config; /* paths, made before anything fails */

static void prepare(void)
{
    static const double d[] = {1, 2, 3};
    const vr_tensor_out a = {.name = "a", .dtype = VR_F64, .rank = 1, .shape = {3}, .data = d},
                        b = {.name = "b", .dtype = VR_F64, .rank = 1, .shape = {2}, .data = d};
    const char *const key = "format", *const value = "pt";
    scratch_begin();
    single = strdup(scratch_path("1.safetensors")), folder = strdup(scratch_path("")), target = strdup(scratch_path("target"));
    labels = strdup(scratch_path("labels")), config = strdup(scratch_path("config.json"));
    cr_assert_eq(vr_safetensors_write(single, &a, 1, &key, &value, 1, NULL), VR_OK);
    cr_assert_eq(vr_safetensors_write(scratch_path("2.safetensors"), &b, 1, &key, &value, 1, NULL), VR_OK);
    scratch_text("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}");
    scratch_text("labels", "n00000001\tcat\nn00000002\tdog\n");
    scratch_text("config.json", "{\"a\":[1,2,{\"b\":\"c\"}],\"d\":null}");
}

static vr_status read_all(const char *path, vr_error *err)
{
    vr_safetensors *st;
    double          d[3];
    vr_status       status = vr_safetensors_open(&st, path, 0, err);
    for (size_t i = 0; !status && i < vr_safetensors_count(st); i++) {
        const vr_tensor *t = vr_safetensors_at(st, i);
        status = vr_safetensors_read_f64(st, t, 0, t->elements, d, err);
        if (!status && (d[0] != 1 || d[1] != 2)) status = vr_fail(err, VR_E_NONFINITE, "", "read wrongly");
    }
    vr_safetensors_close(st);
    return status;
}

static vr_status task_single(vr_error *err) { return read_all(single, err); }
static vr_status task_shards(vr_error *err) { return read_all(folder, err); }

static vr_status task_write(vr_error *err)
{
    static const float  f[1000] = {1};
    const vr_tensor_out t[] = {{.name = "a", .dtype = VR_F32, .rank = 1, .shape = {1000}, .data = f},
                               {.name = "b", .dtype = VR_F32, .rank = 0, .data = f}};
    const char *const key = "format", *const value = "pt";
    return vr_safetensors_write(target, t, 2, &key, &value, 1, err);
}

static vr_status task_json(vr_error *err)
{
    vr_json  *doc;
    vr_status status = vr_json_read(&doc, config, 0, err);
    vr_json_free(doc);
    return status;
}

static vr_status task_labels(vr_error *err)
{
    vr_labels l;
    vr_status status = vr_labels_read(&l, labels, err);
    vr_labels_free(&l);
    return status;
}

static const struct {
    const char *name;
    vr_status (*run)(vr_error *err);
} tasks[] = {
    {"single", task_single}, {"shards", task_shards}, {"write", task_write}, {"json", task_json}, {"labels", task_labels}};
enum { TASKS = sizeof tasks / sizeof *tasks };

static int open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 100; fd++) n += lseek(fd, 0, SEEK_CUR) >= 0;
    return n;
}

/* Run a task until its n-th call no longer exists. */
static long fail_each(size_t task, fault_kind kind, bool forever, vr_status wanted)
{
    const int before = open_files();
    bool      hit = true;
    long      n = 0;
    for (; hit; n++) {
        vr_error err = {0};
        scratch_text("target", "old");
        const int entries = scratch_count();
        faults_begin(kind, n, forever);
        vr_status status = tasks[task].run(&err);
        hit = faults_end();
        /* Some failures cost nothing: qsort sorts in place, an unread folder is not synced, a file was read before close. */
        cr_assert(status == VR_OK || (hit && status == wanted), "%s, call %ld: %d %s", tasks[task].name, n, status, err.text);
        cr_assert(status == VR_OK || err.text[0] != 0);
        cr_assert_eq(open_files(), before, "%s, call %ld: a file stays open", tasks[task].name, n);
        cr_assert_eq(scratch_count(), entries, "%s, call %ld: a temporary file stays", tasks[task].name, n);
        if (kind == FAULT_MALLOC) cr_assert_eq(faults_live(), 0, "%s, call %ld: memory stays", tasks[task].name, n);
        if (status && tasks[task].run == task_write) {
            size_t length;
            char  *kept = scratch_read("target", &length);
            cr_assert_str_eq(kept, "old", "%s, call %ld", tasks[task].name, n);
            free(kept);
        }
        cr_assert_lt(n, 10000);
    }
    return n - 1;
}

/* Broken: a machine without memory crashes the loaders, or makes them leak, or they call it a bad file. */
Test(faults, every_allocation, .init = prepare, .fini = scratch_end, .timeout = 60)
{
    if (!faults_in_malloc()) return;
    for (size_t t = 0; t < TASKS; t++) {
        long once = fail_each(t, FAULT_MALLOC, false, VR_E_MEMORY), good = fail_each(t, FAULT_MALLOC, true, VR_E_MEMORY);
        printf("faults: %s, %ld and %ld failing allocations\n", tasks[t].name, once, good);
        cr_assert_geq(once, 4);
    }
}

/* Broken: an error of the disk is a crash, a leak, a success, or takes the old file with it. */
Test(faults, every_system_call, .init = prepare, .fini = scratch_end, .timeout = 60)
{
    for (size_t t = 0; t < TASKS; t++) {
        long once = fail_each(t, FAULT_IO, false, VR_E_IO), good = fail_each(t, FAULT_IO, true, VR_E_IO);
        printf("faults: %s, %ld and %ld failing system calls\n", tasks[t].name, once, good);
        cr_assert_geq(once, 4);
    }
}

/* Broken: a read that gives less than was asked for, or that a signal interrupts, is taken for the end or for an error. */
Test(faults, short_and_interrupted, .init = prepare, .fini = scratch_end, .timeout = 60)
{
    for (size_t t = 0; t < TASKS; t++)
        for (int k = FAULT_SHORT; k <= FAULT_INTERRUPT; k++) {
            vr_error err = {0};
            faults_begin((fault_kind)k, 0, true);
            vr_status status = tasks[t].run(&err);
            faults_end();
            cr_assert_eq(status, VR_OK, "%s: %s", tasks[t].name, err.text);
        }
    vr_safetensors *st; /* what was written byte by byte is complete */
    cr_assert_eq(vr_safetensors_open(&st, target, 0, NULL), VR_OK);
    cr_assert_eq(vr_safetensors_bytes(st), 4004);
    vr_safetensors_close(st);
}
