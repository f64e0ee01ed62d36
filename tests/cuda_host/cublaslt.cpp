// The fake cuBLASLt: what the product asks of it and nothing more.  Everything else is refused with NOT_SUPPORTED, what
// contradicts itself with INVALID_VALUE, and a matrix that reaches past its allocation ends the context.
#include "fake.h"
#include "product.h"
#include <cublasLt.h>
#include <cuda/mma.h>

// ---- what the handles remember ----

struct cublasLtContext {
    int unused;
};
struct cublasLtMatmulDescOpaque_t {
    cublasComputeType_t compute;
    int32_t             trans_a = CUBLAS_OP_N, trans_b = CUBLAS_OP_N, bias_type = -1;
    uint32_t            epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    const void         *bias = nullptr;
};
struct cublasLtMatrixLayoutOpaque_t {
    cudaDataType type;
    uint64_t     rows, cols;
    int64_t      ld;
};
struct cublasLtMatmulPreferenceOpaque {
    uint64_t workspace = 0;
    uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_MASK, align[4] = {256, 256, 256, 256}; // of A, B, C, D
};

namespace
{

using vr_fake::call_fails;
using vr_fake::count_handle;

// An algorithm holds for the kind of product it was found for, and for pointers aligned as promised then.
struct algorithm {
    uint32_t magic, kind;
    uint64_t workspace;
    uint32_t align[4];
};
const uint32_t MAGIC = 0x1a7f;
static_assert(sizeof(algorithm) <= sizeof(cublasLtMatmulAlgo_t), "");

typedef const cublasLtMatrixLayout_t layout_t;
struct layouts {
    layout_t a, b, c, d;
};

cublasStatus_t told_to_fail(const char *name, cublasStatus_t fitting)
{
    int code;
    if (!call_fails(name, &code)) return CUBLAS_STATUS_SUCCESS;
    return code == cudaErrorMemoryAllocation ? CUBLAS_STATUS_ALLOC_FAILED : fitting;
}
#define ENTER(fitting) \
    if (cublasStatus_t entered = told_to_fail(__func__, fitting)) return entered

template <class T> cublasStatus_t make(T **out, T made, const char *kind)
{
    *out = new T(made);
    count_handle(kind, 1);
    return CUBLAS_STATUS_SUCCESS;
}
// What releases does its work even where it was told to fail.
template <class T> cublasStatus_t drop(T *handle, const char *name, const char *kind)
{
    const cublasStatus_t told = told_to_fail(name, CUBLAS_STATUS_INTERNAL_ERROR);
    if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
    delete handle;
    count_handle(kind, -1);
    return told;
}

size_t size_of(cudaDataType t) { return t == CUDA_R_32F ? 4 : 2; }

template <class T> cublasStatus_t take(T *to, const void *value, size_t bytes)
{
    if (bytes != sizeof *to) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}
// An attribute that may only say what is so anyway.
template <class T> cublasStatus_t same(T is, const void *value, size_t bytes)
{
    T asked = is;
    if (cublasStatus_t e = take(&asked, value, bytes)) return e;
    return asked == is ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

// ---- what is refused ----

cublasStatus_t check_types(const cublasLtMatmulDescOpaque_t &how, const layouts &l)
{
    const cudaDataType in = l.a->type, out = l.d->type;
    if (l.b->type != in || l.c->type != out) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (in != CUDA_R_32F && in != CUDA_R_16F && in != CUDA_R_16BF) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (out != in && out != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
    const bool tf32 = how.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    if (how.compute != CUBLAS_COMPUTE_32F && !(tf32 && in == CUDA_R_32F)) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (how.bias && how.bias_type != -1 && how.bias_type != out) return CUBLAS_STATUS_NOT_SUPPORTED;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_sizes(const cublasLtMatmulDescOpaque_t &how, const layouts &l)
{
    const uint64_t m = l.d->rows, n = l.d->cols;
    const uint64_t am = how.trans_a ? l.a->cols : l.a->rows, ak = how.trans_a ? l.a->rows : l.a->cols;
    const uint64_t bk = how.trans_b ? l.b->cols : l.b->rows, bn = how.trans_b ? l.b->rows : l.b->cols;
    if (!m || !n || !ak || am != m || bn != n || ak != bk || l.c->rows != m || l.c->cols != n)
        return CUBLAS_STATUS_INVALID_VALUE;
    for (layout_t one : {l.a, l.b, l.c, l.d}) {
        if (one->ld < (int64_t)one->rows) return CUBLAS_STATUS_INVALID_VALUE;
        if ((uint64_t)one->ld * size_of(one->type) % 16) return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check(const cublasLtMatmulDescOpaque_t &how, const layouts &l)
{
    if (cublasStatus_t e = check_types(how, l)) return e;
    return check_sizes(how, l);
}

uint32_t kind_of(const cublasLtMatmulDescOpaque_t &how, const layouts &l)
{
    return (uint32_t)how.compute << 16 | (uint32_t)l.a->type << 12 | (uint32_t)l.d->type << 8 | (how.trans_a ? 128 : 0) |
           (how.trans_b ? 64 : 0) | how.epilogue;
}

uint64_t bytes_of(layout_t l) { return ((l->cols - 1) * (uint64_t)l->ld + l->rows) * size_of(l->type); }

// A GPU would find out while it runs.
bool reaches(const char *what, const void *p, uint64_t bytes)
{
    const size_t room = vr_fake::device_room(p);
    if (room >= bytes) return true;
    vr_fake::misuse(std::string("cublasLtMatmul: ") + what + " takes " + std::to_string(bytes) + " bytes, and " +
                    std::to_string(room) + " are on the device");
    return false;
}

// ---- arithmetic ----

float element(const void *p, cudaDataType type, size_t at)
{
    switch (type) {
    case CUDA_R_16F:
        return to_float(((const half_t *)p)[at]);
    case CUDA_R_16BF:
        return to_float(((const bf16_t *)p)[at]);
    default:
        return ((const float *)p)[at];
    }
}
void set_element(void *p, cudaDataType type, size_t at, float f)
{
    switch (type) {
    case CUDA_R_16F:
        ((half_t *)p)[at] = to_half(f);
        break;
    case CUDA_R_16BF:
        ((bf16_t *)p)[at] = to_bf16(f);
        break;
    default:
        ((float *)p)[at] = f;
    }
}

std::vector<float> widened(const void *p, const cublasLtMatrixLayoutOpaque_t &l, bool tf32) // without the gaps
{
    std::vector<float> out(l.rows * l.cols);
    for (size_t c = 0; c < l.cols; c++)
        for (size_t r = 0; r < l.rows; r++) {
            const float f = element(p, l.type, c * (size_t)l.ld + r);
            out[c * l.rows + r] = tf32 ? __uint_as_float(to_tf32(f)) : f;
        }
    return out;
}

float gelu_tanh(float x) // cuBLASLt's GELU is this one
{
    return 0.5f * x * (1 + tanhf(0.797884561f * (x + 0.044715f * x * x * x)));
}

struct job {
    cublasLtMatmulDescOpaque_t   how;
    cublasLtMatrixLayoutOpaque_t la, lb, lc, ld;
    const void                  *a, *b, *c;
    void                        *d, *workspace;
    size_t                       workspace_bytes;
    float                        alpha, beta;
};

void run(const job &j)
{
    if (j.workspace_bytes) vr_emu::junk(j.workspace, j.workspace_bytes);
    const bool   tf32 = j.how.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    const auto   a = widened(j.a, j.la, tf32), b = widened(j.b, j.lb, tf32);
    const size_t m = j.ld.rows, n = j.ld.cols, k = j.how.trans_a ? j.la.rows : j.la.cols;
    const bool   ta = j.how.trans_a != CUBLAS_OP_N, tb = j.how.trans_b != CUBLAS_OP_N;

    std::vector<float> sums(m * n);
    vr_fake::product(sums.data(), m, n, k, a.data(), ta ? j.la.rows : 1, ta ? 1 : j.la.rows, b.data(), tb ? 1 : j.lb.rows,
                     tb ? j.lb.rows : 1);
    for (size_t col = 0; col < n; col++)
        for (size_t row = 0; row < m; row++) {
            float x = j.alpha * sums[col * m + row];
            if (j.beta != 0) x += j.beta * element(j.c, j.lc.type, col * (size_t)j.lc.ld + row);
            if (j.how.epilogue & CUBLASLT_EPILOGUE_BIAS) x += element(j.how.bias, j.ld.type, row);
            if (j.how.epilogue & CUBLASLT_EPILOGUE_GELU) x = gelu_tanh(x);
            set_element(j.d, j.ld.type, col * (size_t)j.ld.ld + row, x);
        }
}

} // namespace

// ---- cuBLASLt's names ----

size_t cublasLtGetVersion(void) { return 130000; }
size_t cublasLtGetCudartVersion(void) { return CUDART_VERSION; }

const char *cublasLtGetStatusName(cublasStatus_t status)
{
    switch (status) {
#define NAME(name) \
    case name:     \
        return #name
        NAME(CUBLAS_STATUS_SUCCESS);
        NAME(CUBLAS_STATUS_NOT_INITIALIZED);
        NAME(CUBLAS_STATUS_ALLOC_FAILED);
        NAME(CUBLAS_STATUS_INVALID_VALUE);
        NAME(CUBLAS_STATUS_ARCH_MISMATCH);
        NAME(CUBLAS_STATUS_MAPPING_ERROR);
        NAME(CUBLAS_STATUS_EXECUTION_FAILED);
        NAME(CUBLAS_STATUS_INTERNAL_ERROR);
        NAME(CUBLAS_STATUS_NOT_SUPPORTED);
        NAME(CUBLAS_STATUS_LICENSE_ERROR);
#undef NAME
    }
    return "unknown";
}
const char *cublasLtGetStatusString(cublasStatus_t status) { return cublasLtGetStatusName(status); }

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    ENTER(CUBLAS_STATUS_ALLOC_FAILED);
    return make(handle, {0}, "cuBLASLt handles");
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return drop(handle, __func__, "cuBLASLt handles"); }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute, cudaDataType_t scale)
{
    ENTER(CUBLAS_STATUS_ALLOC_FAILED);
    if (scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
    cublasLtMatmulDescOpaque_t made;
    made.compute = compute;
    return make(desc, made, "cuBLASLt matmul descriptors");
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
    return drop(desc, __func__, "cuBLASLt matmul descriptors");
}

static cublasStatus_t take_operation(int32_t *to, const void *value, size_t bytes)
{
    if (cublasStatus_t e = take(to, value, bytes)) return e;
    return *to == CUBLAS_OP_N || *to == CUBLAS_OP_T ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}
static cublasStatus_t take_epilogue(uint32_t *to, const void *value, size_t bytes)
{
    if (cublasStatus_t e = take(to, value, bytes)) return e;
    const uint32_t parts = CUBLASLT_EPILOGUE_DEFAULT | CUBLASLT_EPILOGUE_BIAS | CUBLASLT_EPILOGUE_GELU;
    return *to & ~parts || (*to & 1 && *to != 1) ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes)
{
    ENTER(CUBLAS_STATUS_INTERNAL_ERROR);
    if (!desc || !value) return CUBLAS_STATUS_INVALID_VALUE;
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return take_operation(&desc->trans_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return take_operation(&desc->trans_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return take_epilogue(&desc->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return take(&desc->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
        return take(&desc->bias_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
        return same((int32_t)0, value, bytes); // alpha and beta on the host
    case CUBLASLT_MATMUL_DESC_TRANSC:
        return same((int32_t)CUBLAS_OP_N, value, bytes);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
        return same((int32_t)CUDA_R_32F, value, bytes);
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows, uint64_t cols,
                                          int64_t ld)
{
    ENTER(CUBLAS_STATUS_ALLOC_FAILED);
    return make(layout, {type, rows, cols, ld}, "cuBLASLt layouts");
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return drop(layout, __func__, "cuBLASLt layouts"); }
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute,
                                                const void *value, size_t bytes)
{
    ENTER(CUBLAS_STATUS_INTERNAL_ERROR);
    if (!layout || !value) return CUBLAS_STATUS_INVALID_VALUE;
    switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
        return take(&layout->rows, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
        return take(&layout->cols, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
        return take(&layout->ld, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
        return same((int32_t)CUBLASLT_ORDER_COL, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
        return same((int32_t)1, value, bytes);
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    ENTER(CUBLAS_STATUS_ALLOC_FAILED);
    return make(preference, {}, "cuBLASLt preferences");
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    return drop(preference, __func__, "cuBLASLt preferences");
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t           preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                                    size_t bytes)
{
    ENTER(CUBLAS_STATUS_INTERNAL_ERROR);
    if (!preference || !value) return CUBLAS_STATUS_INVALID_VALUE;
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return take(&preference->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return take(&preference->schemes, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        return take(&preference->align[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        return take(&preference->align[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        return take(&preference->align[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return take(&preference->align[3], value, bytes);
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

// Up to three: the first wants the most workspace that is allowed, up to 4 MiB, the others half of that and none.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int *found)
{
    if (found) *found = 0;
    ENTER(CUBLAS_STATUS_NOT_SUPPORTED);
    if (!handle || !desc || !a || !b || !c || !d || !preference || wanted < 1 || !results || !found)
        return CUBLAS_STATUS_INVALID_VALUE;
    const layouts l = {a, b, c, d};
    if (cublasStatus_t e = check(*desc, l)) return e;
    for (uint32_t align : preference->align)
        if (align < 16 || align & (align - 1)) return CUBLAS_STATUS_NOT_SUPPORTED;
    const uint64_t most = preference->workspace < 4 << 20 ? preference->workspace : 4 << 20;
    for (int i = 0; i < 3 && i < wanted; i++) {
        algorithm algo = {MAGIC, kind_of(*desc, l), i == 0 ? most : i == 1 ? most / 2 : 0, {}};
        memcpy(algo.align, preference->align, sizeof algo.align);
        results[i] = {};
        memcpy(&results[i].algo, &algo, sizeof algo);
        results[i].workspaceSize = algo.workspace;
        results[i].state = CUBLAS_STATUS_SUCCESS;
        results[i].wavesCount = 1;
        *found = i + 1;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    ENTER(CUBLAS_STATUS_EXECUTION_FAILED);
    if (!handle || !desc || !alpha || !beta || !a || !b || !c || !d || !a_layout || !b_layout || !c_layout || !d_layout)
        return CUBLAS_STATUS_INVALID_VALUE;
    const layouts l = {a_layout, b_layout, c_layout, d_layout};
    if (cublasStatus_t e = check(*desc, l)) return e;
    if (c == d && c_layout->ld != d_layout->ld) return CUBLAS_STATUS_INVALID_VALUE;
    const bool with_bias = desc->epilogue & CUBLASLT_EPILOGUE_BIAS;
    if (with_bias && !desc->bias) return CUBLAS_STATUS_INVALID_VALUE;
    if (!algo) return CUBLAS_STATUS_NOT_SUPPORTED; // the product always asks the heuristic

    algorithm chosen;
    memcpy(&chosen, algo, sizeof chosen);
    if (chosen.magic != MAGIC || chosen.kind != kind_of(*desc, l) || workspace_bytes < chosen.workspace ||
        (uintptr_t)workspace % 256)
        return CUBLAS_STATUS_INVALID_VALUE;
    const void *const pointers[] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        if ((uintptr_t)pointers[i] % chosen.align[i]) return CUBLAS_STATUS_INVALID_VALUE;

    const bool fits = reaches("A", a, bytes_of(a_layout)) && reaches("B", b, bytes_of(b_layout)) &&
                      reaches("C", c, bytes_of(c_layout)) && reaches("D", d, bytes_of(d_layout)) &&
                      reaches("the workspace", workspace, chosen.workspace) &&
                      (!with_bias || reaches("the bias", desc->bias, d_layout->rows * size_of(d_layout->type)));
    if (!fits) return CUBLAS_STATUS_EXECUTION_FAILED;
    job j = {*desc, *a_layout, *b_layout, *c_layout, *d_layout, a, b, c, d, workspace, chosen.workspace, 0, 0};
    memcpy(&j.alpha, alpha, sizeof j.alpha);
    memcpy(&j.beta, beta, sizeof j.beta);
    vr_fake::log_line("matmul m " + std::to_string(d_layout->rows) + " n " + std::to_string(d_layout->cols) + " k " +
                      std::to_string(desc->trans_a ? a_layout->rows : a_layout->cols) + " epilogue " +
                      std::to_string(desc->epilogue));
    if (vr_fake::computes("matmul")) vr_fake::enqueue(stream, [j] { run(j); });
    return CUBLAS_STATUS_SUCCESS;
}
