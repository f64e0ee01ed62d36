/* The CUDA back end's inner parts: plugin.c tells what is there, backend.c opens and reserves, memory.c moves bytes,
 * linear.c multiplies, verbs.c and backend_reduce.c turn verbs into launches.
 *
 * One stream; every call is checked, and the first fault of a verb is held in be->fault.  A verb that comes after a fault does
 * nothing: what it would read may never have been written. */
#ifndef VR_CUDA_BACKEND_H
#define VR_CUDA_BACKEND_H

#include "../backend.h"
#include "../profile.h"
#include "../trace.h"
#include "launch.h"
#include "lt.h"
#include "watch.h"

extern const vr_ops vr_cuda;

typedef struct vr_watch vr_watch;

/* Pinned memory through which bytes of any size go to the device, a piece at a time. */
enum { STAGES = 4, STAGE_BYTES = 2 << 20 };
typedef struct {
    char       *pinned;
    cudaEvent_t sent; /* its last piece has left it */
} vr_stage;

/* Small arrays that kernels read (offsets, indices, pictures) are uploaded when their contents are new: most come again in
 * every block of a pass. */
enum { UPLOADS = 16 };
typedef struct {
    char       *pinned, *device;
    size_t      bytes; /* in use; 0: empty */
    uint64_t    used;  /* when, so that the one longest unused is written over */
    cudaEvent_t sent;
} vr_upload;

/* An algorithm of cuBLASLt, picked for one kind of product. */
enum { PLANS = 128 };
typedef struct {
    int                  out, in, bucket, flags;
    cublasLtMatmulAlgo_t algorithm;
} vr_plan;

/* What reducers need. */
typedef struct {
    vr_limits   most;
    void       *scratch;
    void       *trace_device, *trace_pinned; /* trace and mirror lie in them at the same places */
    vr_trace    trace, mirror;
    cudaEvent_t counted;
} vr_reduction;

typedef struct {
    vr_gpu           gpu;
    int              device;
    char             chip[16];
    bool             deterministic;
    vr_lt            lt;
    cublasLtHandle_t handle;
    void            *workspace; /* of cuBLASLt, and where weights lie before they are converted */
    size_t           workspace_bytes;
    vr_stage         stage[STAGES];
    int              next_stage;
    vr_upload        upload[UPLOADS];
    size_t           upload_room;
    void            *upload_pinned, *upload_device;
    uint64_t         uploads_used;
    vr_plan          plan[PLANS];
    int              plans, next_plan;
    char            *pixels; /* [pixel_room] of a batch, as floats or bytes */
    size_t           pixel_room;
    vr_gpu_picture  *pictures; /* [pictures_room] host; the array about to be uploaded */
    int              pictures_room;
    vr_reduction     reduction;
    vr_watch        *watch; /* NULL: nobody wants to know what kernels take */
} vr_cuda_impl;

/* The back end's own part, with its device made current; NULL where a fault is held. */
vr_cuda_impl *vr_cuda_begin(vr_backend *be);

/* The kernel that this thread queued last. */
extern _Thread_local const char *vr_cuda_last;
/* What a call came to.  Memory that was refused is VR_E_MEMORY, all else VR_E_DEVICE; a fault of a kernel, which shows at a
 * later call, is told with the last kernel queued before. */
vr_status vr_cuda_check(vr_error *err, cudaError_t e, const char *call);
/* The same for launches, and the kernel's name. */
vr_status vr_cuda_queued(vr_error *err, cudaError_t e);
/* The same for those of a verb.  True where all is well. */
bool vr_cuda_launched(vr_backend *be, cudaError_t e);

/* ---- watch.c: what launches take; see watch.h ---- */
vr_watch   *vr_watch_open(vr_profile *profile); /* NULL: no memory */
void        vr_watch_close(vr_watch *w);        /* NULL is allowed */
void        vr_watch_use(vr_watch *w);          /* w sees what this thread launches from now on; NULL: nobody does */
cudaError_t vr_watch_collect(vr_watch *w);      /* when all launches are done: their times; or the watch's first fault */
/* What the kernel did of which the verb under way launched one; NULL: the first one that it launched. */
void vr_watch_work(vr_watch *w, const char *kernel, vr_work work);

/* ---- memory.c ---- */
vr_status vr_cuda_alloc(vr_backend *be, void **out, size_t bytes, vr_error *err);
void      vr_cuda_free(vr_backend *be, void *p);
vr_status vr_cuda_put(vr_backend *be, void *dst, const void *host, size_t bytes, vr_error *err); /* does not wait */
vr_status vr_cuda_get(vr_backend *be, void *host, const void *src, size_t bytes, vr_error *err);
vr_status vr_cuda_pinned(void **out, size_t bytes, vr_error *err);
vr_status vr_cuda_stages_open(vr_cuda_impl *impl, vr_error *err);
void      vr_cuda_stages_close(vr_cuda_impl *impl);

/* Room for small arrays of a batch of so many images. */
vr_status vr_cuda_uploads_reserve(vr_backend *be, int images, vr_error *err);
void      vr_cuda_uploads_release(vr_backend *be);
size_t    vr_cuda_uploads_bytes(int images); /* of the device */
void      vr_cuda_uploads_close(vr_cuda_impl *impl);
/* A copy on the device, good for what is queued next; NULL after a fault. */
const void *vr_cuda_upload(vr_backend *be, const void *host, size_t bytes);
/* A place on the device for an array that a kernel will write, known as an upload once its pinned part is filled; NULL after
 * a fault. */
vr_upload *vr_cuda_upload_begin(vr_backend *be, size_t bytes);

/* ---- linear.c ---- */
vr_status vr_cuda_pack(vr_backend *be, vr_weight *out, const float *weight, const float *bias, int out_features,
                       int in_features, vr_layer layer, vr_error *err);
void      vr_cuda_unpack(vr_backend *be, vr_weight *w);
void      vr_cuda_linear(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into);

/* ---- verbs.c ---- */
vr_segments vr_cuda_segments(vr_backend *be, const int *offsets, int images); /* offsets NULL after a fault */
void        vr_cuda_patch_embed(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in,
                                const vr_embed *w);
void        vr_cuda_layernorm(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w);
void vr_cuda_attention(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows, const vr_rows *kv_rows,
                       int heads, const vr_extras *extras);
void vr_cuda_pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how);
void vr_cuda_gather(vr_backend *be, vr_mat y, vr_mat x, const int *index);

/* ---- backend_reduce.c ---- */
vr_status vr_cuda_reserve_reduction(vr_backend *be, const vr_limits *most, vr_error *err);
void      vr_cuda_reduction_release(vr_backend *be);
size_t    vr_cuda_reduction_bytes(const vr_limits *most); /* of the device */
void      vr_cuda_reduction_close(vr_cuda_impl *impl);
void vr_cuda_mame(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat feature, const vr_mame *how, vr_trace *trace);
void vr_cuda_mare(vr_backend *be, vr_mat x, vr_mat y, const vr_trace *trace, vr_mare mode);
void vr_cuda_tome(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat metric, int r, vr_trace *trace);
void vr_cuda_evit(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_evit *how,
                  vr_trace *trace);
void vr_cuda_diffrate(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_diffrate *how,
                      vr_trace *trace);

#endif
