/* The strict door in front of cJSON. */
#include "../../loaders/json.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *verdict(const char *text, size_t length)
{
    vr_error err = {0};
    vr_json *doc;
    char    *exact = malloc(length ? length : 1); /* no byte behind the text, so that a read past it is seen */
    cr_assert_not_null(exact);
    memcpy(exact, text, length);
    vr_status status = vr_json_parse(&doc, exact, length, "text", &err);
    free(exact);
    if (status == VR_OK) {
        vr_json_free(doc);
        return "ok";
    }
    cr_assert_null(doc);
    cr_assert_eq(status, VR_E_MODEL, "%s", err.text);
    cr_assert(strncmp(err.text, "text: ", 6) == 0, "%s", err.text);
    return err.rule;
}

/* Broken: what is no JSON is read as something, or JSON is refused.  cJSON alone accepts some thirty of the bad ones. */
Test(json, verdicts)
{
#define TEXT(literal) literal, sizeof(literal) - 1
    static const struct {
        const char *text;
        size_t      length;
        const char *verdict;
    } cases[] = {
        {TEXT("{}"), "ok"},
        {TEXT("[]"), "ok"},
        {TEXT(" \t\r\n{ } \t\r\n"), "ok"},
        {TEXT("null"), "ok"},
        {TEXT("true"), "ok"},
        {TEXT("false"), "ok"},
        {TEXT("0"), "ok"},
        {TEXT("-0"), "ok"},
        {TEXT("-12.50e+3"), "ok"},
        {TEXT("1E-7"), "ok"},
        {TEXT("0.1"), "ok"},
        {TEXT("\"\""), "ok"},
        {TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""), "ok"},
        {TEXT("\"\\ud83d\\ude00\""), "ok"},
        {TEXT("\"\xf0\x9f\x98\x80\""), "ok"},
        {TEXT("\"\x7f\""), "ok"},
        {TEXT("[1,[2,[3,{}]],\"x\"]"), "ok"},
        {TEXT("{\"a\":1,\"A\":2}"), "ok"},
        {TEXT("{\"\":1}"), "ok"},
        {TEXT("{\"a\":{\"a\":{\"a\":1}}}"), "ok"},
        {TEXT("[{\"a\":1},{\"a\":2}]"), "ok"},
        {TEXT(""), "json-syntax"},
        {TEXT(" "), "json-syntax"},
        {TEXT("\0"), "json-syntax"},
        {TEXT("{}\0"), "json-syntax"},
        {TEXT("\xef\xbb\xbf{}"), "json-syntax"},
        {TEXT("{"), "json-syntax"},
        {TEXT("}"), "json-syntax"},
        {TEXT("["), "json-syntax"},
        {TEXT("[1"), "json-syntax"},
        {TEXT("[1,"), "json-syntax"},
        {TEXT("[1,]"), "json-syntax"},
        {TEXT("[,1]"), "json-syntax"},
        {TEXT("[1,,2]"), "json-syntax"},
        {TEXT("[1 2]"), "json-syntax"},
        {TEXT("[1}"), "json-syntax"},
        {TEXT("{\"a\":1]"), "json-syntax"},
        {TEXT("{\"a\":1,}"), "json-syntax"},
        {TEXT("{\"a\"}"), "json-syntax"},
        {TEXT("{\"a\":}"), "json-syntax"},
        {TEXT("{\"a\" 1}"), "json-syntax"},
        {TEXT("{a:1}"), "json-syntax"},
        {TEXT("{1:1}"), "json-syntax"},
        {TEXT("{'a':1}"), "json-syntax"},
        {TEXT("{} {}"), "json-syntax"},
        {TEXT("{}x"), "json-syntax"},
        {TEXT("1 2"), "json-syntax"},
        {TEXT("nul"), "json-syntax"},
        {TEXT("nulL"), "json-syntax"},
        {TEXT("nullx"), "json-syntax"},
        {TEXT("True"), "json-syntax"},
        {TEXT("NaN"), "json-syntax"},
        {TEXT("Infinity"), "json-syntax"},
        {TEXT("//x\n1"), "json-syntax"},
        {TEXT("/**/1"), "json-syntax"},
        {TEXT("\x01{}"), "json-syntax"},
        {TEXT("\"a"), "json-syntax"},
        {TEXT("\"a\nb\""), "json-syntax"},
        {TEXT("\"a\tb\""), "json-syntax"},
        {TEXT("\"a\0b\""), "json-syntax"},
        {TEXT("\"\\"), "json-escape"},
        {TEXT("\"\\\""), "json-syntax"},
        {TEXT("\"\\x41\""), "json-escape"},
        {TEXT("\"\\'\""), "json-escape"},
        {TEXT("\"\\u12\""), "json-escape"},
        {TEXT("\"\\u12g4\""), "json-escape"},
        {TEXT("\"\\u"), "json-escape"},
        {TEXT("\"\\ud83d\""), "json-escape"},
        {TEXT("\"\\ud83dx\""), "json-escape"},
        {TEXT("\"\\ud83d\\n\""), "json-escape"},
        {TEXT("\"\\ud83d\\ud83d\""), "json-escape"},
        {TEXT("\"\\ude00\""), "json-escape"},
        {TEXT("\"\\u0000\""), "nul-escape"},
        {TEXT("{\"ab\\u0000cd\":1}"), "nul-escape"},
        {TEXT("\"\xff\""), "utf8"},
        {TEXT("\"\xc0\x80\""), "utf8"},
        {TEXT("\"\xed\xa0\x80\""), "utf8"},
        {TEXT("\"\xc3"), "utf8"},
        {TEXT("007"), "number-form"},
        {TEXT("00"), "number-form"},
        {TEXT("-01"), "number-form"},
        {TEXT("1."), "number-form"},
        {TEXT("[1.]"), "number-form"},
        {TEXT("1.e5"), "number-form"},
        {TEXT("1e"), "number-form"},
        {TEXT("1e+"), "number-form"},
        {TEXT("1.5.2"), "number-form"},
        {TEXT("-"), "number-form"},
        {TEXT("--1"), "number-form"},
        {TEXT("0x10"), "number-form"},
        {TEXT("1-2"), "number-form"},
        {TEXT("+5"), "json-syntax"},
        {TEXT(".5"), "json-syntax"},
        {TEXT("1e999"), "number-range"},
        {TEXT("[-1e999]"), "number-range"},
        {TEXT("1000000000000000000000000000000000000000000000000000000000000"), "number-range"},
        {TEXT("{\"a\":1,\"a\":1}"), "duplicate-key"},
        {TEXT("{\"a\":1,\"\\u0061\":1}"), "duplicate-key"},
        {TEXT("{\"\":1,\"\":1}"), "duplicate-key"},
        {TEXT("[[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]]"), "duplicate-key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(verdict(cases[i].text, cases[i].length), cases[i].verdict, "%s", cases[i].text);
    printf("json: %zu texts\n", sizeof cases / sizeof *cases);
}

/* Broken: a text cut short is accepted. */
Test(json, every_prefix)
{
    static const char text[] =
        "{\"name\":\"caf\\u00e9 \\ud83d\\ude00\",\"list\":[1,-2.5e3,true,false,null,{\"a\":[]}],\"o\":{}}";
    cr_assert_str_eq(verdict(text, sizeof text - 1), "ok");
    for (size_t n = 0; n < sizeof text - 1; n++) cr_expect_str_neq(verdict(text, n), "ok", "%zu bytes", n);
}

/* `n` times one text, then another. */
static char *repeat(const char *what, size_t n, const char *end)
{
    size_t each = strlen(what);
    char  *text = malloc(n * each + strlen(end) + 1);
    cr_assert_not_null(text);
    for (size_t i = 0; i < n; i++) memcpy(text + i * each, what, each);
    strcpy(text + n * each, end);
    return text;
}

/* Broken: a deep text overruns the stack. */
Test(json, nesting_ends_at_32)
{
    char *deep = repeat("[", 32, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    cr_assert_str_eq(verdict(deep, strlen(deep)), "ok");
    free(deep);
    const char *const open[] = {"[", "{\"a\":", "[{\"a\":"};
    for (int i = 0; i < 3; i++) {
        deep = repeat(open[i], 200000, "");
        cr_assert_str_eq(verdict(deep, strlen(deep)), "nesting");
        free(deep);
    }
    deep = repeat("[", 33, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    cr_assert_str_eq(verdict(deep, strlen(deep)), "nesting");
    free(deep);
}

/* Broken: a text of many values takes memory or time out of proportion.  Quadratic checks would take minutes here. */
Test(json, large_texts_are_quick, .timeout = 10)
{
    char  *text = malloc(4 << 20);
    size_t n = 0;
    text[n++] = '{';
    for (int i = 0; i < 100000; i++) n += (size_t)sprintf(text + n, "%s\"k%d\":0", i ? "," : "", i);
    strcpy(text + n, "}");
    cr_assert_str_eq(verdict(text, n + 1), "ok");
    strcpy(text + n, ",\"k0\":0}");
    cr_assert_str_eq(verdict(text, strlen(text)), "duplicate-key");
    free(text);
    text = repeat("0,", 131070, "0]");
    text[0] = '[';
    text[1] = ' ';
    cr_assert_str_eq(verdict(text, strlen(text)), "ok");
    free(text);
    text = repeat("[],", 140000, "[]]");
    text[0] = '[', text[1] = '0';
    text[2] = ',';
    cr_assert_str_eq(verdict(text, strlen(text)), "too-many-values");
    free(text);
}

/* Broken: a value is handed out as something it is not, or rounded on the way. */
Test(json, values)
{
    static const char text[] = "{\"i\":42,\"z\":-0,\"f\":1.5,\"h\":1e2,\"big\":9007199254740991,\"bigger\":9007199254740992,"
                               "\"s\":\"x\\u00e9\",\"b\":true,\"n\":null,\"a\":[10,20,30],\"o\":{\"k\":false}}";
    vr_error          err = {0};
    vr_json          *doc;
    int64_t           i = 7;
    double            d;
    bool              b;
    const char       *s = NULL;
    cr_assert_eq(vr_json_parse(&doc, text, sizeof text - 1, "text", &err), VR_OK, "%s", err.text);
#define GET(key) vr_json_get(doc, key)
    cr_assert(vr_json_int(GET("i"), 42, 42, &i) && i == 42);
    i = 7;
    cr_assert_not(vr_json_int(GET("i"), 43, 99, &i));
    cr_assert_not(vr_json_int(GET("i"), 0, 41, &i));
    cr_assert_not(vr_json_int(GET("f"), -99, 99, &i));
    cr_assert_not(vr_json_int(GET("s"), -99, 99, &i));
    cr_assert_not(vr_json_int(GET("b"), -99, 99, &i));
    cr_assert_not(vr_json_int(GET("n"), -99, 99, &i));
    cr_assert_not(vr_json_int(GET("bigger"), INT64_MIN, INT64_MAX, &i)); /* 2^53 + 1 reads the same */
    cr_assert_not(vr_json_int(NULL, INT64_MIN, INT64_MAX, &i));
    cr_assert_eq(i, 7);
    cr_assert(vr_json_int(GET("big"), 0, INT64_MAX, &i) && i == 9007199254740991);
    cr_assert(vr_json_int(GET("h"), 0, 100, &i) && i == 100);
    cr_assert(vr_json_int(GET("z"), 0, 0, &i) && i == 0);
    cr_assert(vr_json_double(GET("f"), &d) && d == 1.5);
    cr_assert(vr_json_double(GET("i"), &d) && d == 42);
    cr_assert_not(vr_json_double(GET("s"), &d));
    cr_assert_not(vr_json_double(NULL, &d));
    cr_assert(vr_json_bool(GET("b"), &b) && b);
    cr_assert(vr_json_bool(vr_json_get(GET("o"), "k"), &b) && !b);
    cr_assert_not(vr_json_bool(GET("i"), &b));
    cr_assert_not(vr_json_bool(GET("n"), &b));
    cr_assert(vr_json_string(GET("s"), &s));
    cr_assert_str_eq(s, "x\xc3\xa9");
    cr_assert_not(vr_json_string(GET("a"), &s)); /* whose index lies where cJSON keeps strings */
    cr_assert_not(vr_json_string(NULL, &s));
    cr_assert_null(GET("I"));
    cr_assert_null(vr_json_get(GET("a"), "i"));
    cr_assert_null(vr_json_get(NULL, "i"));
    vr_json_free(doc);
}

/* Broken: walking a list or an object misses, repeats or reorders. */
Test(json, walking)
{
    static const char        text[] = "{\"a\":[10,[],{\"x\":1}],\"b\":3}";
    static const char *const kinds[] = {"a number", "an array", "an object"};
    vr_json                 *doc;
    int64_t                  n;
    cr_assert_eq(vr_json_parse(&doc, text, sizeof text - 1, "text", NULL), VR_OK);
    cr_assert_eq(vr_json_size(doc), 2);
    cr_assert_str_eq(vr_json_key(vr_json_item(doc, 0)), "a");
    cr_assert_str_eq(vr_json_key(vr_json_item(doc, 1)), "b");
    cr_assert_null(vr_json_item(doc, 2));
    const vr_json *list = vr_json_item(doc, 0);
    cr_assert_eq(vr_json_size(list), 3);
    for (size_t i = 0; i < 3; i++) cr_assert_str_eq(vr_json_type_name(vr_json_item(list, i)), kinds[i]);
    cr_assert_null(vr_json_key(vr_json_item(list, 0)));
    cr_assert_eq(vr_json_size(vr_json_item(list, 1)), 0);
    cr_assert_null(vr_json_item(vr_json_item(list, 1), 0));
    cr_assert_eq(vr_json_size(vr_json_item(doc, 1)), 0);
    cr_assert(vr_json_int(vr_json_item(list, 0), 0, 99, &n) && n == 10);
    cr_assert_str_eq(vr_json_type_name(NULL), "absent");
    vr_json_free(doc);
    vr_json_free(NULL);
}

/* Broken: a misspelt key of a config is silently ignored. */
Test(json, only_keys)
{
    static const char *const allowed[] = {"a", "b", NULL};
    vr_error                 err = {0};
    vr_json                 *doc;
    cr_assert_eq(vr_json_parse(&doc, "{\"b\":1,\"a\":2}", 13, "text", &err), VR_OK);
    cr_assert_eq(vr_json_only_keys(doc, allowed, "conf", &err), VR_OK);
    vr_json_free(doc);
    cr_assert_eq(vr_json_parse(&doc, "{\"a\":1,\"\\u001b[2J\":2}", 21, "text", &err), VR_OK);
    cr_assert_eq(vr_json_only_keys(doc, allowed, "conf", &err), VR_E_MODEL);
    cr_assert_str_eq(err.rule, "unknown-key");
    cr_assert_not_null(strstr(err.text, "conf: key '\\x1b[2J'"), "%s", err.text);
    vr_json_free(doc);
}

static const char *read_verdict(const char *path, size_t max, vr_status wanted)
{
    static vr_error err;
    vr_json        *doc;
    err = (vr_error){0};
    cr_assert_eq(vr_json_read(&doc, path, max, &err), wanted, "%s", err.text);
    if (wanted)
        cr_assert_null(doc);
    else
        vr_json_free(doc);
    return err.rule;
}

/* Broken: a file that is missing, too large, or none at all makes the reader wait, crash or misname what is wrong. */
Test(json, files, .init = scratch_begin, .fini = scratch_end, .timeout = 10)
{
    scratch_text("good.json", "{\"a\":1}");
    read_verdict(scratch_path("good.json"), 0, VR_OK);
    read_verdict(scratch_path("good.json"), 7, VR_OK);
    cr_assert_str_eq(read_verdict(scratch_path("good.json"), 6, VR_E_MODEL), "file-too-large");
    cr_assert_str_eq(read_verdict(scratch_path("absent.json"), 0, VR_E_IO), "open");
    cr_assert_str_eq(read_verdict(scratch_path(""), 0, VR_E_IO), "not-a-file");
    cr_assert_str_eq(read_verdict("/dev/zero", 0, VR_E_IO), "not-a-file");
    cr_assert_eq(mkfifo(scratch_path("pipe"), 0600), 0);
    cr_assert_str_eq(read_verdict(scratch_path("pipe"), 0, VR_E_IO), "not-a-file");
    scratch_text("empty.json", "");
    cr_assert_str_eq(read_verdict(scratch_path("empty.json"), 0, VR_E_MODEL), "json-syntax");
    char *large = repeat(" ", (1 << 20) - 1, "{}");
    scratch_text("large.json", large);
    cr_assert_str_eq(read_verdict(scratch_path("large.json"), 0, VR_E_MODEL), "file-too-large");
    read_verdict(scratch_path("large.json"), 2 << 20, VR_OK);
    free(large);
}
