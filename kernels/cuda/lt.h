/* cuBLASLt, as far as the back end uses it.  The library is half a gigabyte, so it is not linked but opened when a model
 * is; a build without a GPU puts a fake in its place by another lt_open.c. */
#ifndef VR_CUDA_LT_H
#define VR_CUDA_LT_H

#include <cublasLt.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "../base.h"

/* One field a function, with the type that cublasLt.h gives it. */
typedef struct {
    void                                             *library; /* of dlopen, where there is one */
    __typeof__(&cublasLtGetVersion)                   version;
    __typeof__(&cublasLtGetStatusString)              status_string;
    __typeof__(&cublasLtCreate)                       create;
    __typeof__(&cublasLtDestroy)                      destroy;
    __typeof__(&cublasLtMatmulDescCreate)             desc_create;
    __typeof__(&cublasLtMatmulDescDestroy)            desc_destroy;
    __typeof__(&cublasLtMatmulDescSetAttribute)       desc_set;
    __typeof__(&cublasLtMatrixLayoutCreate)           layout_create;
    __typeof__(&cublasLtMatrixLayoutDestroy)          layout_destroy;
    __typeof__(&cublasLtMatmulPreferenceCreate)       preference_create;
    __typeof__(&cublasLtMatmulPreferenceDestroy)      preference_destroy;
    __typeof__(&cublasLtMatmulPreferenceSetAttribute) preference_set;
    __typeof__(&cublasLtMatmulAlgoGetHeuristic)       heuristic;
    __typeof__(&cublasLtMatmul)                       matmul;
} vr_lt;

/* Open the library: $VITRUN_CUBLASLT, or libcublasLt.so.13, .so.12 or .so.  VR_E_DEVICE where it or one of its functions
 * is missing, with *lt emptied. */
vr_status vr_lt_open(vr_lt *lt, vr_error *err);
void      vr_lt_close(vr_lt *lt);

#ifdef __cplusplus
}
#endif

#endif
