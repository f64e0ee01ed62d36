/* The words every folder shares: status, error, checked sizes, element types.  Includes nothing of ours. */
#ifndef VR_BASE_H
#define VR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What went wrong.  The values are the exit codes of the command line. */
typedef enum {
    VR_OK = 0,
    VR_E_USAGE = 2, /* the caller asked for something that cannot be */
    VR_E_MODEL = 3, /* a checkpoint, config or labels file is missing, damaged or not supported */
    VR_E_IMAGE = 4, /* a picture cannot be read as one */
    VR_E_IO = 5,    /* the operating system refused to open, read or write */
    VR_E_MEMORY = 6,
    VR_E_DEVICE = 7,
    VR_E_NONFINITE = 8 /* a NaN or an infinity where a number must be */
} vr_status;

/* An error belongs to the caller, usually on its stack.  The first message wins. */
typedef struct {
    vr_status   code;
    const char *rule;      /* a stable short name of the broken rule ("offset-hole"), static, never NULL after a failure */
    char        text[600]; /* one sentence: what, where, found, wanted, remedy */
} vr_error;

/* Record a failure and return its code, so that a failing line reads `return vr_fail(...)`.
 *   err   may be NULL; a message that is already there is kept.
 *   rule  static storage; "" where no test needs to tell this failure from its neighbours. */
vr_status vr_fail(vr_error *err, vr_status code, const char *rule, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Hostile text made fit for a message: control bytes, quotes and bytes that are no UTF-8 become \xNN, long text is cut
 * with "...".  Use inside the call: vr_fail(err, ..., "%s", vr_quote(name, length).text). */
typedef struct {
    char text[160];
} vr_quoted;
vr_quoted vr_quote(const char *text, size_t length);
vr_quoted vr_quotez(const char *text); /* the same for a NUL-terminated string */

/* Sizes from outside meet arithmetic only here.  False, and *out untouched, where the result does not fit. */
bool vr_mul(size_t a, size_t b, size_t *out);
bool vr_add(size_t a, size_t b, size_t *out);

/* Memory of count * size bytes aligned to 64, zeroed where asked; NULL where it wraps or is refused.  free() releases it. */
void *vr_alloc(size_t count, size_t size);
void *vr_alloc_zeroed(size_t count, size_t size);

/* For megabytes that are read again and again: as vr_alloc, but in pages of 2 MiB where the system gives them. */
void *vr_alloc_large(size_t count, size_t size);

/* Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool vr_utf8_valid(const char *text, size_t length);

/* Element types of safetensors files.  Bits, because some are not whole bytes. */
typedef enum {
    VR_F32,
    VR_F16,
    VR_BF16,
    VR_F64,
    VR_BOOL,
    VR_U8,
    VR_I8,
    VR_U16,
    VR_I16,
    VR_U32,
    VR_I32,
    VR_U64,
    VR_I64,
    VR_C64,
    VR_F8_E5M2,
    VR_F8_E4M3,
    VR_F8_E8M0,
    VR_F8_E4M3FNUZ,
    VR_F8_E5M2FNUZ,
    VR_F6_E2M3,
    VR_F6_E3M2,
    VR_F4,
    VR_DTYPES
} vr_dtype;
const char *vr_dtype_name(vr_dtype dtype); /* "F32", "BF16", ... as safetensors spells them */
unsigned    vr_dtype_bits(vr_dtype dtype);

/* Seconds of a clock that never goes back. */
double vr_now(void);

#endif
