/* classes.c: look words up among the classes of a model. */
#include "classes.h"

#include "labels.h"

#include <stdlib.h>
#include <string.h>

int vr_class_number(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n == 0 || n > 9 || text[n] ? VR_CLASS_NONE : atoi(text);
}

int vr_class_among(const char *const *words, int count, const char *word)
{
    int found = VR_CLASS_NONE;
    for (int i = 0; i < count; i++) {
        if (strcmp(word, words[i]) != 0) continue;
        if (found >= 0) return VR_CLASS_SEVERAL;
        found = i;
    }
    return found;
}

static bool same_name(const char *word, const char *name)
{
    size_t n = strlen(word);
    if (n == 0 || strlen(name) < n || (name[n] != 0 && name[n] != ',')) return false;
    for (size_t i = 0; i < n; i++)
        if (word[i] != name[i] && !(word[i] == '_' && name[i] == ' ')) return false;
    return name[n] == 0 || !memchr(name, ',', n);
}

int vr_class_named(const vr_classes *c, const char *word)
{
    int found = VR_CLASS_NONE;
    for (int i = 0; i < c->count; i++) {
        if (!same_name(word, c->name[i])) continue;
        if (found >= 0) return VR_CLASS_SEVERAL;
        found = i;
    }
    return found;
}

/* ---- some of the classes ---- */

/* The class of line i, marked in chosen [classes]. */
static vr_status choose(bool *chosen, const vr_labels *lines, size_t i, const char *path, const vr_classes *c, vr_error *err)
{
    const char *word = lines->synset ? lines->synset[i] : lines->name[i];
    int class = vr_class_number(word);
    if (class < 0) class = vr_class_among(c->synset, c->count, word);
    if (class < 0 || class >= c->count)
        return vr_fail(err, VR_E_USAGE, "classes-unknown",
                       "'%s': line %zu says '%.60s', which is none of the model's %d classes; wanted a synset or an index "
                       "from 0 a line",
                       vr_quotez(path).text, i + 1, vr_quotez(word).text, c->count);
    if (chosen[class])
        return vr_fail(err, VR_E_USAGE, "classes-twice", "'%s': line %zu names class %d again; wanted each class once",
                       vr_quotez(path).text, i + 1, class);
    chosen[class] = true;
    return VR_OK;
}

vr_status vr_classes_some(int **list, int *count, const char *path, const vr_classes *c, vr_error *err)
{
    vr_labels lines = {0};
    bool     *chosen = vr_alloc_zeroed((size_t)c->count, sizeof *chosen);
    int      *found = vr_alloc((size_t)c->count, sizeof *found);
    int       n = 0;
    if (!chosen || !found)
        vr_fail(err, VR_E_MEMORY, "", "no memory for %d classes", c->count);
    else
        vr_labels_read_given(&lines, path, err);
    for (size_t i = 0; i < lines.count && !err->code; i++) choose(chosen, &lines, i, path, c, err);
    for (int i = 0; i < c->count && !err->code; i++)
        if (chosen[i]) found[n++] = i;
    vr_labels_free(&lines);
    free(chosen);
    if (err->code)
        free(found);
    else
        *list = found, *count = n;
    return err->code;
}
