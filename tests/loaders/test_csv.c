/* Tables of comma-separated values. */
#include "../../loaders/csv.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rule that a text breaks, or its fields: | between them, / behind each row. */
static const char *verdict(const char *text, size_t length)
{
    static char seen[400];
    char       *copy = malloc(length + 1); /* no byte more, so that a sanitizer sees a step too far */
    vr_csv      c;
    vr_error    err = {0};
    size_t      at = 0;
    memcpy(copy, text, length);
    copy[length] = 0;
    if (vr_csv_parse(&c, copy, length, "a table", &err)) {
        cr_expect(c.field == NULL && c.rows == 0);
        snprintf(seen, sizeof seen, "%s", err.rule);
    }
    for (size_t i = 0; i < c.rows * c.columns; i++)
        at += (size_t)snprintf(seen + at, sizeof seen - at, "%s%c", c.field[i], (i + 1) % c.columns ? '|' : '/');
    vr_csv_free(&c);
    free(copy);
    return seen;
}

/* Broken: a quote, a comma or a line's end in a file name shifts the columns, and answers are compared with other pictures'. */
Test(csv, verdicts)
{
    static const struct {
        const char *text, *verdict;
    } cases[] = {
        {"a,b\nc,d\n", "a|b/c|d/"},
        {"a,b\nc,d", "a|b/c|d/"},
        {"a,b\r\nc,d\r\n", "a|b/c|d/"},
        {"a,b\r\nc,d\n", "a|b/c|d/"},
        {"\xef\xbb\xbf"
         "a,b\n",
         "a|b/"},
        {"\"a,1\",\"b\"\"2\"\"\"\n\"x\ny\",\"\"\n", "a,1|b\"2\"/x\ny|/"},
        {"\"a\r\nb\",c\r\n", "a\r\nb|c/"},
        {"\"\"\"\"", "\"/"},
        {",\n,", "|/|/"},
        {"a\n\nb\n", "a//b/"},
        {"caf\xe9,1\n", "caf\xe9|1/"}, /* names of files are bytes */
        {" a , b ", " a | b /"},
        {"\n", "/"},
        {"", "csv-empty"},
        {"\xef\xbb\xbf", "csv-empty"},
        {"a,b\nc\n", "csv-columns"},
        {"a,b\nc,d,e\n", "csv-columns"},
        {"a,b\n\nc,d\n", "csv-columns"},
        {"a,b\nc,", "a|b/c|/"},
        {"a\"b\n", "csv-quote"},
        {"\"a\"b\n", "csv-quote"},
        {"\"a\" ,b\n", "csv-quote"},
        {"a, \"b\"\n", "csv-quote"},
        {"\"a,b\n", "csv-quote"},
        {"\"", "csv-quote"},
        {"\"a\"\"", "csv-quote"},
        {"a\rb\n", "csv-bytes"},
        {"a\r", "csv-bytes"},
        {"\"a\"\r", "csv-bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(verdict(cases[i].text, strlen(cases[i].text)), cases[i].verdict, "case %zu", i);
    cr_expect_str_eq(verdict("a\0b\n", 4), "csv-bytes");
}

/* Broken: a message sends its reader to another line. */
Test(csv, lines)
{
    char     text[] = "a,b\n\"x\ny\nz\",2\nc\n";
    vr_csv   c;
    vr_error err = {0};
    cr_expect_eq(vr_csv_parse(&c, text, strlen(text), "t.csv", &err), VR_E_MODEL);
    cr_expect(strstr(err.text, "t.csv: line 5 has 1 fields, wanted 2"), "%s", err.text);
}

/* Broken: commas fill the memory. */
Test(csv, cap, .timeout = 20)
{
    const size_t most = VR_CSV_MOST;
    for (size_t more = 0; more < 2; more++) {
        char    *text = malloc(most + 1);
        vr_csv   c;
        vr_error err = {0};
        memset(text, ',', most);
        text[most - 1 + more] = 0;
        vr_csv_parse(&c, text, most - 1 + more, "commas", &err);
        cr_expect_str_eq(err.code ? err.rule : "ok", more ? "csv-large" : "ok");
        cr_expect_eq(c.columns, more ? 0 : most);
        vr_csv_free(&c);
        free(text);
    }
}

/* Broken: random bytes of the alphabet that matters make the reader step out of the text (a sanitizer sees it), or make a
 * table that is not whole. */
Test(csv, random)
{
    static const char alphabet[] = "a,\"\n\r,\"\n";
    uint64_t          state = 7;
    for (int round = 0; round < 20000; round++) {
        char         text[13];
        vr_csv       c;
        vr_error     err = {0};
        const size_t n = scratch_random(&state) % 13;
        for (size_t i = 0; i < n; i++) text[i] = alphabet[scratch_random(&state) % 8];
        text[n] = 0;
        char *copy = malloc(n + 1);
        memcpy(copy, text, n + 1);
        if (!vr_csv_parse(&c, copy, n, "random", &err)) {
            cr_assert(c.rows > 0 && c.columns > 0);
            for (size_t i = 0; i < c.rows * c.columns; i++) cr_assert(c.field[i] >= copy && c.field[i] <= copy + n);
        } else
            cr_assert(err.code == VR_E_MODEL && strncmp(err.rule, "csv-", 4) == 0);
        vr_csv_free(&c);
        free(copy);
    }
}
