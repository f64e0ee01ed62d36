// The fakes' headers say what NVIDIA's say.  Compiled with the fakes as part of test_bed, and with the toolkit's own headers
// where there are any (make cuda-host-headers): the same assertions must hold.
#include <cublasLt.h>
#include <cuda_runtime.h>
#include <stddef.h>

#define VALUE(name, value)  static_assert((int)name == value, #name)
#define FUNCTION(name, ...) static_assert(sizeof(static_cast<__VA_ARGS__>(&name)) == sizeof(void *), #name)

VALUE(cudaSuccess, 0);
VALUE(cudaErrorInvalidValue, 1);
VALUE(cudaErrorMemoryAllocation, 2);
VALUE(cudaErrorInitializationError, 3);
VALUE(cudaErrorInvalidConfiguration, 9);
VALUE(cudaErrorInvalidPitchValue, 12);
VALUE(cudaErrorInvalidHostPointer, 16);
VALUE(cudaErrorInvalidDevicePointer, 17);
VALUE(cudaErrorInvalidMemcpyDirection, 21);
VALUE(cudaErrorInsufficientDriver, 35);
VALUE(cudaErrorDevicesUnavailable, 46);
VALUE(cudaErrorInvalidDeviceFunction, 98);
VALUE(cudaErrorNoDevice, 100);
VALUE(cudaErrorInvalidDevice, 101);
VALUE(cudaErrorNoKernelImageForDevice, 209);
VALUE(cudaErrorInvalidResourceHandle, 400);
VALUE(cudaErrorNotReady, 600);
VALUE(cudaErrorIllegalAddress, 700);
VALUE(cudaErrorLaunchOutOfResources, 701);
VALUE(cudaErrorLaunchTimeout, 702);
VALUE(cudaErrorIllegalInstruction, 715);
VALUE(cudaErrorMisalignedAddress, 716);
VALUE(cudaErrorLaunchFailure, 719);
VALUE(cudaErrorNotSupported, 801);
VALUE(cudaErrorUnknown, 999);
VALUE(cudaMemcpyHostToHost, 0);
VALUE(cudaMemcpyHostToDevice, 1);
VALUE(cudaMemcpyDeviceToHost, 2);
VALUE(cudaMemcpyDeviceToDevice, 3);
VALUE(cudaMemcpyDefault, 4);
VALUE(cudaFuncAttributeMaxDynamicSharedMemorySize, 8);
VALUE(cudaDevAttrMultiProcessorCount, 16);
VALUE(cudaDevAttrComputeCapabilityMajor, 75);
VALUE(cudaDevAttrComputeCapabilityMinor, 76);
VALUE(cudaDevAttrMaxSharedMemoryPerBlockOptin, 97);
VALUE(cudaEventDisableTiming, 0x02);
VALUE(CUDA_R_32F, 0);
VALUE(CUDA_R_16F, 2);
VALUE(CUDA_R_8I, 3);
VALUE(CUDA_R_32I, 10);
VALUE(CUDA_R_16BF, 14);
VALUE(CUBLAS_STATUS_SUCCESS, 0);
VALUE(CUBLAS_STATUS_NOT_INITIALIZED, 1);
VALUE(CUBLAS_STATUS_ALLOC_FAILED, 3);
VALUE(CUBLAS_STATUS_INVALID_VALUE, 7);
VALUE(CUBLAS_STATUS_ARCH_MISMATCH, 8);
VALUE(CUBLAS_STATUS_MAPPING_ERROR, 11);
VALUE(CUBLAS_STATUS_EXECUTION_FAILED, 13);
VALUE(CUBLAS_STATUS_INTERNAL_ERROR, 14);
VALUE(CUBLAS_STATUS_NOT_SUPPORTED, 15);
VALUE(CUBLAS_STATUS_LICENSE_ERROR, 16);
VALUE(CUBLAS_OP_N, 0);
VALUE(CUBLAS_OP_T, 1);
VALUE(CUBLAS_OP_C, 2);
VALUE(CUBLAS_COMPUTE_16F, 64);
VALUE(CUBLAS_COMPUTE_32F, 68);
VALUE(CUBLAS_COMPUTE_32F_PEDANTIC, 69);
VALUE(CUBLAS_COMPUTE_32F_FAST_16F, 74);
VALUE(CUBLAS_COMPUTE_32F_FAST_16BF, 75);
VALUE(CUBLAS_COMPUTE_32F_FAST_TF32, 77);
VALUE(CUBLASLT_ORDER_COL, 0);
VALUE(CUBLASLT_ORDER_ROW, 1);
VALUE(CUBLASLT_MATRIX_LAYOUT_TYPE, 0);
VALUE(CUBLASLT_MATRIX_LAYOUT_ORDER, 1);
VALUE(CUBLASLT_MATRIX_LAYOUT_ROWS, 2);
VALUE(CUBLASLT_MATRIX_LAYOUT_COLS, 3);
VALUE(CUBLASLT_MATRIX_LAYOUT_LD, 4);
VALUE(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 5);
VALUE(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, 6);
VALUE(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, 0);
VALUE(CUBLASLT_MATMUL_DESC_SCALE_TYPE, 1);
VALUE(CUBLASLT_MATMUL_DESC_POINTER_MODE, 2);
VALUE(CUBLASLT_MATMUL_DESC_TRANSA, 3);
VALUE(CUBLASLT_MATMUL_DESC_TRANSB, 4);
VALUE(CUBLASLT_MATMUL_DESC_TRANSC, 5);
VALUE(CUBLASLT_MATMUL_DESC_EPILOGUE, 7);
VALUE(CUBLASLT_MATMUL_DESC_BIAS_POINTER, 8);
VALUE(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, 15);
VALUE(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, 26);
VALUE(CUBLASLT_EPILOGUE_DEFAULT, 1);
VALUE(CUBLASLT_EPILOGUE_RELU, 2);
VALUE(CUBLASLT_EPILOGUE_BIAS, 4);
VALUE(CUBLASLT_EPILOGUE_RELU_BIAS, 6);
VALUE(CUBLASLT_EPILOGUE_GELU, 32);
VALUE(CUBLASLT_EPILOGUE_GELU_BIAS, 36);
VALUE(CUBLASLT_MATMUL_PREF_SEARCH_MODE, 0);
VALUE(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 1);
VALUE(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, 3);
VALUE(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 5);
VALUE(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 6);
VALUE(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, 7);
VALUE(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 8);
VALUE(CUBLASLT_REDUCTION_SCHEME_NONE, 0);
VALUE(CUBLASLT_REDUCTION_SCHEME_INPLACE, 1);
VALUE(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 2);
VALUE(CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE, 4);
VALUE(CUBLASLT_REDUCTION_SCHEME_MASK, 7);

static_assert(sizeof(cublasLtMatmulAlgo_t) == 64, "copied by value");
static_assert(sizeof(cublasLtMatmulHeuristicResult_t) == 96 && offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize) == 64,
              "");
static_assert(offsetof(cublasLtMatmulHeuristicResult_t, state) == 72, "");
static_assert(sizeof(dim3) == 12 && sizeof(float4) == 16 && alignof(float4) == 16 && alignof(uint2) == 8, "");

FUNCTION(cudaGetDeviceCount, cudaError_t (*)(int *));
FUNCTION(cudaSetDevice, cudaError_t (*)(int));
FUNCTION(cudaGetDevice, cudaError_t (*)(int *));
FUNCTION(cudaGetDeviceProperties, cudaError_t (*)(cudaDeviceProp *, int));
FUNCTION(cudaDeviceGetAttribute, cudaError_t (*)(int *, cudaDeviceAttr, int));
FUNCTION(cudaDriverGetVersion, cudaError_t (*)(int *));
FUNCTION(cudaRuntimeGetVersion, cudaError_t (*)(int *));
FUNCTION(cudaMemGetInfo, cudaError_t (*)(size_t *, size_t *));
FUNCTION(cudaDeviceSynchronize, cudaError_t (*)());
FUNCTION(cudaFree, cudaError_t (*)(void *));
FUNCTION(cudaHostAlloc, cudaError_t (*)(void **, size_t, unsigned));
FUNCTION(cudaFreeHost, cudaError_t (*)(void *));
FUNCTION(cudaMemcpy, cudaError_t (*)(void *, const void *, size_t, cudaMemcpyKind));
FUNCTION(cudaMemcpyAsync, cudaError_t (*)(void *, const void *, size_t, cudaMemcpyKind, cudaStream_t));
FUNCTION(cudaMemcpy2DAsync,
         cudaError_t (*)(void *, size_t, const void *, size_t, size_t, size_t, cudaMemcpyKind, cudaStream_t));
FUNCTION(cudaMemset, cudaError_t (*)(void *, int, size_t));
FUNCTION(cudaMemsetAsync, cudaError_t (*)(void *, int, size_t, cudaStream_t));
FUNCTION(cudaStreamCreate, cudaError_t (*)(cudaStream_t *));
FUNCTION(cudaStreamCreateWithFlags, cudaError_t (*)(cudaStream_t *, unsigned));
FUNCTION(cudaStreamDestroy, cudaError_t (*)(cudaStream_t));
FUNCTION(cudaStreamSynchronize, cudaError_t (*)(cudaStream_t));
FUNCTION(cudaStreamQuery, cudaError_t (*)(cudaStream_t));
FUNCTION(cudaStreamWaitEvent, cudaError_t (*)(cudaStream_t, cudaEvent_t, unsigned));
FUNCTION(cudaEventCreate, cudaError_t (*)(cudaEvent_t *));
FUNCTION(cudaEventCreateWithFlags, cudaError_t (*)(cudaEvent_t *, unsigned));
FUNCTION(cudaEventDestroy, cudaError_t (*)(cudaEvent_t));
FUNCTION(cudaEventRecord, cudaError_t (*)(cudaEvent_t, cudaStream_t));
FUNCTION(cudaEventQuery, cudaError_t (*)(cudaEvent_t));
FUNCTION(cudaEventSynchronize, cudaError_t (*)(cudaEvent_t));
FUNCTION(cudaEventElapsedTime, cudaError_t (*)(float *, cudaEvent_t, cudaEvent_t));
FUNCTION(cudaGetLastError, cudaError_t (*)());
FUNCTION(cudaPeekAtLastError, cudaError_t (*)());
FUNCTION(cudaGetErrorName, const char *(*)(cudaError_t));
FUNCTION(cudaGetErrorString, const char *(*)(cudaError_t));
FUNCTION(cublasLtGetVersion, size_t (*)());
FUNCTION(cublasLtGetCudartVersion, size_t (*)());
FUNCTION(cublasLtGetStatusName, const char *(*)(cublasStatus_t));
FUNCTION(cublasLtGetStatusString, const char *(*)(cublasStatus_t));
FUNCTION(cublasLtCreate, cublasStatus_t (*)(cublasLtHandle_t *));
FUNCTION(cublasLtDestroy, cublasStatus_t (*)(cublasLtHandle_t));
FUNCTION(cublasLtMatmulDescCreate, cublasStatus_t (*)(cublasLtMatmulDesc_t *, cublasComputeType_t, cudaDataType_t));
FUNCTION(cublasLtMatmulDescDestroy, cublasStatus_t (*)(cublasLtMatmulDesc_t));
FUNCTION(cublasLtMatmulDescSetAttribute,
         cublasStatus_t (*)(cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, const void *, size_t));
FUNCTION(cublasLtMatrixLayoutCreate, cublasStatus_t (*)(cublasLtMatrixLayout_t *, cudaDataType, uint64_t, uint64_t, int64_t));
FUNCTION(cublasLtMatrixLayoutDestroy, cublasStatus_t (*)(cublasLtMatrixLayout_t));
FUNCTION(cublasLtMatrixLayoutSetAttribute,
         cublasStatus_t (*)(cublasLtMatrixLayout_t, cublasLtMatrixLayoutAttribute_t, const void *, size_t));
FUNCTION(cublasLtMatmulPreferenceCreate, cublasStatus_t (*)(cublasLtMatmulPreference_t *));
FUNCTION(cublasLtMatmulPreferenceDestroy, cublasStatus_t (*)(cublasLtMatmulPreference_t));
FUNCTION(cublasLtMatmulPreferenceSetAttribute,
         cublasStatus_t (*)(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, const void *, size_t));
FUNCTION(cublasLtMatmulAlgoGetHeuristic,
         cublasStatus_t (*)(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                            cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int,
                            cublasLtMatmulHeuristicResult_t *, int *));
FUNCTION(cublasLtMatmul,
         cublasStatus_t (*)(cublasLtHandle_t, cublasLtMatmulDesc_t, const void *, const void *, cublasLtMatrixLayout_t,
                            const void *, cublasLtMatrixLayout_t, const void *, const void *, cublasLtMatrixLayout_t, void *,
                            cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t *, void *, size_t, cudaStream_t));
FUNCTION(cudaMalloc, cudaError_t (*)(void **, size_t));
FUNCTION(cudaFuncSetAttribute, cudaError_t (*)(const void *, cudaFuncAttribute, int));
