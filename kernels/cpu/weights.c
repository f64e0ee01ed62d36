/* weights.c: weights turned into the panels that products read, by all threads: from memory, or from a reader, a panel at a time
 * through a thread's cache. */
#include "impl.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    float               *panels; /* [ceil(out / width)][vr_panel_words] */
    const float         *weight; /* [out, in], or NULL: */
    const vr_row_source *source;
    float               *rows; /* [threads, rows_stride] */
    size_t               rows_stride;
    int                  out, in, width;
    vr_dtype             type; /* of the panels */
    pthread_mutex_t      lock;
    int                  failed; /* under the lock: the first panel, in order, that cannot be had, */
    vr_error             err;    /* and why */
} pack_job;

/* Panels before one that failed are read all the same, so that the first failure in order is the one that is said. */
static bool given_up(pack_job *j, int task)
{
    pthread_mutex_lock(&j->lock);
    const bool stop = j->err.code != VR_OK && task > j->failed;
    pthread_mutex_unlock(&j->lock);
    return stop;
}

static const float *fetch_rows(pack_job *j, int task, int thread, int first, int count)
{
    float   *rows = j->rows + (size_t)thread * j->rows_stride;
    vr_error err = {0};
    if (given_up(j, task)) return NULL;
    if (j->source->read(j->source->from, first, count, rows, &err) == VR_OK) return rows;
    pthread_mutex_lock(&j->lock);
    if (j->err.code == VR_OK || task < j->failed) j->err = err, j->failed = task;
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

static void pack_task(int task, int thread, void *arg)
{
    pack_job    *j = arg;
    int          row = task * j->width, rows = j->out - row < j->width ? j->out - row : j->width;
    const float *weight = j->source ? fetch_rows(j, task, thread, row, rows) : j->weight + (size_t)row * (size_t)j->in;
    float       *panel = j->panels + (size_t)task * vr_panel_words(j->in, j->width, j->type);
    if (!weight) return;
    if (j->type == VR_I8)
        vr_pack_bytes(panel, j->width, weight, (size_t)j->in, rows, j->in);
    else if (j->type == VR_F32)
        vr_pack_panel(panel, j->width, weight, (size_t)j->in, rows, j->in);
    else
        vr_pack_pairs(panel, j->width, weight, VR_F32, (size_t)j->in, rows, j->in);
}

static bool take_rows(vr_cpu_impl *impl, pack_job *j)
{
    const size_t want = ((size_t)j->width * (size_t)j->in + 15) / 16 * 16;
    if (want > impl->rows_stride) {
        size_t count;
        free(impl->rows);
        impl->rows = vr_mul(want, (size_t)vr_threads_count(impl->crew), &count) ? vr_alloc(count, sizeof(float)) : NULL;
        impl->rows_stride = impl->rows ? want : 0;
    }
    j->rows = impl->rows, j->rows_stride = impl->rows_stride;
    return impl->rows != NULL;
}

void vr_cpu_unpack(vr_backend *be, vr_weight *w)
{
    (void)be;
    free(w->data);
    free(w->bias);
    *w = (vr_weight){0};
}

static vr_dtype type_of(const vr_cpu_impl *impl, int in_features, vr_layer layer)
{
    return impl->bytes && layer == VR_LAYER_OF_BLOCK && in_features <= VR_BYTES_DEEPEST ? VR_I8 : impl->kernels->weights;
}

/* `weight` whole, or `source`. */
static vr_status pack_either(vr_backend *be, vr_weight *out, const float *weight, const vr_row_source *source,
                             const float *bias, int out_features, int in_features, vr_layer layer, vr_error *err)
{
    assert(out_features > 0 && in_features > 0);
    vr_cpu_impl   *impl = be->impl;
    const vr_dtype type = type_of(impl, in_features, layer);
    const int      width = vr_product_of(impl, type)->panel, panels = (out_features + width - 1) / width;
    pack_job       job = {.weight = weight,
                          .source = source,
                          .out = out_features,
                          .in = in_features,
                          .width = width,
                          .type = type,
                          .lock = PTHREAD_MUTEX_INITIALIZER};
    size_t         words;
    *out = (vr_weight){.out = out_features, .in = in_features, .type = type};
    if (vr_mul((size_t)panels, vr_panel_words(in_features, width, type), &words))
        out->data = vr_alloc_large(words, sizeof(float));
    if (bias) out->bias = vr_alloc((size_t)out_features, sizeof *bias);
    if (!out->data || (bias && !out->bias) || (source && !take_rows(impl, &job))) {
        vr_cpu_unpack(be, out);
        return vr_fail(err, VR_E_MEMORY, "", "There is no memory for a weight of %d x %d numbers.", out_features, in_features);
    }
    if (type == VR_I8 && in_features > impl->deepest) impl->deepest = in_features;
    job.panels = out->data;
    vr_threads_run(impl->crew, pack_task, &job, panels);
    if (bias) memcpy(out->bias, bias, (size_t)out_features * sizeof *bias);
    if (job.err.code == VR_OK) return VR_OK;
    vr_cpu_unpack(be, out);
    return vr_fail(err, job.err.code, job.err.rule, "%s", job.err.text);
}

vr_status vr_cpu_pack(vr_backend *be, vr_weight *out, const float *weight, const float *bias, int out_features, int in_features,
                      vr_layer layer, vr_error *err)
{
    return pack_either(be, out, weight, NULL, bias, out_features, in_features, layer, err);
}

vr_status vr_cpu_pack_rows(vr_backend *be, vr_weight *out, const vr_row_source *rows, const float *bias, int out_features,
                           int in_features, vr_layer layer, vr_error *err)
{
    return pack_either(be, out, NULL, rows, bias, out_features, in_features, layer, err);
}
