/* linear.c: Linear layers by cuBLASLt.
 *
 * Row-major y [T, out] = x [T, in] W^T is, read as cuBLAS reads memory, column-major y [out, T] = W^T x with W [in, out] and
 * x [in, T].  Bias and residual are part of the product; the exact GELU is a pass of its own.
 *
 * Which algorithm is best is asked once for each kind of product.  Row counts are put into buckets, four to a doubling, so
 * that a ragged batch does not ask again at every step; where the same bits are promised whatever the batch, there is one
 * bucket, and no sum is split. */
#include "backend.h"

#include <assert.h>
#include <string.h>

/* What decides about an algorithm beside sizes. */
enum {
    WITH_BIAS = 1,
    ADDED = 2,
    WIDE_RESULT = 4 /* f32 from halves */,
    ALIGNMENT_AT = 8 /* the pointers' alignment, times this */
};

enum { FIXED_BUCKET = 2048 };

static size_t size_of(vr_dtype type) { return type == VR_F32 ? 4 : 2; }

/* Elements from one row of a weight to the next: whole 16 bytes. */
static size_t weight_stride(int in, vr_dtype type)
{
    const size_t unit = 16 / size_of(type);
    return ((size_t)in + unit - 1) / unit * unit;
}

/* ---- weights ---- */

/* Rows of f32 from the host become rows of `to`, by way of the workspace. */
static vr_status convert_rows(vr_backend *be, vr_mat to, const float *host, vr_error *err)
{
    vr_cuda_impl *impl = be->impl;
    const size_t  row = (size_t)to.cols * sizeof *host;
    const int     many = (int)(impl->workspace_bytes / row);
    if (many == 0) return vr_fail(err, VR_E_MEMORY, "", "A weight of %d columns is too wide for the GPU's workspace.", to.cols);
    for (int r = 0; r < to.rows; r += many) {
        const int    rows = to.rows - r < many ? to.rows - r : many;
        const vr_mat from = {impl->workspace, rows, to.cols, (size_t)to.cols, VR_F32};
        if (vr_cuda_put(be, impl->workspace, host + (size_t)r * (size_t)to.cols, (size_t)rows * row, err) ||
            vr_cuda_queued(err, vr_gpu_convert(&impl->gpu, vr_mat_rows(to, r, rows), from)))
            return err ? err->code : VR_E_DEVICE;
    }
    return VR_OK;
}

/* The bias in the type of halves lies behind the weights: cuBLASLt wants it in the type of the result. */
static void *half_bias(const vr_weight *w, vr_dtype type)
{
    return (char *)w->data + (size_t)w->out * weight_stride(w->in, type) * size_of(type);
}

vr_status vr_cuda_pack(vr_backend *be, vr_weight *out, const float *weight, const float *bias, int out_features,
                       int in_features, vr_layer layer, vr_error *err)
{
    (void)layer;
    assert(out_features > 0 && in_features > 0);
    const vr_dtype type = be->activations;
    const size_t   stride = weight_stride(in_features, type);
    size_t         bytes = 0;
    *out = (vr_weight){.out = out_features, .in = in_features, .type = type};
    if (!vr_mul((size_t)out_features, (stride + 1) * size_of(type), &bytes))
        return vr_fail(err, VR_E_MEMORY, "", "There is no memory for a weight of %d x %d numbers.", out_features, in_features);
    vr_status status = vr_cuda_alloc(be, &out->data, bytes, err);
    if (status == VR_OK && bias) status = vr_cuda_alloc(be, (void **)&out->bias, (size_t)out_features * sizeof *bias, err);
    if (status == VR_OK) status = convert_rows(be, (vr_mat){out->data, out_features, in_features, stride, type}, weight, err);
    if (status == VR_OK && bias) status = vr_cuda_put(be, out->bias, bias, (size_t)out_features * sizeof *bias, err);
    if (status == VR_OK && bias && type != VR_F32)
        status = convert_rows(be, (vr_mat){half_bias(out, type), 1, out_features, (size_t)out_features, type}, bias, err);
    if (status) vr_cuda_unpack(be, out);
    return status;
}

void vr_cuda_unpack(vr_backend *be, vr_weight *w)
{
    vr_cuda_free(be, w->data);
    vr_cuda_free(be, w->bias);
    *w = (vr_weight){0};
}

/* ---- a product ---- */

typedef struct {
    cublasLtMatmulDesc_t   what;
    cublasLtMatrixLayout_t weight, x, y;
} product;

static cudaDataType_t data_type(vr_dtype type)
{
    return type == VR_F32 ? CUDA_R_32F : type == VR_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

static vr_status code_of(cublasStatus_t s) { return s == CUBLAS_STATUS_ALLOC_FAILED ? VR_E_MEMORY : VR_E_DEVICE; }

/* The first failure stays. */
static void keep(cublasStatus_t *status, cublasStatus_t next)
{
    if (*status == CUBLAS_STATUS_SUCCESS) *status = next;
}

static cublasStatus_t describe(const vr_backend *be, product *p, vr_mat y, vr_mat x, const vr_weight *w)
{
    const vr_lt              *lt = &((const vr_cuda_impl *)be->impl)->lt;
    const cublasOperation_t   turned = CUBLAS_OP_T;
    const cublasLtEpilogue_t  with_bias = CUBLASLT_EPILOGUE_BIAS;
    const cublasComputeType_t sums = be->math == VR_MATH_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const void               *bias = y.type == VR_F32 ? w->bias : half_bias(w, y.type);
    const uint64_t            rows = (uint64_t)x.rows, in = (uint64_t)w->in, out = (uint64_t)w->out;
    const int64_t             stride = (int64_t)weight_stride(w->in, x.type);
    *p = (product){0};
    cublasStatus_t s = lt->desc_create(&p->what, sums, CUDA_R_32F);
    if (s == CUBLAS_STATUS_SUCCESS) s = lt->desc_set(p->what, CUBLASLT_MATMUL_DESC_TRANSA, &turned, sizeof turned);
    if (s == CUBLAS_STATUS_SUCCESS && w->bias) {
        s = lt->desc_set(p->what, CUBLASLT_MATMUL_DESC_EPILOGUE, &with_bias, sizeof with_bias);
        keep(&s, lt->desc_set(p->what, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
    }
    if (s == CUBLAS_STATUS_SUCCESS) s = lt->layout_create(&p->weight, data_type(x.type), in, out, stride);
    if (s == CUBLAS_STATUS_SUCCESS) s = lt->layout_create(&p->x, data_type(x.type), in, rows, (int64_t)x.stride);
    if (s == CUBLAS_STATUS_SUCCESS) s = lt->layout_create(&p->y, data_type(y.type), out, rows, (int64_t)y.stride);
    return s;
}

static void forget(const vr_lt *lt, product *p)
{
    if (p->what) lt->desc_destroy(p->what);
    if (p->weight) lt->layout_destroy(p->weight);
    if (p->x) lt->layout_destroy(p->x);
    if (p->y) lt->layout_destroy(p->y);
}

/* ---- algorithms ---- */

/* The smallest bucket that holds so many rows: 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ... */
static int bucket_of(int rows)
{
    int step = 1;
    while (rows > 8 * step) step *= 2;
    return (rows + step - 1) / step * step;
}

/* The largest power of two up to 16 that divides all these addresses. */
static int alignment_of(const void *a, const void *b, const void *c)
{
    const uintptr_t all = (uintptr_t)a | (uintptr_t)b | (uintptr_t)c | 16;
    return (int)(all & -all);
}

/* Ask cuBLASLt. */
static cublasStatus_t choose(const vr_cuda_impl *impl, vr_plan *plan, const product *p, uint32_t alignment)
{
    static const cublasLtMatmulPreferenceAttributes_t aligned[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    const vr_lt                    *lt = &impl->lt;
    const uint32_t                  unsplit = CUBLASLT_REDUCTION_SCHEME_NONE;
    cublasLtMatmulPreference_t      wish = NULL;
    cublasLtMatmulHeuristicResult_t found = {0};
    int                             count = 0;
    cublasStatus_t                  s = lt->preference_create(&wish);
    if (s != CUBLAS_STATUS_SUCCESS) return s;
    s = lt->preference_set(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &impl->workspace_bytes,
                           sizeof impl->workspace_bytes);
    for (size_t i = 0; i < sizeof aligned / sizeof *aligned && s == CUBLAS_STATUS_SUCCESS; i++)
        s = lt->preference_set(wish, aligned[i], &alignment, sizeof alignment);
    if (s == CUBLAS_STATUS_SUCCESS && impl->deterministic)
        s = lt->preference_set(wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &unsplit, sizeof unsplit);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = lt->heuristic(impl->handle, p->what, p->weight, p->x, p->y, p->y, wish, 1, &found, &count);
    if (s == CUBLAS_STATUS_SUCCESS && (count == 0 || found.state != CUBLAS_STATUS_SUCCESS)) s = CUBLAS_STATUS_NOT_SUPPORTED;
    lt->preference_destroy(wish);
    plan->algorithm = found.algo;
    return s;
}

static bool same_kind(const vr_plan *a, const vr_plan *b)
{
    return a->out == b->out && a->in == b->in && a->bucket == b->bucket && a->flags == b->flags;
}

/* The algorithm for such a product, asked for with as many rows as its bucket has; NULL after a fault. */
static const vr_plan *plan_for(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_into into)
{
    vr_cuda_impl *impl = be->impl;
    const int     alignment = alignment_of(x.data, y.data, w->data);
    const vr_plan key = {.out = w->out,
                         .in = w->in,
                         .bucket = impl->deterministic ? FIXED_BUCKET : bucket_of(x.rows),
                         .flags = (w->bias ? WITH_BIAS : 0) | (into == VR_ADD ? ADDED : 0) |
                                  (y.type != x.type ? WIDE_RESULT : 0) | alignment * ALIGNMENT_AT};
    for (int i = 0; i < impl->plans; i++)
        if (same_kind(&impl->plan[i], &key)) return &impl->plan[i];
    vr_plan *plan = &impl->plan[impl->next_plan];
    product  p;
    x.rows = y.rows = key.bucket;
    cublasStatus_t s = describe(be, &p, y, x, w);
    *plan = key;
    if (s == CUBLAS_STATUS_SUCCESS) s = choose(impl, plan, &p, (uint32_t)alignment);
    forget(&impl->lt, &p);
    if (s != CUBLAS_STATUS_SUCCESS) {
        *plan = (vr_plan){0};
        vr_fail(&be->fault, code_of(s), "cublaslt", "cuBLASLt knows no way to multiply %d rows by a weight of %d x %d: %s.",
                key.bucket, w->out, w->in, impl->lt.status_string(s));
        return NULL;
    }
    impl->next_plan = (impl->next_plan + 1) % PLANS;
    if (impl->plans < PLANS) impl->plans++;
    return plan;
}

/* ---- the verb ---- */

static cublasStatus_t multiply(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_into into, const vr_plan *plan)
{
    const vr_cuda_impl *impl = be->impl;
    const float         one = 1, old = into == VR_ADD ? 1 : 0;
    product             p;
    cublasStatus_t      s = describe(be, &p, y, x, w);
    if (s == CUBLAS_STATUS_SUCCESS) {
        vr_watch_from("matmul", impl->gpu.stream);
        s = impl->lt.matmul(impl->handle, p.what, &one, w->data, p.weight, x.data, p.x, &old, y.data, p.y, y.data, p.y,
                            &plan->algorithm, impl->workspace, impl->workspace_bytes, impl->gpu.stream);
        vr_watch_to(impl->gpu.stream);
        vr_watch_work(impl->watch, "matmul", vr_work_linear(y, x, w, into));
    }
    forget(&impl->lt, &p);
    return s;
}

void vr_cuda_linear(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into)
{
    assert(y.rows == x.rows && y.cols == w->out && x.cols == w->in && x.type == be->activations);
    assert(y.stride >= (size_t)y.cols && x.stride >= (size_t)x.cols);
    const vr_cuda_impl *impl = vr_cuda_begin(be);
    if (!impl || x.rows == 0) return;
    const vr_plan *plan = plan_for(be, y, x, w, into);
    if (!plan) return;
    const cublasStatus_t s = multiply(be, y, x, w, into, plan);
    if (s != CUBLAS_STATUS_SUCCESS) {
        vr_fail(&be->fault, code_of(s), "cublaslt", "cuBLASLt failed to multiply %d rows by a weight of %d x %d: %s.", x.rows,
                w->out, w->in, impl->lt.status_string(s));
        return;
    }
    if (!vr_cuda_launched(be, vr_gpu_launched(&impl->gpu, "cublasLtMatmul"))) return;
    assert(act == VR_NO_ACT || into == VR_SET);
    if (act != VR_GELU_ERF || !vr_cuda_launched(be, vr_gpu_gelu(&impl->gpu, y))) return;
    vr_watch_work(impl->watch, "gelu", vr_work_moved(y, y));
}
