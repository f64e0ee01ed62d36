/* Where a step's time goes (vitrun bench --kernels): a row for each kernel of each verb of backend.h, or for the verb itself
 * where the back end tells of no kernels; and what the verbs have to move and compute, whatever the device. */
#ifndef VR_PROFILE_H
#define VR_PROFILE_H

#include "backend.h"

/* Bytes: each operand once, as if nothing were read twice.  Flops: those of products, two for a multiply-add. */
typedef struct {
    double bytes, flops;
} vr_work;

typedef struct {
    const char *verb;       /* "linear" */
    char        kernel[32]; /* "gelu"; "" for the verb as a whole */
    long        launches;   /* of the kernel; calls of the verb */
    double      seconds;
    vr_work     work;
} vr_profile_row;

enum { VR_PROFILE_ROWS = 64 };
typedef struct vr_profile {
    const char    *verb; /* that is under way */
    int            rows;
    vr_profile_row row[VR_PROFILE_ROWS];
} vr_profile;

/* The number of the row of a kernel of the verb that is under way, a new one where it has none; where the table is full, the
 * last. */
int vr_profile_find(vr_profile *p, const char *kernel);

/* What the parts of the verbs cost. */
vr_work vr_work_sum(vr_work a, vr_work b);
vr_work vr_work_moved(vr_mat from, vr_mat to);                   /* one read, the other written */
vr_work vr_work_unfold(vr_mat patches, const vr_picture *first); /* pictures are alike: of bytes, or of f32 pixels */
vr_work vr_work_place(vr_mat x);                                 /* positions added to x */
vr_work vr_work_linear(vr_mat y, vr_mat x, const vr_weight *w, vr_into into);
vr_work vr_work_attention(vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows);
vr_work vr_work_mean_keys(vr_mat mean, vr_mat k);
vr_work vr_work_class_scores(vr_mat k, int images); /* a query an image against all of k */
vr_work vr_work_mame_weigh(const vr_tokens *in, vr_mat feature, const vr_mame *how);
vr_work vr_work_mame_merge(const vr_tokens *out, const vr_tokens *in, const vr_mame *how);
vr_work vr_work_tome_match(const vr_tokens *in, vr_mat metric);
vr_work vr_work_diffrate_match(const vr_tokens *in, const vr_diffrate *how);

#endif
