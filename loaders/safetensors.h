/* Strict reader of safetensors files, and a writer.  What is accepted, and the name of every rule: safetensors_header.c,
 * for sharded checkpoints shards.c.  Nothing a hostile file says can make it allocate more than a small multiple (about
 * eight times) of the header that is really there, or read outside the file. */
#ifndef VR_SAFETENSORS_H
#define VR_SAFETENSORS_H

#include "../kernels/base.h"

enum { VR_ST_MAX_RANK = 8 };

typedef struct {
    const char *name; /* UTF-8, NUL-terminated, owned by the file */
    vr_dtype    dtype;
    int         rank; /* 0 .. 8 */
    uint64_t    shape[VR_ST_MAX_RANK];
    uint64_t    elements;     /* product of shape */
    uint64_t    begin, bytes; /* from the start of its shard's data section */
    int         shard;        /* which file of a sharded checkpoint */
} vr_tensor;

typedef struct vr_safetensors vr_safetensors;

/* Open a single file (*.safetensors), a sharded checkpoint's index (*.index.json), or a folder that holds
 * model.safetensors or model.safetensors.index.json.  Headers are checked completely; no tensor data is read.
 *   max_header   largest header accepted, in bytes; 0: 16 MiB; at most 100,000,000 (more: VR_E_USAGE)
 * Fails with VR_E_IO (rules "open", "not-a-file", "read", "file-shrank"), VR_E_MODEL (a rule of the format is broken, or
 * "no-checkpoint": the folder has neither file; err->rule names it), VR_E_MEMORY; *out is then NULL.  The caller closes
 * what was opened. */
vr_status vr_safetensors_open(vr_safetensors **out, const char *path, size_t max_header, vr_error *err);

/* The same for a file that lies in memory, which must outlive the object. */
vr_status vr_safetensors_open_memory(vr_safetensors **out, const void *bytes, size_t length, size_t max_header, vr_error *err);
void      vr_safetensors_close(vr_safetensors *st);

size_t           vr_safetensors_count(const vr_safetensors *st);
const vr_tensor *vr_safetensors_at(const vr_safetensors *st, size_t i);              /* sorted by name */
const vr_tensor *vr_safetensors_find(const vr_safetensors *st, const char *name);    /* NULL: no such tensor */
const char      *vr_safetensors_metadata(const vr_safetensors *st, const char *key); /* NULL: no such key */
const char      *vr_safetensors_path(const vr_safetensors *st);                      /* as given */
uint64_t         vr_safetensors_bytes(const vr_safetensors *st);                     /* data of all tensors */

/* Read elements first .. first+count-1 of a tensor, converted to f32 (f64: to double).
 *   out   [count], the caller's
 * Any of F32, F16, BF16, F64 (other dtypes: VR_E_MODEL, rule "dtype").  A file that has become shorter since it was
 * opened is VR_E_IO.  May be called from several threads at once. */
vr_status vr_safetensors_read_f32(const vr_safetensors *st, const vr_tensor *t, uint64_t first, uint64_t count, float *out,
                                  vr_error *err);
vr_status vr_safetensors_read_f64(const vr_safetensors *st, const vr_tensor *t, uint64_t first, uint64_t count, double *out,
                                  vr_error *err);

/* Read the tensor's bytes as they are: out [t->bytes]. */
vr_status vr_safetensors_read_raw(const vr_safetensors *st, const vr_tensor *t, void *out, vr_error *err);

/* Is none of x [count] a NaN or an infinity?  At the speed of memory; the readers above do not look at values. */
bool vr_all_finite(const float *x, size_t count);

float    vr_f16_to_f32(uint16_t h);  /* exact; a NaN keeps its payload and becomes quiet */
float    vr_bf16_to_f32(uint16_t h); /* exact */
void     vr_f16_to_f32_many(float *out, const uint16_t *in, size_t count); /* the arrays may not overlap */
void     vr_bf16_to_f32_many(float *out, const uint16_t *in, size_t count);
uint16_t vr_f32_to_f16(float f);  /* round half to even; overflow to infinity */
uint16_t vr_f32_to_bf16(float f); /* round half to even */

/* One tensor to be written. */
typedef struct {
    const char *name;
    vr_dtype    dtype;
    int         rank;
    uint64_t    shape[VR_ST_MAX_RANK];
    const void *data; /* elements in this machine's order, little-endian */
} vr_tensor_out;

/* Write a file: beside its final name first, then renamed, so that no half-written file ever carries that name; a file
 * that is there keeps its bytes until the new one is complete.  Tensors lie in the order given; the header is padded with
 * spaces so that data starts at a multiple of 8.  path "-" writes to stdout; a device or pipe is written directly.
 *   keys, values   [pairs] of __metadata__; may be NULL with pairs 0
 * Fails with VR_E_USAGE (what the reader would refuse, rule as there), VR_E_IO (rule "write": full disk, no permission,
 * closed pipe), VR_E_MEMORY. */
vr_status vr_safetensors_write(const char *path, const vr_tensor_out *tensors, size_t count, const char *const *keys,
                               const char *const *values, size_t pairs, vr_error *err);

#endif
