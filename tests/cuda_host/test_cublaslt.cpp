// The fake cuBLASLt against double loops, and what it refuses.
#include "harness.h"
#include <cublasLt.h>
#include <math.h>

using namespace vr_test;

static void ok(cublasStatus_t s) { expect(s == CUBLAS_STATUS_SUCCESS, "%s", cublasLtGetStatusName(s)); }

// A product and what may be said of it; made and released as the real ones are.
struct plan {
    cublasLtHandle_t                handle;
    cublasLtMatmulDesc_t            desc;
    cublasLtMatrixLayout_t          a, b, d;
    cublasLtMatmulPreference_t      preference;
    cublasLtMatmulHeuristicResult_t found[4];
    int                             results = 0;

    plan(cudaDataType in, cudaDataType out, size_t m, size_t n, size_t k, size_t ld_in, size_t ld_out,
         cublasComputeType_t compute = CUBLAS_COMPUTE_32F)
    {
        const int32_t  t = CUBLAS_OP_T;
        const uint64_t most = 1 << 20;
        const uint32_t align = 16;
        ok(cublasLtCreate(&handle));
        ok(cublasLtMatmulDescCreate(&desc, compute, CUDA_R_32F));
        ok(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &t, sizeof t));
        ok(cublasLtMatrixLayoutCreate(&a, in, k, m, (int64_t)ld_in));
        ok(cublasLtMatrixLayoutCreate(&b, in, k, n, (int64_t)ld_in));
        ok(cublasLtMatrixLayoutCreate(&d, out, m, n, (int64_t)ld_out));
        ok(cublasLtMatmulPreferenceCreate(&preference));
        ok(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most));
        for (cublasLtMatmulPreferenceAttributes_t which :
             {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
              CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
            ok(cublasLtMatmulPreferenceSetAttribute(preference, which, &align, sizeof align));
    }
    ~plan()
    {
        ok(cublasLtMatmulPreferenceDestroy(preference));
        for (cublasLtMatrixLayout_t l : {a, b, d}) ok(cublasLtMatrixLayoutDestroy(l));
        ok(cublasLtMatmulDescDestroy(desc));
        ok(cublasLtDestroy(handle));
    }
    cublasStatus_t find() { return cublasLtMatmulAlgoGetHeuristic(handle, desc, a, b, d, d, preference, 4, found, &results); }
    cublasStatus_t run(const void *x, const void *y, float beta, void *out, void *workspace, size_t bytes)
    {
        const float alpha = 1;
        return cublasLtMatmul(handle, desc, &alpha, x, a, y, b, &beta, out, d, out, d, &found[0].algo, workspace, bytes,
                              nullptr);
    }
};

template <class T> struct type_of;
template <> struct type_of<float> {
    static const cudaDataType is = CUDA_R_32F;
};
template <> struct type_of<half_t> {
    static const cudaDataType is = CUDA_R_16F;
};
template <> struct type_of<bf16_t> {
    static const cudaDataType is = CUDA_R_16BF;
};

static std::vector<float> numbers(size_t n)
{
    std::vector<float> v(n);
    for (float &f : v) f = (float)normal();
    return v;
}

// d[j][i] = act(sum a[i][k] b[j][k] + bias[i] + beta d[j][i]), as a Linear layer asks for it.
template <class T>
static void test_linear(size_t m, size_t n, size_t k, uint32_t epilogue, float beta, double limit,
                        cublasComputeType_t compute = CUBLAS_COMPUTE_32F)
{
    const size_t         ld_in = (k + 7) / 8 * 8 + 8, ld_out = (m + 7) / 8 * 8;
    const std::vector<T> a = rounded<T>(numbers(m * ld_in)), b = rounded<T>(numbers(n * ld_in)), bias = rounded<T>(numbers(m)),
                         before = rounded<T>(numbers(n * ld_out));
    std::vector<double> want;
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < ld_out; i++) {
            double x = to_float(before[j * ld_out + i]);
            if (i < m) {
                x *= beta;
                for (size_t c = 0; c < k; c++) x += (double)to_float(a[i * ld_in + c]) * to_float(b[j * ld_in + c]);
                if (epilogue & CUBLASLT_EPILOGUE_BIAS) x += to_float(bias[i]);
                if (epilogue & CUBLASLT_EPILOGUE_GELU) x = x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
            }
            want.push_back(x);
        }

    plan         p(type_of<T>::is, type_of<T>::is, m, n, k, ld_in, ld_out, compute);
    device<T>    da(a), db(b), dbias(bias), dd(before);
    device<char> workspace(1 << 20);
    const void  *at = (T *)dbias;
    ok(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    ok(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &at, sizeof at));
    ok(p.find());
    expect(p.results == 3 && p.found[2].workspaceSize == 0, "%d results", p.results);
    ok(p.run((T *)da, (T *)db, beta, (T *)dd, (char *)workspace, 1 << 20));
    expect_near(floats(dd.download()), want, limit, "product");
}

CASE("cublaslt/f32", [] {
    test_linear<float>(7, 5, 3, CUBLASLT_EPILOGUE_DEFAULT, 0, 1e-5);
    test_linear<float>(33, 17, 300, CUBLASLT_EPILOGUE_BIAS, 1, 1e-4);
    test_linear<float>(16, 8, 64, CUBLASLT_EPILOGUE_GELU_BIAS, 0, 1e-4);
});
CASE("cublaslt/tf32", [] { test_linear<float>(33, 17, 64, CUBLASLT_EPILOGUE_BIAS, 1, 3e-2, CUBLAS_COMPUTE_32F_FAST_TF32); });
CASE("cublaslt/f16", [] { test_linear<half_t>(40, 9, 100, CUBLASLT_EPILOGUE_BIAS, 1, 4e-2); });
CASE("cublaslt/bf16", [] { test_linear<bf16_t>(40, 9, 100, CUBLASLT_EPILOGUE_GELU_BIAS, 0, 3e-1); });

CASE("cublaslt/refusals", [] {
    device<half_t> x(64 * 64), y(64 * 64), d(64 * 64);
    device<char>   workspace(1 << 20);
    half_t *const px = x, *const py = y, *const pd = d;
    char *const pw = workspace;
    plan        p(CUDA_R_16F, CUDA_R_16F, 64, 64, 64, 64, 64);
    cudaMemset(px, 0, 8192), cudaMemset(py, 0, 8192), cudaMemset(pd, 0, 8192);

    expect(p.run(px, py, 0, pd, pw, 1 << 20) == CUBLAS_STATUS_INVALID_VALUE, "an algorithm that nobody gave");
    ok(p.find());
    expect(p.run(px, py, 0, pd, pw, 100) == CUBLAS_STATUS_INVALID_VALUE, "too little workspace");
    expect(p.run(px + 1, py, 0, pd, pw, 1 << 20) == CUBLAS_STATUS_INVALID_VALUE, "less aligned than promised");
    ok(p.run(px, py, 0, pd, pw, 1 << 20));

    expect(p.run(px + 8, py, 0, pd, pw, 1 << 20) == CUBLAS_STATUS_EXECUTION_FAILED, "past the end");
    expect(vr_fake::said() == "cublasLtMatmul: A takes 8192 bytes, and 8176 are on the device", "%s", vr_fake::said().c_str());
    vr_fake::reset();

    const uint32_t relu = CUBLASLT_EPILOGUE_RELU, bias = CUBLASLT_EPILOGUE_BIAS;
    expect(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &relu, 4) == CUBLAS_STATUS_NOT_SUPPORTED,
           "relu");
    expect(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &bias, 8) == CUBLAS_STATUS_INVALID_VALUE,
           "size");
    ok(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &bias, 4));
    ok(p.find());
    expect(p.run(px, py, 0, pd, pw, 1 << 20) == CUBLAS_STATUS_INVALID_VALUE, "a bias that is not there");

    const auto find = [](cudaDataType in, cudaDataType out, size_t ld, size_t m) {
        plan other(in, out, m, 64, 64, ld, 64);
        return other.find();
    };
    expect(find(CUDA_R_16F, CUDA_R_16F, 68, 64) == CUBLAS_STATUS_NOT_SUPPORTED, "rows not aligned to 16 bytes");
    expect(find(CUDA_R_16F, CUDA_R_16F, 56, 64) == CUBLAS_STATUS_INVALID_VALUE, "rows that overlap");
    expect(find(CUDA_R_16F, CUDA_R_16BF, 64, 64) == CUBLAS_STATUS_NOT_SUPPORTED, "types that do not go together");
    expect(find(CUDA_R_16F, CUDA_R_32F, 64, 64) == CUBLAS_STATUS_SUCCESS, "types that do");
    expect(find(CUDA_R_16F, CUDA_R_16F, 64, 80) == CUBLAS_STATUS_INVALID_VALUE, "a target that is too narrow");

    vr_fake::fail_call(1, 0);
    expect(p.find() == CUBLAS_STATUS_NOT_SUPPORTED && p.results == 0, "told to fail");
    vr_fake::fail_call(0, 0);
});
