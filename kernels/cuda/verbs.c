/* verbs.c: verbs that are a launch or a few. */
#include <assert.h>
#include <stdlib.h>

#include "backend.h"

vr_segments vr_cuda_segments(vr_backend *be, const int *offsets, int images)
{
    vr_segments s = {.images = images, .rows = offsets[images]};
    for (int b = 0; b < images; b++)
        if (offsets[b + 1] - offsets[b] > s.longest) s.longest = offsets[b + 1] - offsets[b];
    s.offsets = vr_cuda_upload(be, offsets, ((size_t)images + 1) * sizeof *offsets);
    return s;
}

/* Of floats and bytes alike, rounded up so that floats may follow. */
static size_t bytes_of(const vr_picture *p)
{
    const size_t cells = 3 * (size_t)p->height * (size_t)p->width;
    return p->pixels ? cells * sizeof *p->pixels : (cells + sizeof(float) - 1) / sizeof(float) * sizeof(float);
}

/* Pixels of all pictures go to the device one after the other; what kernels need to know of them is a small array. */
static const vr_gpu_picture *send_pictures(vr_backend *be, const vr_rows *rows, const vr_picture *in)
{
    vr_cuda_impl   *impl = be->impl;
    vr_gpu_picture *about = impl->pictures;
    size_t          at = 0;
    for (int b = 0; b < rows->images; b++) {
        const bool   floats = in[b].pixels != NULL;
        const size_t cells = 3 * (size_t)in[b].height * (size_t)in[b].width;
        char        *there = impl->pixels + at;
        assert(at + bytes_of(&in[b]) <= impl->pixel_room && b < impl->pictures_room);
        about[b] = (vr_gpu_picture){.pixels = floats ? (const float *)(const void *)there : NULL,
                                    .rgb = floats ? NULL : (const unsigned char *)there,
                                    .positions = in[b].positions,
                                    .first = rows->offsets[b],
                                    .height = in[b].height,
                                    .width = in[b].width};
        const void *from = floats ? (const void *)in[b].pixels : in[b].rgb;
        if (vr_cuda_put(be, there, from, cells * (floats ? sizeof(float) : 1), &be->fault)) return NULL;
        at += bytes_of(&in[b]);
    }
    return vr_cuda_upload(be, about, (size_t)rows->images * sizeof *about);
}

void vr_cuda_patch_embed(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in, const vr_embed *w)
{
    assert(x.cols == w->proj.out && w->proj.in == 3 * w->patch * w->patch && scratch.cols >= w->proj.in);
    assert(rows->offsets[rows->images] == x.rows && scratch.rows >= x.rows);
    const vr_cuda_impl *impl = vr_cuda_begin(be);
    if (!impl || x.rows == 0) return;
    const vr_mat          patches = vr_mat_at(scratch, 0, 0, x.rows, w->proj.in);
    const vr_gpu_picture *pictures = send_pictures(be, rows, in);
    if (!pictures) return;
    if (!vr_cuda_launched(be, vr_gpu_unfold(&impl->gpu, patches, pictures, rows->images, w->prefix, w->patch, w->normal)))
        return;
    vr_watch_work(impl->watch, "unfold", vr_work_unfold(patches, in));
    vr_cuda_linear(be, x, patches, &w->proj, VR_NO_ACT, VR_SET);
    if (!vr_cuda_begin(be)) return;
    vr_cuda_launched(be, vr_gpu_place(&impl->gpu, x, pictures, rows->images, w->prefix, w->prefix_tokens));
    vr_watch_work(impl->watch, "place", vr_work_place(x));
}

void vr_cuda_layernorm(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w)
{
    assert(y.rows == x.rows && y.cols == x.cols && y.type == x.type);
    const vr_cuda_impl *impl = vr_cuda_begin(be);
    if (!impl) return;
    vr_cuda_launched(be, vr_gpu_layernorm(&impl->gpu, y, x, w));
    vr_watch_work(impl->watch, NULL, vr_work_moved(x, y));
}

void vr_cuda_attention(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows,
                       int heads, const vr_extras *extras)
{
    assert(heads > 0 && y.cols % heads == 0 && q.cols == y.cols && k.cols == y.cols && v.cols == y.cols);
    assert(q_rows->images == kv_rows->images && y.rows == q.rows && k.rows == v.rows);
    assert(q_rows->offsets[q_rows->images] == q.rows && kv_rows->offsets[kv_rows->images] == k.rows);
    const vr_segments queries = vr_cuda_segments(be, q_rows->offsets, q_rows->images);
    const vr_segments keys = vr_cuda_segments(be, kv_rows->offsets, kv_rows->images);
    vr_cuda_impl     *impl = vr_cuda_begin(be);
    if (!impl) return;
    vr_cuda_launched(be, vr_gpu_attention(&impl->gpu, y, q, k, v, queries, keys, heads, extras));
    if (!impl->watch) return;
    vr_watch_work(impl->watch, NULL, vr_work_attention(y, q, k, v, q_rows, kv_rows));
    if (extras && extras->mean_keys.data) vr_watch_work(impl->watch, "mean_keys", vr_work_mean_keys(extras->mean_keys, k));
    if (extras && extras->class_scores) vr_watch_work(impl->watch, "class_scores", vr_work_class_scores(k, kv_rows->images));
}

void vr_cuda_pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how)
{
    assert(y.rows == rows->images && y.cols == (how.kind == VR_POOL_CLASS_MEAN ? 2 : 1) * x.cols && y.type == x.type);
    const vr_segments all = vr_cuda_segments(be, rows->offsets, rows->images);
    const int        *patches = how.patches ? vr_cuda_upload(be, how.patches, (size_t)rows->images * sizeof *patches) : NULL;
    vr_cuda_impl     *impl = vr_cuda_begin(be);
    if (!impl) return;
    vr_cuda_launched(be, vr_gpu_pool(&impl->gpu, y, x, all.offsets, how.kind, how.row, how.prefix, how.size, patches));
    vr_watch_work(impl->watch, NULL, vr_work_moved(x, y));
}

void vr_cuda_gather(vr_backend *be, vr_mat y, vr_mat x, const int *index)
{
    assert(y.cols == x.cols && y.type == x.type);
    const int    *there = y.rows ? vr_cuda_upload(be, index, (size_t)y.rows * sizeof *index) : NULL;
    vr_cuda_impl *impl = vr_cuda_begin(be);
    if (!impl || !there) return;
    vr_cuda_launched(be, vr_gpu_gather(&impl->gpu, y, x, there));
    vr_watch_work(impl->watch, NULL, vr_work_moved(y, y));
}
