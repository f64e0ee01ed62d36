/* profile.c: a table of verbs that stands before the back end's and holds a watch.  On the CPU a verb has done its work when it
 * returns; a GPU's back end tells of each kernel itself, and is only told which verb it belongs to. */
#include "profile.h"

#include "internal.h"

static vr_profiler *begin(vr_backend *be, const char *verb)
{
    vr_profiler *p = (vr_profiler *)(uintptr_t)be->ops; /* the table is its first member */
    p->rows.verb = verb;
    p->started = vr_now();
    return p;
}

static void end(vr_profiler *p, vr_work work)
{
    if (p->real->watch) return;
    vr_profile_row *row = &p->rows.row[vr_profile_find(&p->rows, "")];
    row->seconds += vr_now() - p->started;
    row->launches++;
    row->work = vr_work_sum(row->work, work);
}

static void embed(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in, const vr_embed *w)
{
    const vr_mat patches = vr_mat_at(scratch, 0, 0, x.rows, w->proj.in);
    vr_profiler *p = begin(be, "patch_embed");
    p->real->patch_embed(be, x, scratch, rows, in, w);
    end(p,
        vr_work_sum(vr_work_unfold(patches, in), vr_work_sum(vr_work_linear(x, patches, &w->proj, VR_SET), vr_work_place(x))));
}

static void layernorm(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w)
{
    vr_profiler *p = begin(be, "layernorm");
    p->real->layernorm(be, y, x, w);
    end(p, vr_work_moved(x, y));
}

static void linear(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into)
{
    vr_profiler *p = begin(be, "linear");
    p->real->linear(be, y, x, w, act, into);
    end(p, vr_work_linear(y, x, w, into));
}

static void attention(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows,
                      int heads, const vr_extras *extras)
{
    vr_work      work = vr_work_attention(y, q, k, v, q_rows, kv_rows);
    vr_profiler *p = begin(be, "attention");
    p->real->attention(be, y, q, k, v, q_rows, kv_rows, heads, extras);
    if (extras && extras->mean_keys.data) work = vr_work_sum(work, vr_work_mean_keys(extras->mean_keys, k));
    if (extras && extras->class_scores) work = vr_work_sum(work, vr_work_class_scores(k, kv_rows->images));
    end(p, work);
}

static void pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how)
{
    vr_profiler *p = begin(be, "pool");
    p->real->pool(be, y, x, rows, how);
    end(p, vr_work_moved(x, y));
}

static void gather(vr_backend *be, vr_mat y, vr_mat x, const int *index)
{
    vr_profiler *p = begin(be, "gather");
    p->real->gather(be, y, x, index);
    end(p, vr_work_moved(y, y));
}

static void mame(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat feature, const vr_mame *how, vr_trace *trace)
{
    vr_profiler *p = begin(be, "mame");
    p->real->mame(be, out, in, feature, how, trace);
    end(p, vr_work_sum(vr_work_mame_weigh(in, feature, how), vr_work_mame_merge(out, in, how)));
}

static void mare(vr_backend *be, vr_mat x, vr_mat y, const vr_trace *trace, vr_mare mode)
{
    vr_profiler *p = begin(be, "mare");
    p->real->mare(be, x, y, trace, mode);
    end(p, vr_work_moved(y, x));
}

static void tome(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat metric, int r, vr_trace *trace)
{
    vr_profiler *p = begin(be, "tome");
    p->real->tome(be, out, in, metric, r, trace);
    end(p, vr_work_sum(vr_work_tome_match(in, metric), vr_work_moved(in->x, out->x)));
}

static void evit(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_evit *how, vr_trace *trace)
{
    vr_profiler *p = begin(be, "evit");
    p->real->evit(be, out, in, scores, how, trace);
    end(p, vr_work_moved(in->x, out->x));
}

static void diffrate(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_diffrate *how,
                     vr_trace *trace)
{
    vr_profiler *p = begin(be, "diffrate");
    p->real->diffrate(be, out, in, scores, how, trace);
    end(p, vr_work_sum(vr_work_diffrate_match(in, how), vr_work_moved(in->x, out->x)));
}

vr_status vr_profiler_start(vr_profiler *p, vitrun *v, vr_error *err)
{
    const vr_ops *real = v->backend.ops;
    *p = (vr_profiler){.ops = *real, .real = real, .rows = {.verb = ""}};
    if (real->watch && real->watch(&v->backend, &p->rows, err)) return err->code;
    p->ops.patch_embed = embed;
    p->ops.layernorm = layernorm;
    p->ops.linear = linear;
    p->ops.attention = attention;
    p->ops.pool = pool;
    p->ops.gather = gather;
    p->ops.mame = mame;
    p->ops.mare = mare;
    p->ops.tome = tome;
    p->ops.evit = evit;
    p->ops.diffrate = diffrate;
    v->backend.ops = &p->ops;
    return VR_OK;
}

void vr_profiler_stop(vr_profiler *p, vitrun *v)
{
    vr_error none = {0};
    if (p->real->watch) p->real->watch(&v->backend, NULL, &none);
    v->backend.ops = p->real;
}

double vr_peak_flops(vitrun *v) { return v->backend.ops->peak ? v->backend.ops->peak(&v->backend) : 0; }
