/* Opening, reading and writing safetensors files.  What must be refused is in test_bad.c. */
#include "../../loaders/safetensors.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static vr_safetensors *open_good(const char *path)
{
    vr_error        err = {0};
    vr_safetensors *st;
    cr_assert_eq(vr_safetensors_open(&st, path, 0, &err), VR_OK, "%s", err.text);
    return st;
}

static void expect_open(const char *path, vr_status status, const char *rule)
{
    vr_error        err = {0};
    vr_safetensors *st;
    cr_expect_eq(vr_safetensors_open(&st, path, 0, &err), status, "%s: %s", path, err.text);
    cr_expect_str_eq(err.rule ? err.rule : "ok", rule, "%s: %s", path, err.text);
    cr_expect_null(st);
}

static const char mixed[] = "{\"__metadata__\":{\"format\":\"pt\",\"caf\\u00e9\":\"a\\nb\"},"
                            "\"i\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                            "\"h\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[2,8]},"
                            "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]},"
                            "\"f\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[12,20]},"
                            "\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[20,36]},"
                            "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[36,36]}}";

/* A file of all types that can be read, at places that suit none of them. */
static unsigned char *mixed_file(size_t *length)
{
    unsigned char *file = scratch_safetensors(mixed, 36, length), *data = file + *length - 36;
    memcpy(data + 2, (uint16_t[]){0x3C00, 0xC000, 0x0001}, 6);
    memcpy(data + 8, (uint16_t[]){0x3F80, 0xC040}, 4);
    memcpy(data + 12, (float[]){1.25f, -7}, 8);
    memcpy(data + 20, (double[]){0.1, 1e300}, 16);
    return file;
}

static void check_mixed(const vr_safetensors *st)
{
    static const struct {
        const char *name;
        uint64_t    count;
        double      value[3];
    } wanted[] = {{"h", 3, {1, -2, 0x1p-24}},
                  {"b", 2, {1, -3, 0}},
                  {"f", 2, {1.25, -7, 0}},
                  {"d", 2, {0.1, 1e300, 0}},
                  {"empty", 0, {0}}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        vr_error         err = {0};
        float            f[4] = {0, 0, 0, 42};
        double           d[4] = {0, 0, 0, 42};
        const vr_tensor *t = vr_safetensors_find(st, wanted[i].name);
        cr_assert_not_null(t);
        cr_assert_eq(t->elements, wanted[i].count);
        cr_assert_eq(vr_safetensors_read_f32(st, t, 0, t->elements, f, &err), VR_OK, "%s", err.text);
        cr_assert_eq(vr_safetensors_read_f64(st, t, 0, t->elements, d, &err), VR_OK, "%s", err.text);
        for (size_t k = 0; k < 3; k++) {
            cr_expect_eq(f[k], (float)wanted[i].value[k], "%s[%zu]", wanted[i].name, k);
            cr_expect_eq(d[k], wanted[i].value[k], "%s[%zu]", wanted[i].name, k);
        }
        if (t->elements < 2) continue;
        cr_assert_eq(vr_safetensors_read_f32(st, t, 1, 1, f, &err), VR_OK); /* a part of it */
        cr_assert_eq(vr_safetensors_read_f64(st, t, 1, 1, d, &err), VR_OK);
        cr_expect_eq(f[0], (float)wanted[i].value[1]);
        cr_expect_eq(d[0], wanted[i].value[1]);
        cr_assert_eq(f[3] + d[3], 84);
    }
}

/* Broken: a weight is read from the wrong place or converted wrongly; from memory at any alignment, or from a file. */
Test(safetensors, reads_every_type, .init = scratch_begin, .fini = scratch_end)
{
    size_t          length;
    unsigned char  *file = mixed_file(&length), *moved = malloc(length + 1);
    vr_safetensors *st;
    scratch_write("m.safetensors", file, length);
    st = open_good(scratch_path("m.safetensors"));
    check_mixed(st);
    vr_safetensors_close(st);
    for (int shift = 0; shift < 2; shift++) {
        memcpy(moved + shift, file, length);
        cr_assert_eq(vr_safetensors_open_memory(&st, moved + shift, length, 0, NULL), VR_OK);
        check_mixed(st);
        vr_safetensors_close(st);
    }
    free(moved);
    free(file);
}

/* Broken: names, order, metadata or raw bytes are not what the file says. */
Test(safetensors, tells_what_is_there, .init = scratch_begin, .fini = scratch_end)
{
    static const char *const names[] = {"b", "d", "empty", "f", "h", "i"};
    size_t                   length;
    unsigned char           *file = mixed_file(&length), raw[2];
    scratch_write("m.safetensors", file, length);
    const char     *path = scratch_path("m.safetensors");
    vr_safetensors *st = open_good(path);
    cr_assert_eq(vr_safetensors_count(st), 6);
    for (size_t i = 0; i < 6; i++) cr_assert_str_eq(vr_safetensors_at(st, i)->name, names[i]);
    cr_assert_null(vr_safetensors_at(st, 6));
    cr_assert_null(vr_safetensors_find(st, "F"));
    cr_assert_null(vr_safetensors_find(st, ""));
    cr_assert_str_eq(vr_safetensors_metadata(st, "format"), "pt");
    cr_assert_str_eq(vr_safetensors_metadata(st, "caf\xc3\xa9"), "a\nb");
    cr_assert_null(vr_safetensors_metadata(st, "Format"));
    cr_assert_str_eq(vr_safetensors_path(st), path);
    cr_assert_eq(vr_safetensors_bytes(st), 36);
    const vr_tensor *f = vr_safetensors_find(st, "f");
    cr_assert(f->rank == 2 && f->shape[0] == 1 && f->shape[1] == 2 && f->dtype == VR_F32 && f->shard == 0);
    cr_assert_eq(vr_safetensors_read_raw(st, vr_safetensors_find(st, "i"), raw, NULL), VR_OK);
    cr_assert(raw[0] == 0 && raw[1] == 1);
    vr_safetensors_close(st);
    vr_safetensors_close(NULL);
    free(file);
}

/* Broken: a request outside the tensor reads its neighbour, or a type without a meaning as numbers is read all the same. */
Test(safetensors, refuses_wrong_requests)
{
    size_t          length;
    unsigned char  *file = mixed_file(&length);
    float           f[4];
    double          d[4];
    vr_safetensors *st;
    cr_assert_eq(vr_safetensors_open_memory(&st, file, length, 0, NULL), VR_OK);
    const vr_tensor      *h = vr_safetensors_find(st, "h"), *i = vr_safetensors_find(st, "i");
    static const uint64_t wrong[][2] = {{0, 4}, {3, 1}, {4, 0}, {UINT64_MAX, 1}, {1, UINT64_MAX}, {2, 2}};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        vr_error err = {0};
        cr_expect_eq(vr_safetensors_read_f32(st, h, wrong[k][0], wrong[k][1], f, &err), VR_E_USAGE);
        cr_expect_eq(vr_safetensors_read_f64(st, h, wrong[k][0], wrong[k][1], d, NULL), VR_E_USAGE);
        cr_expect_str_eq(err.rule, "range");
    }
    cr_assert_eq(vr_safetensors_read_f32(st, h, 3, 0, f, NULL), VR_OK);
    vr_error err = {0};
    cr_assert_eq(vr_safetensors_read_f32(st, i, 0, 2, f, &err), VR_E_MODEL);
    cr_assert_str_eq(err.rule, "dtype");
    cr_assert_not_null(strstr(err.text, "'i' is I8"), "%s", err.text);
    cr_assert_eq(vr_safetensors_read_f64(st, i, 0, 2, d, NULL), VR_E_MODEL);
    vr_safetensors_close(st);
    free(file);
}

/* Broken: the limit of a header is not the caller's. */
Test(safetensors, header_limit)
{
    size_t          length;
    unsigned char  *file = mixed_file(&length);
    const size_t    n = sizeof mixed - 1;
    vr_safetensors *st;
    cr_assert_eq(vr_safetensors_open_memory(&st, file, length, n, NULL), VR_OK);
    vr_safetensors_close(st);
    vr_error err = {0};
    cr_assert_eq(vr_safetensors_open_memory(&st, file, length, n - 1, &err), VR_E_MODEL);
    cr_assert_str_eq(err.rule, "header-too-large");
    cr_assert_eq(vr_safetensors_open_memory(&st, file, length, 100000000, NULL), VR_OK);
    vr_safetensors_close(st);
    cr_assert_eq(vr_safetensors_open_memory(&st, file, length, 100000001, NULL), VR_E_USAGE);
    cr_assert_null(st);
    free(file);
}

/* Broken: a FIFO, a device, a folder or a missing file makes the program wait, or gets a message about something else. */
Test(safetensors, special_files, .init = scratch_begin, .fini = scratch_end, .timeout = 10)
{
    cr_assert_eq(mkfifo(scratch_path("pipe"), 0600), 0);
    cr_assert_eq(symlink("loop", scratch_path("loop")), 0);
    expect_open(scratch_path("pipe"), VR_E_IO, "not-a-file");
    expect_open(scratch_path("absent.safetensors"), VR_E_IO, "open");
    expect_open(scratch_path("loop"), VR_E_IO, "open");
    expect_open("/dev/zero", VR_E_IO, "not-a-file");
    expect_open("/dev/null", VR_E_IO, "not-a-file");
    expect_open("", VR_E_IO, "open");
    expect_open(scratch_path(""), VR_E_MODEL, "no-checkpoint");
    cr_assert_eq(mkdir(scratch_path("model.safetensors"), 0700), 0);
    expect_open(scratch_path(""), VR_E_IO, "not-a-file");
}

/* Broken: a folder's checkpoint is not found, or is named otherwise than the user named it. */
Test(safetensors, folder, .init = scratch_begin, .fini = scratch_end)
{
    size_t         length;
    unsigned char *file = mixed_file(&length);
    scratch_write("model.safetensors", file, length);
    const char     *path = scratch_path("");
    vr_safetensors *st = open_good(path);
    cr_assert_str_eq(vr_safetensors_path(st), path);
    check_mixed(st);
    vr_safetensors_close(st);
    free(file);
}

/* Broken: a file that shrinks while it is used is a SIGBUS, or its missing bytes are read as old memory. */
Test(safetensors, file_that_shrinks, .init = scratch_begin, .fini = scratch_end)
{
    size_t         length;
    unsigned char *file = mixed_file(&length);
    float          f[4];
    vr_error       err = {0};
    scratch_write("m.safetensors", file, length);
    vr_safetensors  *st = open_good(scratch_path("m.safetensors"));
    const vr_tensor *t = vr_safetensors_find(st, "h");
    cr_assert_eq(truncate(scratch_path("m.safetensors"), (off_t)length - 1), 0);
    cr_assert_eq(vr_safetensors_read_f32(st, t, 0, 3, f, &err), VR_E_IO);
    cr_assert_str_eq(err.rule, "file-shrank");
    cr_assert_eq(vr_safetensors_read_raw(st, t, f, NULL), VR_E_IO);
    vr_safetensors_close(st);
    free(file);
}

/* ---- Many elements, many threads ---- */

enum { MANY = 300001, THREADS = 4 };

static double many_value(size_t i) { return (double)(i % 2000) - 1000; } /* exact in F16 */

typedef struct {
    const vr_safetensors *st;
    int                   failures;
} reader;

static void *read_many(void *argument)
{
    reader          *r = argument;
    const vr_tensor *t = vr_safetensors_find(r->st, "h");
    float           *f = malloc(MANY * sizeof *f);
    for (size_t first = 0; first < MANY; first += 70001) {
        r->failures += vr_safetensors_read_f32(r->st, t, first, MANY - first, f, NULL) != VR_OK;
        for (size_t i = first; i < MANY; i++) r->failures += (double)f[i - first] != many_value(i);
    }
    free(f);
    return NULL;
}

/* Broken: tensors longer than one chunk are wrong at its seams, or two readers disturb each other. */
Test(safetensors, many_elements_many_threads, .init = scratch_begin, .fini = scratch_end)
{
    uint16_t *h = malloc(MANY * sizeof *h);
    for (size_t i = 0; i < MANY; i++) h[i] = vr_f32_to_f16((float)many_value(i));
    const vr_tensor_out t = {.name = "h", .dtype = VR_F16, .rank = 1, .shape = {MANY}, .data = h};
    cr_assert_eq(vr_safetensors_write(scratch_path("h"), &t, 1, NULL, NULL, 0, NULL), VR_OK);
    vr_safetensors *st = open_good(scratch_path("h"));
    pthread_t       thread[THREADS];
    reader          r[THREADS];
    for (int i = 0; i < THREADS; i++) {
        r[i] = (reader){st, 0};
        cr_assert_eq(pthread_create(&thread[i], NULL, read_many, &r[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        cr_assert_eq(r[i].failures, 0);
    }
    double *d = malloc(MANY * sizeof *d);
    cr_assert_eq(vr_safetensors_read_f64(st, vr_safetensors_find(st, "h"), 0, MANY, d, NULL), VR_OK);
    for (size_t i = 0; i < MANY; i++) cr_assert_eq(d[i], many_value(i));
    free(d);
    vr_safetensors_close(st);
    free(h);
}

/* ---- The writer ---- */

static const char *write_one(const char *path, vr_tensor_out t, vr_status wanted)
{
    static vr_error err;
    err = (vr_error){0};
    cr_assert_eq(vr_safetensors_write(path, &t, 1, NULL, NULL, 0, &err), wanted, "%s", err.text);
    return err.rule ? err.rule : "ok";
}

static const float two[] = {1, 2};

static vr_tensor_out good_tensor(const char *name)
{
    return (vr_tensor_out){.name = name, .dtype = VR_F32, .rank = 1, .shape = {2}, .data = two};
}

/* A random tensor into memory of its own. */
static vr_tensor_out random_tensor(uint64_t *random, int serial)
{
    static const char *const odd[] = {"", "\"", "\\", "/", " ", "\x7f", "caf\xc3\xa9", "\xf0\x9f\x98\x80", "\\u0041", "%s"};
    vr_tensor_out t = {.dtype = (vr_dtype)(scratch_random(random) % VR_DTYPES), .rank = (int)(scratch_random(random) % 9)};
    char         *name;
    size_t        elements = 1;
    cr_assert_gt(asprintf(&name, "%s.%d", odd[scratch_random(random) % (sizeof odd / sizeof *odd)], serial), 0);
    for (int d = 0; d < t.rank; d++) t.shape[d] = scratch_random(random) % 4, elements *= t.shape[d];
    if (elements * vr_dtype_bits(t.dtype) % 8) t.dtype = VR_BOOL;
    size_t         bytes = elements * vr_dtype_bits(t.dtype) / 8;
    unsigned char *data = malloc(bytes ? bytes : 1);
    for (size_t i = 0; i < bytes; i++) data[i] = (unsigned char)scratch_random(random);
    t.name = name;
    t.data = data;
    return t;
}

static void check_written(const vr_safetensors *st, const vr_tensor_out *out)
{
    const vr_tensor *t = vr_safetensors_find(st, out->name);
    cr_assert_not_null(t, "%s", out->name);
    cr_assert(t->dtype == out->dtype && t->rank == out->rank);
    for (int d = 0; d < t->rank; d++) cr_assert_eq(t->shape[d], out->shape[d]);
    unsigned char *raw = malloc(t->bytes ? t->bytes : 1);
    cr_assert_eq(vr_safetensors_read_raw(st, t, raw, NULL), VR_OK);
    cr_assert_eq(memcmp(raw, out->data, t->bytes), 0, "%s", out->name);
    free(raw);
}

/* What "-" writes, in memory: the disk's fsync would make the many files below take minutes. */
static char *write_to_memory(const vr_tensor_out *t, size_t count, const char *const *keys, const char *const *values,
                             size_t pairs, size_t *length)
{
    vr_error err = {0};
    fflush(stdout);
    int kept = dup(1), memory = memfd_create("written", 0);
    cr_assert(kept >= 0 && memory >= 0);
    dup2(memory, 1);
    vr_status status = vr_safetensors_write("-", t, count, keys, values, pairs, &err);
    dup2(kept, 1);
    close(kept);
    cr_assert_eq(status, VR_OK, "%s", err.text);
    *length = (size_t)lseek(memory, 0, SEEK_END);
    char *bytes = malloc(*length);
    cr_assert_eq(pread(memory, bytes, *length, 0), (ssize_t)*length);
    close(memory);
    return bytes;
}

/* Broken: what we write, we cannot read, or is not what was written.  10,000 random files. */
Test(safetensors, written_is_read, .timeout = 120)
{
    static const char *const keys[] = {"format", "quote\"\\\n\x01", ""}, *const values[] = {"pt", "\t{\"a\":1}\x1f",
                                                                                            "caf\xc3\xa9"};
    uint64_t random = 7;
    for (int round = 0; round < 10000; round++) {
        vr_tensor_out   t[12];
        vr_error        err = {0};
        vr_safetensors *st;
        size_t          length;
        const size_t    count = scratch_random(&random) % 12, pairs = scratch_random(&random) % 4;
        for (size_t i = 0; i < count; i++) t[i] = random_tensor(&random, (int)i);
        char *bytes = write_to_memory(t, count, keys, values, pairs, &length);
        cr_assert_eq(vr_safetensors_open_memory(&st, bytes, length, 0, &err), VR_OK, "%s", err.text);
        cr_assert_eq(vr_safetensors_count(st), count);
        cr_assert_eq(bytes[0] & 7, 0, "data is not aligned to 8");
        for (size_t i = 0; i < count; i++) check_written(st, &t[i]);
        for (size_t i = 0; i < pairs; i++) cr_assert_str_eq(vr_safetensors_metadata(st, keys[i]), values[i]);
        vr_safetensors_close(st);
        free(bytes);
        for (size_t i = 0; i < count; i++) free((void *)(uintptr_t)t[i].name), free((void *)(uintptr_t)t[i].data);
    }
}

/* Broken: the writer makes files that readers refuse, and says so only when they are read. */
Test(safetensors, writer_refuses, .init = scratch_begin, .fini = scratch_end)
{
    char          long_name[1026];
    vr_tensor_out t = good_tensor("t");
    const char   *path = scratch_path("w");
    memset(long_name, 'n', 1025), long_name[1025] = 0;
    cr_expect_str_eq(write_one(path, good_tensor(""), VR_E_USAGE), "name-length");
    cr_expect_str_eq(write_one(path, good_tensor(long_name), VR_E_USAGE), "name-length");
    cr_expect_str_eq(write_one(path, good_tensor("__metadata__"), VR_E_USAGE), "name-bytes");
    cr_expect_str_eq(write_one(path, good_tensor("a\nb"), VR_E_USAGE), "name-bytes");
    cr_expect_str_eq(write_one(path, good_tensor("\xff"), VR_E_USAGE), "utf8");
    t.rank = 9;
    cr_expect_str_eq(write_one(path, t, VR_E_USAGE), "rank");
    t.rank = -1;
    cr_expect_str_eq(write_one(path, t, VR_E_USAGE), "rank");
    t = good_tensor("t"), t.shape[0] = UINT64_MAX;
    cr_expect_str_eq(write_one(path, t, VR_E_USAGE), "shape-overflow");
    t = good_tensor("t"), t.dtype = VR_F4, t.shape[0] = 3;
    cr_expect_str_eq(write_one(path, t, VR_E_USAGE), "misaligned");
    t = good_tensor("t"), t.dtype = VR_DTYPES;
    cr_expect_str_eq(write_one(path, t, VR_E_USAGE), "unknown-dtype");

    const vr_tensor_out twice[] = {good_tensor("t"), good_tensor("u"), good_tensor("t")};
    const char *const keys[] = {"a", "b", "a"}, *const bad[] = {"\xff"}, *const good[] = {"x", "y", "z"};
    vr_error err = {0};
    cr_expect_eq(vr_safetensors_write(path, twice, 3, NULL, NULL, 0, &err), VR_E_USAGE);
    cr_expect_str_eq(err.rule, "duplicate-name");
    err = (vr_error){0};
    cr_expect_eq(vr_safetensors_write(path, NULL, 0, keys, good, 3, &err), VR_E_USAGE);
    cr_expect_str_eq(err.rule, "duplicate-key");
    err = (vr_error){0};
    cr_expect_eq(vr_safetensors_write(path, NULL, 0, bad, good, 1, &err), VR_E_USAGE);
    cr_expect_eq(vr_safetensors_write(path, NULL, 0, good, bad, 1, &err), VR_E_USAGE);
    cr_expect_str_eq(err.rule, "utf8");
    char *large = malloc(100000001);
    memset(large, 'm', 100000000), large[100000000] = 0;
    err = (vr_error){0};
    cr_expect_eq(vr_safetensors_write(path, NULL, 0, good, (const char *const[]){large}, 1, &err), VR_E_USAGE);
    cr_expect_str_eq(err.rule, "header-too-large");
    free(large);
    cr_expect_eq(scratch_count(), 0);
}

/* Broken: a write that fails destroys what was there, leaves rubbish, or is not reported. */
Test(safetensors, failed_writes, .init = scratch_begin, .fini = scratch_end)
{
    static const float zeros[50000];
    vr_tensor_out      t = {.name = "t", .dtype = VR_F32, .rank = 1, .shape = {50000}, .data = zeros};
    size_t             length;
    cr_assert_str_eq(write_one("/dev/full", t, VR_E_IO), "write");
    cr_assert_str_eq(write_one(scratch_path("absent/w"), t, VR_E_IO), "write");
    cr_assert_str_eq(write_one(scratch_path(""), t, VR_E_IO), "write");
    cr_assert_str_eq(write_one("", t, VR_E_IO), "write");

    scratch_text("w", "old");
    struct rlimit all, little = {.rlim_cur = 65536, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &all), 0);
    little.rlim_max = all.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    const char *rule = write_one(scratch_path("w"), t, VR_E_IO);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
    cr_assert_str_eq(rule, "write");
    char *kept = scratch_read("w", &length);
    cr_assert_str_eq(kept, "old");
    free(kept);
    cr_assert_eq(scratch_count(), 1, "the temporary file was left");
}

/* Broken: the file has odd permissions, a link is replaced by a file, or a device by a file. */
Test(safetensors, written_where_it_should, .init = scratch_begin, .fini = scratch_end)
{
    struct stat st;
    umask(027);
    write_one(scratch_path("w"), good_tensor("t"), VR_OK);
    cr_assert_eq(stat(scratch_path("w"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0640);

    cr_assert_eq(symlink("w", scratch_path("link")), 0);
    cr_assert_eq(truncate(scratch_path("w"), 0), 0);
    write_one(scratch_path("link"), good_tensor("t"), VR_OK);
    cr_assert(lstat(scratch_path("link"), &st) == 0 && S_ISLNK(st.st_mode));
    vr_safetensors_close(open_good(scratch_path("w")));

    write_one("/dev/null", good_tensor("t"), VR_OK);
    cr_assert(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    cr_assert_eq(scratch_count(), 2);
}

/* Broken: "-" writes something else than a file holds. */
Test(safetensors, written_to_stdout, .init = scratch_begin, .fini = scratch_end)
{
    size_t a, b;
    write_one(scratch_path("w"), good_tensor("t"), VR_OK);
    char *file = scratch_read("w", &a), *piped = write_to_memory((vr_tensor_out[]){good_tensor("t")}, 1, NULL, NULL, 0, &b);
    cr_assert(a == b && memcmp(file, piped, a) == 0);
    free(file);
    free(piped);
}
