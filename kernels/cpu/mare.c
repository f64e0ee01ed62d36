/* mare.c: the way back from a reduction.  A task is a panel of an image's channels.  Sources that were spread over
 * several destinations are one product: the columns of the weights, laid out as rows first, times the destinations. */
#include <assert.h>
#include <string.h>

#include "impl.h"

typedef struct {
    vr_mat          x, y;
    const vr_trace *trace;
    vr_mare         mode;
    vr_cpu_impl    *impl;
    int             panels;
} mare_job;

/* The weights of one image. */
typedef struct {
    int          M, N;
    const float *weight; /* [M, N] */
    float       *turned; /* [N, M] in scratch */
} weights;

static weights weights_of(const mare_job *j, int b)
{
    const size_t at = j->trace->weights_at[b], end = j->trace->weights_at[b + 1];
    const int    M = j->trace->destinations[b];
    return (weights){M, M ? (int)((end - at) / (size_t)M) : 0, j->trace->weight + at, j->impl->reduction.trace.weight + at};
}

static void turn_task(int b, int thread, void *arg)
{
    const weights w = weights_of(arg, b);
    (void)thread;
    for (int i = 0; i < w.M; i++)
        for (int k = 0; k < w.N; k++)
            w.turned[(size_t)k * (size_t)w.M + (size_t)i] = w.weight[(size_t)i * (size_t)w.N + (size_t)k];
}

/* y's destinations as a weight [M, width], each divided by its total where they are split. */
static void pack_destinations(const mare_job *j, float *packed, int first, int M, int col, int cols)
{
    const int width = j->impl->isa->panel;
    for (int i = 0; i < M; i++, packed += width) {
        const int    row = first + j->trace->prefix + i;
        const float *y = j->y.data + (size_t)row * j->y.stride + col;
        const float  total = j->mode == VR_MARE_PAPER ? j->trace->total[row] : 1;
        for (int c = 0; c < cols; c++) packed[c] = y[c] / total;
        memset(packed + cols, 0, (size_t)(width - cols) * sizeof *packed);
    }
}

static void scaled(float *x, const float *y, float factor, int cols)
{
    for (int c = 0; c < cols; c++) x[c] = factor * y[c];
}

static void restore_task(int task, int thread, void *arg)
{
    const mare_job *j = arg;
    const vr_isa   *isa = j->impl->isa;
    const vr_trace *t = j->trace;
    const vr_lane  *lane = &j->impl->reduction.lanes[thread];
    const int       b = task / j->panels, col = task % j->panels * isa->panel, first = t->out_offsets[b];
    const int       cols = isa->panel < j->x.cols - col ? isa->panel : j->x.cols - col;
    const weights   w = weights_of(j, b);
    if (w.N > 0) {
        vr_gemm gemm = {.y = lane->block,
                        .x = w.turned,
                        .w = lane->packed,
                        .y_stride = (size_t)isa->panel,
                        .x_stride = (size_t)w.M,
                        .cols = cols,
                        .depth = w.M};
        pack_destinations(j, lane->packed, first, w.M, col, cols);
        isa->f32.product.gemm(&gemm, 0, w.N, 0);
    }
    for (int i = t->in_offsets[b]; i < t->in_offsets[b + 1]; i++) {
        float      *x = j->x.data + (size_t)i * j->x.stride + col;
        const int   row = first + t->row[i];
        const float mass = j->mode == VR_MARE_PAPER ? t->mass[i] : 1;
        if (t->row[i] == VR_SPREAD)
            scaled(x, lane->block + t->column[i] * isa->panel, mass, cols);
        else if (t->row[i] == VR_GONE)
            memset(x, 0, (size_t)cols * sizeof *x);
        else
            scaled(x, j->y.data + (size_t)row * j->y.stride + col, j->mode == VR_MARE_PAPER ? mass / t->total[row] : 1, cols);
    }
}

void vr_cpu_mare(vr_backend *be, vr_mat x, vr_mat y, const vr_trace *trace, vr_mare mode)
{
    vr_cpu_impl *impl = be->impl;
    mare_job     j = {x, y, trace, mode, impl, (x.cols + impl->isa->panel - 1) / impl->isa->panel};
    assert(x.cols == y.cols && trace->images <= impl->reduction.most.images);
    assert(x.rows == trace->in_offsets[trace->images] && y.rows == trace->out_offsets[trace->images]);
    assert(trace->weights_at[trace->images] <= vr_limits_weights(&impl->reduction.most));
    vr_threads_run(impl->crew, turn_task, &j, trace->images);
    vr_threads_run(impl->crew, restore_task, &j, trace->images * j.panels);
}
