/* What nvcc's own cuda_runtime.h adds for C++. */
#ifndef VR_FAKE_CUDA_RUNTIME_H
#define VR_FAKE_CUDA_RUNTIME_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
template <class T> inline cudaError_t    cudaMalloc(T **p, size_t bytes) { return cudaMalloc((void **)p, bytes); }
template <class T> inline cudaError_t    cudaMallocHost(T **p, size_t bytes) { return cudaMallocHost((void **)p, bytes); }
template <class... P> inline cudaError_t cudaFuncSetAttribute(void (*kernel)(P...), cudaFuncAttribute attribute, int value)
{
    return cudaFuncSetAttribute((const void *)kernel, attribute, value);
}
#endif

#endif
