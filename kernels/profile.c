/* profile.c: rows of a profile, and what the parts of the verbs move and compute. */
#include "profile.h"

#include <stdio.h>
#include <string.h>

int vr_profile_find(vr_profile *p, const char *kernel)
{
    for (int i = 0; i < p->rows; i++)
        if (strcmp(p->row[i].verb, p->verb) == 0 && strcmp(p->row[i].kernel, kernel) == 0) return i;
    if (p->rows == VR_PROFILE_ROWS) return VR_PROFILE_ROWS - 1;
    vr_profile_row *row = &p->row[p->rows];
    *row = (vr_profile_row){.verb = p->verb};
    snprintf(row->kernel, sizeof row->kernel, "%s", kernel);
    return p->rows++;
}

static double bytes_of(vr_mat m) { return (double)m.rows * m.cols * (m.type == VR_F32 ? 4 : 2); }

vr_work vr_work_sum(vr_work a, vr_work b) { return (vr_work){a.bytes + b.bytes, a.flops + b.flops}; }

vr_work vr_work_moved(vr_mat from, vr_mat to) { return (vr_work){bytes_of(from) + bytes_of(to), 0}; }

vr_work vr_work_unfold(vr_mat patches, const vr_picture *first)
{
    return (vr_work){bytes_of(patches) + (first->pixels ? 4.0 : 1.0) * patches.rows * patches.cols, 0};
}

vr_work vr_work_place(vr_mat x) { return (vr_work){2 * bytes_of(x) + 4.0 * x.rows * x.cols, 0}; }

vr_work vr_work_linear(vr_mat y, vr_mat x, const vr_weight *w, vr_into into)
{
    const double weights = 0.125 * vr_dtype_bits(w->type) * w->out * w->in, bias = w->bias ? 4.0 * w->out : 0;
    return (vr_work){bytes_of(x) + weights + bias + bytes_of(y) * (into == VR_ADD ? 2 : 1), 2.0 * x.rows * w->in * w->out};
}

static double count(const int *offsets, int b) { return offsets[b + 1] - offsets[b]; }

vr_work vr_work_attention(vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows)
{
    vr_work w = {bytes_of(y) + bytes_of(q) + bytes_of(k) + bytes_of(v), 0};
    for (int b = 0; b < q_rows->images; b++) w.flops += 4.0 * q.cols * count(q_rows->offsets, b) * count(kv_rows->offsets, b);
    return w;
}

vr_work vr_work_mean_keys(vr_mat mean, vr_mat k) { return vr_work_moved(k, mean); }

vr_work vr_work_class_scores(vr_mat k, int images)
{
    const vr_mat queries = vr_mat_rows(k, 0, images), scores = {.rows = k.rows, .cols = 1, .type = VR_F32};
    return (vr_work){bytes_of(queries) + bytes_of(k) + bytes_of(scores), 2.0 * k.rows * k.cols};
}

/* Destinations times sources, of all images. */
static double mame_pairs(const vr_tokens *in, const vr_mame *how)
{
    double pairs = 0;
    for (int b = 0; b < in->images; b++) {
        const int n = in->offsets[b + 1] - in->offsets[b] - in->prefix, M = vr_mame_destinations(how, n);
        pairs += (double)M * (n - M);
    }
    return pairs;
}

vr_work vr_work_mame_weigh(const vr_tokens *in, vr_mat feature, const vr_mame *how)
{
    const double pairs = mame_pairs(in, how);
    return (vr_work){bytes_of(feature) + 4 * pairs, 2 * pairs * feature.cols};
}

vr_work vr_work_mame_merge(const vr_tokens *out, const vr_tokens *in, const vr_mame *how)
{
    const double pairs = mame_pairs(in, how);
    return (vr_work){bytes_of(in->x) + bytes_of(out->x) + 4 * pairs, 2 * pairs * in->x.cols};
}

vr_work vr_work_tome_match(const vr_tokens *in, vr_mat metric)
{
    vr_work w = {bytes_of(metric), 0};
    for (int b = 0; b < in->images; b++) {
        const int n = in->offsets[b + 1] - in->offsets[b];
        w.flops += 2.0 * (n - n / 2) * (n / 2) * metric.cols;
    }
    return w;
}

vr_work vr_work_diffrate_match(const vr_tokens *in, const vr_diffrate *how)
{
    vr_work w = {bytes_of(in->x), 0};
    for (int b = 0; b < in->images; b++) {
        const int n = in->offsets[b + 1] - in->offsets[b], left = n < how->prune_kept ? n : how->prune_kept;
        if (left > how->merge_kept) w.flops += 2.0 * (left - how->merge_kept) * how->merge_kept * in->x.cols;
    }
    return w;
}
