/* tokens.c: which token holds which patches, from the traces of the reductions; what the paper's Fig. 1 shows. */
#include <stdlib.h>
#include <string.h>

#include "../kernels/arena.h"
#include "internal.h"

/* How much of the patches' group `group` went into a token. */
typedef struct {
    int token, group, patches;
} share;

/* One image on its way through the blocks. */
typedef struct {
    int    patches, prefix;
    int    tokens;     /* ordinary ones */
    vr_mat map, other; /* [prefix + tokens, patches] how much of each token is which patch; they take turns */
    int   *token;      /* [patches] the arg-max of each column */
    int   *group;      /* [patches] */
    share *shares;     /* [patches] */
    int   *group_of;   /* [patches] of each token, -1: none yet */
    bool  *used;       /* [patches] is that group's number some token's? */
} follower;

static void follow(follower *f, const vitrun *v, int image, int block);

/* Where everything lies; run twice. */
static void lay_out(follower *f, vr_arena *a)
{
    const size_t n = (size_t)f->patches, rows = n + (size_t)f->prefix;
    size_t       cells = 0;
    if (!vr_mul(rows, n, &cells)) a->overflow = true;
    f->map = (vr_mat){vr_arena_take(a, cells, sizeof(float)), (int)rows, f->patches, n, VR_F32};
    f->other = (vr_mat){vr_arena_take(a, cells, sizeof(float)), (int)rows, f->patches, n, VR_F32};
    f->token = vr_arena_take(a, n, sizeof *f->token);
    f->group = vr_arena_take(a, n, sizeof *f->group);
    f->shares = vr_arena_take(a, n, sizeof *f->shares);
    f->group_of = vr_arena_take(a, n, sizeof *f->group_of);
    f->used = vr_arena_take(a, n, sizeof *f->used);
}

static vr_status check(const vitrun *v, int block, int image, bool kept, vr_error *err)
{
    if (!kept) return vr_fail(err, VR_E_USAGE, "trace", "Traces are kept only when asked for at opening (keep_trace).");
    if (block < -1 || block >= v->model.config.depth)
        return vr_fail(err, VR_E_USAGE, "block", "There is no block %d; %s has %d.", block, v->model.config.name,
                       v->model.config.depth);
    if (image >= v->batch_first && image < v->costs) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "image",
                   "There is no trace of image %d: those at hand are of images %d to %d of the last call; run one at a time.",
                   image, v->batch_first, v->costs - 1);
}

int vitrun_token_map(const vitrun *v, int block, int image, int *token_of_patch, int *group_of_patch, int *tokens,
                     vitrun_error *err)
{
    vr_error e = {0};
    if (check(v, block, image, v->keep_trace, &e)) return vr_report(err, &e);
    const int b = image - v->batch_first;
    follower  f = {.patches = v->run.patches[b], .prefix = v->model.config.prefix};
    vr_arena  a = {0};
    lay_out(&f, &a);
    void *memory = a.overflow ? NULL : vr_alloc(a.used, 1);
    if (memory) {
        const size_t bytes = (size_t)f.patches * sizeof(int);
        a = (vr_arena){.base = memory};
        lay_out(&f, &a);
        follow(&f, v, b, block);
        if (token_of_patch) memcpy(token_of_patch, f.token, bytes);
        if (group_of_patch) memcpy(group_of_patch, f.group, bytes);
        if (tokens) *tokens = f.tokens;
    } else {
        vr_fail(&e, VR_E_MEMORY, "", "No memory to follow %d patches.", f.patches);
    }
    free(memory);
    return vr_report(err, &e);
}

/* ---- the soft map ---- */

/* Every patch is its own token. */
static void begin(follower *f)
{
    f->tokens = f->patches;
    f->map.rows = f->prefix + f->patches;
    memset(f->map.data, 0, (size_t)f->map.rows * f->map.stride * sizeof(float));
    for (int p = 0; p < f->patches; p++) {
        f->map.data[(size_t)(f->prefix + p) * f->map.stride + (size_t)p] = 1;
        f->token[p] = f->group[p] = p;
    }
}

/* token(p) = arg-max over o of map(o, p) */
static void label(follower *f)
{
    for (int p = 0; p < f->patches; p++) {
        float most = 0;
        f->token[p] = -1;
        for (int o = 0; o < f->tokens; o++) {
            const float share_of_p = f->map.data[(size_t)(f->prefix + o) * f->map.stride + (size_t)p];
            if (share_of_p > most) most = share_of_p, f->token[p] = o;
        }
    }
}

static void reduce(follower *f, const vr_trace *trace, int image)
{
    vr_mat from = f->map, to = f->other;
    to.rows = trace->out_offsets[image + 1] - trace->out_offsets[image];
    vr_trace_follow(trace, image, to, from);
    f->map = to, f->other = from;
    f->tokens = to.rows - f->prefix;
    label(f);
}

/* ---- numbers that last ---- */

static int by_place(const void *x, const void *y)
{
    const share *a = x, *b = y;
    return a->token != b->token ? a->token - b->token : a->group - b->group;
}

static int by_size(const void *x, const void *y)
{
    const share *a = x, *b = y;
    return a->patches != b->patches ? b->patches - a->patches
           : a->group != b->group   ? a->group - b->group
                                    : a->token - b->token;
}

/* The shares of old groups in the new tokens, largest first; returns how many. */
static int count_shares(follower *f)
{
    int patches = 0, count = 0;
    for (int p = 0; p < f->patches; p++)
        if (f->token[p] >= 0) f->shares[patches++] = (share){f->token[p], f->group[p], 1};
    qsort(f->shares, (size_t)patches, sizeof *f->shares, by_place);
    for (int i = 0; i < patches; i++)
        if (count && by_place(&f->shares[count - 1], &f->shares[i]) == 0)
            f->shares[count - 1].patches++;
        else
            f->shares[count++] = f->shares[i];
    qsort(f->shares, (size_t)count, sizeof *f->shares, by_size);
    return count;
}

static void name(follower *f, int token, int group)
{
    if (f->group_of[token] >= 0 || f->used[group]) return;
    f->group_of[token] = group;
    f->used[group] = true;
}

static void regroup(follower *f)
{
    for (int p = 0; p < f->patches; p++) f->used[p] = false;
    for (int o = 0; o < f->tokens; o++) f->group_of[o] = -1;
    const int shares = count_shares(f);
    for (int i = 0; i < shares; i++) name(f, f->shares[i].token, f->shares[i].group);
    for (int p = 0; p < f->patches; p++)
        if (f->token[p] >= 0) name(f, f->token[p], p);
    for (int p = 0; p < f->patches; p++) /* all of its patches' numbers are others': any will do */
        for (int free_one = 0; f->token[p] >= 0 && f->group_of[f->token[p]] < 0; free_one++) name(f, f->token[p], free_one);
    for (int p = 0; p < f->patches; p++) f->group[p] = f->token[p] >= 0 ? f->group_of[f->token[p]] : -1;
}

/* ---- through the blocks ---- */

static void follow(follower *f, const vitrun *v, int image, int block)
{
    const vr_schedule *s = v->run.schedule;
    const vr_trace    *trace = v->run.trace;
    begin(f);
    for (int l = 0; l <= block; l++) {
        if (l > 0 && vr_schedule_at(s, l - 1, true)) begin(f);
        if (!vr_schedule_at(s, l, false)) continue;
        reduce(f, trace++, image);
        regroup(f);
    }
}
