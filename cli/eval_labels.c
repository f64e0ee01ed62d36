/* eval_labels.c: labels beside the ordinary ones: the classes that are valid, and those that ReaL found in each picture. */
#include "../engine/score.h"
#include "eval.h"

#include <stdlib.h>
#include <string.h>

/* ---- valid classes ---- */

static vr_status open_valid(eval *e, vr_error *err)
{
    if (!e->o->valid_labels || vr_classes_some(&e->valid, &e->valid_count, e->o->valid_labels, &e->known, err))
        return err->code;
    e->few = vr_alloc((size_t)e->valid_count, sizeof *e->few);
    if (!e->few) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %d logits", e->valid_count);
    if (e->k > e->valid_count) e->k = e->valid_count;
    return VR_OK;
}

/* Where a class stands in the list, -1 where it is not valid. */
static int place_of(const eval *e, int class)
{
    int low = 0, high = e->valid_count;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (e->valid[middle] < class)
            low = middle + 1;
        else
            high = middle;
    }
    return low < e->valid_count && e->valid[low] == class ? low : -1;
}

static vr_status check_valid(const eval *e, vr_error *err)
{
    for (size_t i = 0; e->valid && i < e->data.count; i++)
        if (place_of(e, e->data.label[i]) < 0)
            return vr_fail(err, VR_E_USAGE, "valid-labels",
                           "'%.200s' is of class %d, which is none of the %d valid ones in '%.100s'; leave such pictures out, "
                           "or add the class",
                           vr_quotez(e->data.path[i]).text, e->data.label[i], e->valid_count,
                           vr_quotez(e->o->valid_labels).text);
    return VR_OK;
}

void eval_choose_best(const eval *e, eval_row *r, const float *logits, int label)
{
    const float *from = e->valid ? e->few : logits;
    const int    n = e->valid ? e->valid_count : e->known.count;
    vitrun_class best[EVAL_BEST];
    for (int i = 0; i < e->valid_count; i++) e->few[i] = logits[e->valid[i]];
    vitrun_topk(from, n, e->k, best);
    for (int k = 0; k < e->k; k++) {
        r->best[k] = e->valid ? e->valid[best[k].index] : best[k].index;
        r->logit[k] = best[k].logit;
    }
    r->loss = vr_cross_entropy(from, n, e->valid ? place_of(e, label) : label);
}

/* ---- ReaL ---- */

static vr_status check_real(const eval *e, vr_error *err)
{
    for (size_t i = 0; e->real.count && i < e->data.count; i++) {
        const size_t number = vr_imagenet_number(e->data.path[i]);
        if (number > 0 && number <= e->real.count) continue;
        return vr_fail(err, VR_E_USAGE, "real-labels",
                       "'%.200s' has no labels in '%.100s', which has those of pictures 1 to %zu; wanted names like "
                       "ILSVRC2012_val_00000001.JPEG",
                       vr_quotez(e->data.path[i]).text, vr_quotez(e->o->real_labels).text, e->real.count);
    }
    return VR_OK;
}

bool eval_real_labels(const eval *e, size_t i, const int **at, size_t *size)
{
    if (!e->real.count) return false;
    *at = vr_real_labels_of(&e->real, vr_imagenet_number(e->path[i]), size);
    return *size > 0;
}

/* ---- both ---- */

vr_status eval_labels_open(eval *e, vr_error *err)
{
    if (open_valid(e, err)) return err->code;
    if (e->o->real_labels) vr_real_labels_read(&e->real, e->o->real_labels, e->known.count, err);
    return err->code;
}

vr_status eval_labels_check(const eval *e, vr_error *err)
{
    return check_valid(e, err) || check_real(e, err) ? err->code : VR_OK;
}

void eval_labels_close(eval *e)
{
    vr_real_labels_free(&e->real);
    free(e->valid);
    free(e->few);
}
