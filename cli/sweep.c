/* sweep.c: see sweep.h.  Its keys, and what they may be, are those of the table of flags. */
#include "sweep.h"
#include "../engine/internal.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER = 24 }; /* bytes that hold any number of a range */

static const char spaces[] = " \t\r\n";

/* The line while it is read.  It is cut up in place, so messages quote the original. */
typedef struct {
    cli_sweep *out;
    size_t     first;          /* setting of the group at hand */
    char      *free;           /* room behind the line for the numbers of ranges */
    vr_quoted  group;          /* as written */
    uint32_t   given;          /* a bit for each key that the group has named */
    bool       fresh, goes_on; /* it names its method; some group so far does not */
    vr_error  *err;
} reader;

/* ---- keys ---- */

static bool is_key(const cli_flag *f)
{
    const size_t at = offsetof(cli_options, merge);
    return f->offset >= at && f->offset < at + sizeof(vitrun_merge);
}

static bool is_method(const cli_flag *f) { return f->offset == offsetof(cli_options, merge.method); }

static uint32_t bit_of(const cli_flag *f)
{
    return (uint32_t)1 << (f->offset - offsetof(cli_options, merge)) / sizeof(const char *);
}

static const cli_flag *find_key(const char *name, size_t length)
{
    const cli_flag *f = cli_flag_find(name, length, CLI_TOKENS | CLI_EVAL);
    return f && is_key(f) ? f : NULL;
}

static const char *key_candidate(size_t i, const void *context)
{
    (void)context;
    for (const cli_flag *f = cli_flags; f->name; f++)
        if (is_key(f) && !is_method(f) && i-- == 0) return f->name;
    return NULL;
}

static vr_status unknown_key(const reader *r, const char *name)
{
    char longer[48];
    snprintf(longer, sizeof longer, "merge-%s", name); /* as schedule files spell them: layers, scope, pool */
    const char *near = find_key(longer, strlen(longer)) ? longer : cli_nearest(name, key_candidate, NULL);
    if (near)
        return vr_fail(r->err, VR_E_USAGE, "key", "the setting '%s' has an unknown key '%s'; did you mean '%s'?", r->group.text,
                       vr_quotez(name).text, near);
    return vr_fail(r->err, VR_E_USAGE, "key",
                   "the setting '%s' has an unknown key '%s'; the method comes first, then merge flags without their dashes, "
                   "such as tau=0.8",
                   r->group.text, vr_quotez(name).text);
}

/* ---- ranges, in whole numbers of their last decimal place, so that 0.1 is exact ---- */

enum { PLACES = 9 };

typedef struct {
    int64_t value;  /* times 10^PLACES */
    bool    number; /* was it one? */
} decimal;

static decimal read_decimal(const char *text, const char *end)
{
    decimal d = {0};
    bool    minus = text < end && *text == '-', point = false;
    int     digits = 0, places = 0;
    for (text += minus; text < end; text++) {
        if (*text == '.' && !point) {
            point = true;
            continue;
        }
        if (*text < '0' || *text > '9' || ++digits > PLACES || (point && ++places > PLACES)) return d;
        d.value = 10 * d.value + (*text - '0');
    }
    for (; places < PLACES; places++) d.value *= 10;
    if (minus) d.value = -d.value;
    d.number = digits > 0;
    return d;
}

/* The shortest text: 0.55, 16. */
static char *print_decimal(char *out, int64_t value)
{
    const int64_t one = 1000000000, size = value < 0 ? -value : value;
    int n = snprintf(out, NUMBER, "%s%lld.%09lld", value < 0 ? "-" : "", (long long)(size / one), (long long)(size % one));
    while (out[n - 1] == '0') n--;
    if (out[n - 1] == '.') n--;
    out[n] = 0;
    return out;
}

typedef struct {
    const char *at[CLI_SWEEP_MOST];
    size_t      count;
} values;

static vr_status too_many(const reader *r)
{
    return vr_fail(r->err, VR_E_USAGE, "settings", "these are more than %d settings, at '%s'", CLI_SWEEP_MOST, r->group.text);
}

static vr_status bad_range(const reader *r, const char *item, const char *wrong)
{
    return vr_fail(r->err, VR_E_USAGE, "range", "the range '%s' %s; ranges are FIRST..LAST:STEP, such as 0.5..0.9:0.1",
                   vr_quotez(item).text, wrong);
}

static vr_status add_value(reader *r, values *v, const char *text)
{
    if (v->count == CLI_SWEEP_MOST) return too_many(r);
    v->at[v->count++] = text;
    return VR_OK;
}

/* `dots` is where item has its two. */
static vr_status add_range(reader *r, values *v, const char *item, const char *dots)
{
    const char   *colon = strchr(dots, ':'), *end = item + strlen(item);
    const decimal first = read_decimal(item, dots), last = read_decimal(dots + 2, colon ? colon : end);
    const decimal step = colon ? read_decimal(colon + 1, end) : (decimal){0};
    if (!colon) return bad_range(r, item, "has no step");
    if (!first.number || !last.number || !step.number)
        return bad_range(r, item, "wants three plain numbers, of up to nine digits");
    if (step.value == 0) return bad_range(r, item, "has the step 0");
    if (step.value > 0 ? last.value < first.value : last.value > first.value)
        return bad_range(r, item, "never gets there: its step has the wrong sign");
    for (int64_t x = first.value; step.value > 0 ? x <= last.value : x >= last.value; x += step.value) {
        if (add_value(r, v, r->free)) return r->err->code; /* before anything is written: there is room for so many */
        print_decimal(r->free, x);
        r->free += NUMBER;
    }
    return VR_OK;
}

/* ---- words ---- */

/* Cut "a|b..c:d" into values. */
static vr_status split_values(reader *r, values *v, const cli_flag *f, char *text)
{
    for (char *item = text, *next; item; item = next) {
        next = strchr(item, '|');
        if (next) *next++ = 0;
        const char *dots = is_method(f) ? NULL : strstr(item, ".."); /* a file may lie in a folder .. */
        if (!item[0])
            return vr_fail(r->err, VR_E_USAGE, "value", "the setting '%s' has an empty value for '%s'", r->group.text, f->name);
        if (dots ? add_range(r, v, item, dots) : add_value(r, v, item)) return r->err->code;
    }
    return VR_OK;
}

/* What the flags' own checks say, with the setting that they say it of. */
static vr_status wrong(const reader *r, const vr_error *e)
{
    return vr_fail(r->err, e->code, e->rule, "the setting '%s': %s", r->group.text, e->text);
}

/* Every setting of the group, once with each value; from the last to the first, for they spread over their own places. */
static vr_status multiply(reader *r, const cli_flag *f, const values *v)
{
    cli_sweep   *s = r->out;
    const size_t count = s->count - r->first;
    if (r->first + count * v->count > CLI_SWEEP_MOST) return too_many(r);
    for (size_t i = count; i-- > 0;) {
        const vitrun_merge from = s->merge[r->first + i];
        for (size_t k = v->count; k-- > 0;) {
            cli_options o = {.merge = from};
            vr_error    e = {0};
            if (cli_flag_set(&o, f, f->name, v->at[k], &e)) return wrong(r, &e);
            s->merge[r->first + i * v->count + k] = o.merge;
        }
    }
    s->count = r->first + count * v->count;
    return VR_OK;
}

static vr_status use(reader *r, const cli_flag *f, char *text)
{
    values v = {0};
    if (r->given & bit_of(f))
        return vr_fail(r->err, VR_E_USAGE, "key", "the setting '%s' names '%s' twice; several values are %s=A|B", r->group.text,
                       f->name, f->name);
    if (is_method(f) && r->given)
        return vr_fail(r->err, VR_E_USAGE, "method", "the setting '%s' has its method behind its words; it comes first",
                       r->group.text);
    r->given |= bit_of(f);
    if (is_method(f)) r->out->merge[r->first] = (vitrun_merge){0}, r->fresh = true;
    if (split_values(r, &v, f, text)) return r->err->code;
    return multiply(r, f, &v);
}

/* "tau=0.8", "fuse", or the method. */
static vr_status take_word(reader *r, char *word)
{
    char           *equals = strchr(word, '=');
    const size_t    length = equals ? (size_t)(equals - word) : strlen(word);
    const cli_flag *f = find_key(word, length);
    const bool      is_switch = f && f->kind == CLI_SWITCH;
    if (equals) *equals = 0;
    if (equals && !f) return unknown_key(r, word);
    if (equals && is_switch)
        return vr_fail(r->err, VR_E_USAGE, "value", "the setting '%s': '%s' is a switch and takes no value", r->group.text,
                       word);
    if (equals) return use(r, f, equals + 1);
    if (is_switch) return use(r, f, word);
    if (f && !is_method(f))
        return vr_fail(r->err, VR_E_USAGE, "value", "the setting '%s' has no value for '%s'; write %s=%s", r->group.text, word,
                       word, f->choices ? "WORD" : f->argument);
    if (word[0] >= '0' && word[0] <= '9')
        return vr_fail(r->err, VR_E_USAGE, "key", "the setting '%s': whose value is '%s'? Write KEY=VALUE, such as tau=0.8",
                       r->group.text, vr_quotez(word).text);
    if (r->given) return unknown_key(r, word);
    return use(r, find_key("merge", 5), word);
}

/* ---- settings ---- */

/* Do the words of each setting go together? */
static vr_status check(reader *r)
{
    for (size_t i = r->first; i < r->out->count; i++) {
        vr_error             e = {0};
        const vr_merge_words words = vr_merge_words_of(&r->out->merge[i]);
        if (vr_merge_words_check(&words, &e)) return wrong(r, &e);
    }
    return VR_OK;
}

static vr_status read_group(reader *r, char *group, const vitrun_merge *base)
{
    char  *rest;
    size_t length = strlen(group);
    while (length && strchr(spaces, group[length - 1])) length--;
    const size_t blank = strspn(group, spaces);
    r->group = vr_quote(group + blank, length > blank ? length - blank : 0);
    r->first = r->out->count;
    r->given = 0;
    r->fresh = false;
    if (!r->group.text[0])
        return vr_fail(r->err, VR_E_USAGE, "settings", "setting %zu is empty; name a method, or none for the unmerged model",
                       r->first + 1);
    if (r->out->count == CLI_SWEEP_MOST) return too_many(r);
    r->out->merge[r->out->count++] = *base;
    for (char *word = strtok_r(group, spaces, &rest); word; word = strtok_r(NULL, spaces, &rest))
        if (take_word(r, word)) return r->err->code;
    r->goes_on |= !r->fresh;
    return check(r);
}

/* The line, and behind it room for all the ranges that it can hold. */
static char *copy_line(const char *text, char **behind)
{
    const size_t length = strlen(text) + 1;
    size_t       ranges = 0, room;
    for (const char *p = strstr(text, ".."); p; p = strstr(p + 2, "..")) ranges++;
    if (!vr_mul(ranges, (size_t)CLI_SWEEP_MOST * NUMBER, &room) || !vr_add(room, length, &room)) return NULL;
    char *line = vr_alloc(room, 1);
    if (!line) return NULL;
    memcpy(line, text, length);
    *behind = line + length;
    return line;
}

vr_status cli_sweep_parse(cli_sweep *out, const char *text, const vitrun_merge *base, vr_error *err)
{
    reader r = {.out = out, .err = err};
    *out = (cli_sweep){vr_alloc(CLI_SWEEP_MOST, sizeof *out->merge), 0, copy_line(text, &r.free)};
    if (!out->merge || !out->words) vr_fail(err, VR_E_MEMORY, "memory", "no memory for a list of settings");
    for (char *group = err->code ? NULL : out->words, *next; group && !err->code; group = next) {
        next = strchr(group, ';');
        if (next) *next++ = 0;
        read_group(&r, group, base);
    }
    vitrun_merge words = *base;
    words.method = NULL; /* a method alone says little that could be lost */
    if (!err->code && !r.goes_on && memcmp(&words, &(vitrun_merge){0}, sizeof words) != 0)
        vr_fail(err, VR_E_USAGE, "settings",
                "every setting of the list names its method, so the merge flags beside it would change nothing; write them "
                "into the list");
    if (err->code) cli_sweep_free(out);
    return err->code;
}

void cli_sweep_free(cli_sweep *s)
{
    free(s->merge);
    free(s->words);
    *s = (cli_sweep){0};
}
