/* Weights by their place in the model, whoever wrote the file.  One table maps the tensor names of each layout to
 * places and shapes (checkpoint.c); adding a layout is adding rows.  The names and shapes of the timm rows also define
 * the deterministic random weights, which are read through the same functions. */
#ifndef VR_CHECKPOINT_H
#define VR_CHECKPOINT_H

#include "config.h"
#include "safetensors.h"

/* Where a tensor goes.  d: width, p: patch side, m: the MLP's width, c: classes, f: 2d for VR_HEAD_CLASS_MEAN, else d. */
typedef enum {
    VR_AT_PATCH_WEIGHT, /* [d, 3, p, p] */
    VR_AT_PATCH_BIAS,   /* [d] */
    VR_AT_CLASS_TOKEN,  /* [d] */
    VR_AT_DIST_TOKEN,   /* [d] */
    VR_AT_POSITIONS,    /* [prefix + patches, d] */
    VR_AT_NORM1_WEIGHT, /* from here on once a block: [d] */
    VR_AT_NORM1_BIAS,
    VR_AT_QKV_WEIGHT,  /* [3d, d]: queries, keys, values */
    VR_AT_QKV_BIAS,    /* [3d] */
    VR_AT_PROJ_WEIGHT, /* [d, d] */
    VR_AT_PROJ_BIAS,
    VR_AT_SCALE1, /* [d] LayerScale */
    VR_AT_NORM2_WEIGHT,
    VR_AT_NORM2_BIAS,
    VR_AT_FC1_WEIGHT, /* [m, d] */
    VR_AT_FC1_BIAS,   /* [m] */
    VR_AT_FC2_WEIGHT, /* [d, m] */
    VR_AT_FC2_BIAS,
    VR_AT_SCALE2,
    VR_AT_NORM_WEIGHT, /* once: the norm before the head */
    VR_AT_NORM_BIAS,
    VR_AT_HEAD_WEIGHT,  /* [c, f] */
    VR_AT_HEAD_BIAS,    /* [c] */
    VR_AT_HEAD2_WEIGHT, /* the distillation token's */
    VR_AT_HEAD2_BIAS,
    VR_PLACES
} vr_place;

typedef struct vr_checkpoint vr_checkpoint;

/* Open a checkpoint and check that every tensor the description needs is there once, with the right shape and a
 * floating-point type.  Where c->classes is -1 it is set from the head; with fit_grid, c's image size is set from a
 * square position table of another size.
 *   strict   tensors that the model does not use are an error
 * Fails as vr_safetensors_open does, and with VR_E_MODEL rules "tensor-missing", "tensor-shape", "tensor-dtype",
 * "tensor-extra", "tensor-foreign" (unused, but part of some model's arithmetic), "too-deep"; both names or both shapes
 * are in the message. */
vr_status vr_checkpoint_open(vr_checkpoint **out, const char *path, vr_config *c, bool fit_grid, size_t max_header, bool strict,
                             vr_error *err);

/* The same interface over deterministic random weights; c->classes must be set. */
vr_status vr_checkpoint_open_random(vr_checkpoint **out, const vr_config *c, uint64_t seed, vr_error *err);

void vr_checkpoint_close(vr_checkpoint *ck);

/* Read the tensor of a place (and block, 0 for the places outside blocks) as f32, parts of one place stacked.
 *   out   [vr_place_elements(c, place)]
 * A NaN or an infinity is VR_E_NONFINITE, by the tensor's name, unless allow_nonfinite. */
vr_status vr_checkpoint_read(const vr_checkpoint *ck, vr_place place, int block, bool allow_nonfinite, float *out,
                             vr_error *err);

/* Elements first .. first+count-1 of a place, likewise.  Several threads may read at a time. */
vr_status vr_checkpoint_read_part(const vr_checkpoint *ck, vr_place place, int block, bool allow_nonfinite, size_t first,
                                  size_t count, float *out, vr_error *err);

size_t   vr_place_elements(const vr_config *c, vr_place place);
uint64_t vr_checkpoint_parameters(const vr_checkpoint *ck); /* elements of all tensors that are used */
uint64_t vr_checkpoint_bytes(const vr_checkpoint *ck);      /* as stored */

/* Which layout the names of a file are, judged by tensors that only one has.  VR_E_MODEL "not-supported" names what the
 * file looks like where that is known but not supported yet. */
vr_status vr_layout_detect(vr_layout *out, const vr_safetensors *st, vr_error *err);

/* The generator of golden/random_weights: element i of the tensor `name` before mean and deviation are applied. */
double vr_random_number(const char *name, uint64_t i, uint64_t seed);

#endif
