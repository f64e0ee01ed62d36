/* schedule_words.c: the vocabulary of schedules, as tables, and the two ways of saying what is wrong with a word. */
#include "schedule_parts.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define M(method) (1u << (method))

const char *const vr_method_words[] = {"mame", "tome", "evit", "diffrate", "mare", NULL};
const char *const vr_scope_words[] = {"image", "batch", NULL};
const char *const vr_pool_words[] = {"plain", "mass", NULL};
const char *const vr_prop_words[] = {"auto", "on", "off", NULL};

const vr_word_key vr_word_keys[] = {
    {"rule", M(VR_MAME), offsetof(vr_step, rule), {"alg1", "similarity"}},
    {"partition", M(VR_MAME), offsetof(vr_step, partition), {"alternating", "sequential", "random"}},
    {"feature", M(VR_MAME), offsetof(vr_step, feature), {"x", "k", "k-mean"}},
    {"similarity", M(VR_MAME), offsetof(vr_step, similarity), {"cosine", "dot"}},
    {"forced", M(VR_MAME), offsetof(vr_step, forced), {"none", "merge", "drop"}},
    {"weights", M(VR_MAME), offsetof(vr_step, weights), {"plain", "mass"}},
    {"mode", M(VR_MARE), offsetof(vr_step, restore), {"paper", "copy"}},
    {0},
};

/* Dot products of tokens may exceed 1, hence the bound of tau. */
const vr_number_key vr_number_keys[] = {
    {"tau", M(VR_MAME), offsetof(vr_written, tau), false, false, 0, 1e6},
    {"r", M(VR_TOME), offsetof(vr_written, r), true, false, 0, 65536},
    {"keep", M(VR_EVIT), offsetof(vr_written, keep), false, true, 0, 1},
    {"prune", M(VR_DIFFRATE), offsetof(vr_written, prune), true, false, 1, 65536},
    {"merge", M(VR_DIFFRATE), offsetof(vr_written, merge), true, false, 1, 65536},
    {0},
};

/* Most keys are their flags; these are not. */
static const char *flag_of(const char *key)
{
    static const char *const other[][2] = {
        {"layers", "merge-layers"}, {"layer", "restore"},         {"mode", "restore-mode"}, {"scope", "merge-scope"},
        {"pool", "merge-pool"},     {"weights", "merge-weights"}, {"seed", "merge-seed"},   {"rates_from", "rates-from"},
        {"prop_attn", "prop-attn"}, {"steps", "merge"},           {"method", "merge"}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (strcmp(key, other[i][0]) == 0) return other[i][1];
    return key;
}

vr_place vr_origin_place(const vr_origin *from, const char *key)
{
    vr_place p;
    if (!from->file)
        snprintf(p.text, sizeof p.text, "--%s", flag_of(key));
    else if (from->step < 0)
        snprintf(p.text, sizeof p.text, "%s: %s", vr_quotez(from->file).text, key);
    else
        snprintf(p.text, sizeof p.text, "%s: steps[%d]%s%s", vr_quotez(from->file).text, from->step, key[0] ? "." : "", key);
    return p;
}

static vr_status fail_at(const vr_origin *from, vr_status code, const char *rule, const char *key, const char *format,
                         va_list arguments)
{
    char sentence[400];
    vsnprintf(sentence, sizeof sentence, format, arguments);
    return vr_fail(from->err, code, rule, "%s %s", vr_origin_place(from, key).text, sentence);
}

vr_status vr_origin_fail(const vr_origin *from, const char *rule, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vr_status status = fail_at(from, from->file ? VR_E_MODEL : VR_E_USAGE, rule, key, format, arguments);
    va_end(arguments);
    return status;
}

vr_status vr_origin_unfit(const vr_origin *from, const char *rule, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vr_status status = fail_at(from, VR_E_USAGE, rule, key, format, arguments);
    va_end(arguments);
    return status;
}

vr_status vr_word_find(int *out, const vr_origin *from, const char *key, const char *const *words, const char *text)
{
    char known[120] = "";
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return VR_OK;
        }
        size_t at = strlen(known);
        snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", words[i]);
    }
    return vr_origin_fail(from, "schedule-word", key, "is '%s'; it can be one of: %s", vr_quotez(text).text, known);
}

/* ---- numbers ---- */

vr_status vr_numbers_check(const vr_origin *from, const vr_number_key *k, double value)
{
    bool in = isfinite(value) && value >= k->low && value <= k->high && !(k->open_low && value <= k->low);
    if (in && (!k->whole || value == trunc(value))) return VR_OK;
    return vr_origin_fail(from, "schedule-range", k->key, "has the value %g; it must be a %snumber %s%g %s %g", value,
                          k->whole ? "whole " : "", k->open_low ? "above " : "from ", k->low,
                          k->open_low ? "and at most" : "to", k->high);
}

vr_status vr_numbers_add(vr_numbers *out, const vr_origin *from, const vr_number_key *k, double value)
{
    if (vr_numbers_check(from, k, value)) return from->err->code;
    if (out->count == VR_SCHEDULE_LAYERS)
        return vr_origin_fail(from, "schedule-list", k->key, "has more than %d values", VR_SCHEDULE_LAYERS);
    out->at[out->count++] = value;
    return VR_OK;
}

/* One decimal number, up to a comma or the end: strtod alone would take "inf", "0x1p3" and leading spaces. */
static bool decimal(const char **p, double *out)
{
    size_t n = strspn(*p, "+-.0123456789eE");
    char  *end;
    if (n == 0 || n > 40 || ((*p)[n] && (*p)[n] != ',') || (*p)[0] == '+') return false;
    *out = strtod(*p, &end);
    bool whole = end == *p + n;
    *p += n;
    return whole;
}

vr_status vr_numbers_parse(vr_numbers *out, const vr_origin *from, const vr_number_key *k, const char *text)
{
    const char *p = text;
    double      value;
    do {
        if (!decimal(&p, &value))
            return vr_origin_fail(from, "schedule-range", k->key, "is '%s'; it wants a %snumber, or a list of them such as %s",
                                  vr_quotez(text).text, k->whole ? "whole " : "", k->whole ? "16,8,4" : "0.9,0.8");
        if (vr_numbers_add(out, from, k, value)) return from->err->code;
    } while (*p++ == ',');
    return VR_OK;
}

/* ---- layers ---- */

vr_status vr_layers_add(vr_numbers *out, const vr_origin *from, const char *key, double layer)
{
    if (!(layer >= 0 && layer < VR_SCHEDULE_LAYERS && layer == trunc(layer)))
        return vr_origin_fail(from, "schedule-layer", key, "names block %g; blocks are whole numbers from 0 to %d", layer,
                              VR_SCHEDULE_LAYERS - 1);
    for (int i = 0; i < out->count; i++)
        if (out->at[i] == layer) return vr_origin_fail(from, "two-reducers", key, "names block %g twice", layer);
    out->at[out->count++] = layer; /* different ones, hence no more than fit */
    return VR_OK;
}

static bool block(const char **p, int *out)
{
    int n = 0;
    if (!isdigit((unsigned char)**p)) return false;
    for (; isdigit((unsigned char)**p); ++*p)
        if ((n = n * 10 + (**p - '0')) > 65535) return false;
    *out = n;
    return true;
}

vr_status vr_layers_parse(vr_numbers *out, const vr_origin *from, const char *key, const char *text)
{
    const char *p = text;
    do {
        int first, last;
        if (!block(&p, &first)) break;
        last = first;
        if (*p == '-' && (++p, !block(&p, &last) || last < first)) break;
        for (int l = first; l <= last; l++)
            if (vr_layers_add(out, from, key, l)) return from->err->code;
        if (*p == 0) return VR_OK;
    } while (*p++ == ',');
    return vr_origin_fail(from, "schedule-layer", key, "is '%s'; it wants blocks such as 0-7 or 3,6,9", vr_quotez(text).text);
}
