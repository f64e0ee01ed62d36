/* labels.c: split a text into lines, in place, and check each. */
#include "labels.h"

#include "file.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 4 << 20, SYNSET = 9 /* n and eight digits */ };

static vr_status refuse(const char *rule, const char *path, size_t line, const char *wanted, vr_error *err)
{
    return vr_fail(err, VR_E_MODEL, rule, "%s: line %zu: wanted %s", vr_quotez(path).text, line + 1, wanted);
}

static bool is_synset(const char *s, size_t length)
{
    if (length != SYNSET || s[0] != 'n') return false;
    for (size_t i = 1; i < SYNSET; i++)
        if (s[i] < '0' || s[i] > '9') return false;
    return true;
}

/* One line, [length] and a NUL. */
static vr_status split(vr_labels *l, size_t i, char *line, size_t length, const char *path, vr_error *err)
{
    for (size_t c = 0; c < length; c++)
        if (((unsigned char)line[c] < 0x20 && line[c] != '\t') || line[c] == 0x7F)
            return refuse("labels-bytes", path, i, "no control bytes (lines end in a newline alone)", err);

    char *tab = strchr(line, '\t'), *name = tab ? tab + 1 : line;
    if ((tab != NULL) != (l->synset != NULL))
        return refuse("labels-mixed", path, i, "either every line or none as synset, tab, name", err);
    if (tab && (!is_synset(line, (size_t)(tab - line)) || strchr(name, '\t')))
        return refuse("labels-synset", path, i, "n and eight digits in front of a single tab", err);
    size_t n = length - (size_t)(name - line);
    if (n == 0 || name[0] == ' ' || name[n - 1] == ' ')
        return refuse("labels-line", path, i, "a name without spaces around it", err);
    if (tab) {
        *tab = 0;
        l->synset[i] = line;
    }
    l->name[i] = name;
    return VR_OK;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static vr_status check_unique(const vr_labels *l, const char *path, vr_error *err)
{
    if (!l->synset) return VR_OK;
    const char **sorted = vr_alloc(l->count, sizeof *sorted);
    if (!sorted) return vr_fail(err, VR_E_MEMORY, "", "%s: no memory for its labels", vr_quotez(path).text);
    memcpy(sorted, l->synset, l->count * sizeof *sorted);
    qsort(sorted, l->count, sizeof *sorted, by_text);
    vr_status status = VR_OK;
    for (size_t i = 1; i < l->count && !status; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            status =
                vr_fail(err, VR_E_MODEL, "labels-duplicate", "%s: synset %s stands twice", vr_quotez(path).text, sorted[i]);
    free(sorted);
    return status;
}

static vr_status parse(vr_labels *l, size_t length, const char *path, vr_error *err)
{
    char *const end = l->text + length;
    if (!vr_utf8_valid(l->text, length) || strncmp(l->text, "\xEF\xBB\xBF", 3) == 0)
        return vr_fail(err, VR_E_MODEL, "utf8", "%s: wanted UTF-8 without a byte order mark", vr_quotez(path).text);
    if (length == 0) return vr_fail(err, VR_E_MODEL, "labels-empty", "%s: has no labels", vr_quotez(path).text);

    size_t lines = end[-1] != '\n'; /* a last line may lack its newline */
    for (const char *c = l->text; c < end; c++) lines += *c == '\n';
    const char *first_tab = memchr(l->text, '\t', length), *first_end = memchr(l->text, '\n', length);
    bool        synsets = first_tab && (!first_end || first_tab < first_end); /* the first line decides for all */
    l->name = vr_alloc_zeroed(lines, sizeof *l->name);
    l->synset = synsets ? vr_alloc_zeroed(lines, sizeof *l->synset) : NULL;
    if (!l->name || (synsets && !l->synset))
        return vr_fail(err, VR_E_MEMORY, "", "%s: no memory for its labels", vr_quotez(path).text);

    char *line = l->text;
    for (; l->count < lines; l->count++) {
        char *newline = memchr(line, '\n', (size_t)(end - line)), *stop = newline ? newline : end;
        *stop = 0;
        vr_status status = split(l, l->count, line, (size_t)(stop - line), path, err);
        if (status) return status;
        line = stop + 1;
    }
    return check_unique(l, path, err);
}

vr_status vr_labels_read(vr_labels *out, const char *path, vr_error *err)
{
    size_t length;
    *out = (vr_labels){0};
    vr_status status = vr_file_read(&out->text, &length, path, MAX_BYTES, err);
    if (!status) status = parse(out, length, path, err);
    if (status) vr_labels_free(out);
    return status;
}

vr_status vr_labels_read_given(vr_labels *out, const char *path, vr_error *err)
{
    if (vr_labels_read(out, path, err) == VR_E_MODEL) err->code = VR_E_USAGE;
    return err->code;
}

void vr_labels_free(vr_labels *labels)
{
    free(labels->synset);
    free(labels->name);
    free(labels->text);
    *labels = (vr_labels){0};
}
