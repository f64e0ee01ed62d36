/* memory.c: bytes to the device and back.
 *
 * What goes to the device passes through pinned memory, so that put() need not wait: it returns when the bytes have been
 * copied out of the caller's, and they arrive before what is queued later. */
#include "backend.h"

#include <stdio.h>
#include <string.h>

/* ---- what calls came to ---- */

_Thread_local const char *vr_cuda_last;

/* Faults of a kernel, after which the process can use the GPU no more. */
static bool kernel_fault(cudaError_t e)
{
    return e == cudaErrorIllegalAddress || e == cudaErrorMisalignedAddress || e == cudaErrorLaunchFailure ||
           e == cudaErrorLaunchTimeout || e == cudaErrorIllegalInstruction;
}

vr_status vr_cuda_check(vr_error *err, cudaError_t e, const char *call)
{
    if (e == cudaSuccess) return VR_OK;
    cudaGetLastError(); /* a fault that does not stick is over with this report */
    if (e == cudaErrorMemoryAllocation)
        return vr_fail(err, VR_E_MEMORY, "gpu-memory", "The GPU or its driver has no memory for %s; use smaller batches.",
                       call);
    if (kernel_fault(e) && vr_cuda_last && !strstr(call, vr_cuda_last))
        return vr_fail(err, VR_E_DEVICE, "cuda-fault",
                       "CUDA: %s failed: %s (%s); the last kernel before was %s. VITRUN_SYNC=1 names the one that failed.",
                       call, cudaGetErrorString(e), cudaGetErrorName(e), vr_cuda_last);
    return vr_fail(err, VR_E_DEVICE, "cuda", "CUDA: %s failed: %s (%s).", call, cudaGetErrorString(e), cudaGetErrorName(e));
}

vr_status vr_cuda_queued(vr_error *err, cudaError_t e)
{
    char call[80];
    snprintf(call, sizeof call, "the kernel %s", vr_cuda_last ? vr_cuda_last : "");
    return vr_cuda_check(err, e, call);
}

bool vr_cuda_launched(vr_backend *be, cudaError_t e) { return vr_cuda_queued(&be->fault, e) == VR_OK; }

/* Which device is current belongs to a thread, and a model may be used by another thread than opened it. */
static vr_status make_current(const vr_cuda_impl *impl, vr_error *err)
{
    static _Thread_local int current = -1;
    vr_watch_use(impl->watch);
    if (current == impl->device) return VR_OK;
    if (vr_cuda_check(err, cudaSetDevice(impl->device), "cudaSetDevice")) return err ? err->code : VR_E_DEVICE;
    current = impl->device;
    return VR_OK;
}

vr_cuda_impl *vr_cuda_begin(vr_backend *be)
{
    vr_cuda_impl *impl = be->impl;
    if (be->fault.code || make_current(impl, &be->fault)) return NULL;
    impl->gpu.launched = &vr_cuda_last;
    return impl;
}

/* ---- memory ---- */

vr_status vr_cuda_alloc(vr_backend *be, void **out, size_t bytes, vr_error *err)
{
    size_t    free_bytes = 0, all = 0;
    vr_status status = make_current(be->impl, err);
    *out = NULL;
    if (status) return status;
    const cudaError_t e = cudaMalloc(out, bytes ? bytes : 1);
    if (e == cudaSuccess) return VR_OK;
    *out = NULL;
    if (e != cudaErrorMemoryAllocation) return vr_cuda_check(err, e, "cudaMalloc");
    cudaGetLastError();
    if (cudaMemGetInfo(&free_bytes, &all) != cudaSuccess) cudaGetLastError();
    return vr_fail(err, VR_E_MEMORY, "gpu-memory",
                   "The GPU refused %zu bytes of memory; %zu of its %zu are free. Use smaller batches, or --device cpu.", bytes,
                   free_bytes, all);
}

void vr_cuda_free(vr_backend *be, void *p)
{
    if (p && make_current(be->impl, NULL) == VR_OK) cudaFree(p);
}

vr_status vr_cuda_pinned(void **out, size_t bytes, vr_error *err)
{
    const cudaError_t e = cudaMallocHost(out, bytes ? bytes : 1);
    if (e == cudaSuccess) return VR_OK;
    *out = NULL;
    if (e != cudaErrorMemoryAllocation) return vr_cuda_check(err, e, "cudaMallocHost");
    cudaGetLastError();
    return vr_fail(err, VR_E_MEMORY, "pinned-memory", "The driver refused %zu bytes of pinned memory.", bytes);
}

vr_status vr_cuda_stages_open(vr_cuda_impl *impl, vr_error *err)
{
    for (int i = 0; i < STAGES; i++) {
        vr_stage *s = &impl->stage[i];
        vr_status status = vr_cuda_pinned((void **)&s->pinned, STAGE_BYTES, err);
        if (status == VR_OK)
            status = vr_cuda_check(err, cudaEventCreateWithFlags(&s->sent, cudaEventDisableTiming), "cudaEventCreate");
        if (status) return status;
    }
    return VR_OK;
}

void vr_cuda_stages_close(vr_cuda_impl *impl)
{
    for (int i = 0; i < STAGES; i++) {
        if (impl->stage[i].sent) cudaEventDestroy(impl->stage[i].sent);
        if (impl->stage[i].pinned) cudaFreeHost(impl->stage[i].pinned);
    }
}

static vr_status send_piece(vr_cuda_impl *impl, char *dst, const char *host, size_t bytes, vr_error *err)
{
    vr_stage *s = &impl->stage[impl->next_stage];
    impl->next_stage = (impl->next_stage + 1) % STAGES;
    vr_status status = vr_cuda_check(err, cudaEventSynchronize(s->sent), "cudaEventSynchronize");
    if (status) return status;
    memcpy(s->pinned, host, bytes);
    status = vr_cuda_check(err, cudaMemcpyAsync(dst, s->pinned, bytes, cudaMemcpyHostToDevice, impl->gpu.stream),
                           "a copy to the GPU");
    if (status) return status;
    return vr_cuda_check(err, cudaEventRecord(s->sent, impl->gpu.stream), "cudaEventRecord");
}

vr_status vr_cuda_put(vr_backend *be, void *dst, const void *host, size_t bytes, vr_error *err)
{
    vr_status status = make_current(be->impl, err);
    for (size_t at = 0; at < bytes && status == VR_OK; at += STAGE_BYTES) {
        const size_t piece = bytes - at < STAGE_BYTES ? bytes - at : STAGE_BYTES;
        status = send_piece(be->impl, (char *)dst + at, (const char *)host + at, piece, err);
    }
    return status;
}

vr_status vr_cuda_get(vr_backend *be, void *host, const void *src, size_t bytes, vr_error *err)
{
    const vr_cuda_impl *impl = be->impl;
    vr_status           status = make_current(impl, err);
    if (status || bytes == 0) return status;
    status =
        vr_cuda_check(err, cudaMemcpyAsync(host, src, bytes, cudaMemcpyDeviceToHost, impl->gpu.stream), "a copy from the GPU");
    if (status) return status;
    return vr_cuda_check(err, cudaStreamSynchronize(impl->gpu.stream), "a copy from the GPU, or what was queued before it,");
}

/* ---- small arrays ---- */

static void place_uploads(vr_cuda_impl *impl, size_t room)
{
    impl->upload_room = room;
    for (int i = 0; i < UPLOADS; i++) {
        vr_upload *u = &impl->upload[i];
        u->pinned = room ? (char *)impl->upload_pinned + (size_t)i * room : NULL;
        u->device = room ? (char *)impl->upload_device + (size_t)i * room : NULL;
        u->bytes = 0;
    }
}

static void free_uploads(vr_cuda_impl *impl)
{
    if (impl->upload_pinned) cudaFreeHost(impl->upload_pinned);
    if (impl->upload_device) cudaFree(impl->upload_device);
    impl->upload_pinned = impl->upload_device = NULL;
    place_uploads(impl, 0);
}

/* The largest array that is uploaded is that of the pictures. */
static size_t upload_room(int images) { return (((size_t)images + 1) * sizeof(vr_gpu_picture) + 255) / 256 * 256; }

size_t vr_cuda_uploads_bytes(int images) { return UPLOADS * upload_room(images); }

void vr_cuda_uploads_release(vr_backend *be)
{
    vr_cuda_impl *impl = be->impl;
    if (make_current(impl, NULL) == VR_OK && cudaStreamSynchronize(impl->gpu.stream) != cudaSuccess) cudaGetLastError();
    free_uploads(impl);
}

vr_status vr_cuda_uploads_reserve(vr_backend *be, int images, vr_error *err)
{
    vr_cuda_impl *impl = be->impl;
    const size_t  room = upload_room(images);
    vr_status     status = make_current(impl, err);
    if (status || room <= impl->upload_room) return status;
    status = vr_cuda_check(err, cudaStreamSynchronize(impl->gpu.stream), "cudaStreamSynchronize");
    if (status) return status;
    free_uploads(impl);
    status = vr_cuda_pinned(&impl->upload_pinned, UPLOADS * room, err);
    if (status == VR_OK) status = vr_cuda_alloc(be, &impl->upload_device, UPLOADS * room, err);
    for (int i = 0; i < UPLOADS && status == VR_OK; i++)
        if (!impl->upload[i].sent)
            status =
                vr_cuda_check(err, cudaEventCreateWithFlags(&impl->upload[i].sent, cudaEventDisableTiming), "cudaEventCreate");
    if (status == VR_OK)
        place_uploads(impl, room);
    else
        free_uploads(impl);
    return status;
}

void vr_cuda_uploads_close(vr_cuda_impl *impl)
{
    for (int i = 0; i < UPLOADS; i++)
        if (impl->upload[i].sent) cudaEventDestroy(impl->upload[i].sent);
    free_uploads(impl);
}

vr_upload *vr_cuda_upload_begin(vr_backend *be, size_t bytes)
{
    vr_cuda_impl *impl = vr_cuda_begin(be);
    if (!impl) return NULL;
    if (bytes > impl->upload_room) {
        vr_fail(&be->fault, VR_E_DEVICE, "upload-room", "An array of %zu bytes was not reserved on the GPU.", bytes);
        return NULL;
    }
    vr_upload *u = &impl->upload[0];
    for (int i = 1; i < UPLOADS; i++)
        if (impl->upload[i].used < u->used) u = &impl->upload[i];
    u->used = ++impl->uploads_used;
    u->bytes = 0;
    return vr_cuda_check(&be->fault, cudaEventSynchronize(u->sent), "cudaEventSynchronize") ? NULL : u;
}

const void *vr_cuda_upload(vr_backend *be, const void *host, size_t bytes)
{
    vr_cuda_impl *impl = vr_cuda_begin(be);
    for (int i = 0; impl && i < UPLOADS; i++)
        if (impl->upload[i].bytes == bytes && bytes && memcmp(impl->upload[i].pinned, host, bytes) == 0) {
            impl->upload[i].used = ++impl->uploads_used;
            return impl->upload[i].device;
        }
    vr_upload *u = vr_cuda_upload_begin(be, bytes);
    if (!u) return NULL;
    memcpy(u->pinned, host, bytes);
    cudaError_t e = cudaMemcpyAsync(u->device, u->pinned, bytes, cudaMemcpyHostToDevice, impl->gpu.stream);
    if (e == cudaSuccess) e = cudaEventRecord(u->sent, impl->gpu.stream);
    if (vr_cuda_check(&be->fault, e, "a copy to the GPU")) return NULL;
    u->bytes = bytes;
    return u->device;
}
