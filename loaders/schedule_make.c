/* schedule_make.c: schedules from the words of a command line: a method with its flags, or a file with what may stand
 * beside one. */
#include "schedule_parts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_file(const char *merge)
{
    size_t n = strlen(merge);
    return strchr(merge, '/') || (n > 5 && strcmp(merge + n - 5, ".json") == 0);
}

static int is_schedule(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 5 && d->d_name[0] != '.' && strcmp(d->d_name + n - 5, ".json") == 0 && strcmp(d->d_name, "diffrate.json");
}

static vr_status unknown_name(const char *folder, const char *name, vr_error *err)
{
    char            known[360] = "";
    struct dirent **list = NULL;
    int             n = scandir(folder, &list, is_schedule, alphasort);
    for (int i = 0; i < n; i++) {
        size_t at = strlen(known), stem = strlen(list[i]->d_name) - 5;
        if (at + stem + 3 < sizeof known)
            snprintf(known + at, sizeof known - at, "%s%.*s", at ? ", " : "", (int)stem, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return vr_fail(err, VR_E_USAGE, "schedule-unknown",
                   "--merge is '%s', which is no method (none, mame, tome, evit, diffrate) and no schedule; there are %s ...",
                   vr_quotez(name).text, known);
}

/* A file as named, or NAME.json among the schedules. */
static vr_status find_file(char *path, size_t size, const char *data_dir, const char *merge, vr_error *err)
{
    char folder[4096];
    if (snprintf(folder, sizeof folder, "%s/schedules", data_dir) >= (int)sizeof folder ||
        snprintf(path, size, "%s", merge) >= (int)size)
        return vr_fail(err, VR_E_USAGE, "schedule-unknown", "--merge names a file whose path is too long");
    if (is_file(merge)) return VR_OK;
    bool  there = vr_schedule_plain_name(merge) && snprintf(path, size, "%s/%s.json", folder, merge) < (int)size;
    FILE *f = there ? fopen(path, "r") : NULL;
    if (!f) return unknown_name(folder, merge, err);
    fclose(f);
    return VR_OK;
}

static bool says_none(const vr_merge_words *w) { return !w->merge || strcmp(w->merge, "none") == 0; }

static int method_of(const vr_merge_words *w)
{
    for (int i = 0; i < VR_MARE; i++)
        if (w->merge && strcmp(w->merge, vr_method_words[i]) == 0) return i;
    return -1;
}

enum { ANY = 1 << VR_METHODS, FILES = 2 << VR_METHODS }; /* a method; a file */
#define ONLY(method) (1u << (method))

/* Every word beside --merge: its key, its value, and what it can stand beside. */
typedef struct {
    const char *key, *text;
    unsigned    beside;
} beside_word;
enum { BESIDE_WORDS = 20 };

static void list_words(beside_word out[BESIDE_WORDS], const vr_merge_words *w)
{
    const unsigned    mame = ONLY(VR_MAME), layered = mame | ONLY(VR_TOME) | ONLY(VR_EVIT);
    const beside_word all[BESIDE_WORDS] = {
        {"tau", w->tau, mame},
        {"layers", w->layers, layered},
        {"r", w->r, ONLY(VR_TOME)},
        {"keep", w->keep, ONLY(VR_EVIT)},
        {"fuse", w->fuse ? "" : NULL, ONLY(VR_EVIT)},
        {"rates", w->rates, ONLY(VR_DIFFRATE)},
        {"rates_from", w->rates_from, ONLY(VR_DIFFRATE)},
        {"weights", w->weights, mame},
        {"rule", w->rule, mame},
        {"refine", w->refine, mame},
        {"partition", w->partition, mame},
        {"feature", w->feature, mame},
        {"similarity", w->similarity, mame},
        {"forced", w->forced, mame},
        {"seed", w->seed, mame},
        {"scope", w->scope, ANY | FILES},
        {"pool", w->pool, ANY | FILES},
        {"prop_attn", w->prop_attn, ANY | FILES},
        {"layer", w->restore, mame | FILES},
        {"mode", w->restore_mode, mame | FILES},
    };
    memcpy(out, all, sizeof all);
}

vr_status vr_merge_words_check(const vr_merge_words *w, vr_error *err)
{
    vr_error    mine = {0};
    vr_origin   from = {NULL, -1, &mine};
    beside_word word[BESIDE_WORDS];
    int         method = method_of(w);
    unsigned    have = says_none(w) ? 0 : method < 0 ? FILES : ANY | ONLY(method);
    list_words(word, w);
    for (int i = 0; i < BESIDE_WORDS && !mine.code; i++) {
        if (!word[i].text || (word[i].beside & have)) continue;
        if (!have)
            vr_origin_fail(&from, "merge-words", word[i].key, "means nothing without --merge and a method or schedule");
        else
            vr_origin_fail(&from, "merge-words", word[i].key, "means nothing to --merge %s%s", vr_quotez(w->merge).text,
                           method < 0 ? ", which is a file that says such things itself" : "");
    }
    if (!mine.code && w->restore_mode && !w->restore)
        vr_origin_fail(&from, "merge-words", "mode", "means nothing without --restore LAYER");
    if (!mine.code && w->seed && (!w->partition || strcmp(w->partition, "random")))
        vr_origin_fail(&from, "merge-words", "seed", "means nothing without --partition random");
    return mine.code ? vr_fail(err, mine.code, mine.rule, "%s", mine.text) : VR_OK;
}

static vr_status parse_seed(uint64_t *out, const char *text, const vr_origin *from)
{
    size_t n = strspn(text, "0123456789");
    if (n == 0 || text[n] || n > 18)
        return vr_origin_fail(from, "schedule-range", "seed", "is '%s'; it wants a whole number of at most 18 digits",
                              vr_quotez(text).text);
    *out = strtoull(text, NULL, 10);
    return VR_OK;
}

/* The step of a method, from its words. */
static vr_status write_step(vr_written *w, const vr_merge_words *words, vr_method method, const vr_origin *from)
{
    static const char *const onoff[] = {"off", "on", NULL};
    beside_word              word[BESIDE_WORDS];
    int                      number;
    vr_written_begin(w, method, -1);
    list_words(word, words);
    w->layers_said = words->layers != NULL;
    w->say.fuse = words->fuse;
    w->rates = words->rates, w->rates_from = words->rates_from;
    if (words->layers && vr_layers_parse(&w->layers, from, "layers", words->layers)) return from->err->code;
    if (words->seed && parse_seed(&w->say.seed, words->seed, from)) return from->err->code;
    if (words->refine && vr_word_find(&number, from, "refine", onoff, words->refine)) return from->err->code;
    if (words->refine) w->say.refine = number == 1;
    for (int i = 0; i < BESIDE_WORDS; i++) {
        for (const vr_number_key *k = vr_number_keys; k->key; k++) {
            vr_numbers *list = (vr_numbers *)(void *)((char *)w + k->offset);
            if (word[i].text && strcmp(word[i].key, k->key) == 0 && vr_numbers_parse(list, from, k, word[i].text))
                return from->err->code;
        }
        for (const vr_word_key *k = vr_word_keys; k->key; k++) {
            if (!word[i].text || !(k->methods & 1u << method) || strcmp(word[i].key, k->key)) continue;
            if (vr_word_find(&number, from, k->key, k->words, word[i].text)) return from->err->code;
            memcpy((char *)&w->say + k->offset, &number, sizeof number);
        }
    }
    return VR_OK;
}

static vr_status add_restoration(vr_schedule *s, vr_written *w, const vr_merge_words *words, const vr_merge_model *m,
                                 const vr_origin *from)
{
    int mode = VR_RESTORE_PAPER;
    if (!words->restore) return VR_OK;
    vr_written_begin(w, VR_MARE, -1);
    if (vr_layers_parse(&w->layers, from, "layer", words->restore)) return from->err->code;
    if (w->layers.count != 1) return vr_origin_fail(from, "schedule-list", "layer", "wants one block, not %d", w->layers.count);
    const vr_word_key *k = vr_word_keys;
    while (strcmp(k->key, "mode")) k++;
    if (words->restore_mode && vr_word_find(&mode, from, "mode", k->words, words->restore_mode)) return from->err->code;
    w->say.restore = (vr_step_restore)mode;
    return vr_schedule_expand(s, NULL, w, m, from);
}

static vr_status add_whole(vr_schedule *s, bool *pool_said, const vr_merge_words *w, const vr_origin *from)
{
    int scope = (int)s->scope, pool = (int)s->pool, prop = (int)s->prop_attn;
    if ((w->scope && vr_word_find(&scope, from, "scope", vr_scope_words, w->scope)) ||
        (w->pool && vr_word_find(&pool, from, "pool", vr_pool_words, w->pool)) ||
        (w->prop_attn && vr_word_find(&prop, from, "prop_attn", vr_prop_words, w->prop_attn)))
        return from->err->code;
    s->scope = (vr_merge_scope)scope, s->pool = (vr_merge_pool)pool, s->prop_attn = (vr_prop_attn)prop;
    *pool_said |= w->pool != NULL;
    return VR_OK;
}

/* A step for the method, or the steps of a file; then what stands beside them. */
static vr_status make(vr_schedule *s, vr_written *w, const char *data_dir, const vr_merge_words *words, const vr_merge_model *m,
                      vr_error *err)
{
    vr_origin from = {NULL, -1, err};
    char      path[4400];
    bool      pool_said = false;
    int       method = method_of(words);
    if (method >= 0) {
        if (vr_schedule_begin(s, m, err) || write_step(w, words, (vr_method)method, &from) ||
            vr_schedule_expand(s, data_dir, w, m, &from))
            return err->code;
        strcpy(s->name, vr_method_words[method]);
    } else if (find_file(path, sizeof path, data_dir, words->merge, err) ||
               vr_schedule_read_steps(s, &pool_said, data_dir, path, m, err)) {
        return err->code;
    }
    if (add_restoration(s, w, words, m, &from) || add_whole(s, &pool_said, words, &from)) return err->code;
    if (method < 0) from.file = path;
    return vr_schedule_settle(s, pool_said, m, &from);
}

vr_status vr_schedule_make(vr_schedule *out, const char *data_dir, const vr_merge_words *words, const vr_merge_model *model,
                           vr_error *err)
{
    vr_error mine = {0};
    memset(out, 0, sizeof *out);
    if (vr_merge_words_check(words, &mine) == VR_OK) {
        if (says_none(words)) {
            strcpy(out->name, "none");
            out->depth = model->depth, out->tokens = model->tokens;
            return VR_OK;
        }
        vr_written *w = vr_alloc_zeroed(1, sizeof *w);
        if (!w)
            vr_fail(&mine, VR_E_MEMORY, "", "no memory for a step of a schedule");
        else
            make(out, w, data_dir, words, model, &mine);
        free(w);
    }
    if (!mine.code) return VR_OK;
    vr_schedule_free(out);
    return vr_fail(err, mine.code, mine.rule, "%s", mine.text);
}
