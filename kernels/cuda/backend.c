/* backend.c: the CUDA back end's life: open, reserve, finish, close. */
#include "backend.h"

#include <stdio.h>
#include <stdlib.h>

/* 57 pictures of 197 tokens fill the 132 multiprocessors of an H100 almost to the last tile of every product of DeiT-B. */
enum { BUDGET = 57 * 197 };

/* ---- open and close ---- */

static void cuda_close(vr_backend *be)
{
    vr_cuda_impl *impl = be->impl;
    if (!impl) return;
    be->fault = (vr_error){0};
    if (vr_cuda_begin(be) && impl->gpu.stream) cudaStreamSynchronize(impl->gpu.stream);
    vr_watch_close(impl->watch);
    vr_cuda_reduction_close(impl);
    vr_cuda_uploads_close(impl);
    vr_cuda_stages_close(impl);
    if (impl->pixels) cudaFree(impl->pixels);
    if (impl->workspace) cudaFree(impl->workspace);
    if (impl->handle) impl->lt.destroy(impl->handle);
    if (impl->gpu.stream) cudaStreamDestroy(impl->gpu.stream);
    vr_lt_close(&impl->lt);
    free(impl->pictures);
    free(impl);
    be->impl = NULL;
}

static vr_status ask_device(vr_cuda_impl *impl, int *major, vr_error *err)
{
    int minor = 0, shared = 0;
    if (vr_cuda_check(err, cudaSetDevice(impl->device), "cudaSetDevice") ||
        vr_cuda_check(err, cudaDeviceGetAttribute(major, cudaDevAttrComputeCapabilityMajor, impl->device),
                      "cudaDeviceGetAttribute") ||
        vr_cuda_check(err, cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, impl->device),
                      "cudaDeviceGetAttribute") ||
        vr_cuda_check(err, cudaDeviceGetAttribute(&impl->gpu.sms, cudaDevAttrMultiProcessorCount, impl->device),
                      "cudaDeviceGetAttribute") ||
        vr_cuda_check(err, cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, impl->device),
                      "cudaDeviceGetAttribute"))
        return VR_E_DEVICE;
    impl->gpu.shared_most = (size_t)shared;
    snprintf(impl->chip, sizeof impl->chip, "sm_%d%d", *major, minor);
    return VR_OK;
}

/* NVIDIA advises 32 MiB of workspace from Hopper on. */
static vr_status open_library(vr_backend *be, int major, vr_error *err)
{
    vr_cuda_impl *impl = be->impl;
    if (vr_lt_open(&impl->lt, err)) return VR_E_DEVICE;
    const cublasStatus_t s = impl->lt.create(&impl->handle);
    if (s != CUBLAS_STATUS_SUCCESS)
        return vr_fail(err, VR_E_DEVICE, "cublaslt", "cuBLASLt does not start: %s.", impl->lt.status_string(s));
    impl->workspace_bytes = (size_t)(major >= 9 ? 32 : 8) << 20;
    return vr_cuda_alloc(be, &impl->workspace, impl->workspace_bytes, err);
}

static vr_status open_parts(vr_backend *be, vr_error *err)
{
    vr_cuda_impl *impl = be->impl;
    int           major = 0;
    vr_status     status = ask_device(impl, &major, err);
    if (status == VR_OK)
        status = vr_cuda_check(err, cudaStreamCreateWithFlags(&impl->gpu.stream, cudaStreamNonBlocking), "cudaStreamCreate");
    if (status == VR_OK) status = vr_cuda_stages_open(impl, err);
    return status ? status : open_library(be, major, err);
}

static vr_status cuda_open(vr_backend *be, const vr_wish *wish, vr_error *err)
{
    static const vr_dtype types[VR_MATHS] = {VR_F16, VR_F32, VR_F32, VR_F16, VR_BF16};
    const char           *sync = getenv("VITRUN_SYNC");
    vr_cuda_impl         *impl = vr_alloc_zeroed(1, sizeof *impl);
    if (!impl) return vr_fail(err, VR_E_MEMORY, "", "There is no memory for the CUDA back end.");
    impl->device = wish->device;
    impl->deterministic = wish->deterministic;
    impl->gpu.sync = sync && *sync && *sync != '0';
    impl->gpu.launched = &vr_cuda_last;
    *be = (vr_backend){.ops = &vr_cuda,
                       .impl = impl,
                       .activations = types[wish->math],
                       .residual = types[wish->math],
                       .math = wish->math == VR_MATH_AUTO ? VR_MATH_F16 : wish->math,
                       .budget = BUDGET,
                       .chip = impl->chip};
    vr_status status = open_parts(be, err);
    if (status) cuda_close(be);
    return status;
}

/* ---- finish ---- */

static vr_status cuda_finish(vr_backend *be, vr_error *err)
{
    const vr_cuda_impl *impl = vr_cuda_begin(be);
    if (impl) vr_cuda_check(&be->fault, cudaStreamSynchronize(impl->gpu.stream), "what was queued on the GPU");
    if (impl && impl->watch && !be->fault.code) vr_cuda_check(&be->fault, vr_watch_collect(impl->watch), "measuring kernels");
    const vr_error fault = be->fault;
    be->fault = (vr_error){0};
    return fault.code == VR_OK ? VR_OK : vr_fail(err, fault.code, fault.rule, "%s", fault.text);
}

/* ---- siblings ---- */

/* What is on its way to the device on one stream, another must not read before it is there. */
static vr_status cuda_open_sibling(vr_backend *be, vr_backend *of, vr_error *err)
{
    const vr_cuda_impl *impl = of->impl;
    const vr_wish       wish = {.device = impl->device, .math = of->math, .deterministic = impl->deterministic};
    vr_status           status = cuda_finish(of, err);
    return status ? status : cuda_open(be, &wish, err);
}

/* ---- reserve ---- */

static bool pixel_bytes(const vr_limits *most, int patch, size_t *bytes)
{
    return vr_mul((size_t)most->rows, 3 * sizeof(float) * (size_t)patch * (size_t)patch, bytes);
}

static vr_status reserve_pixels(vr_backend *be, const vr_limits *most, int patch, vr_error *err)
{
    vr_cuda_impl *impl = be->impl;
    size_t        bytes = 0;
    if (!pixel_bytes(most, patch, &bytes))
        return vr_fail(err, VR_E_MEMORY, "", "Pictures of %d patches do not fit the GPU's address space.", most->rows);
    if (bytes <= impl->pixel_room) return VR_OK;
    vr_cuda_free(be, impl->pixels);
    impl->pixels = NULL;
    impl->pixel_room = 0;
    vr_status status = vr_cuda_alloc(be, (void **)&impl->pixels, bytes, err);
    if (status == VR_OK) impl->pixel_room = bytes;
    return status;
}

static vr_status cuda_reserve(vr_backend *be, const vr_limits *most, int head_size, int patch, vr_error *err)
{
    vr_cuda_impl *impl = be->impl;
    (void)head_size;
    if (most->images > impl->pictures_room) {
        free(impl->pictures);
        impl->pictures = vr_alloc_zeroed((size_t)most->images, sizeof *impl->pictures);
        impl->pictures_room = impl->pictures ? most->images : 0;
        if (!impl->pictures) return vr_fail(err, VR_E_MEMORY, "", "There is no memory for %d pictures.", most->images);
    }
    vr_status status = vr_cuda_uploads_reserve(be, most->images, err);
    return status ? status : reserve_pixels(be, most, patch, err);
}

static void cuda_unreserve(vr_backend *be)
{
    vr_cuda_impl *impl = be->impl;
    vr_cuda_free(be, impl->pixels);
    impl->pixels = NULL;
    impl->pixel_room = 0;
    vr_cuda_uploads_release(be);
    vr_cuda_reduction_release(be);
}

static size_t cuda_scratch_bytes(const vr_backend *be, const vr_limits *most, int patch, bool reduces)
{
    size_t pixels = 0;
    (void)be;
    if (!pixel_bytes(most, patch, &pixels)) return SIZE_MAX;
    return pixels + vr_cuda_uploads_bytes(most->images) + (reduces ? vr_cuda_reduction_bytes(most) : 0);
}

static size_t cuda_free_bytes(vr_backend *be)
{
    size_t free_bytes = 0, all = 0;
    if (!vr_cuda_begin(be) || cudaMemGetInfo(&free_bytes, &all) == cudaSuccess) return free_bytes;
    cudaGetLastError();
    return 0;
}

/* ---- watch ---- */

static vr_status cuda_watch(vr_backend *be, vr_profile *profile, vr_error *err)
{
    vr_cuda_impl *impl = be->impl;
    vr_watch_close(impl->watch);
    impl->watch = profile ? vr_watch_open(profile) : NULL;
    return !profile || impl->watch ? VR_OK : vr_fail(err, VR_E_MEMORY, "", "There is no memory to measure kernels.");
}

const vr_ops vr_cuda = {
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .open_sibling = cuda_open_sibling,
    .alloc = vr_cuda_alloc,
    .free = vr_cuda_free,
    .put = vr_cuda_put,
    .get = vr_cuda_get,
    .pack = vr_cuda_pack,
    .unpack = vr_cuda_unpack,
    .reserve = cuda_reserve,
    .reserve_reduction = vr_cuda_reserve_reduction,
    .unreserve = cuda_unreserve,
    .scratch_bytes = cuda_scratch_bytes,
    .free_bytes = cuda_free_bytes,
    .finish = cuda_finish,
    .patch_embed = vr_cuda_patch_embed,
    .layernorm = vr_cuda_layernorm,
    .linear = vr_cuda_linear,
    .attention = vr_cuda_attention,
    .pool = vr_cuda_pool,
    .gather = vr_cuda_gather,
    .mame = vr_cuda_mame,
    .mare = vr_cuda_mare,
    .tome = vr_cuda_tome,
    .evit = vr_cuda_evit,
    .diffrate = vr_cuda_diffrate,
    .watch = cuda_watch,
};
