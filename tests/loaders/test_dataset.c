/* Pictures with their classes. */
#include "../../loaders/dataset.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const synsets[] = {"n00000001", "n00000002", "n00000003", "n00000004", "n00000005", "n00000006",
                                      "n00000007", "n00000008", "n00000009", "n00000010", "n00000011", "n00000012"};
static const char *const names[] = {"tench, Tinca tinca",
                                    "crane",
                                    "crane",
                                    "French horn, horn",
                                    "church, church building",
                                    "pump",
                                    "ball",
                                    "saw",
                                    "truck",
                                    "player",
                                    "springer",
                                    "parachute, chute"};
static const vr_classes  twelve = {12, synsets, names};

/* A folder for each word of `paths`, or an empty file where the word does not end in a slash. */
static void plant(const char *paths)
{
    char copy[2000];
    snprintf(copy, sizeof copy, "%s", paths);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        for (char *slash = strchr(word, '/'); slash; slash = strchr(slash + 1, '/')) {
            *slash = 0;
            mkdir(scratch_path(word), 0777);
            *slash = '/';
        }
        if (word[strlen(word) - 1] != '/') scratch_text(word, "");
    }
}

static vr_status open_at(vr_dataset *d, const char *folder, const char *labels, const char *order, const char *map,
                         vr_error *err)
{
    char from[3][4096] = {"", "", ""};
    snprintf(from[0], sizeof from[0], "%s", scratch_path(folder));
    if (labels) snprintf(from[1], sizeof from[1], "%s", scratch_path(labels));
    if (map) snprintf(from[2], sizeof from[2], "%s", scratch_path(map));
    const vr_dataset_source source = {
        .folder = from[0], .labels = labels ? from[1] : NULL, .labels_order = order, .class_map = map ? from[2] : NULL};
    *err = (vr_error){0};
    return vr_dataset_open(d, &source, &twelve, err);
}

/* "name=label name=label ..." of what was found. */
static const char *found(const vr_dataset *d)
{
    static char text[4000];
    size_t      at = 0;
    text[0] = 0;
    for (size_t i = 0; i < d->count && at < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s=%d", i ? " " : "", strrchr(d->path[i], '/') + 1, d->label[i]);
    return text;
}

/* Broken: a picture is judged by another class's name, or one is forgotten. */
Test(dataset, class_folders, .init = scratch_begin, .fini = scratch_end)
{
    vr_dataset d;
    vr_error   err;
    plant("a/n00000003/p10.JPEG a/n00000003/p9.JPEG a/n00000012/x.png a/n00000012/._x.png a/n00000012/deep/er/y.jpg "
          "a/n00000012/notes.txt a/n00000001/ a/stray.jpg a/.hidden/z.jpg");
    cr_assert_eq(open_at(&d, "a", NULL, NULL, NULL, &err), VR_OK, "%s", err.text);
    cr_expect_str_eq(found(&d), "p9.JPEG=2 p10.JPEG=2 y.jpg=11 x.png=11");
    cr_expect_str_eq(d.layout, "synset folders");
    cr_expect(d.folders == 3 && d.stray == 1 && d.unreadable == 0);
    vr_dataset_close(&d);

    plant("b/validation/French_horn/h.jpg b/validation/tench/t.jpg b/validation/parachute,\xff/");
    rmdir(scratch_path("b/validation/parachute,\xff"));
    cr_assert_eq(open_at(&d, "b", NULL, NULL, NULL, &err), VR_OK, "%s", err.text);
    cr_expect_str_eq(found(&d), "h.jpg=3 t.jpg=0");
    cr_expect_str_eq(d.layout, "name folders");
    vr_dataset_close(&d);

    plant("c/crane/x.jpg c/tench/x.jpg");
    cr_expect_eq(open_at(&d, "c", NULL, NULL, NULL, &err), VR_E_USAGE);
    cr_expect(strstr(err.text, "several classes"), "%s", err.text);
}

/* Broken: folder 10 is taken for class 2, as sorting by letters has it. */
Test(dataset, index_folders, .init = scratch_begin, .fini = scratch_end)
{
    vr_dataset d;
    vr_error   err;
    plant("v2/0/a.jpg v2/1/b.jpg v2/2/c.jpg v2/3/ v2/4/ v2/5/ v2/6/ v2/7/ v2/8/ v2/9/ v2/10/k.jpg v2/11/l.jpg");
    cr_assert_eq(open_at(&d, "v2", NULL, NULL, NULL, &err), VR_OK, "%s", err.text);
    cr_expect_str_eq(found(&d), "a.jpg=0 b.jpg=1 c.jpg=2 k.jpg=10 l.jpg=11");
    cr_expect_str_eq(d.layout, "index folders");
    vr_dataset_close(&d);
    rmdir(scratch_path("v2/7"));
    cr_expect_eq(open_at(&d, "v2", NULL, NULL, NULL, &err), VR_E_USAGE);
    cr_expect_str_eq(err.rule, "classes-count");
    plant("v2/12/");
    cr_expect_eq(open_at(&d, "v2", NULL, NULL, NULL, &err), VR_E_USAGE);
    cr_expect_str_eq(err.rule, "classes-unknown");
}

/* Broken: among ImageNet-V2's thousand folders one is taken for another, or two names of one class hide that another has no
 * folder. */
Test(dataset, thousand_index_folders, .init = scratch_begin, .fini = scratch_end)
{
    const char *none[1000];
    char        name[40];
    vr_dataset  d;
    vr_error    err = {0};
    for (int i = 0; i < 1000; i++) none[i] = "";
    mkdir(scratch_path("v2"), 0777);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "v2/%d", i);
        mkdir(scratch_path(name), 0777);
        snprintf(name, sizeof name, "v2/%d/%d.jpeg", i, i);
        scratch_text(name, "");
    }
    const vr_classes        thousand = {1000, none, none};
    const vr_dataset_source source = {.folder = scratch_path("v2")};
    cr_assert_eq(vr_dataset_open(&d, &source, &thousand, &err), VR_OK, "%s", err.text);
    cr_expect_eq(d.count, 1000);
    cr_expect_str_eq(d.layout, "index folders");
    for (size_t i = 0; i < d.count; i++)
        cr_expect(d.label[i] == (int)i && atoi(strrchr(d.path[i], '/') + 1) == (int)i, "%s is %d", d.path[i], d.label[i]);
    vr_dataset_close(&d);

    cr_assert_eq(rename(scratch_path("v2/8"), scratch_path("v2/07")), 0);
    cr_expect_eq(vr_dataset_open(&d, &(vr_dataset_source){.folder = scratch_path("v2")}, &thousand, &err), VR_E_USAGE);
    cr_expect_str_eq(err.rule, "classes-count");
    cr_expect(strstr(err.text, "1000 folders named by number, of 999 classes"), "%s", err.text);
}

/* Broken: folders of another model's classes are judged, or the sentence does not say what is wrong. */
Test(dataset, refusals, .init = scratch_begin, .fini = scratch_end)
{
    vr_dataset d;
    vr_error   err;
    plant("a/n00000001/x.jpg a/n99999999/y.jpg flat/x.jpg empty/ none/n00000001/x.txt file");
    cr_expect_eq(open_at(&d, "a", NULL, NULL, NULL, &err), VR_E_USAGE);
    cr_expect_str_eq(err.rule, "classes-unknown");
    cr_expect(strstr(err.text, "n99999999") && strstr(err.text, "12"), "%s", err.text);
    cr_expect_eq(open_at(&d, "flat", NULL, NULL, NULL, &err), VR_E_USAGE);
    cr_expect_str_eq(err.rule, "labels-missing");
    cr_expect_eq(open_at(&d, "empty", NULL, NULL, NULL, &err), VR_E_IMAGE);
    cr_expect_eq(open_at(&d, "none", NULL, NULL, NULL, &err), VR_E_IMAGE);
    cr_expect_eq(open_at(&d, "absent", NULL, NULL, NULL, &err), VR_E_IO);
    cr_expect_eq(open_at(&d, "file", NULL, NULL, NULL, &err), VR_E_IO);
}

/* Broken: links in a circle never end, or a folder without permission is silently left out. */
Test(dataset, links, .init = scratch_begin, .fini = scratch_end, .timeout = 10)
{
    vr_dataset d;
    vr_error   err;
    plant("a/n00000001/x.jpg a/n00000002/locked/y.jpg");
    cr_assert_eq(symlink("..", scratch_path("a/n00000001/up")), 0);
    cr_assert_eq(symlink(".", scratch_path("a/n00000001/here")), 0);
    cr_assert_eq(symlink("nowhere", scratch_path("a/n00000001/gone.jpg")), 0);
    cr_assert_eq(chmod(scratch_path("a/n00000002/locked"), 0), 0);
    cr_assert_eq(open_at(&d, "a", NULL, NULL, NULL, &err), VR_OK, "%s", err.text);
    chmod(scratch_path("a/n00000002/locked"), 0700);
    if (geteuid() != 0) {
        cr_expect_str_eq(found(&d), "gone.jpg=0 x.jpg=0");
        cr_expect_eq(d.unreadable, 1);
    } else {
        cr_expect_str_eq(found(&d), "gone.jpg=0 x.jpg=0 y.jpg=1");
    }
    vr_dataset_close(&d);
}

/* Broken: the n-th answer is given to another picture, or the devkit's order is taken for the model's. */
Test(dataset, flat, .init = scratch_begin, .fini = scratch_end)
{
    static const struct {
        const char *labels, *order, *verdict;
    } cases[] = {
        {"n00000001\nn00000005\nn00000012\n", NULL, "ILSVRC2012_val_00000001.JPEG=0 ILSVRC2012_val_00000003.JPEG=11"},
        {"4\n0\n11\n", NULL, "ILSVRC2012_val_00000001.JPEG=4 ILSVRC2012_val_00000003.JPEG=11"},
        {"4\n1\n11\n", "index", "ILSVRC2012_val_00000001.JPEG=4 ILSVRC2012_val_00000003.JPEG=11"},
        {"ILSVRC2012_val_00000003.JPEG 7\nILSVRC2012_val_00000001.JPEG 0\nILSVRC2012_val_00000002.JPEG 3\n", NULL,
         "ILSVRC2012_val_00000001.JPEG=0 ILSVRC2012_val_00000003.JPEG=7"},
        {"ILSVRC2012_val_00000003.JPEG 7\nILSVRC2012_val_00000002.JPEG 0\n", NULL, "labels-missing"},
        {"4\n1\n12\n", NULL, "labels-order"},
        {"4\n1\n11\n", NULL, "labels-order"},
        {"4\n0\n11\n", "devkit", "labels-order"},
        {"4\n0\n12\n", NULL, "classes-unknown"},
        {"n00000001\nn00000005\n", NULL, "labels-missing"},
        {"n00000001\nn00000005\nn00000013\n", NULL, "classes-unknown"},
        {"n00000001\r\nn00000005\r\n", NULL, "labels-bytes"},
        {"", NULL, "labels-empty"},
    };
    plant("f/ILSVRC2012_val_00000003.JPEG f/ILSVRC2012_val_00000001.JPEG");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vr_dataset d;
        vr_error   err;
        scratch_text("labels.txt", cases[i].labels);
        vr_status status = open_at(&d, "f", "labels.txt", cases[i].order, NULL, &err);
        cr_expect(status == VR_OK || status == VR_E_USAGE, "case %zu: %s", i, err.text);
        cr_expect_str_eq(status ? err.rule : found(&d), cases[i].verdict, "case %zu: %s", i, err.text);
        vr_dataset_close(&d);
    }
}

/* Broken: the devkit's ids are taken for indices, or an id that its map does not have for a class. */
Test(dataset, devkit, .init = scratch_begin, .fini = scratch_end)
{
    static const struct {
        const char *labels, *map, *verdict;
    } cases[] = {
        {"1\n3\n", "1 n00000007\n2 n00000001\n3 n00000002\n", "ILSVRC2012_val_00000001.JPEG=6 ILSVRC2012_val_00000002.JPEG=1"},
        {"1\n1001\n", "1 n00000007\n1001 n00000012\n7 n99999999\n",
         "ILSVRC2012_val_00000001.JPEG=6 ILSVRC2012_val_00000002.JPEG=11"},
        {"1\nn00000003\n", "1 n00000007\n", "ILSVRC2012_val_00000001.JPEG=6 ILSVRC2012_val_00000002.JPEG=2"},
        {"1\n2\n", "1 n00000007\n2 n99999999\n", "classes-unknown"},
        {"1\n0\n", "1 n00000007\n2 n00000001\n", "classes-unknown"},
        {"1\n999999999\n", "1 n00000007\n", "classes-unknown"},
        {"1\n1\n", "1 n00000007\n1 n00000001\n", "devkit-map"},
        {"1\n1\n", "0 n00000007\n", "devkit-map"},
        {"1\n1\n", "100001 n00000007\n", "devkit-map"},
        {"1\n1\n", "n00000007 1\n", "devkit-map"},
        {"1\n1\n", "1\n", "devkit-map"},
        {"1\n1\n", "1 n00000007 ball\n", "devkit-map"},
        {"1\n1\n", "n00000007\t1\n", "devkit-map"},
        {"1\n1\n", "", "labels-empty"},
    };
    plant("f/ILSVRC2012_val_00000001.JPEG f/ILSVRC2012_val_00000002.JPEG");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vr_dataset d;
        vr_error   err = {0};
        scratch_text("labels.txt", cases[i].labels);
        scratch_text("devkit.txt", cases[i].map);
        const vr_dataset_source source = {.folder = scratch_path("f"),
                                          .labels = scratch_path("labels.txt"),
                                          .labels_order = "devkit",
                                          .devkit_map = scratch_path("devkit.txt")};
        const vr_status         status = vr_dataset_open(&d, &source, &twelve, &err);
        cr_expect(status == VR_OK || status == VR_E_USAGE, "case %zu: %s", i, err.text);
        cr_expect_str_eq(status ? err.rule : found(&d), cases[i].verdict, "case %zu: %s", i, err.text);
        vr_dataset_close(&d);
    }
}

/* Broken: a picture of another set is judged by the labels of one of ImageNet's. */
Test(dataset, imagenet_number)
{
    cr_expect_eq(vr_imagenet_number("a_1/b/ILSVRC2012_val_00001234.JPEG"), 1234);
    cr_expect_eq(vr_imagenet_number("ILSVRC2012_val_00050000.png"), 50000);
    cr_expect_eq(vr_imagenet_number("ILSVRC2012_test_00001234.JPEG"), 0);
    cr_expect_eq(vr_imagenet_number("n01440764_00001234.JPEG"), 0);
    cr_expect_eq(vr_imagenet_number("ILSVRC2012_val_1234.JPEG"), 0);
    cr_expect_eq(vr_imagenet_number("ILSVRC2012_val_00001234x.JPEG"), 0);
    cr_expect_eq(vr_imagenet_number("ILSVRC2012_val_00000000.JPEG"), 0);
    cr_expect_eq(vr_imagenet_number("ILSVRC2012_val_0001234/x.JPEG"), 0);
}

/* Broken: a class map is not heeded. */
Test(dataset, class_map, .init = scratch_begin, .fini = scratch_end)
{
    vr_dataset d;
    vr_error   err;
    plant("a/k/x.jpg a/b/y.jpg f/ILSVRC2012_val_00000001.JPEG");
    scratch_text("map.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n");
    cr_assert_eq(open_at(&d, "a", NULL, NULL, "map.txt", &err), VR_OK, "%s", err.text);
    cr_expect_str_eq(found(&d), "y.jpg=1 x.jpg=10");
    cr_expect_str_eq(d.layout, "map folders");
    vr_dataset_close(&d);
    scratch_text("labels.txt", "c\n");
    cr_assert_eq(open_at(&d, "f", "labels.txt", NULL, "map.txt", &err), VR_OK, "%s", err.text);
    cr_expect_eq(d.label[0], 2);
    vr_dataset_close(&d);
    scratch_text("map.txt", "a\nb\n");
    cr_expect_eq(open_at(&d, "a", NULL, NULL, "map.txt", &err), VR_E_USAGE);
    cr_expect_str_eq(err.rule, "classes-count");
}

/* Broken: picture 10 stands before picture 9, or the order depends on the file system. */
Test(dataset, natural_order)
{
    static const char *const sorted[] = {"", "1", "01", "2", "10", "a", "a1", "a1b", "a2", "a10", "b", "\xff"};
    for (int i = 0; i < 12; i++)
        for (int j = 0; j < 12; j++) {
            int order = vr_natural_order(sorted[i], sorted[j]);
            /* of 1 and 01 the order is bytes' */
            if ((i == 1 && j == 2) || (i == 2 && j == 1))
                cr_expect((order < 0) == (strcmp(sorted[i], sorted[j]) < 0));
            else
                cr_expect((order > 0) - (order < 0) == (i > j) - (i < j), "%s %s", sorted[i], sorted[j]);
        }
}
