/* schedule_name.c: what a result is called.  Only what the steps say goes in, in one fixed order. */
#include "schedule_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_LIST = 12 };

static void add(vr_schedule_title *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(vr_schedule_title *t, const char *format, ...)
{
    size_t  at = strlen(t->text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(t->text + at, sizeof t->text - at, format, arguments);
    va_end(arguments);
}

/* The reductions of a schedule, one number of each. */
typedef struct {
    int    count;
    double at[VR_SCHEDULE_STEPS];
} column;

static double layer_of(const vr_step *s) { return s->layer; }
static double tau_of(const vr_step *s) { return s->tau; }
static double r_of(const vr_step *s) { return s->r; }
static double keep_of(const vr_step *s) { return s->keep; }
static double prune_of(const vr_step *s) { return s->prune; }
static double merge_of(const vr_step *s) { return s->merge; }
static double fuse_of(const vr_step *s) { return s->fuse; }

static void take(column *out, const vr_schedule *s, double (*of)(const vr_step *))
{
    out->count = 0;
    for (int i = 0; i < s->count; i++)
        if (s->steps[i].method != VR_MARE) out->at[out->count++] = of(&s->steps[i]);
}

/* FNV-1a over the numbers as text: the same on every machine. */
static unsigned hash(const column *c)
{
    unsigned h = 2166136261u;
    for (int i = 0; i < c->count; i++) {
        char text[40];
        snprintf(text, sizeof text, "%.9g,", c->at[i]);
        for (const char *p = text; *p; p++) h = (h ^ (unsigned char)*p) * 16777619u;
    }
    return h;
}

/* "_t0.8", "_t0.8+0.7", "_t#1a2b3c4d". */
static void add_column(vr_schedule_title *t, const char *letter, const vr_schedule *s, double (*of)(const vr_step *))
{
    column c;
    bool   same = true;
    take(&c, s, of);
    for (int i = 1; i < c.count; i++) same &= c.at[i] == c.at[0];
    if (same) c.count = 1;
    if (c.count > LONGEST_LIST) {
        add(t, "_%s#%08x", letter, hash(&c));
        return;
    }
    for (int i = 0; i < c.count; i++) add(t, "%s%s%.9g", i ? "+" : "_", i ? "" : letter, c.at[i]);
}

/* "_l0-7", "_l3+6+9", "_l0-3+8-11". */
static void add_layers(vr_schedule_title *t, const vr_schedule *s)
{
    column c;
    int    runs = 0;
    take(&c, s, layer_of);
    for (int i = 0; i < c.count; i++) runs += i == 0 || c.at[i] != c.at[i - 1] + 1;
    if (runs > LONGEST_LIST) {
        add(t, "_l#%08x", hash(&c));
        return;
    }
    for (int i = 0; i < c.count; i++) {
        int first = i;
        while (i + 1 < c.count && c.at[i + 1] == c.at[i] + 1) i++;
        add(t, "%s%d", first ? "+" : "_l", (int)c.at[first]);
        if (i > first) add(t, "-%d", (int)c.at[i]);
    }
}

/* Steps may differ in their words from block to block; then the name says so by a hash of them. */
static void add_mame_words(vr_schedule_title *t, const vr_schedule *s, const vr_step *first)
{
    static const char *const forced[] = {"", "_forced-merge", "_forced-drop"};
    column                   c = {0};
    bool                     same = true;
    for (int i = 0; i < s->count; i++) {
        const vr_step *m = &s->steps[i];
        if (m->method == VR_MARE) continue;
        unsigned words =
            m->rule | (unsigned)m->refine << 1 | m->partition << 2 | m->feature << 4 | m->similarity << 6 | m->forced << 7;
        c.at[c.count] = words + 1024 * m->share + (double)(m->seed % 1000003) * 4096;
        same &= c.at[c.count++] == c.at[0];
    }
    if (!same) {
        add(t, "_options#%08x", hash(&c));
        return;
    }
    if (first->rule == VR_RULE_SIMILARITY) add(t, "_rule-similarity");
    if (!first->refine) add(t, "_unrefined");
    if (first->partition == VR_PARTITION_SEQUENTIAL) add(t, "_sequential");
    if (first->partition == VR_PARTITION_RANDOM) add(t, "_random%llu", (unsigned long long)first->seed);
    if (first->partition == VR_PARTITION_RANDOM && first->share != 0.5) add(t, "-share%.9g", first->share);
    if (first->feature != VR_FEATURE_X) add(t, "_%s", first->feature == VR_FEATURE_K ? "k" : "k-mean");
    if (first->similarity == VR_SIMILARITY_DOT) add(t, "_dot");
    add(t, "%s", forced[first->forced]);
}

static void add_fused(vr_schedule_title *t, const vr_schedule *s)
{
    int fused = 0, all = 0;
    for (int i = 0; i < s->count; i++) all += s->steps[i].method != VR_MARE, fused += s->steps[i].fuse;
    if (fused == all) add(t, "_fused");
    if (fused && fused < all) add_column(t, "fused", s, fuse_of);
}

static bool every_block(const vr_schedule *s, const vr_step *first)
{
    int reductions = 0;
    for (int i = 0; i < s->count; i++) reductions += s->steps[i].method != VR_MARE && s->steps[i].r == first->r;
    return reductions == s->depth;
}

static void add_reductions(vr_schedule_title *t, const vr_schedule *s, const vr_step *first)
{
    switch (first->method) {
    case VR_MAME:
        add(t, "%s", first->weights == VR_WEIGHTS_MASS ? "mame-mass" : "mame");
        add_layers(t, s);
        add_column(t, "t", s, tau_of);
        add_mame_words(t, s, first);
        break;
    case VR_TOME:
        add(t, "tome");
        if (!every_block(s, first)) add_layers(t, s);
        add_column(t, "r", s, r_of);
        break;
    case VR_EVIT:
        add(t, "evit");
        add_layers(t, s);
        add_column(t, "k", s, keep_of);
        add_fused(t, s);
        break;
    default:
        add(t, "diffrate");
        if (s->rates[0]) {
            add(t, "_%s", s->rates);
            if (s->rates_scaled) add(t, "_scaled%d", s->tokens);
            break;
        }
        add_layers(t, s);
        add_column(t, "p", s, prune_of);
        add_column(t, "m", s, merge_of);
    }
}

vr_schedule_title vr_schedule_name(const vr_schedule *s)
{
    vr_schedule_title t = {""};
    const vr_step    *first = NULL;
    for (int i = s->count; i-- > 0;)
        if (s->steps[i].method != VR_MARE) first = &s->steps[i];
    if (!first) {
        add(&t, "none");
        return t;
    }
    add_reductions(&t, s, first);
    bool sized = first->method == VR_TOME || first->method == VR_DIFFRATE || first->weights == VR_WEIGHTS_MASS;
    if (sized != (s->pool == VR_MERGE_POOL_MASS)) add(&t, "_pool-%s", vr_pool_words[s->pool]);
    if (sized && !s->proportional) add(&t, "_prop-off");
    if (s->scope == VR_SCOPE_BATCH) add(&t, "_batch");
    for (int i = 0; i < s->count; i++)
        if (s->steps[i].method == VR_MARE)
            add(&t, "_mare%d-%s", s->steps[i].layer, s->steps[i].restore == VR_RESTORE_COPY ? "copy" : "paper");
    return t;
}
