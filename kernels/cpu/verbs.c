/* verbs.c: the CPU back end's verbs: each is cut into tasks here, and its arithmetic done in isa/.  How a verb is cut
 * may depend on the number of threads; what a row comes to does not. */
#include "bf16.h"
#include "impl.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static int min_int(int a, int b) { return a < b ? a : b; }
static int max_int(int a, int b) { return a > b ? a : b; }
static int ceil_div(int a, int b) { return (a + b - 1) / b; }

static const vr_cpu_impl *impl_of(const vr_backend *be) { return be->impl; }

/* ---- linear: a task is a panel of columns and a block of rows ---- */

typedef struct {
    vr_gemm           gemm;
    const vr_product *product;
    int               rows, blocks, panels;
} linear_job;

/* Rows are cut where x would leave the cache between two panels, and where there would be too few tasks to keep every thread busy
 * to the end. */
static int linear_blocks(const vr_cpu_impl *impl, const vr_product *product, int rows, size_t row_bytes, int panels)
{
    const size_t span = (size_t)product->span, bytes = row_bytes < span ? row_bytes : span;
    int          by_cache = (int)((double)rows * (double)bytes / product->block) + 1;
    int          by_threads = ceil_div(3 * vr_threads_count(impl->crew), panels);
    return max_int(1, min_int(max_int(by_cache, by_threads), ceil_div(rows, product->tile)));
}

static void linear_task(int task, int thread, void *arg)
{
    const linear_job *j = arg;
    (void)thread;
    int block = task / j->panels, from = vr_share(j->rows, block, j->blocks);
    j->product->gemm(&j->gemm, from, vr_share(j->rows, block + 1, j->blocks) - from, task % j->panels);
}

enum { ROUND_ROWS = 16 }; /* of a task */

typedef struct {
    const vr_cpu_impl *impl;
    vr_mat             x;
} round_job;

static void round_task(int task, int thread, void *arg)
{
    const round_job   *j = arg;
    const vr_cpu_impl *impl = j->impl;
    (void)thread;
    const int to = min_int(j->x.rows, (task + 1) * ROUND_ROWS);
    for (int r = task * ROUND_ROWS; r < to; r++)
        impl->bytes->round_row(impl->rounded + (size_t)r * impl->rounded_stride, &impl->rounding[r],
                               vr_mat_rows(j->x, r, 1).data, j->x.cols);
}

/* The product's left operand in bytes. */
static void round_rows(const vr_cpu_impl *impl, vr_gemm *gemm, vr_mat x)
{
    assert(x.rows <= impl->rounded_rows && (size_t)x.cols <= impl->rounded_stride);
    round_job job = {impl, x};
    vr_threads_run(impl->crew, round_task, &job, ceil_div(x.rows, ROUND_ROWS));
    gemm->x = impl->rounded;
    gemm->x_stride = impl->rounded_stride;
    gemm->rounding = impl->rounding;
}

void vr_cpu_linear(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into)
{
    assert(y.rows == x.rows && y.cols == w->out && x.cols == w->in);
    assert(y.stride >= (size_t)y.cols && x.stride >= (size_t)x.cols);
    const vr_cpu_impl *impl = impl_of(be);
    assert(x.type == impl->kernels->activations && (y.type == VR_F32 || (y.type == x.type && into == VR_SET)));
    const vr_product *product = vr_product_of(impl, w->type);
    linear_job        job = {.gemm = {.y = y.data,
                                      .x = x.data,
                                      .w = w->data,
                                      .bias = w->bias,
                                      .add = into == VR_ADD ? y.data : NULL,
                                      .y_stride = y.stride,
                                      .x_stride = x.stride,
                                      .add_stride = y.stride,
                                      .cols = w->out,
                                      .depth = w->in,
                                      .next = vr_threads_count(impl->crew),
                                      .y_type = y.type,
                                      .act = act},
                             .product = product,
                             .rows = y.rows,
                             .panels = ceil_div(w->out, product->panel)};
    const size_t      number = vr_dtype_bits(w->type == VR_I8 ? VR_I8 : x.type) / 8;
    job.blocks = linear_blocks(impl, product, y.rows, (size_t)w->in * number, job.panels);
    if (w->type == VR_I8) round_rows(impl, &job.gemm, x);
    vr_threads_run(impl->crew, linear_task, &job, job.blocks * job.panels);
}

/* ---- attention: a task is one head of one image, or a part of its queries ---- */

typedef struct {
    vr_mat             y, q, k, v;
    const vr_rows     *q_rows, *kv_rows;
    const vr_cpu_impl *impl;
    const vr_extras   *extras; /* never NULL */
    int                heads, parts;
} attention_job;

static void clear_rows(vr_mat y, int from, int rows, int col, int cols)
{
    for (int r = from; r < from + rows; r++)
        memset(vr_mat_at(y, (size_t)r, col, 1, cols).data, 0, (size_t)cols * vr_dtype_bits(y.type) / 8);
}

/* One head of an image as the kernel wants it. */
static vr_head head_of(const attention_job *j, int image, int head)
{
    const int    size = j->y.cols / j->heads, queries = j->q_rows->offsets[image], keys = j->kv_rows->offsets[image];
    const int    col = head * size;
    const size_t query = (size_t)queries, key = (size_t)keys;
    return (vr_head){.y = vr_mat_at(j->y, query, col, 1, size).data,
                     .q = vr_mat_at(j->q, query, col, 1, size).data,
                     .k = vr_mat_at(j->k, key, col, 1, size).data,
                     .v = vr_mat_at(j->v, key, col, 1, size).data,
                     .y_stride = j->y.stride,
                     .q_stride = j->q.stride,
                     .k_stride = j->k.stride,
                     .v_stride = j->v.stride,
                     .queries = j->q_rows->offsets[image + 1] - queries,
                     .keys = j->kv_rows->offsets[image + 1] - keys,
                     .head_size = size,
                     .scale = (float)(1 / sqrt((double)size)),
                     .size = j->extras->size ? j->extras->size + keys : NULL};
}

static float *scratch_of(const attention_job *j, int thread, int keys, int head_size)
{
    assert(j->impl->kernels->attention_scratch(keys, head_size) <= j->impl->scratch_stride);
    return j->impl->scratch + (size_t)thread * j->impl->scratch_stride;
}

static void attention_task(int task, int thread, void *arg)
{
    const attention_job *j = arg;
    const int            part = task % j->parts, head = task / j->parts % j->heads, image = task / j->parts / j->heads;
    const vr_head        h = head_of(j, image, head);
    if (h.keys > 0)
        j->impl->kernels->attention(&h, part, j->parts, scratch_of(j, thread, h.keys, h.head_size));
    else if (part == 0)
        clear_rows(j->y, j->q_rows->offsets[image], h.queries, head * h.head_size, h.head_size); /* a sum over no keys */
}

static void class_scores_task(int image, int thread, void *arg)
{
    const attention_job *j = arg;
    const vr_head        h = head_of(j, image, 0);
    if (h.keys == 0) return;
    assert(h.queries > 0);
    j->impl->kernels->class_scores(j->extras->class_scores + j->kv_rows->offsets[image], &h, j->heads,
                                   scratch_of(j, thread, h.keys, h.head_size));
}

enum { MEAN_ROWS = 32, MEAN_COLS = 64 };

/* y = the mean over heads of columns col .. col+cols-1 of each head of row r of k. */
static void mean_key(float *y, vr_mat k, int r, int heads, int col, int cols)
{
    float     part[MEAN_COLS];
    const int size = k.cols / heads;
    for (int h = 0; h < heads; h++) {
        vr_widen(h ? part : y, vr_mat_at(k, (size_t)r, h * size + col, 1, cols).data, k.type, cols);
        for (int c = 0; c < cols && h; c++) y[c] += part[c];
    }
    for (int c = 0; c < cols; c++) y[c] /= (float)heads;
}

static void mean_keys_task(int task, int thread, void *arg)
{
    const attention_job *j = arg;
    const vr_mat         mean = j->extras->mean_keys;
    const int            end = min_int((task + 1) * MEAN_ROWS, j->k.rows);
    (void)thread;
    for (int r = task * MEAN_ROWS; r < end; r++)
        for (int col = 0; col < mean.cols; col += MEAN_COLS)
            mean_key(mean.data + (size_t)r * mean.stride + col, j->k, r, j->heads, col, min_int(MEAN_COLS, mean.cols - col));
}

static void attend_extras(attention_job *j)
{
    const vr_mat mean = j->extras->mean_keys;
    if (j->extras->class_scores) vr_threads_run(j->impl->crew, class_scores_task, j, j->kv_rows->images);
    if (!mean.data) return;
    assert(mean.rows == j->k.rows && mean.cols * j->heads == j->k.cols);
    vr_threads_run(j->impl->crew, mean_keys_task, j, ceil_div(mean.rows, MEAN_ROWS));
}

void vr_cpu_attention(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows,
                      int heads, const vr_extras *extras)
{
    assert(heads > 0 && y.cols % heads == 0 && q.cols == y.cols && k.cols == y.cols && v.cols == y.cols);
    assert(q_rows->images == kv_rows->images && y.rows == q.rows && k.rows == v.rows);
    assert(q_rows->offsets[q_rows->images] == q.rows && kv_rows->offsets[kv_rows->images] == k.rows);
    static const vr_extras plain;
    const vr_cpu_impl     *impl = impl_of(be);
    const vr_dtype         type = impl->kernels->activations;
    assert(y.type == type && q.type == type && k.type == type && v.type == type);
    attention_job job = {y, q, k, v, q_rows, kv_rows, impl, extras ? extras : &plain, heads, 0};
    int           longest = 0;
    for (int b = 0; b < q_rows->images; b++) longest = max_int(longest, q_rows->offsets[b + 1] - q_rows->offsets[b]);
    /* Each part packs the head's keys and values again, so there are only as many as the threads need. */
    if (longest > 0)
        job.parts = min_int(ceil_div(4 * vr_threads_count(impl->crew), q_rows->images * heads),
                            ceil_div(longest, impl->kernels->product.tile));
    vr_threads_run(impl->crew, attention_task, &job, q_rows->images * heads * job.parts);
    attend_extras(&job);
}

/* ---- layernorm: a task is some rows ---- */

typedef struct {
    vr_mat            y, x;
    const vr_norm    *norm;
    const vr_kernels *kernels;
    int               tasks;
} layernorm_job;

static void layernorm_task(int task, int thread, void *arg)
{
    const layernorm_job *j = arg;
    (void)thread;
    int from = vr_share(j->x.rows, task, j->tasks), rows = vr_share(j->x.rows, task + 1, j->tasks) - from;
    j->kernels->layernorm(vr_mat_rows(j->y, from, rows), vr_mat_rows(j->x, from, rows), j->norm);
}

void vr_cpu_layernorm(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w)
{
    assert(y.rows == x.rows && y.cols == x.cols);
    const vr_cpu_impl *impl = impl_of(be);
    assert(x.type == VR_F32 && y.type == impl->kernels->activations);
    layernorm_job job = {y, x, w, impl->kernels, ceil_div(x.rows, 16)};
    vr_threads_run(impl->crew, layernorm_task, &job, job.tasks);
}

/* ---- patch_embed: unfold the patches, then a task is a panel of columns and a block of rows of one image ---- */

typedef struct {
    vr_mat            x, scratch;
    const vr_rows    *rows;
    const vr_picture *in;
    const vr_embed   *w;
    const vr_kernels *kernels;
    int               patches, tasks, panels, blocks;
} embed_job;

/* The patches of all images together are numbered through; image b's start here. */
static int first_patch(const embed_job *j, int image) { return j->rows->offsets[image] - image * j->w->prefix; }

enum { PIECE = 32 }; /* columns that are normalised together */

/* A row of a patch: `count` bytes of one channel, normalised. */
static void normalise_row(vr_mat out, const uint8_t *rgb, int count, const float *normal)
{
    float numbers[PIECE];
    for (int from = 0; from < count; from += PIECE) {
        const int n = min_int(PIECE, count - from);
        for (int i = 0; i < n; i++) numbers[i] = normal[rgb[3 * (from + i)]];
        vr_narrow(vr_mat_cols(out, from, n).data, out.type, numbers, n);
    }
}

/* vec(patch): channel, row, column; a row of `out` */
static void unfold(vr_mat out, const vr_picture *in, int patch, int side, const float *normal)
{
    int          across = in->width / side, top = patch / across * side, left = patch % across * side;
    const size_t plane = (size_t)in->height * (size_t)in->width;
    for (int channel = 0, col = 0; channel < 3; channel++)
        for (int row = 0; row < side; row++, col += side) {
            const size_t at = (size_t)(top + row) * (size_t)in->width + (size_t)left;
            const vr_mat to = vr_mat_cols(out, col, side);
            if (in->pixels)
                vr_narrow(to.data, to.type, in->pixels + (size_t)channel * plane + at, side);
            else
                normalise_row(to, in->rgb + 3 * at + channel, side, normal + 256 * channel);
        }
}

static void unfold_task(int task, int thread, void *arg)
{
    const embed_job *j = arg;
    (void)thread;
    int image = 0, to = vr_share(j->patches, task + 1, j->tasks);
    for (int p = vr_share(j->patches, task, j->tasks); p < to; p++) {
        while (p >= first_patch(j, image + 1)) image++;
        unfold(vr_mat_rows(j->scratch, p, 1), &j->in[image], p - first_patch(j, image), j->w->patch, j->w->normal);
    }
}

static void project_task(int task, int thread, void *arg)
{
    const embed_job *j = arg;
    (void)thread;
    int    panel = task % j->panels, block = task / j->panels % j->blocks, image = task / j->panels / j->blocks;
    int    cols = j->x.cols, first = first_patch(j, image), patches = first_patch(j, image + 1) - first;
    float *x = j->x.data + (size_t)j->rows->offsets[image] * j->x.stride;
    int    from = vr_share(patches, block, j->blocks), end = vr_share(patches, block + 1, j->blocks);
    if (panel == 0 && block == 0)
        for (int p = 0; p < j->w->prefix; p++)
            memcpy(x + (size_t)p * j->x.stride, j->w->prefix_tokens + (size_t)p * (size_t)cols, (size_t)cols * sizeof *x);
    vr_gemm gemm = {.y = x + (size_t)j->w->prefix * j->x.stride,
                    .x = vr_mat_rows(j->scratch, first, patches).data,
                    .w = j->w->proj.data,
                    .bias = j->w->proj.bias,
                    .add = j->in[image].positions,
                    .y_stride = j->x.stride,
                    .x_stride = j->scratch.stride,
                    .add_stride = (size_t)cols,
                    .cols = cols,
                    .depth = j->w->proj.in,
                    .act = VR_NO_ACT};
    j->kernels->product.gemm(&gemm, from, end - from, panel);
}

void vr_cpu_patch_embed(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in, const vr_embed *w)
{
    assert(x.cols == w->proj.out && w->proj.in == 3 * w->patch * w->patch && scratch.cols >= w->proj.in);
    assert(rows->offsets[rows->images] == x.rows);
    const vr_cpu_impl *impl = impl_of(be);
    assert(x.type == VR_F32 && scratch.type == impl->kernels->activations);
    embed_job job = {x, scratch, rows, in, w, impl->kernels, .panels = ceil_div(x.cols, impl->kernels->product.panel)};
    int       largest = 0;
    job.patches = first_patch(&job, rows->images);
    job.tasks = ceil_div(job.patches, 16);
    assert(scratch.rows >= job.patches);
    for (int b = 0; b < rows->images; b++) {
        int patches = first_patch(&job, b + 1) - first_patch(&job, b);
        assert(patches == (in[b].height / w->patch) * (in[b].width / w->patch));
        assert(in[b].pixels || (in[b].rgb && w->normal));
        largest = max_int(largest, patches);
    }
    job.blocks = linear_blocks(impl, &impl->kernels->product, largest, (size_t)w->proj.in * vr_dtype_bits(scratch.type) / 8,
                               rows->images * job.panels);
    vr_threads_run(impl->crew, unfold_task, &job, job.tasks);
    vr_threads_run(impl->crew, project_task, &job, rows->images * job.panels * job.blocks);
}

/* ---- pool: a task is some columns of one image; gather: some rows ---- */

enum { POOL_COLS = 64, GATHER_ROWS = 64 };

typedef struct {
    vr_mat         y, x;
    const vr_rows *rows;
    const int     *index;
    vr_pooling     how;
    int            strips;
} copy_job;

/* y = sum of weight_r x_r / divisor over rows from .. to-1 of x, at most POOL_COLS wide; weight NULL: all 1; divisor 0: the
 * sum of the weights.  In double: a few hundred rows of one sign lose digits. */
static void mean_rows(float *y, vr_mat x, int from, int to, const float *weight, int divisor)
{
    double sum[POOL_COLS] = {0}, total = 0;
    float  row[POOL_COLS];
    for (int r = from; r < to; r++) {
        const double w = weight ? (double)weight[r] : 1;
        total += w;
        vr_widen(row, vr_mat_rows(x, r, 1).data, x.type, x.cols);
        for (int c = 0; c < x.cols; c++) sum[c] += w * (double)row[c];
    }
    if (divisor) total = divisor;
    for (int c = 0; c < x.cols; c++) y[c] = to > from ? (float)(sum[c] / total) : 0;
}

static void pool_task(int task, int thread, void *arg)
{
    const copy_job *j = arg;
    (void)thread;
    const int    image = task / j->strips, col = task % j->strips * POOL_COLS, cols = min_int(j->x.cols - col, POOL_COLS);
    const int    first = j->rows->offsets[image], end = j->rows->offsets[image + 1];
    const int    row = j->how.kind == VR_POOL_ROW ? j->how.row : 0, beside = j->how.kind == VR_POOL_CLASS_MEAN ? j->x.cols : 0;
    const vr_mat x = vr_mat_cols(j->x, col, cols), y = vr_mat_at(j->y, (size_t)image, col, 1, cols);
    float        numbers[POOL_COLS];
    if (j->how.kind != VR_POOL_MEAN) {
        assert(first + row < end);
        vr_widen(numbers, vr_mat_rows(x, first + row, 1).data, x.type, cols);
        vr_narrow(y.data, y.type, numbers, cols);
    }
    if (j->how.kind == VR_POOL_ROW) return;
    mean_rows(numbers, x, first + j->how.prefix, end, j->how.size, j->how.patches ? j->how.patches[image] : 0);
    vr_narrow(vr_mat_cols(y, beside, cols).data, y.type, numbers, cols);
}

void vr_cpu_pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how)
{
    assert(y.rows == rows->images && y.cols == (how.kind == VR_POOL_CLASS_MEAN ? 2 : 1) * x.cols);
    copy_job job = {.y = y, .x = x, .rows = rows, .how = how, .strips = ceil_div(x.cols, POOL_COLS)};
    vr_threads_run(impl_of(be)->crew, pool_task, &job, rows->images * job.strips);
}

static void gather_task(int task, int thread, void *arg)
{
    const copy_job *j = arg;
    (void)thread;
    int to = min_int(j->y.rows, (task + 1) * GATHER_ROWS);
    for (int r = task * GATHER_ROWS; r < to; r++) {
        assert(j->index[r] >= 0 && j->index[r] < j->x.rows);
        memcpy(vr_mat_rows(j->y, r, 1).data, vr_mat_rows(j->x, j->index[r], 1).data,
               (size_t)j->y.cols * vr_dtype_bits(j->y.type) / 8);
    }
}

void vr_cpu_gather(vr_backend *be, vr_mat y, vr_mat x, const int *index)
{
    assert(y.cols == x.cols && y.type == x.type);
    copy_job job = {.y = y, .x = x, .index = index};
    vr_threads_run(impl_of(be)->crew, gather_task, &job, ceil_div(y.rows, GATHER_ROWS));
}
