/* numbers.c: lists and ranges of whole numbers, as bench takes them. */
#include "cli.h"

#include <stdlib.h>

bool cli_number(int *out, const char *text, int low, int high)
{
    char *end;
    if (text[0] < '0' || text[0] > '9') return false; /* strtol takes spaces and signs */
    long n = strtol(text, &end, 10);
    if (*end || n < low || n > high) return false;
    *out = (int)n;
    return true;
}

enum { MOST = 1000 }; /* combinations of that many would run for days */

/* Reads digits at *p into *out and moves on. */
static bool digits(const char **p, int high, int *out)
{
    int64_t n = 0;
    if (**p < '0' || **p > '9') return false;
    for (; **p >= '0' && **p <= '9'; ++*p) {
        n = n * 10 + (**p - '0');
        if (n > high) return false;
    }
    *out = (int)n;
    return true;
}

/* One item: "4", "1-8", "2-8+2", "1-64*2". */
static bool item(const char **p, int low, int high, int *values, size_t *count)
{
    int  first, last, step = 1;
    char by = '+';
    if (!digits(p, high, &first) || first < low) return false;
    last = first;
    if (**p == '-') {
        ++*p;
        if (!digits(p, high, &last) || last < first) return false;
        if (**p == '+' || **p == '*') {
            by = *(*p)++;
            if (!digits(p, high, &step) || step < (by == '*' ? 2 : 1)) return false;
        }
    }
    if (by == '*' && first == 0) return false;
    for (int64_t n = first; n <= last; n = by == '*' ? n * step : n + step) {
        if (*count == MOST) return false;
        values[(*count)++] = (int)n;
    }
    return true;
}

vr_status cli_numbers(int **values, size_t *count, const char *text, const char *flag, int low, int high, vr_error *err)
{
    const char *p = text;
    *count = 0;
    *values = malloc(MOST * sizeof **values);
    if (!*values) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the numbers of %s", flag);
    do {
        if (!item(&p, low, high, *values, count)) break;
        if (*p == 0) return VR_OK;
    } while (*p++ == ',');
    free(*values);
    *values = NULL;
    return vr_fail(err, VR_E_USAGE, "value",
                   "%s is '%s'; it wants at most %d whole numbers from %d to %d, such as 8, 1,2,4, 1-8, 2-8+2 or 1-64*2", flag,
                   vr_quotez(text).text, MOST, low, high);
}
