/* What a model is, as data: read from a description in configs/models, from timm's config.json, or from transformers'
 * config.json and preprocessor_config.json.  Nothing here looks at weights. */
#ifndef VR_CONFIG_H
#define VR_CONFIG_H

#include "preprocess.h"

/* Whose tensor names, and whose way of resampling positions. */
typedef enum { VR_LAYOUT_TIMM, VR_LAYOUT_HF_VIT, VR_LAYOUT_HF_DEIT, VR_LAYOUT_HF_DINOV2, VR_LAYOUTS } vr_layout;

typedef enum {
    VR_HEAD_CLASS,     /* norm, class token, one Linear */
    VR_HEAD_DISTILLED, /* norm, two special tokens, two Linears, averaged */
    VR_HEAD_MEAN,      /* mean of the patches, norm, one Linear (norm first where norm_first) */
    VR_HEAD_CLASS_MEAN /* norm, class token beside the mean of the patches, one Linear on both */
} vr_head_kind;

typedef struct {
    char         name[96]; /* architecture, for people */
    vr_layout    layout;
    int          image_height, image_width; /* the size its position table was made for */
    int          patch, dim, depth, heads, mlp;
    int          prefix;  /* special tokens: 1, or 2 with distillation */
    int          classes; /* 0: no classifier; -1: as many as the checkpoint's head has rows */
    vr_head_kind head;
    bool         norm_first;  /* VR_HEAD_MEAN only: norm over all tokens, then the mean */
    bool         layer_scale; /* x + gamma * f(x), Touvron et al. 2021 (CaiT) */
    float        norm_eps;

    vr_recipe recipe;    /* crop_height x crop_width is the size the model is run at */
    double    crop_pct;  /* crop / resize, for other sizes */
    vr_filter filter;    /* of square sizes; timm resizes for others bilinearly, whatever the model says */
    bool      uncropped; /* its library crops nothing: a picture that resizing leaves at another size has no answer */

    char   labels_file[64]; /* name of a file in configs/labels, "" where the labels are below or unknown */
    int    label_count;
    char **label_names;   /* [label_count] */
    char **label_synsets; /* [label_count], "" where not known */
} vr_config;

/* Read configs/models/NAME.json from data_dir, where NAME is its name or one of its aliases.
 * Fails with VR_E_USAGE (no such name; the message lists them), VR_E_MODEL, VR_E_MEMORY. */
vr_status vr_config_read_arch(vr_config *out, const char *data_dir, const char *name, vr_error *err);

/* Read the config.json (and preprocessor_config.json) in the folder of a checkpoint.
 *   *found   false, and *out untouched, where there is no config.json
 * Fails with VR_E_MODEL: damaged, or an architecture or option that is not supported yet, by its name. */
vr_status vr_config_read_folder(vr_config *out, bool *found, const char *data_dir, const char *folder, vr_error *err);

void vr_config_free(vr_config *c);

/* Set the size the model is run at, and the recipe's with it. VR_E_USAGE where it is no multiple of the patch side. */
vr_status vr_config_set_size(vr_config *c, int height, int width, vr_error *err);

const char *vr_layout_name(vr_layout layout);

#endif
