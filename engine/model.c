/* model.c: from checkpoint tensors to a vr_model.  What the forward pass need not know is settled here: LayerScale is
 * folded into the weights before it, the average of two heads into the heads, positions into the special tokens. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "../loaders/positions.h"

/* What all steps of loading need. */
typedef struct {
    vr_model            *m;
    vr_backend          *be;
    const vr_checkpoint *ck;
    bool                 allow_nonfinite;
    float               *stage, *bias, *scale; /* host buffers: the largest tensor, and two of its rows' length */
    vr_error            *err;
} loader;

static vr_status read(const loader *l, vr_place place, int block, float *out)
{
    return vr_checkpoint_read(l->ck, place, block, l->allow_nonfinite, out, l->err);
}

/* A vector into the back end's memory. */
static vr_status load_vector(const loader *l, vr_place place, int block, float **out)
{
    size_t n = vr_place_elements(&l->m->config, place);
    if (read(l, place, block, l->stage) || l->be->ops->alloc(l->be, (void **)out, n * sizeof(float), l->err))
        return l->err->code;
    return l->be->ops->put(l->be, *out, l->stage, n * sizeof(float), l->err);
}

static vr_status load_norm(const loader *l, vr_place weight, int block, vr_norm *out)
{
    out->eps = l->m->config.norm_eps;
    if (load_vector(l, weight, block, &out->weight)) return l->err->code;
    return load_vector(l, (vr_place)(weight + 1), block, &out->bias);
}

/* The rows from .. from+count-1 of the staged weight [.., in] and bias. */
static vr_status pack_rows(const loader *l, vr_weight *out, int from, int count, int in)
{
    return l->be->ops->pack(l->be, out, l->stage + (size_t)from * (size_t)in, l->bias + from, count, in, l->err);
}

/* Read a Linear's weight [out, in] and bias [out] into the stage.  The bias follows its weight in the list of places. */
static vr_status stage_linear(const loader *l, vr_place weight, int block)
{
    if (read(l, weight, block, l->stage)) return l->err->code;
    return read(l, (vr_place)(weight + 1), block, l->bias);
}

/* gamma * (W x + b) = (gamma W) x + gamma b */
static void scale_rows(const loader *l, const float *gamma, float factor, int out, int in)
{
    for (int o = 0; o < out; o++) {
        float g = gamma ? gamma[o] : factor;
        for (int i = 0; i < in; i++) l->stage[(size_t)o * (size_t)in + (size_t)i] *= g;
        l->bias[o] *= g;
    }
}

static vr_status load_linear(const loader *l, vr_place weight, int block, int out, int in, vr_weight *w)
{
    return stage_linear(l, weight, block) ? l->err->code : pack_rows(l, w, 0, out, in);
}

static vr_status load_scaled(const loader *l, vr_place weight, vr_place gamma, int block, int out, int in, vr_weight *w)
{
    if (stage_linear(l, weight, block)) return l->err->code;
    if (l->m->config.layer_scale) {
        if (read(l, gamma, block, l->scale)) return l->err->code;
        scale_rows(l, l->scale, 1, out, in);
    }
    return pack_rows(l, w, 0, out, in);
}

static vr_status load_qkv(const loader *l, int block, vr_block *w)
{
    int C = l->m->config.dim;
    if (stage_linear(l, VR_AT_QKV_WEIGHT, block)) return l->err->code;
    if (!l->m->few || block != l->m->config.depth - 1) return pack_rows(l, &w->qkv, 0, 3 * C, C);
    return pack_rows(l, &w->q, 0, C, C) ? l->err->code : pack_rows(l, &w->kv, C, 2 * C, C);
}

static vr_status load_block(const loader *l, int block, vr_block *w)
{
    int C = l->m->config.dim, mlp = l->m->config.mlp;
    if (load_norm(l, VR_AT_NORM1_WEIGHT, block, &w->norm1) || load_qkv(l, block, w) ||
        load_scaled(l, VR_AT_PROJ_WEIGHT, VR_AT_SCALE1, block, C, C, &w->proj) ||
        load_norm(l, VR_AT_NORM2_WEIGHT, block, &w->norm2) || load_linear(l, VR_AT_FC1_WEIGHT, block, mlp, C, &w->fc1))
        return l->err->code;
    return load_scaled(l, VR_AT_FC2_WEIGHT, VR_AT_SCALE2, block, C, mlp, &w->fc2);
}

/* The mean of two classifiers is one sum when each is halved, exactly. */
static int outputs_of(const vr_model *m, int pooled)
{
    const vr_config *c = &m->config;
    switch (m->answer) {
    case VR_LOGITS:
        return c->classes ? c->classes : pooled;
    case VR_FEATURES_HEAD:
        return c->head == VR_HEAD_DISTILLED ? 2 * c->dim : pooled;
    case VR_FEATURES_PATCHES:
        return m->grid[0].patches * c->dim;
    default:
        return c->dim;
    }
}

static vr_status load_head(const loader *l)
{
    const vr_config *c = &l->m->config;
    int              in = c->head == VR_HEAD_CLASS_MEAN ? 2 * c->dim : c->dim;
    l->m->outputs = outputs_of(l->m, in);
    if (load_norm(l, VR_AT_NORM_WEIGHT, 0, &l->m->norm)) return l->err->code;
    if (c->classes == 0 || l->m->answer != VR_LOGITS) return VR_OK;
    if (stage_linear(l, VR_AT_HEAD_WEIGHT, 0)) return l->err->code;
    if (c->head != VR_HEAD_DISTILLED) return pack_rows(l, &l->m->head, 0, c->classes, in);
    scale_rows(l, NULL, 0.5f, c->classes, in);
    if (pack_rows(l, &l->m->head, 0, c->classes, in) || stage_linear(l, VR_AT_HEAD2_WEIGHT, 0)) return l->err->code;
    scale_rows(l, NULL, 0.5f, c->classes, in);
    return pack_rows(l, &l->m->head2, 0, c->classes, in);
}

/* Positions. */

static vr_status add_grid(const loader *l, const float *table, int height, int width)
{
    const vr_config *c = &l->m->config;
    const int        gh = height / c->patch, gw = width / c->patch, own_h = c->image_height / c->patch,
              own_w = c->image_width / c->patch;
    size_t   cells = (size_t)gh * (size_t)gw * (size_t)c->dim;
    vr_grid *g = &l->m->grid[l->m->grids];
    *g = (vr_grid){height, width, gh * gw, NULL};
    if (l->be->ops->alloc(l->be, (void **)&g->positions, cells * sizeof(float), l->err)) return l->err->code;
    l->m->grids++;
    if (gh == own_h && gw == own_w) return l->be->ops->put(l->be, g->positions, table, cells * sizeof(float), l->err);
    float *resampled = vr_alloc(cells, sizeof(float));
    if (!resampled) return vr_fail(l->err, VR_E_MEMORY, "", "No memory for the positions of %dx%d.", height, width);
    vr_status status =
        vr_positions_resample(resampled, gh, gw, table, own_h, own_w, c->dim, c->layout == VR_LAYOUT_TIMM, l->err);
    if (status == VR_OK) status = l->be->ops->put(l->be, g->positions, resampled, cells * sizeof(float), l->err);
    free(resampled);
    return status;
}

static vr_status load_grids(const loader *l, const float *table, const int (*sizes)[2], int count)
{
    const vr_recipe *own = &l->m->config.recipe;
    l->m->grid = vr_alloc_zeroed((size_t)count + 1, sizeof *l->m->grid);
    if (!l->m->grid) return vr_fail(l->err, VR_E_MEMORY, "", "No memory for %d image sizes.", count + 1);
    if (add_grid(l, table, own->crop_height, own->crop_width)) return l->err->code;
    for (int i = 0; i < count; i++) {
        if (vr_model_grid(l->m, sizes[i][0], sizes[i][1])) continue;
        vr_config probe = l->m->config; /* the same checks as --img-size */
        if (vr_config_set_size(&probe, sizes[i][0], sizes[i][1], l->err)) return l->err->code;
        if (add_grid(l, table, sizes[i][0], sizes[i][1])) return l->err->code;
    }
    return VR_OK;
}

static vr_status load_normal(const loader *l)
{
    float  table[3][256];
    float *on_device = NULL;
    vr_normal_table(table, &l->m->config.recipe);
    if (l->be->ops->alloc(l->be, (void **)&on_device, sizeof table, l->err)) return l->err->code;
    l->m->embed.normal = on_device;
    return l->be->ops->put(l->be, on_device, table, sizeof table, l->err);
}

/* Patch projection, special tokens with their positions added, what bytes are normalised to, position tables. */
static vr_status load_embed(const loader *l, const int (*sizes)[2], int count)
{
    const vr_config *c = &l->m->config;
    const size_t     prefix = (size_t)c->prefix, C = (size_t)c->dim;
    float           *table = l->stage; /* [prefix + patches, C] */
    float            tokens[2 * 8192]; /* [prefix, C], bounded by config.c */
    l->m->embed.patch = c->patch;
    l->m->embed.prefix = c->prefix;
    if (load_linear(l, VR_AT_PATCH_WEIGHT, 0, c->dim, 3 * c->patch * c->patch, &l->m->embed.proj)) return l->err->code;
    if (read(l, VR_AT_CLASS_TOKEN, 0, tokens) || (prefix == 2 && read(l, VR_AT_DIST_TOKEN, 0, tokens + C)) ||
        read(l, VR_AT_POSITIONS, 0, table))
        return l->err->code;
    for (size_t i = 0; i < prefix * C; i++) tokens[i] += table[i];
    float *on_device = NULL;
    if (l->be->ops->alloc(l->be, (void **)&on_device, prefix * C * sizeof(float), l->err)) return l->err->code;
    l->m->embed.prefix_tokens = on_device;
    if (l->be->ops->put(l->be, on_device, tokens, prefix * C * sizeof(float), l->err)) return l->err->code;
    if (load_normal(l)) return l->err->code;
    return load_grids(l, table + prefix * C, sizes, count);
}

static size_t largest_place(const vr_config *c)
{
    size_t most = 0;
    for (int p = 0; p < VR_PLACES; p++) {
        size_t n = vr_place_elements(c, (vr_place)p);
        if (n > most) most = n;
    }
    return most;
}

vr_status vr_model_load(vr_model *m, vr_backend *be, vr_config *config, const vr_checkpoint *ck, const int (*sizes)[2],
                        int count, vr_answer answer, bool full, bool allow_nonfinite, vr_error *err)
{
    *m = (vr_model){.config = *config, .backend = be, .answer = answer};
    *config = (vr_config){0};
    const vr_config *c = &m->config;
    full |= answer == VR_FEATURES_MEAN || answer == VR_FEATURES_PATCHES;
    m->few = !full && (c->head == VR_HEAD_CLASS || c->head == VR_HEAD_DISTILLED);
    m->parameters = vr_checkpoint_parameters(ck);
    m->weight_bytes = vr_checkpoint_bytes(ck);
    m->block = vr_alloc_zeroed((size_t)c->depth, sizeof *m->block);
    size_t widest = (size_t)(3 * c->dim > c->mlp ? 3 * c->dim : c->mlp);
    if (widest < (size_t)c->classes) widest = (size_t)c->classes;
    loader l = {m,
                be,
                ck,
                allow_nonfinite,
                vr_alloc(largest_place(c), sizeof(float)),
                vr_alloc(widest, sizeof(float)),
                vr_alloc(widest, sizeof(float)),
                err};

    vr_status status = VR_OK;
    if (!m->block || !l.stage || !l.bias || !l.scale) status = vr_fail(err, VR_E_MEMORY, "", "No memory to load %s.", c->name);
    if (status == VR_OK) status = load_embed(&l, sizes, count);
    for (int i = 0; i < c->depth && status == VR_OK; i++) status = load_block(&l, i, &m->block[i]);
    if (status == VR_OK) status = load_head(&l);
    free(l.stage);
    free(l.bias);
    free(l.scale);
    if (status) vr_model_free(m);
    return status;
}

static void free_norm(vr_backend *be, vr_norm *n)
{
    be->ops->free(be, n->weight);
    be->ops->free(be, n->bias);
}

void vr_model_free(vr_model *m)
{
    vr_backend *be = m->backend;
    if (!be) return;
    for (int i = 0; m->block && i < m->config.depth; i++) {
        vr_block  *w = &m->block[i];
        vr_weight *packed[] = {&w->qkv, &w->q, &w->kv, &w->proj, &w->fc1, &w->fc2};
        for (size_t k = 0; k < sizeof packed / sizeof *packed; k++) be->ops->unpack(be, packed[k]);
        free_norm(be, &w->norm1);
        free_norm(be, &w->norm2);
    }
    be->ops->unpack(be, &m->embed.proj);
    be->ops->unpack(be, &m->head);
    be->ops->unpack(be, &m->head2);
    be->ops->free(be, (void *)m->embed.prefix_tokens);
    be->ops->free(be, (void *)m->embed.normal);
    free_norm(be, &m->norm);
    for (int i = 0; i < m->grids; i++) be->ops->free(be, m->grid[i].positions);
    free(m->grid);
    free(m->block);
    vr_config_free(&m->config);
    *m = (vr_model){0};
}

const vr_grid *vr_model_grid(const vr_model *m, int height, int width)
{
    for (int i = 0; i < m->grids; i++)
        if (m->grid[i].height == height && m->grid[i].width == width) return &m->grid[i];
    return NULL;
}

double vr_model_macs(const vr_model *m, int patches, const int *before, const int *after)
{
    const vr_config *c = &m->config;
    const double     C = c->dim, P = c->prefix;
    double           macs = patches * C * 3 * c->patch * c->patch;
    for (int l = 0; l < c->depth; l++) {
        const double n = before[l], asking = m->few && l == c->depth - 1 ? P : n; /* rows with queries */
        macs += 2 * n * C * C + 2 * asking * C * C + 2 * asking * n * C + 2 * after[l] * C * c->mlp;
    }
    const bool two = c->head == VR_HEAD_CLASS_MEAN || c->head == VR_HEAD_DISTILLED;
    return m->head.data ? macs + (double)c->classes * (two ? 2 : 1) * C : macs;
}
