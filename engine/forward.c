/* forward.c: the Vision Transformer, on one page.
 *
 * Tokens of all images lie one after the other: x is [T, C], and image b owns the rows offsets[b] .. offsets[b+1]-1.
 * Norms and Linears see T rows and do not care; attention, pooling and the reducers see images.  Nothing is padded. */
#include "forward.h"

#include "reduce.h"

/* What flows through the blocks: views of the run's buffers, cut to the rows in use. */
typedef struct {
    vr_tokens in;                /* the residual stream x [T, C], and whose rows are whose */
    vr_mat    x, t, qkv, hidden; /* [T, C] in.x, [T, C], [T, 3C], [T, mlp]; the last two share memory */
    vr_rows   rows;
} tokens;

static tokens       begin(vr_run *run, const vr_picture *in, int images);
static tokens       cut(vr_run *run, vr_tokens in, vr_mat t);
static tokens       attend_specials(vr_run *run, tokens s, const vr_block *w);
static void         finish_block(vr_run *run, int l, const tokens *s);
static void         head(vr_run *run, const tokens *s);
static vr_pool_kind pooling(const vr_model *m);

void vr_forward(vr_run *run, const vr_picture *in, int images)
{
    const vr_model *m = run->model;
    vr_backend     *be = run->backend;
    tokens          s = begin(run, in, images);
    const int       C = m->config.dim, heads = m->config.heads;

    vr_patch_embed(be, s.x, run->h, &s.rows, in, &m->embed); /* special tokens, patches, positions */
    if (run->tap) run->tap(run->tap_user, -1, s.x, &s.rows);

    for (int l = 0; l < m->config.depth; l++) {
        const vr_block *w = &m->block[l];
        const vr_step  *step = vr_schedule_at(run->schedule, l, false);   /* NULL: nothing is reduced here */
        const vr_step  *restore = vr_schedule_at(run->schedule, l, true); /* NULL: nothing is restored here */

        vr_layernorm(be, s.t, s.x, &w->norm1);
        if (w->q.data) {
            s = attend_specials(run, s, w), step = restore = NULL; /* what they would do to others is not seen any more */
        } else {
            vr_mat q = vr_mat_cols(s.qkv, 0, C), k = vr_mat_cols(s.qkv, C, C), v = vr_mat_cols(s.qkv, 2 * C, C);
            vr_linear(be, s.qkv, s.t, &w->qkv, VR_NO_ACT, VR_SET);
            vr_attention(be, s.t, q, k, v, &s.rows, &s.rows, heads, vr_reduce_extras(run, step, &s.in));
        }
        vr_linear(be, s.x, s.t, &w->proj, VR_NO_ACT, VR_ADD); /* x += MSA(LN(x)) */
        if (step) s = cut(run, vr_reduce(run, step, s.in, vr_mat_cols(s.qkv, C, C)), run->t);

        vr_layernorm(be, s.t, s.x, &w->norm2);
        vr_linear(be, s.hidden, s.t, &w->fc1, VR_GELU_ERF, VR_SET);
        vr_linear(be, s.x, s.hidden, &w->fc2, VR_NO_ACT, VR_ADD); /* x += MLP(LN(x)) */
        finish_block(run, l, &s);
        if (restore) s = cut(run, vr_restore(run, restore, s.in), run->t);
    }
    head(run, &s); /* norm, pool, classifier, as the checkpoint has it */
}

static tokens cut(vr_run *run, vr_tokens in, vr_mat t)
{
    const vr_config *c = &run->model->config;
    const int        T = in.offsets[in.images];
    vr_mat           h = vr_mat_rows(run->h, 0, T);
    in.x = vr_mat_rows(in.x, 0, T);
    return (tokens){
        in, in.x, vr_mat_rows(t, 0, T), vr_mat_cols(h, 0, 3 * c->dim), vr_mat_cols(h, 0, c->mlp), {in.images, in.offsets}};
}

static tokens begin(vr_run *run, const vr_picture *in, int images)
{
    const vr_config *c = &run->model->config;
    vr_tokens        all = {.x = run->x, .offsets = run->offsets, .images = images, .prefix = c->prefix};
    run->offsets[0] = run->few_offsets[0] = 0;
    for (int b = 0; b < images; b++) {
        run->offsets[b + 1] = run->offsets[b] + c->prefix + (in[b].height / c->patch) * (in[b].width / c->patch);
        run->few_offsets[b + 1] = run->few_offsets[b] + c->prefix;
    }
    vr_reduce_begin(run, &all);
    return cut(run, all, run->t);
}

/* The last block where only special tokens are pooled: all tokens are keys and values, but only the special ones ask,
 * and only their rows go on.  s.t holds LN(x) of all rows. */
static tokens attend_specials(vr_run *run, tokens s, const vr_block *w)
{
    vr_backend *be = run->backend;
    const int   C = run->model->config.dim, prefix = s.in.prefix, images = s.in.images;
    tokens      few =
        cut(run, (vr_tokens){.x = run->few_x, .offsets = run->few_offsets, .images = images, .prefix = prefix}, run->few_t);
    vr_mat q = vr_mat_rows(s.t, 0, few.x.rows); /* overwrites LN(x), which is used up by then */
    vr_mat kv = vr_mat_cols(s.qkv, 0, 2 * C);
    for (int b = 0; b < images; b++)
        for (int i = 0; i < prefix; i++) run->few_index[b * prefix + i] = s.rows.offsets[b] + i;

    vr_linear(be, kv, s.t, &w->kv, VR_NO_ACT, VR_SET);
    vr_gather(be, few.x, s.x, run->few_index);
    vr_gather(be, few.t, s.t, run->few_index);
    vr_linear(be, q, few.t, &w->q, VR_NO_ACT, VR_SET);
    vr_attention(be, few.t, q, vr_mat_cols(kv, 0, C), vr_mat_cols(kv, C, C), &few.rows, &s.rows, run->model->config.heads,
                 vr_reduce_extras(run, NULL, &s.in));
    return few;
}

static void finish_block(vr_run *run, int l, const tokens *s)
{
    for (int b = 0; b < s->rows.images; b++)
        run->tokens_after[l * run->images_max + b] = s->rows.offsets[b + 1] - s->rows.offsets[b];
    if (run->tap) run->tap(run->tap_user, l, s->x, &s->rows);
}

static void head(vr_run *run, const tokens *s)
{
    const vr_model  *m = run->model;
    const vr_config *c = &m->config;
    vr_backend      *be = run->backend;
    const int        B = s->rows.images;
    vr_mat           pooled = vr_mat_rows(run->pooled, 0, B), normed = vr_mat_rows(run->normed, 0, B);
    vr_mat           logits = vr_mat_rows(run->logits, 0, B);
    vr_pooling       how = {.kind = pooling(m), .prefix = c->prefix};
    vr_reduce_pooling(run, s->in.size, &how);

    if (c->head == VR_HEAD_MEAN && !c->norm_first && how.kind == VR_POOL_MEAN) {
        vr_pool(be, pooled, s->x, &s->rows, how);
        vr_layernorm(be, normed, pooled, &m->norm);
    } else {
        vr_layernorm(be, s->t, s->x, &m->norm);
        if (m->answer == VR_FEATURES_PATCHES) return; /* s->t is the answer */
        vr_pool(be, normed, s->t, &s->rows, how);
    }
    if (c->head == VR_HEAD_DISTILLED && (m->head.data || m->answer == VR_FEATURES_HEAD))
        vr_pool(be, pooled, s->t, &s->rows, (vr_pooling){.kind = VR_POOL_ROW, .row = 1});
    if (!m->head.data) return; /* no classifier, or none wanted: run->normed is the answer, and of two heads run->pooled */
    vr_linear(be, logits, normed, &m->head, VR_NO_ACT, VR_SET);
    if (c->head == VR_HEAD_DISTILLED) vr_linear(be, logits, pooled, &m->head2, VR_NO_ACT, VR_ADD); /* both halved at load */
}

static vr_pool_kind pooling(const vr_model *m)
{
    if (m->answer == VR_FEATURES_MEAN) return VR_POOL_MEAN;
    if (m->answer == VR_FEATURES_CLASS || m->answer == VR_FEATURES_PATCHES) return VR_POOL_ROW;
    if (m->config.head == VR_HEAD_MEAN) return VR_POOL_MEAN;
    return m->config.head == VR_HEAD_CLASS_MEAN ? VR_POOL_CLASS_MEAN : VR_POOL_ROW;
}
