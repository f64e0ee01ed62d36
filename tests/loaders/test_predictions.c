/* What other programs answered. */
#include "../../loaders/predictions.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const synsets[] = {"n00000001", "n00000002", "n00000003", "n00000004", "n00000005"};
static const char *const names[] = {"tench, Tinca tinca", "crane", "crane", "French horn, horn", "jack-o'-lantern"};
static const vr_classes  five = {5, synsets, names};

/* "name=class ..." of a file with that text, or the rule that it breaks. */
static const char *verdict(const char *text)
{
    static char    seen[400];
    vr_predictions p;
    vr_error       err = {0};
    size_t         at = 0;
    scratch_text("theirs", text);
    seen[0] = 0;
    const vr_status status = vr_predictions_read(&p, scratch_path("theirs"), &five, &err);
    cr_expect(status == VR_OK || status == VR_E_USAGE, "%s", err.text);
    if (status) snprintf(seen, sizeof seen, "%s", err.rule);
    for (size_t i = 0; i < p.count; i++)
        at += (size_t)snprintf(seen + at, sizeof seen - at, "%s%s=%d", i ? " " : "", p.item[i].name, p.item[i].class);
    vr_predictions_free(&p);
    return seen;
}

/* Broken: the label that a picture has is taken for the answer, or the second best answer for the best. */
Test(predictions, csv, .init = scratch_begin, .fini = scratch_end)
{
    static const struct {
        const char *text, *verdict;
    } cases[] = {
        /* ours: `label` is the truth, and a picture that failed has no answer */
        {"file,label,index1,logit1,index2,logit2,error\nv/b.jpg,0,3,2.5,1,2,\nv/a.jpg,0,,,,,broken\n", "v/b.jpg=3"},
        /* inference.py */
        {"filename,label,prob\na.jpg,\"tench, Tinca tinca\",0.9\nb.jpg,jack-o'-lantern,0.5\n", "a.jpg=0 b.jpg=4"},
        {"filename,label,prob\nb.jpg,n00000003,0.9\na.jpg,n00000001,0.8\n", "a.jpg=0 b.jpg=2"},
        {"filename,index,label,prob\na.jpg,2,crane,0.9\n", "a.jpg=2"},
        {"filename,index\na.jpg,[3 1 0]\nb.jpg,[ 4  1\n 0]\nc.jpg,\"[2, 1]\"\n", "csv-columns"},
        {"filename,index\na.jpg,[3 1 0]\nb.jpg,\"[ 4  1\n 0]\"\nc.jpg,\"[2, 1]\"\n", "a.jpg=3 b.jpg=4 c.jpg=2"},
        {"filename,label\na.jpg,['n00000002' 'n00000001']\nb.jpg,\"['tench, Tinca tinca' 'crane']\"\n", "a.jpg=1 b.jpg=0"},
        {"filename,label\na.jpg,\"[\"\"jack-o'-lantern\"\" 'crane']\"\n", "a.jpg=4"},
        {"filename,index_0,index_1,prob_0,prob_1\r\na.jpg,3,1,0.9,0.1\r\n", "a.jpg=3"},
        {"filename,label_0,label_1\na.jpg,n00000004,n00000001\n", "a.jpg=3"},
        {"\xef\xbb\xbf"
         "prob,index,filename\n0.5,1,\"a, b.jpg\"\n",
         "a, b.jpg=1"},
        /* the old form */
        {"b.jpg,3,1,0\na.jpg,1,2,4\n", "a.jpg=1 b.jpg=3"},
        {"filename,index\n", ""},
        {"filename,index\na.jpg,5\n", "predictions-class"},
        {"filename,index\na.jpg,-1\n", "predictions-class"},
        {"filename,index\na.jpg,1.0\n", "predictions-class"},
        {"filename,label\na.jpg,crane\n", "predictions-class"},
        {"filename,label\na.jpg,dragon\n", "predictions-class"},
        {"a.jpg,7,1\n", "predictions-class"},
        {"filename,prob\na.jpg,0.5\n", "predictions-columns"},
        {"index,prob\n1,0.5\n", "predictions-columns"},
        {"a.jpg,n00000001\n", "predictions-columns"},
        {"a.jpg\n", "predictions-columns"},
        {"filename,index\na.jpg,1\nb.jpg,1\na.jpg,1\n", "predictions-twice"},
        {"filename,index\na.jpg\n", "csv-columns"},
        {"", "csv-empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(verdict(cases[i].text), cases[i].verdict, "case %zu", i);
}

Test(predictions, json, .init = scratch_begin, .fini = scratch_end)
{
    static const struct {
        const char *text, *verdict;
    } cases[] = {
        {"{\n  \"b.jpg\":{\"index\":3,\"prob\":0.5},\n \"a.jpg\":{\"index\":0,\"prob\":0.5}}", "a.jpg=0 b.jpg=3"},
        {"{\"a.jpg\":{\"index\":[3,1],\"label\":[\"x\",\"y\"],\"prob\":[0.5,0.1]}}", "a.jpg=3"},
        {"{\"a.jpg\":{\"label\":\"tench, Tinca tinca\",\"prob\":0.5},\"b.jpg\":{\"label\":[\"n00000002\",\"dragon\"]}}",
         "a.jpg=0 b.jpg=1"},
        {"{\"a.jpg\":{\"index_1\":1,\"index_0\":2}}", "a.jpg=2"},
        {"{\"a.jpg\":{\"index\":null}}", ""},
        {"{\"columns\":[\"filename\",\"index\",\"prob\"],\"data\":[[\"b.jpg\",1,0.5],[\"a.jpg\",[4,2],0.1]]}",
         "a.jpg=4 b.jpg=1"},
        {"{\"columns\":[\"filename\",\"prob\"],\"data\":[]}", "predictions-columns"},
        {"{\"columns\":[\"filename\",\"index\"],\"data\":[[\"a.jpg\"]]}", "predictions-columns"},
        {"{\"columns\":[\"filename\",\"index\"],\"data\":[[1,2]]}", "predictions-columns"},
        {"{\"columns\":[1,2],\"data\":[[1,2]]}", "predictions-columns"},
        {"{\"columns\":3,\"data\":4}", "predictions-columns"},
        {"{\"a.jpg\":{\"prob\":0.5}}", "predictions-columns"},
        {"{\"a.jpg\":3}", "predictions-columns"},
        {"{\"a.jpg\":{\"index\":5}}", "predictions-class"},
        {"{\"a.jpg\":{\"index\":\"3\"}}", "predictions-class"},
        {"{\"a.jpg\":{\"label\":3}}", "predictions-class"},
        {"{\"a.jpg\":{\"label\":{\"x\":1}}}", "predictions-class"},
        {"{\"a.jpg\":{\"index\":1},\"a.jpg\":{\"index\":2}}", "duplicate-key"},
        {"{\"columns\":[\"filename\",\"index\"],\"data\":[[\"a\",1],[\"a\",1]]}", "predictions-twice"},
        {"{\"a.jpg\":{\"index\":1}", "json-syntax"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(verdict(cases[i].text), cases[i].verdict, "case %zu", i);
}

/* Broken: the answers of the validation set, as inference.py writes them with its indent, are too many for the reader. */
Test(predictions, many, .init = scratch_begin, .fini = scratch_end, .timeout = 60)
{
    vr_predictions p;
    vr_error       err = {0};
    FILE          *f = fopen(scratch_path("theirs"), "w");
    for (int i = 1; i <= 50000; i++) {
        fprintf(f, "%s\n    \"ILSVRC2012_val_%08d.JPEG\":{", i == 1 ? "{" : ",", i);
        for (int k = 0; k < 3; k++)
            fprintf(f, "%s\n        \"%s\":[\n            %d,\n            1\n        ]", k ? "," : "",
                    k == 0   ? "index"
                    : k == 1 ? "logit"
                             : "prob",
                    i % 5);
        fputs("\n    }", f);
    }
    fputs("\n}", f);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(vr_predictions_read(&p, scratch_path("theirs"), &five, &err), VR_OK, "%s", err.text);
    cr_expect_eq(p.count, 50000);
    cr_expect_str_eq(p.item[41].name, "ILSVRC2012_val_00000042.JPEG");
    cr_expect_eq(p.item[41].class, 42 % 5);
    vr_predictions_free(&p);
}

/* Which names ours [count] are found as: "b - a", "-" where none; or the rule that is broken. */
static const char *matched(const char *const *theirs, size_t n, const char *const *ours, size_t count)
{
    static char    seen[400];
    vr_prediction  item[8];
    size_t         place[8], at = 0;
    vr_error       err = {0};
    vr_predictions p = {n, item};
    for (size_t i = 0; i < n; i++) item[i] = (vr_prediction){(char *)theirs[i], 0};
    seen[0] = 0;
    if (vr_predictions_match(&p, place, ours, count, &err)) return err.rule;
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(seen + at, sizeof seen - at, "%s%s", i ? " " : "",
                               place[i] == VR_PREDICTION_NONE ? "-" : item[place[i]].name);
    return seen;
}
#define LIST(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

/* Broken: a picture is compared with the answer for another one of the same name. */
Test(predictions, matching)
{
    cr_expect_str_eq(matched(LIST("/d/v/1/a.jpg", "/d/v/2/a.jpg"), LIST("/d/v/2/a.jpg", "/d/v/1/a.jpg")),
                     "/d/v/2/a.jpg /d/v/1/a.jpg");
    cr_expect_str_eq(matched(LIST("1/a.jpg", "2/a.jpg"), LIST("/d/v/2/a.jpg", "/d/v/1/a.jpg", "/d/v/3/a.jpg")),
                     "2/a.jpg 1/a.jpg -");
    cr_expect_str_eq(matched(LIST("a.jpg", "b.jpg"), LIST("v/1/b.jpg", "v/2/c.jpg", "v/2/xa.jpg")), "b.jpg - -");
    cr_expect_str_eq(matched(LIST("2/a.jpg", "a.jpg"), LIST("v/2/a.jpg")), "2/a.jpg"); /* the longest end */
    /* elsewhere: by the last part, where it is alone on both sides */
    cr_expect_str_eq(matched(LIST("/y/1/a.jpg", "/y/2/b.jpg"), LIST("/z/a.jpg", "/z/b.jpg")), "/y/1/a.jpg /y/2/b.jpg");
    cr_expect_str_eq(matched(LIST("/y/1/a.jpg", "/y/2/a.jpg", "/y/b.jpg"), LIST("/z/a.jpg", "/z/b.jpg")), "- /y/b.jpg");
    cr_expect_str_eq(matched(LIST("/y/a.jpg", "/y/b.jpg"), LIST("/z/1/a.jpg", "/z/2/a.jpg", "/z/b.jpg")), "- - /y/b.jpg");
    cr_expect_str_eq(matched(LIST("a.jpg"), LIST("v/1/a.jpg", "v/2/a.jpg")), "predictions-shared");
}
