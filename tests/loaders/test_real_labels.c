/* ReaL's labels. */
#include "../../loaders/real_labels.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Broken: the lists are shifted by one picture, or an empty one swallows its neighbour's. */
Test(real_labels, lists, .init = scratch_begin, .fini = scratch_end)
{
    vr_real_labels r;
    vr_error       err = {0};
    size_t         n;
    scratch_text("real.json", "[[3], [], [0, 9, 1],\n [2]]\n");
    cr_assert_eq(vr_real_labels_read(&r, scratch_path("real.json"), 10, &err), VR_OK, "%s", err.text);
    cr_assert_eq(r.count, 4);
    const int *at = vr_real_labels_of(&r, 1, &n);
    cr_expect(n == 1 && at[0] == 3);
    vr_real_labels_of(&r, 2, &n);
    cr_expect_eq(n, 0);
    at = vr_real_labels_of(&r, 3, &n);
    cr_expect(n == 3 && at[0] == 0 && at[1] == 9 && at[2] == 1);
    at = vr_real_labels_of(&r, 4, &n);
    cr_expect(n == 1 && at[0] == 2);
    vr_real_labels_free(&r);
}

/* Broken: what is no list of lists of classes is judged by. */
Test(real_labels, verdicts, .init = scratch_begin, .fini = scratch_end)
{
    static const struct {
        const char *text, *verdict;
    } cases[] = {
        {"[[0]]", "ok"},
        {"[[]]", "ok"},
        {"[]", "real-list"},
        {"{\"a\": [1]}", "real-list"},
        {"3", "real-list"},
        {"[3]", "real-list"},
        {"[[1], null]", "real-list"},
        {"[[1], {\"a\": 1}]", "real-list"},
        {"[[1], \"2\"]", "real-list"},
        {"[[10]]", "real-class"},
        {"[[-1]]", "real-class"},
        {"[[1.5]]", "real-class"},
        {"[[1e30]]", "real-class"},
        {"[[\"1\"]]", "real-class"},
        {"[[[1]]]", "real-class"},
        {"[[null]]", "real-class"},
        {"[[1]", "json-syntax"},
        {"[[1],]", "json-syntax"},
        {"", "json-syntax"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vr_real_labels r;
        vr_error       err = {0};
        scratch_text("real.json", cases[i].text);
        const vr_status status = vr_real_labels_read(&r, scratch_path("real.json"), 10, &err);
        cr_expect(status == VR_OK || status == VR_E_USAGE, "case %zu", i);
        cr_expect_str_eq(status ? err.rule : "ok", cases[i].verdict, "case %zu: %s", i, err.text);
        if (status) cr_expect(r.count == 0 && !r.first && !r.class);
        vr_real_labels_free(&r);
    }
}

/* `count` lists of `each` zeros. */
static void lists_of_zeros(const char *name, int count, int each)
{
    FILE *f = fopen(scratch_path(name), "w");
    for (int i = 0; i < count; i++) {
        fputs(i ? ", [" : "[[", f);
        for (int k = 0; k < each; k++) fputs(k ? ", 0" : "0", f);
        fputc(']', f);
    }
    fputc(']', f);
    cr_assert_eq(fclose(f), 0);
}

/* Broken: the real file, 50,000 lists with 57,553 labels in 388 kB, is too large for the reader, or a longer one is not. */
Test(real_labels, sizes, .init = scratch_begin, .fini = scratch_end, .timeout = 20)
{
    static const struct {
        int         count, each;
        const char *verdict;
    } cases[] = {{50000, 1, "ok"},
                 {35000, 2, "ok"},
                 {50001, 1, "real-list"},
                 {50000, 2, "too-many-values"},
                 {50000, 30, "file-too-large"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vr_real_labels r;
        vr_error       err = {0};
        lists_of_zeros("real.json", cases[i].count, cases[i].each);
        vr_real_labels_read(&r, scratch_path("real.json"), 1, &err);
        cr_expect_str_eq(err.code ? err.rule : "ok", cases[i].verdict, "case %zu: %s", i, err.text);
        vr_real_labels_free(&r);
    }
    vr_real_labels r;
    vr_error       err = {0};
    cr_expect_eq(vr_real_labels_read(&r, scratch_path("absent"), 10, &err), VR_E_IO);
}
