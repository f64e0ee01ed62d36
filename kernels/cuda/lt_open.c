/* lt_open.c: finds cuBLASLt on this machine. */
#include "lt.h"

#include <dlfcn.h>
#include <stdlib.h>

static const struct {
    const char *name;
    size_t      at;
} functions[] = {
    {"cublasLtGetVersion", offsetof(vr_lt, version)},
    {"cublasLtGetStatusString", offsetof(vr_lt, status_string)},
    {"cublasLtCreate", offsetof(vr_lt, create)},
    {"cublasLtDestroy", offsetof(vr_lt, destroy)},
    {"cublasLtMatmulDescCreate", offsetof(vr_lt, desc_create)},
    {"cublasLtMatmulDescDestroy", offsetof(vr_lt, desc_destroy)},
    {"cublasLtMatmulDescSetAttribute", offsetof(vr_lt, desc_set)},
    {"cublasLtMatrixLayoutCreate", offsetof(vr_lt, layout_create)},
    {"cublasLtMatrixLayoutDestroy", offsetof(vr_lt, layout_destroy)},
    {"cublasLtMatmulPreferenceCreate", offsetof(vr_lt, preference_create)},
    {"cublasLtMatmulPreferenceDestroy", offsetof(vr_lt, preference_destroy)},
    {"cublasLtMatmulPreferenceSetAttribute", offsetof(vr_lt, preference_set)},
    {"cublasLtMatmulAlgoGetHeuristic", offsetof(vr_lt, heuristic)},
    {"cublasLtMatmul", offsetof(vr_lt, matmul)},
};

static void *open_library(vr_error *err)
{
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"};
    const char              *named = getenv("VITRUN_CUBLASLT");
    if (named && *named) {
        void *library = dlopen(named, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            vr_fail(err, VR_E_DEVICE, "no-cublaslt", "cuBLASLt cannot be opened where VITRUN_CUBLASLT says: %s.", dlerror());
        return library;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (library) return library;
    }
    vr_fail(err, VR_E_DEVICE, "no-cublaslt",
            "cuBLASLt is not installed (%s is not found); install CUDA's libcublas, or name the file with VITRUN_CUBLASLT.",
            names[0]);
    return NULL;
}

vr_status vr_lt_open(vr_lt *lt, vr_error *err)
{
    *lt = (vr_lt){.library = open_library(err)};
    if (!lt->library) return VR_E_DEVICE;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = dlsym(lt->library, functions[i].name);
        if (!found) {
            vr_lt_close(lt);
            return vr_fail(err, VR_E_DEVICE, "no-cublaslt", "The cuBLASLt found here has no %s; version 12 or 13 is wanted.",
                           functions[i].name);
        }
        *(void **)((char *)lt + functions[i].at) = found;
    }
    return VR_OK;
}

/* The library stays in memory: it has threads and device state that do not like to be unloaded. */
void vr_lt_close(vr_lt *lt) { *lt = (vr_lt){0}; }
