/* A model: its description and its weights, lying in a back end as the forward pass wants them. */
#ifndef VR_MODEL_H
#define VR_MODEL_H

#include "../kernels/backend.h"
#include "../loaders/checkpoint.h"

/* One transformer block.  In the last block of a model that pools special tokens only, queries are computed for those
 * rows alone: q and kv stand there instead of qkv. */
typedef struct {
    vr_norm   norm1, norm2; /* [C] */
    vr_weight qkv;          /* [3C, C] */
    vr_weight q, kv;        /* [C, C], [2C, C] */
    vr_weight proj;         /* [C, C], LayerScale folded in */
    vr_weight fc1, fc2;     /* [mlp, C], [C, mlp], LayerScale folded in */
} vr_block;

/* Positions of one image size. */
typedef struct {
    int    height, width; /* of the image */
    int    patches;
    float *positions; /* [patches, C] */
} vr_grid;

/* What the answer is: logits, or features behind the final norm. */
typedef enum { VR_LOGITS, VR_FEATURES_CLASS, VR_FEATURES_MEAN, VR_FEATURES_PATCHES, VR_FEATURES_HEAD } vr_answer;

typedef struct {
    vr_config   config;
    vr_backend *backend;
    vr_embed    embed;
    vr_block   *block;       /* [depth] */
    vr_norm     norm;        /* before the head */
    vr_weight   head, head2; /* empty where no logits are wanted */
    vr_answer   answer;
    int         outputs; /* numbers of the answer: classes, or those of the features where there is no head */
    bool        few;     /* the last block computes the special tokens' rows only */
    vr_grid    *grid;    /* [grids], the first is the model's own size */
    int         grids;
    uint64_t    parameters, weight_bytes;
} vr_model;

/* Load the weights of ck into the back end.
 *   config  moved into the model, which frees its labels
 *   sizes   [count] {height, width} of the image sizes to be ready for, beside the recipe's
 *   answer  what the model is for; the classifier is loaded for logits only
 *   full    true: all rows of the last block are computed, so that every block's output can be seen
 * Fails with VR_E_MODEL, VR_E_IO, VR_E_MEMORY, VR_E_NONFINITE, VR_E_USAGE (a size that does not fit). */
vr_status vr_model_load(vr_model *m, vr_backend *be, vr_config *config, const vr_checkpoint *ck, const int (*sizes)[2],
                        int count, vr_answer answer, bool full, bool allow_nonfinite, vr_error *err);
void      vr_model_free(vr_model *m);

const vr_grid *vr_model_grid(const vr_model *m, int height, int width); /* NULL: no such size */

/* Multiply-adds of one image of `patches` patches, as they are executed: 4 n d^2 + 2 n^2 d of attention with the n tokens
 * that enter a block, 2 n' d mlp of the MLP with the n' that leave it, and what goes before and after the blocks.
 *   after   [depth] tokens that leave each block's MLP;  before [depth] tokens that enter each block */
double vr_model_macs(const vr_model *m, int patches, const int *before, const int *after);

#endif
