/* checkpoint.c: tensor names to places.  Read the table first; the rest looks things up in it. */
#include "checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* When a row's tensor is part of the model. */
typedef enum { ALWAYS, IF_TWO_SPECIALS, IF_SCALED, IF_FINAL_NORM, IF_POOLED_NORM, IF_HEAD, IF_TWO_HEADS } condition;

/* Shapes by letter: d width, D 3d, p patch side, t tokens of the position table, m MLP width, c classes, f head input;
 * digits are themselves. */
typedef struct {
    vr_place    place;
    const char *name; /* %d is the block */
    const char *shape;
    condition   when;
    int         part, parts; /* several tensors stacked in one place: 0 of 3, ...; parts 0: one tensor */
} row;

static const row timm_rows[] = {
    {VR_AT_PATCH_WEIGHT, "patch_embed.proj.weight", "d3pp", ALWAYS, 0, 0},
    {VR_AT_PATCH_BIAS, "patch_embed.proj.bias", "d", ALWAYS, 0, 0},
    {VR_AT_CLASS_TOKEN, "cls_token", "11d", ALWAYS, 0, 0},
    {VR_AT_DIST_TOKEN, "dist_token", "11d", IF_TWO_SPECIALS, 0, 0},
    {VR_AT_POSITIONS, "pos_embed", "1td", ALWAYS, 0, 0},
    {VR_AT_NORM1_WEIGHT, "blocks.%d.norm1.weight", "d", ALWAYS, 0, 0},
    {VR_AT_NORM1_BIAS, "blocks.%d.norm1.bias", "d", ALWAYS, 0, 0},
    {VR_AT_QKV_WEIGHT, "blocks.%d.attn.qkv.weight", "Dd", ALWAYS, 0, 0},
    {VR_AT_QKV_BIAS, "blocks.%d.attn.qkv.bias", "D", ALWAYS, 0, 0},
    {VR_AT_PROJ_WEIGHT, "blocks.%d.attn.proj.weight", "dd", ALWAYS, 0, 0},
    {VR_AT_PROJ_BIAS, "blocks.%d.attn.proj.bias", "d", ALWAYS, 0, 0},
    {VR_AT_SCALE1, "blocks.%d.ls1.gamma", "d", IF_SCALED, 0, 0},
    {VR_AT_NORM2_WEIGHT, "blocks.%d.norm2.weight", "d", ALWAYS, 0, 0},
    {VR_AT_NORM2_BIAS, "blocks.%d.norm2.bias", "d", ALWAYS, 0, 0},
    {VR_AT_FC1_WEIGHT, "blocks.%d.mlp.fc1.weight", "md", ALWAYS, 0, 0},
    {VR_AT_FC1_BIAS, "blocks.%d.mlp.fc1.bias", "m", ALWAYS, 0, 0},
    {VR_AT_FC2_WEIGHT, "blocks.%d.mlp.fc2.weight", "dm", ALWAYS, 0, 0},
    {VR_AT_FC2_BIAS, "blocks.%d.mlp.fc2.bias", "d", ALWAYS, 0, 0},
    {VR_AT_SCALE2, "blocks.%d.ls2.gamma", "d", IF_SCALED, 0, 0},
    {VR_AT_NORM_WEIGHT, "norm.weight", "d", IF_FINAL_NORM, 0, 0},
    {VR_AT_NORM_BIAS, "norm.bias", "d", IF_FINAL_NORM, 0, 0},
    {VR_AT_NORM_WEIGHT, "fc_norm.weight", "d", IF_POOLED_NORM, 0, 0},
    {VR_AT_NORM_BIAS, "fc_norm.bias", "d", IF_POOLED_NORM, 0, 0},
    {VR_AT_HEAD_WEIGHT, "head.weight", "cf", IF_HEAD, 0, 0},
    {VR_AT_HEAD_BIAS, "head.bias", "c", IF_HEAD, 0, 0},
    {VR_AT_HEAD2_WEIGHT, "head_dist.weight", "cf", IF_TWO_HEADS, 0, 0},
    {VR_AT_HEAD2_BIAS, "head_dist.bias", "c", IF_TWO_HEADS, 0, 0},
};

/* transformers names its layers alike in ViT and DeiT; M is "vit." or "deit.". */
#define HF_EMBEDDINGS(M)                                                                           \
    {VR_AT_PATCH_WEIGHT, M "embeddings.patch_embeddings.projection.weight", "d3pp", ALWAYS, 0, 0}, \
        {VR_AT_PATCH_BIAS, M "embeddings.patch_embeddings.projection.bias", "d", ALWAYS, 0, 0},    \
        {VR_AT_CLASS_TOKEN, M "embeddings.cls_token", "11d", ALWAYS, 0, 0},                        \
        {VR_AT_POSITIONS, M "embeddings.position_embeddings", "1td", ALWAYS, 0, 0},                \
        {VR_AT_NORM_WEIGHT, M "layernorm.weight", "d", ALWAYS, 0, 0},                              \
    {                                                                                              \
        VR_AT_NORM_BIAS, M "layernorm.bias", "d", ALWAYS, 0, 0                                     \
    }
#define HF_ATTENTION(M)                                                                                \
    {VR_AT_QKV_WEIGHT, M "encoder.layer.%d.attention.attention.query.weight", "dd", ALWAYS, 0, 3},     \
        {VR_AT_QKV_WEIGHT, M "encoder.layer.%d.attention.attention.key.weight", "dd", ALWAYS, 1, 3},   \
        {VR_AT_QKV_WEIGHT, M "encoder.layer.%d.attention.attention.value.weight", "dd", ALWAYS, 2, 3}, \
        {VR_AT_QKV_BIAS, M "encoder.layer.%d.attention.attention.query.bias", "d", ALWAYS, 0, 3},      \
        {VR_AT_QKV_BIAS, M "encoder.layer.%d.attention.attention.key.bias", "d", ALWAYS, 1, 3},        \
        {VR_AT_QKV_BIAS, M "encoder.layer.%d.attention.attention.value.bias", "d", ALWAYS, 2, 3},      \
        {VR_AT_PROJ_WEIGHT, M "encoder.layer.%d.attention.output.dense.weight", "dd", ALWAYS, 0, 0},   \
    {                                                                                                  \
        VR_AT_PROJ_BIAS, M "encoder.layer.%d.attention.output.dense.bias", "d", ALWAYS, 0, 0           \
    }
#define HF_BLOCK(M, NORM1, NORM2, FC1, FC2)                                                          \
    HF_ATTENTION(M), {VR_AT_NORM1_WEIGHT, M "encoder.layer.%d." NORM1 ".weight", "d", ALWAYS, 0, 0}, \
        {VR_AT_NORM1_BIAS, M "encoder.layer.%d." NORM1 ".bias", "d", ALWAYS, 0, 0},                  \
        {VR_AT_NORM2_WEIGHT, M "encoder.layer.%d." NORM2 ".weight", "d", ALWAYS, 0, 0},              \
        {VR_AT_NORM2_BIAS, M "encoder.layer.%d." NORM2 ".bias", "d", ALWAYS, 0, 0},                  \
        {VR_AT_FC1_WEIGHT, M "encoder.layer.%d." FC1 ".weight", "md", ALWAYS, 0, 0},                 \
        {VR_AT_FC1_BIAS, M "encoder.layer.%d." FC1 ".bias", "m", ALWAYS, 0, 0},                      \
        {VR_AT_FC2_WEIGHT, M "encoder.layer.%d." FC2 ".weight", "dm", ALWAYS, 0, 0},                 \
    {                                                                                                \
        VR_AT_FC2_BIAS, M "encoder.layer.%d." FC2 ".bias", "d", ALWAYS, 0, 0                         \
    }
#define HF_CLASSIFIER(NAME) \
    {VR_AT_HEAD_WEIGHT, NAME ".weight", "cf", IF_HEAD, 0, 0}, { VR_AT_HEAD_BIAS, NAME ".bias", "c", IF_HEAD, 0, 0 }

static const row hf_vit_rows[] = {
    HF_EMBEDDINGS("vit."),
    HF_BLOCK("vit.", "layernorm_before", "layernorm_after", "intermediate.dense", "output.dense"),
    HF_CLASSIFIER("classifier"),
};
static const row hf_deit_rows[] = {
    HF_EMBEDDINGS("deit."),
    {VR_AT_DIST_TOKEN, "deit.embeddings.distillation_token", "11d", ALWAYS, 0, 0},
    HF_BLOCK("deit.", "layernorm_before", "layernorm_after", "intermediate.dense", "output.dense"),
    HF_CLASSIFIER("classifier"),
};
static const row hf_deit_distilled_rows[] = {
    HF_EMBEDDINGS("deit."),
    {VR_AT_DIST_TOKEN, "deit.embeddings.distillation_token", "11d", ALWAYS, 0, 0},
    HF_BLOCK("deit.", "layernorm_before", "layernorm_after", "intermediate.dense", "output.dense"),
    HF_CLASSIFIER("cls_classifier"),
    {VR_AT_HEAD2_WEIGHT, "distillation_classifier.weight", "cf", IF_HEAD, 0, 0},
    {VR_AT_HEAD2_BIAS, "distillation_classifier.bias", "c", IF_HEAD, 0, 0},
};
static const row hf_dinov2_rows[] = {
    HF_EMBEDDINGS("dinov2."),
    HF_BLOCK("dinov2.", "norm1", "norm2", "mlp.fc1", "mlp.fc2"),
    {VR_AT_SCALE1, "dinov2.encoder.layer.%d.layer_scale1.lambda1", "d", ALWAYS, 0, 0},
    {VR_AT_SCALE2, "dinov2.encoder.layer.%d.layer_scale2.lambda1", "d", ALWAYS, 0, 0},
    HF_CLASSIFIER("classifier"),
};

/* Tensors that models carry and inference does not use. */
static const char *const harmless[] = {".mask_token", "position_ids", "vit.pooler.", "deit.pooler.", "num_batches_tracked"};

/* A tensor that gives a layout away, in the order in which they are asked for (algorithms: several layouts share names). */
static const struct {
    const char *contains;
    int         layout; /* -1: known, not supported yet */
    const char *words;
} signs[] = {
    {"dinov2.", VR_LAYOUT_HF_DINOV2, "transformers DINOv2"},
    {"videomae.", -1, "VideoMAE"},
    {"attn.q_bias", -1, "VideoMAE"},
    {"head.probe", -1, "SigLIP"},
    {"pre_layrnorm", -1, "CLIP"},
    {"deit.", VR_LAYOUT_HF_DEIT, "transformers DeiT"},
    {"vit.", VR_LAYOUT_HF_VIT, "transformers ViT"},
    {"visual.", -1, "CLIP as OpenAI and open_clip write it"},
    {"attn_pool.", -1, "SigLIP as timm writes it"},
    {"norm_pre.", -1, "CLIP as timm writes it"},
    {"patch_embed.proj.weight", VR_LAYOUT_TIMM, "timm"},
};

typedef struct {
    const row *rows;
    size_t     count;
} table;

static table layout_table(const vr_config *c)
{
#define TABLE(rows) ((table){rows, sizeof(rows) / sizeof *(rows)})
    switch (c->layout) {
    case VR_LAYOUT_HF_VIT:
        return TABLE(hf_vit_rows);
    case VR_LAYOUT_HF_DEIT:
        return c->head == VR_HEAD_DISTILLED ? TABLE(hf_deit_distilled_rows) : TABLE(hf_deit_rows);
    case VR_LAYOUT_HF_DINOV2:
        return TABLE(hf_dinov2_rows);
    default:
        return TABLE(timm_rows);
    }
#undef TABLE
}

struct vr_checkpoint {
    vr_safetensors *st; /* NULL: random weights */
    vr_config       c;  /* a copy of the numbers; its labels are not ours */
    uint64_t        seed, parameters, bytes;
};

static bool is_wanted(const vr_config *c, condition when)
{
    switch (when) {
    case IF_TWO_SPECIALS:
        return c->prefix == 2;
    case IF_SCALED:
        return c->layer_scale;
    case IF_FINAL_NORM:
        return c->head != VR_HEAD_MEAN || c->norm_first;
    case IF_POOLED_NORM:
        return c->head == VR_HEAD_MEAN && !c->norm_first;
    case IF_HEAD:
        return c->classes != 0;
    case IF_TWO_HEADS:
        return c->classes != 0 && c->head == VR_HEAD_DISTILLED;
    default:
        return true;
    }
}

static bool in_block(vr_place place) { return place >= VR_AT_NORM1_WEIGHT && place <= VR_AT_SCALE2; }

/* The shape a row's letters stand for; returns the rank.  Every letter is bounded by config.c, so no product of a shape
 * can wrap 64 bits. */
static int wanted_shape(const vr_config *c, const char *letters, uint64_t shape[VR_ST_MAX_RANK])
{
    int rank = 0;
    for (; letters[rank]; rank++) {
        int n = 0;
        switch (letters[rank]) {
        case 'd':
            n = c->dim;
            break;
        case 'D':
            n = 3 * c->dim;
            break;
        case 'p':
            n = c->patch;
            break;
        case 't':
            n = c->prefix + (c->image_height / c->patch) * (c->image_width / c->patch);
            break;
        case 'm':
            n = c->mlp;
            break;
        case 'c':
            n = c->classes;
            break;
        case 'f':
            n = c->head == VR_HEAD_CLASS_MEAN ? 2 * c->dim : c->dim;
            break;
        default:
            n = letters[rank] - '0';
        }
        shape[rank] = (uint64_t)n;
    }
    return rank;
}

static uint64_t wanted_elements(const vr_config *c, const char *letters)
{
    uint64_t shape[VR_ST_MAX_RANK], n = 1;
    int      rank = wanted_shape(c, letters, shape);
    for (int i = 0; i < rank; i++) n *= shape[i];
    return n;
}

size_t vr_place_elements(const vr_config *c, vr_place place)
{
    table    t = layout_table(c);
    uint64_t n = 0;
    for (size_t i = 0; i < t.count; i++)
        if (t.rows[i].place == place && is_wanted(c, t.rows[i].when)) n += wanted_elements(c, t.rows[i].shape);
    return (size_t)n;
}

/* Checking. */

static const char *shape_text(char out[128], const uint64_t *shape, int rank)
{
    int at = snprintf(out, 128, "[");
    for (int i = 0; i < rank && at < 100; i++)
        at += snprintf(out + at, 128 - (size_t)at, i ? ", %llu" : "%llu", (unsigned long long)shape[i]);
    snprintf(out + at, 128 - (size_t)at, "]");
    return out;
}

static void tensor_name(char out[256], const row *r, int block)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are this file's table */
    snprintf(out, 256, r->name, block);
#pragma GCC diagnostic pop
}

static vr_status check_tensor(vr_checkpoint *ck, const row *r, int block, vr_error *err)
{
    char     name[256], found[128], wanted[128];
    uint64_t shape[VR_ST_MAX_RANK];
    int      rank = wanted_shape(&ck->c, r->shape, shape);
    tensor_name(name, r, block);
    const vr_tensor *t = vr_safetensors_find(ck->st, name);
    vr_quoted        file = vr_quotez(vr_safetensors_path(ck->st));
    if (!t)
        return vr_fail(err, VR_E_MODEL, "tensor-missing", "%s: has no tensor %s, which %s (%s layout) needs with shape %s.",
                       file.text, name, ck->c.name, vr_layout_name(ck->c.layout), shape_text(wanted, shape, rank));
    if (t->rank != rank || memcmp(t->shape, shape, (size_t)rank * sizeof *shape))
        return vr_fail(err, VR_E_MODEL, "tensor-shape", "%s: %s is %s; %s wants %s.", file.text, name,
                       shape_text(found, t->shape, t->rank), ck->c.name, shape_text(wanted, shape, rank));
    if (t->dtype > VR_F64)
        return vr_fail(err, VR_E_MODEL, "tensor-dtype", "%s: %s is stored as %s; F32, F16, BF16 or F64 is wanted.", file.text,
                       name, vr_dtype_name(t->dtype));
    ck->parameters += t->elements;
    ck->bytes += t->bytes;
    return VR_OK;
}

static const row *row_of_name(const table *t, const vr_config *c, const char *name)
{
    for (size_t i = 0; i < t->count; i++) {
        char own[256];
        if (!is_wanted(c, t->rows[i].when)) continue;
        int block = 0;
        if (in_block(t->rows[i].place)) {
            size_t stem = strcspn(t->rows[i].name, "%");
            if (strncmp(name, t->rows[i].name, stem) || name[stem] < '0' || name[stem] > '9') continue;
            block = atoi(name + stem);
        }
        tensor_name(own, &t->rows[i], block);
        if (strcmp(own, name) == 0 && (!in_block(t->rows[i].place) || block < c->depth)) return &t->rows[i];
    }
    return NULL;
}

/* The number of the block that a tensor's name puts it in, -1 outside blocks. */
static long block_of(const table *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++) {
        size_t stem = strcspn(t->rows[i].name, "%");
        if (in_block(t->rows[i].place) && strncmp(name, t->rows[i].name, stem) == 0 && name[stem] >= '0' && name[stem] <= '9')
            return strtol(name + stem, NULL, 10);
    }
    return -1;
}

/* Tensors that are part of the arithmetic wherever they occur, so that a model run without them answers wrongly: any
 * in a block (LayerScale, norms of queries and keys, adapters), and the norm of pooled features. */
static vr_status check_foreign(const vr_checkpoint *ck, const table *t, const char *name, vr_error *err)
{
    long block = block_of(t, name);
    if (block >= ck->c.depth)
        return vr_fail(err, VR_E_MODEL, "too-deep", "%s: has %s, but %s has only %d blocks; name the right architecture.",
                       vr_quotez(vr_safetensors_path(ck->st)).text, vr_quotez(name).text, ck->c.name, ck->c.depth);
    if (block < 0 && strncmp(name, "fc_norm.", 8)) return VR_OK;
    return vr_fail(err, VR_E_MODEL, "tensor-foreign",
                   "%s: has %s, with which %s does not compute; its answers would be wrong. Name the right architecture.",
                   vr_quotez(vr_safetensors_path(ck->st)).text, vr_quotez(name).text, ck->c.name);
}

static vr_status check_extras(const vr_checkpoint *ck, const table *t, bool strict, vr_error *err)
{
    for (size_t i = 0; i < vr_safetensors_count(ck->st); i++) {
        const char *name = vr_safetensors_at(ck->st, i)->name;
        if (row_of_name(t, &ck->c, name)) continue;
        if (check_foreign(ck, t, name, err)) return VR_E_MODEL;
        bool known = !strict;
        for (size_t k = 0; !known && k < sizeof harmless / sizeof *harmless; k++) known = strstr(name, harmless[k]) != NULL;
        if (!known)
            return vr_fail(err, VR_E_MODEL, "tensor-extra",
                           "%s: has the tensor %s, which %s does not use; leave out --strict to ignore it.",
                           vr_quotez(vr_safetensors_path(ck->st)).text, vr_quotez(name).text, ck->c.name);
    }
    return VR_OK;
}

static vr_status check_all(vr_checkpoint *ck, bool strict, vr_error *err)
{
    table t = layout_table(&ck->c);
    for (size_t i = 0; i < t.count; i++)
        for (int block = 0; is_wanted(&ck->c, t.rows[i].when) && block < (in_block(t.rows[i].place) ? ck->c.depth : 1); block++)
            if (check_tensor(ck, &t.rows[i], block, err)) return err ? err->code : VR_E_MODEL;
    return check_extras(ck, &t, strict, err);
}

/* What only the file can say. */

static const vr_tensor *tensor_at(const vr_checkpoint *ck, vr_place place)
{
    table t = layout_table(&ck->c);
    for (size_t i = 0; i < t.count; i++)
        if (t.rows[i].place == place && is_wanted(&ck->c, t.rows[i].when)) return vr_safetensors_find(ck->st, t.rows[i].name);
    return NULL;
}

static vr_status fill_classes(vr_checkpoint *ck, vr_config *c, vr_error *err)
{
    if (c->classes >= 0) return VR_OK;
    const vr_tensor *head = tensor_at(ck, VR_AT_HEAD_WEIGHT);
    uint64_t         rows = head && head->rank == 2 ? head->shape[0] : 0;
    char             found[128];
    if (head && rows == 0)
        return vr_fail(err, VR_E_MODEL, "tensor-shape", "%s: %s is %s; a classifier has one row a class.",
                       vr_quotez(vr_safetensors_path(ck->st)).text, head->name, shape_text(found, head->shape, head->rank));
    if (rows > 1000000)
        return vr_fail(err, VR_E_MODEL, "tensor-shape", "%s: the classifier has %llu rows; at most 1,000,000 are supported.",
                       vr_quotez(vr_safetensors_path(ck->st)).text, (unsigned long long)rows);
    c->classes = ck->c.classes = (int)rows;
    return VR_OK;
}

/* timm averages the two special tokens there; the class token alone would be another answer. */
static vr_status check_head(const vr_checkpoint *ck, vr_error *err)
{
    if (ck->c.head != VR_HEAD_DISTILLED || ck->c.classes > 0) return VR_OK;
    return vr_fail(err, VR_E_MODEL, "not-supported", "%s: a distilled model without its two classifiers is not supported yet.",
                   vr_quotez(vr_safetensors_path(ck->st)).text);
}

static void fill_grid(vr_checkpoint *ck, vr_config *c)
{
    const vr_tensor *pos = tensor_at(ck, VR_AT_POSITIONS);
    if (!pos || pos->rank != 3 || pos->shape[1] <= (uint64_t)c->prefix || pos->shape[1] > 16384) return;
    int patches = (int)pos->shape[1] - c->prefix, side = (int)lround(sqrt(patches));
    if (side * side != patches || side * c->patch > 16384) return;
    c->image_height = c->image_width = side * c->patch;
    ck->c.image_height = ck->c.image_width = side * c->patch;
}

vr_status vr_layout_detect(vr_layout *out, const vr_safetensors *st, vr_error *err)
{
    for (size_t s = 0; s < sizeof signs / sizeof *signs; s++)
        for (size_t i = 0; i < vr_safetensors_count(st); i++) {
            if (!strstr(vr_safetensors_at(st, i)->name, signs[s].contains)) continue;
            if (signs[s].layout < 0)
                return vr_fail(err, VR_E_MODEL, "not-supported", "%s: holds %s (by its tensor %s), which is not supported yet.",
                               vr_quotez(vr_safetensors_path(st)).text, signs[s].words,
                               vr_quotez(vr_safetensors_at(st, i)->name).text);
            *out = (vr_layout)signs[s].layout;
            return VR_OK;
        }
    return vr_fail(err, VR_E_MODEL, "layout-unknown",
                   "%s: none of its %zu tensors has a name that timm or transformers give to a Vision Transformer.",
                   vr_quotez(vr_safetensors_path(st)).text, vr_safetensors_count(st));
}

vr_status vr_checkpoint_open(vr_checkpoint **out, const char *path, vr_config *c, bool fit_grid, size_t max_header, bool strict,
                             vr_error *err)
{
    vr_layout layout = c->layout;
    *out = NULL;
    vr_checkpoint *ck = vr_alloc_zeroed(1, sizeof *ck);
    if (!ck) return vr_fail(err, VR_E_MEMORY, "", "No memory to open %s.", vr_quotez(path).text);
    ck->c = *c;
    vr_status status = vr_safetensors_open(&ck->st, path, max_header, err);
    if (status == VR_OK) status = vr_layout_detect(&layout, ck->st, err);
    if (status == VR_OK && layout != c->layout)
        status = vr_fail(err, VR_E_MODEL, "layout-mismatch",
                         "%s: its tensors are named as %s does, but its config describes a %s checkpoint.",
                         vr_quotez(path).text, vr_layout_name(layout), vr_layout_name(c->layout));
    if (status == VR_OK) status = fill_classes(ck, c, err);
    if (status == VR_OK) status = check_head(ck, err);
    if (status == VR_OK && fit_grid) fill_grid(ck, c);
    if (status == VR_OK) status = check_all(ck, strict, err);
    if (status) {
        vr_checkpoint_close(ck);
        return status;
    }
    *out = ck;
    return VR_OK;
}

vr_status vr_checkpoint_open_random(vr_checkpoint **out, const vr_config *c, uint64_t seed, vr_error *err)
{
    vr_checkpoint *ck = vr_alloc_zeroed(1, sizeof *ck);
    *out = ck;
    if (!ck) return vr_fail(err, VR_E_MEMORY, "", "No memory for random weights.");
    ck->c = *c;
    ck->seed = seed;
    for (int place = 0; place < VR_PLACES; place++)
        ck->parameters += vr_place_elements(c, (vr_place)place) * (in_block((vr_place)place) ? (uint64_t)c->depth : 1);
    ck->bytes = 4 * ck->parameters;
    return VR_OK;
}

void vr_checkpoint_close(vr_checkpoint *ck)
{
    if (!ck) return;
    vr_safetensors_close(ck->st);
    free(ck);
}

uint64_t vr_checkpoint_parameters(const vr_checkpoint *ck) { return ck->parameters; }
uint64_t vr_checkpoint_bytes(const vr_checkpoint *ck) { return ck->bytes; }

/* Random weights: tests/golden/random_weights.md is the definition. */

static uint64_t name_hash(const char *name, uint64_t seed)
{
    uint64_t s = 0xcbf29ce484222325u;
    for (; *name; name++) s = (s ^ (unsigned char)*name) * 0x100000001b3u;
    return s ^ seed * 0xd1342543de82ef95u;
}

static inline double normal_number(uint64_t hash, uint64_t i)
{
    uint64_t s = hash + (i + 1) * 0x9e3779b97f4a7c15u;
    s = (s ^ s >> 30) * 0xbf58476d1ce4e5b9u;
    s = (s ^ s >> 27) * 0x94d049bb133111ebu;
    s ^= s >> 31;
    uint64_t sum = (s & 65535) + (s >> 16 & 65535) + (s >> 32 & 65535) + (s >> 48);
    return 2.6429e-5 * ((double)(int64_t)sum - 131070.0);
}

double vr_random_number(const char *name, uint64_t i, uint64_t seed) { return normal_number(name_hash(name, seed), i); }

/* Elements first .. first+count-1 of a tensor of `elements`. */
static void random_tensor(const char *name, const char *letters, uint64_t elements, uint64_t first_dim, uint64_t seed,
                          uint64_t first, uint64_t count, float *out)
{
    size_t length = strlen(name);
    double mean = 0, std;
    if (letters[1] == 0) {
        bool gain = length >= 6 && strcmp(name + length - 6, "weight") == 0;
        mean = gain ? 1 : 0;
        std = 0.1;
    } else if (strcmp(name, "cls_token") == 0 || strcmp(name, "dist_token") == 0 || strcmp(name, "pos_embed") == 0) {
        std = 0.3;
    } else {
        double gain = strstr(name, "qkv") ? 1.5 : strncmp(name, "head", 4) == 0 ? 2 : 1;
        std = gain / sqrt((double)(elements / first_dim));
    }
    uint64_t hash = name_hash(name, seed);
    for (uint64_t i = 0; i < count; i++) out[i] = (float)(mean + std * normal_number(hash, first + i));
}

/* Reading. */

static vr_status read_row(const vr_checkpoint *ck, const row *r, int block, bool allow_nonfinite, uint64_t first,
                          uint64_t count, float *out, vr_error *err)
{
    char     name[256];
    uint64_t shape[VR_ST_MAX_RANK], elements = wanted_elements(&ck->c, r->shape);
    wanted_shape(&ck->c, r->shape, shape);
    tensor_name(name, r, block);
    if (!ck->st) {
        random_tensor(name, r->shape, elements, shape[0], ck->seed, first, count, out);
        return VR_OK;
    }
    const vr_tensor *t = vr_safetensors_find(ck->st, name);
    if (vr_safetensors_read_f32(ck->st, t, first, count, out, err)) return err ? err->code : VR_E_IO;
    if (!allow_nonfinite && !vr_all_finite(out, count))
        return vr_fail(err, VR_E_NONFINITE, "tensor-nonfinite",
                       "%s: %s holds a NaN or an infinity; --allow-nonfinite loads it all the same.",
                       vr_quotez(vr_safetensors_path(ck->st)).text, name);
    return VR_OK;
}

vr_status vr_checkpoint_read_part(const vr_checkpoint *ck, vr_place place, int block, bool allow_nonfinite, size_t first,
                                  size_t count, float *out, vr_error *err)
{
    const table t = layout_table(&ck->c);
    for (size_t i = 0; i < t.count; i++) {
        const row *r = &t.rows[i];
        if (r->place != place || !is_wanted(&ck->c, r->when)) continue;
        const uint64_t own = wanted_elements(&ck->c, r->shape), begin = (uint64_t)r->part * own;
        const uint64_t from = first > begin ? first : begin, to = first + count < begin + own ? first + count : begin + own;
        if (from >= to) continue; /* another part of the place */
        if (read_row(ck, r, block, allow_nonfinite, from - begin, to - from, out + (from - first), err))
            return err ? err->code : VR_E_IO;
    }
    return VR_OK;
}

vr_status vr_checkpoint_read(const vr_checkpoint *ck, vr_place place, int block, bool allow_nonfinite, float *out,
                             vr_error *err)
{
    return vr_checkpoint_read_part(ck, place, block, allow_nonfinite, 0, vr_place_elements(&ck->c, place), out, err);
}
