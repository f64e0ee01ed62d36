/* Words that name classes, and lists of some of them. */
#include "../../loaders/classes.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char *const synsets[] = {"n00000001", "n00000002", "n00000003", "n00000004"};
static const char *const names[] = {"tench, Tinca tinca", "crane", "crane", "French horn, horn"};
static const vr_classes  four = {4, synsets, names};

/* Broken: a word finds another class than it names, or one of two is guessed. */
Test(classes, words)
{
    cr_expect_eq(vr_class_named(&four, "tench"), 0);
    cr_expect_eq(vr_class_named(&four, "tench, Tinca tinca"), 0);
    cr_expect_eq(vr_class_named(&four, "tenc"), VR_CLASS_NONE);
    cr_expect_eq(vr_class_named(&four, ""), VR_CLASS_NONE);
    cr_expect_eq(vr_class_named(&four, "French_horn"), 3);
    cr_expect_eq(vr_class_named(&four, "crane"), VR_CLASS_SEVERAL);
    cr_expect_eq(vr_class_among(synsets, 4, "n00000003"), 2);
    cr_expect_eq(vr_class_among(names, 4, "crane"), VR_CLASS_SEVERAL);
    cr_expect_eq(vr_class_among(synsets, 4, "3"), VR_CLASS_NONE);
    cr_expect_eq(vr_class_number("010"), 10);
    cr_expect_eq(vr_class_number("-1"), VR_CLASS_NONE);
    cr_expect_eq(vr_class_number("1234567890"), VR_CLASS_NONE);
    cr_expect_eq(vr_class_number(""), VR_CLASS_NONE);
}

/* Broken: a model chooses among other classes than the list says. */
Test(classes, some, .init = scratch_begin, .fini = scratch_end)
{
    static const struct {
        const char *text, *verdict;
    } cases[] = {
        {"n00000004\nn00000001\n", "03"},
        {"3\n0\n", "03"},
        {"3\nn00000002", "13"},
        {"n00000002\tcrane\nn00000003\tcrane\n", "12"},
        {"0\n1\n2\n3\n", "0123"},
        {"4\n", "classes-unknown"},
        {"n00000005\n", "classes-unknown"},
        {"crane\n", "classes-unknown"},
        {"-1\n", "classes-unknown"},
        {"1.0\n", "classes-unknown"},
        {"1\n1\n", "classes-twice"},
        {"1\nn00000002\n", "classes-twice"},
        {"1\n\n2\n", "labels-line"},
        {"1\r\n2\r\n", "labels-bytes"},
        {"", "labels-empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int     *list = NULL, count = 0;
        vr_error err = {0};
        char     seen[8] = "";
        scratch_text("some.txt", cases[i].text);
        const vr_status status = vr_classes_some(&list, &count, scratch_path("some.txt"), &four, &err);
        cr_expect(status == VR_OK || status == VR_E_USAGE, "case %zu", i);
        for (int k = 0; k < count; k++) seen[k] = (char)('0' + list[k]);
        cr_expect_str_eq(status ? err.rule : seen, cases[i].verdict, "case %zu: %s", i, err.text);
        if (!status) free(list);
    }
}
