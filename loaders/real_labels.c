/* real_labels.c: lists of classes, packed. */
#include "real_labels.h"

#include "json.h"

#include <stdlib.h>

enum { MAX_BYTES = 4 << 20 };

static vr_status take_list(vr_real_labels *out, size_t i, const vr_json *list, int classes, const char *path, vr_error *err)
{
    if (vr_json_type(list) != VR_JSON_ARRAY)
        return vr_fail(err, VR_E_USAGE, "real-list", "%s: item %zu is %s, wanted a list of classes", vr_quotez(path).text, i,
                       vr_json_type_name(list));
    size_t at = out->first[i];
    for (size_t k = 0; k < vr_json_size(list); k++) {
        int64_t class;
        if (!vr_json_int(vr_json_item(list, k), 0, classes - 1, &class))
            return vr_fail(err, VR_E_USAGE, "real-class",
                           "%s: list %zu has something that is no class of the model, which has %d; wanted numbers from 0 to "
                           "%d",
                           vr_quotez(path).text, i, classes, classes - 1);
        out->class[at++] = (int)class;
    }
    out->first[i + 1] = at;
    return VR_OK;
}

static vr_status take_lists(vr_real_labels *out, const vr_json *lists, int classes, const char *path, vr_error *err)
{
    const size_t n = vr_json_size(lists);
    size_t       all = 0;
    if (vr_json_type(lists) != VR_JSON_ARRAY || n == 0 || n > VR_REAL_MOST)
        return vr_fail(err, VR_E_USAGE, "real-list", "%s: is %s of %zu items, wanted a list of 1 to %d lists of classes",
                       vr_quotez(path).text, vr_json_type_name(lists), n, VR_REAL_MOST);
    for (size_t i = 0; i < n; i++) all += vr_json_size(vr_json_item(lists, i));
    out->first = vr_alloc_zeroed(n + 1, sizeof *out->first);
    out->class = vr_alloc(all, sizeof *out->class);
    if (!out->first || !out->class) return vr_fail(err, VR_E_MEMORY, "", "%s: no memory for %zu classes", path, all);
    out->count = n;
    for (size_t i = 0; i < n && !err->code; i++) take_list(out, i, vr_json_item(lists, i), classes, path, err);
    return err->code;
}

vr_status vr_real_labels_read(vr_real_labels *out, const char *path, int classes, vr_error *err)
{
    vr_json *doc;
    *out = (vr_real_labels){0};
    if (!vr_json_read(&doc, path, MAX_BYTES, err)) take_lists(out, doc, classes, path, err);
    vr_json_free(doc);
    if (err->code == VR_E_MODEL) err->code = VR_E_USAGE; /* no model is at fault */
    if (err->code) vr_real_labels_free(out);
    return err->code;
}

void vr_real_labels_free(vr_real_labels *r)
{
    free(r->first);
    free(r->class);
    *r = (vr_real_labels){0};
}

const int *vr_real_labels_of(const vr_real_labels *r, size_t number, size_t *size)
{
    *size = r->first[number] - r->first[number - 1];
    return r->class + r->first[number - 1];
}
