/* Checkpoints in several files. */
#include "../../loaders/safetensors.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX "model.safetensors.index.json"

static const float numbers[] = {1, 2, 3, 4};

/* A file of tensors of two elements each, whose names are the letters of `names` and whose first element tells which. */
static void shard(const char *file, const char *names)
{
    vr_tensor_out t[8];
    char          name[8][2];
    float         data[8][2];
    size_t        n = strlen(names);
    for (size_t i = 0; i < n; i++) {
        name[i][0] = names[i], name[i][1] = 0;
        data[i][0] = (float)names[i], data[i][1] = numbers[i % 4];
        t[i] = (vr_tensor_out){.name = name[i], .dtype = VR_F32, .rank = 1, .shape = {2}, .data = data[i]};
    }
    const char *const key = "shard";
    cr_assert_eq(vr_safetensors_write(scratch_path(file), t, n, &key, &file, 1, NULL), VR_OK);
}

static void two_shards(void)
{
    scratch_begin();
    shard("1.safetensors", "ca");
    shard("2.safetensors", "b");
}

static void expect(const char *map, vr_status status, const char *rule)
{
    char     index[2000];
    vr_error err = {0};
    snprintf(index, sizeof index, "{\"metadata\":{\"total_size\":24},\"weight_map\":{%s}}", map);
    scratch_text(INDEX, index);
    vr_safetensors *st;
    cr_expect_eq(vr_safetensors_open(&st, scratch_path(INDEX), 0, &err), status, "%s: %s", map, err.text);
    cr_expect_str_eq(err.rule ? err.rule : "ok", rule, "%s: %s", map, err.text);
    vr_safetensors_close(st);
}

#define GOOD_MAP "\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"1.safetensors\""

/* Broken: a tensor is read from the wrong file, or a folder with an index is not found. */
Test(shards, reads_from_the_right_file, .init = two_shards, .fini = scratch_end)
{
    expect(GOOD_MAP, VR_OK, "ok");
    const char *const paths[] = {INDEX, ""};
    for (int p = 0; p < 2; p++) {
        vr_error        err = {0};
        vr_safetensors *st;
        const char     *path = scratch_path(paths[p]);
        cr_assert_eq(vr_safetensors_open(&st, path, 0, &err), VR_OK, "%s", err.text);
        cr_assert_str_eq(vr_safetensors_path(st), path);
        cr_assert_eq(vr_safetensors_count(st), 3);
        cr_assert_eq(vr_safetensors_bytes(st), 24);
        cr_assert_str_eq(vr_safetensors_metadata(st, "shard"), "1.safetensors");
        for (size_t i = 0; i < 3; i++) {
            float            x[2];
            const vr_tensor *t = vr_safetensors_at(st, i);
            cr_assert_eq(t->name[0], 'a' + (char)i);
            cr_assert_eq(t->shard, i == 1);
            cr_assert_eq(vr_safetensors_read_f32(st, t, 0, 2, x, &err), VR_OK, "%s", err.text);
            cr_assert_eq(x[0], (float)t->name[0]);
        }
        vr_safetensors_close(st);
    }
}

/* Broken: index and files disagree and nobody notices; or a hidden tensor comes along. */
Test(shards, index_and_files_agree, .init = two_shards, .fini = scratch_end)
{
    expect("\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"", VR_E_MODEL, "shard-extra");
    expect("\"a\":\"1.safetensors\",\"c\":\"1.safetensors\",\"b\":\"1.safetensors\"", VR_E_MODEL, "shard-tensor-absent");
    expect(GOOD_MAP ",\"d\":\"2.safetensors\"", VR_E_MODEL, "shard-tensor-absent");
    expect(GOOD_MAP ",\"A\":\"2.safetensors\"", VR_E_MODEL, "shard-tensor-absent");
    expect("\"a\":\"2.safetensors\",\"b\":\"2.safetensors\",\"c\":\"1.safetensors\"", VR_E_MODEL, "shard-tensor-absent");
    expect(GOOD_MAP ",\"d\":\"3.safetensors\"", VR_E_MODEL, "shard-absent");
    expect(GOOD_MAP ",\"a\":\"1.safetensors\"", VR_E_MODEL, "duplicate-key");
    shard("3.safetensors", "da");
    expect(GOOD_MAP ",\"d\":\"3.safetensors\"", VR_E_MODEL, "shard-duplicate");
    expect("", VR_OK, "ok"); /* a checkpoint of nothing is the architecture check's to refuse */
}

/* Broken: an index makes vitrun open a file outside its folder. */
Test(shards, names_stay_in_the_folder, .init = two_shards, .fini = scratch_end)
{
    static const char *const names[] = {"",
                                        ".",
                                        "..",
                                        "../1.safetensors",
                                        "./1.safetensors",
                                        "/etc/passwd",
                                        "sub/1.safetensors",
                                        "1.safetensors/",
                                        ".hidden",
                                        "a..b",
                                        "..1.safetensors",
                                        "1.safetensors/../2.safetensors",
                                        "..\\\\1.safetensors",
                                        "C:\\\\1.safetensors",
                                        "1.safetensors\\n",
                                        "\\u001b[2J",
                                        "1\\u007f",
                                        "\\/etc\\/passwd",
                                        "\\u002fetc\\u002fpasswd",
                                        "\\u002e\\u002e"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char map[200];
        snprintf(map, sizeof map, "\"a\":\"%s\"", names[i]);
        expect(map, VR_E_MODEL, "shard-name");
    }
    expect("\"a\":\"1.safetensors\\u0000x\"", VR_E_MODEL, "nul-escape");
    expect("\"a\":\"~\"", VR_E_MODEL, "shard-absent");
    char map[700] = "\"a\":\"", *end = map + 5;
    memset(end, 'n', 600), strcpy(end + 600, "\"");
    expect(map, VR_E_IO, "open"); /* longer than names of files can be */
}

/* Broken: a file that is no file, a damaged one, or the index itself as a shard is a crash, a wait or a wrong message. */
Test(shards, damaged_files, .init = two_shards, .fini = scratch_end, .timeout = 10)
{
    cr_assert_eq(mkfifo(scratch_path("pipe"), 0600), 0);
    cr_assert_eq(mkdir(scratch_path("folder"), 0700), 0);
    expect("\"a\":\"pipe\"", VR_E_IO, "not-a-file");
    expect("\"a\":\"folder\"", VR_E_IO, "not-a-file");
    expect("\"a\":\"" INDEX "\"", VR_E_MODEL, "header-too-large");
    expect("\"a\":1", VR_E_MODEL, "index-type");
    expect("\"a\":null", VR_E_MODEL, "index-type");
    expect("\"a\":[\"1.safetensors\"]", VR_E_MODEL, "index-type");
    cr_assert_eq(truncate(scratch_path("2.safetensors"), 20), 0);
    expect(GOOD_MAP, VR_E_MODEL, "header-past-end");
    cr_assert_eq(truncate(scratch_path("2.safetensors"), 0), 0);
    expect(GOOD_MAP, VR_E_MODEL, "header-too-small");
}

/* Broken: an index of another shape is taken for one. */
Test(shards, index_structure, .init = two_shards, .fini = scratch_end)
{
    static const struct {
        const char *text, *rule;
    } cases[] = {
        {"", "json-syntax"},
        {"{", "json-syntax"},
        {"{}", "index-type"},
        {"[]", "index-type"},
        {"null", "index-type"},
        {"{\"weight_map\":null}", "index-type"},
        {"{\"weight_map\":[]}", "index-type"},
        {"{\"weight_map\":\"1.safetensors\"}", "index-type"},
        {"{\"Weight_map\":{}}", "index-type"},
        {"{\"weight_map\":{},\"weights\":{}}", "unknown-key"},
        {"{\"weight_map\":{},\"weight_map\":{}}", "duplicate-key"},
        {"{\"weight_map\":{" GOOD_MAP "}}x", "json-syntax"},
        {"{\"weight_map\":{" GOOD_MAP "}}", "ok"},
        {"{\"metadata\":{},\"weight_map\":{" GOOD_MAP "}}", "ok"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vr_error        err = {0};
        vr_safetensors *st;
        scratch_text(INDEX, cases[i].text);
        cr_expect_eq(vr_safetensors_open(&st, scratch_path(INDEX), 0, &err),
                     strcmp(cases[i].rule, "ok") == 0 ? VR_OK : VR_E_MODEL, "%s: %s", cases[i].text, err.text);
        cr_expect_str_eq(err.rule ? err.rule : "ok", cases[i].rule, "%s: %s", cases[i].text, err.text);
        vr_safetensors_close(st);
    }
}

/* Broken: an index of very many files or tensors takes all descriptors or all memory. */
Test(shards, limits, .init = scratch_begin, .fini = scratch_end, .timeout = 30)
{
    char  *index = malloc(16 << 20);
    size_t n = (size_t)sprintf(index, "{\"weight_map\":{");
    for (int i = 0; i < 257; i++) n += (size_t)sprintf(index + n, "%s\"t%d\":\"%d.safetensors\"", i ? "," : "", i, i);
    strcpy(index + n, "}}");
    scratch_text(INDEX, index);
    vr_error        err = {0};
    vr_safetensors *st;
    cr_expect_eq(vr_safetensors_open(&st, scratch_path(INDEX), 0, &err), VR_E_MODEL);
    cr_expect_str_eq(err.rule, "too-many-shards");

    n = (size_t)sprintf(index, "{\"weight_map\":{");
    for (int i = 0; i < 140000; i++) n += (size_t)sprintf(index + n, "%s\"t%d\":\"1\"", i ? "," : "", i);
    strcpy(index + n, "}}");
    scratch_text(INDEX, index);
    err = (vr_error){0};
    cr_expect_eq(vr_safetensors_open(&st, scratch_path(INDEX), 0, &err), VR_E_MODEL);
    cr_expect_str_eq(err.rule, "too-many-values");
    free(index);
}
