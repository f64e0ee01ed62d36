/* Names of classes. */
#include "../../loaders/labels.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Broken: `classify` calls a fish a bird: the bundled names are missing, shifted or out of order. */
Test(labels, bundled)
{
    vr_labels l;
    vr_error  err = {0};
    cr_assert_eq(vr_labels_read(&l, "configs/labels/imagenet1k.txt", &err), VR_OK, "%s", err.text);
    cr_assert_eq(l.count, 1000);
    cr_assert_str_eq(l.synset[0], "n01440764");
    cr_assert_str_eq(l.name[0], "tench, Tinca tinca");
    cr_assert_str_eq(l.name[207], "golden retriever");
    cr_assert_str_eq(l.name[388], "giant panda, panda, panda bear, coon bear, Ailuropoda melanoleuca");
    cr_assert_str_eq(l.synset[999], "n15075141");
    cr_assert_str_eq(l.name[999], "toilet tissue, toilet paper, bathroom tissue");
    for (size_t i = 1; i < l.count; i++) cr_assert_lt(strcmp(l.synset[i - 1], l.synset[i]), 0, "line %zu", i);
    vr_labels_free(&l);
    cr_assert_eq(l.count, 0);
}

/* Broken: a labels file with a line too many, too few or of another kind is accepted, and every name behind it is wrong. */
Test(labels, verdicts, .init = scratch_begin, .fini = scratch_end)
{
    static const struct {
        const char *text, *verdict;
        size_t      count;
    } cases[] = {
        {"cat\ndog\n", "ok", 2},
        {"cat\ndog", "ok", 2},
        {"cat", "ok", 1},
        {"crane\ncrane\n", "ok", 2},
        {"n00000001\tcat\nn00000002\tdog, hound\n", "ok", 2},
        {"n00000002\tcrane\nn00000001\tcrane\n", "ok", 2},
        {"caf\xc3\xa9\n", "ok", 1},
        {"n00000001\n", "ok", 1}, /* a name that looks like a synset is still a name */
        {"", "labels-empty", 0},
        {"\n", "labels-line", 0},
        {"cat\n\ndog\n", "labels-line", 0},
        {"cat\n\n", "labels-line", 0},
        {" cat\n", "labels-line", 0},
        {"cat \n", "labels-line", 0},
        {"n00000001\t\n", "labels-line", 0},
        {"cat\r\ndog\r\n", "labels-bytes", 0},
        {"cat\033[2J\n", "labels-bytes", 0},
        {"cat\x7f\n", "labels-bytes", 0},
        {"n0000001\tcat\n", "labels-synset", 0},
        {"n000000012\tcat\n", "labels-synset", 0},
        {"N00000001\tcat\n", "labels-synset", 0},
        {"n0000000x\tcat\n", "labels-synset", 0},
        {"\tcat\n", "labels-synset", 0},
        {"cat\tdog\n", "labels-synset", 0},
        {"n00000001\tcat\tx\n", "labels-synset", 0},
        {"n00000001\tcat\ndog\n", "labels-mixed", 0},
        {"cat\nn00000001\tdog\n", "labels-mixed", 0},
        {"n00000001\tcat\nn00000001\tdog\n", "labels-duplicate", 0},
        {"caf\xe9\n", "utf8", 0},
        {"\xef\xbb\xbf"
         "cat\n",
         "utf8", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vr_labels l;
        vr_error  err = {0};
        scratch_text("labels.txt", cases[i].text);
        vr_status status = vr_labels_read(&l, scratch_path("labels.txt"), &err);
        cr_expect_str_eq(status ? err.rule : "ok", cases[i].verdict, "case %zu: %s", i, err.text);
        cr_expect_eq(l.count, cases[i].count, "case %zu", i);
        if (!status) cr_expect_eq(l.synset != NULL, strchr(cases[i].text, '\t') != NULL, "case %zu", i);
        vr_labels_free(&l);
    }
    scratch_write("nul.txt", "cat\0dog\n", 8);
    vr_labels l;
    vr_error  err = {0};
    cr_assert_eq(vr_labels_read(&l, scratch_path("nul.txt"), &err), VR_E_MODEL);
    cr_assert_str_eq(err.rule, "labels-bytes");
}

/* Broken: what is no labels file makes the reader wait or fill memory. */
Test(labels, files, .init = scratch_begin, .fini = scratch_end, .timeout = 10)
{
    vr_labels l;
    vr_error  err = {0};
    cr_assert_eq(vr_labels_read(&l, scratch_path("absent"), &err), VR_E_IO);
    cr_assert_str_eq(err.rule, "open");
    err = (vr_error){0};
    cr_assert_eq(vr_labels_read(&l, "/dev/zero", &err), VR_E_IO);
    char *large = calloc(1, (4 << 20) + 1);
    err = (vr_error){0};
    scratch_write("large", large, (4 << 20) + 1);
    cr_assert_eq(vr_labels_read(&l, scratch_path("large"), &err), VR_E_MODEL);
    cr_assert_str_eq(err.rule, "file-too-large");
    free(large);
}
