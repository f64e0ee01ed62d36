/* schedule_write.c: a schedule as a file, one step a block, every option said. */
#include "schedule_parts.h"

#include <stdlib.h>
#include <string.h>

static void put_string(FILE *f, const char *text)
{
    fputc('"', f);
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20)
            fprintf(f, "\\u%04x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

/* With as few digits as bring the same number back. */
static void put_number(FILE *f, double x)
{
    char text[32];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    fputs(text, f);
}

/* The options that are words, as far as this method has them. */
static void put_words(FILE *f, const vr_step *s)
{
    for (const vr_word_key *k = vr_word_keys; k->key; k++) {
        int word;
        if (!(k->methods & 1u << s->method)) continue;
        memcpy(&word, (const char *)s + k->offset, sizeof word);
        fprintf(f, ", \"%s\": \"%s\"", k->key, k->words[word]);
    }
}

static void put_mame(FILE *f, const vr_step *s)
{
    fprintf(f, ", \"layers\": [%d], \"tau\": ", s->layer);
    put_number(f, s->tau);
    fprintf(f, ", \"refine\": %s", s->refine ? "true" : "false");
    put_words(f, s);
    if (s->partition != VR_PARTITION_RANDOM) return;
    fprintf(f, ", \"seed\": %llu, \"share\": ", (unsigned long long)s->seed);
    put_number(f, s->share);
}

/* DiffRate's is one step for all blocks, with a list of each number; a block without one keeps whatever is there. */
static void put_list(FILE *f, const vr_schedule *s, const char *name, size_t offset)
{
    fprintf(f, ", \"%s\": [", name);
    for (int l = 0; l < s->depth; l++) {
        const vr_step *step = vr_schedule_at(s, l, false);
        int            number = s->tokens;
        if (step) memcpy(&number, (const char *)step + offset, sizeof number);
        fprintf(f, "%s%d", l ? ", " : "", number);
    }
    fputc(']', f);
}

static void put_diffrate(FILE *f, const vr_schedule *s)
{
    put_list(f, s, "prune", offsetof(vr_step, prune));
    put_list(f, s, "merge", offsetof(vr_step, merge));
}

static void put_step(FILE *f, const vr_schedule *whole, const vr_step *s)
{
    fprintf(f, "    {\"method\": \"%s\"", vr_method_words[s->method]);
    switch (s->method) {
    case VR_MAME:
        put_mame(f, s);
        break;
    case VR_TOME:
        fprintf(f, ", \"layers\": [%d], \"r\": %d", s->layer, s->r);
        break;
    case VR_EVIT:
        fprintf(f, ", \"layers\": [%d], \"keep\": ", s->layer);
        put_number(f, s->keep);
        fprintf(f, ", \"fuse\": %s", s->fuse ? "true" : "false");
        break;
    case VR_DIFFRATE:
        put_diffrate(f, whole);
        break;
    case VR_MARE:
    case VR_METHODS:
        fprintf(f, ", \"layer\": %d", s->layer);
        put_words(f, s);
        break;
    }
    fputc('}', f);
}

void vr_schedule_write(FILE *f, const vr_schedule *s, const char *name, const char *source, const char *model)
{
    fputs("{\n  \"name\": ", f);
    put_string(f, name);
    fputs(",\n  \"source\": ", f);
    put_string(f, source);
    fputs(",\n  \"model\": ", f);
    put_string(f, model);
    fprintf(f, ",\n  \"scope\": \"%s\",\n  \"pool\": \"%s\",\n  \"prop_attn\": \"%s\",\n  \"steps\": [",
            vr_scope_words[s->scope], vr_pool_words[s->pool], vr_prop_words[s->prop_attn]);
    bool rates = false; /* DiffRate's one step is written */
    for (int i = 0; i < s->count; i++) {
        if (rates && s->steps[i].method == VR_DIFFRATE) continue;
        rates |= s->steps[i].method == VR_DIFFRATE;
        fputs(i ? ",\n" : "\n", f);
        put_step(f, s, &s->steps[i]);
    }
    fputs("\n  ]\n}\n", f);
}
