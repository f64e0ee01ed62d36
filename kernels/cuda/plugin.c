/* plugin.c: what vitrun-cuda.so tells the program: its version, its verbs, and which GPUs there are. */
#include "../plugin.h"

#include <stdio.h>
#include <string.h>

#include "backend.h"

enum { OLDEST = 8 }; /* compute capability 8.0: the first with bf16 and asynchronous copies */

/* Why no GPU can be reached at all, in words. */
static void say_why(cudaError_t e, vr_error *err)
{
    int driver = 0, runtime = 0;
    cudaGetLastError();
    if (cudaDriverGetVersion(&driver) != cudaSuccess || cudaRuntimeGetVersion(&runtime) != cudaSuccess) cudaGetLastError();
    if (driver == 0)
        vr_fail(err, VR_E_DEVICE, "no-driver", "There is no NVIDIA driver on this machine.");
    else if (e == cudaErrorInsufficientDriver)
        vr_fail(
            err, VR_E_DEVICE, "old-driver",
            "The NVIDIA driver is too old: it supports CUDA %d.%d, and the GPU plugin was built with CUDA %d.%d; update the "
            "driver.",
            driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    else if (e == cudaErrorNoDevice || e == cudaSuccess)
        vr_fail(err, VR_E_DEVICE, "no-gpu",
                "There is an NVIDIA driver on this machine, but no GPU that it shows to this process.");
    else
        vr_cuda_check(err, e, "cudaGetDeviceCount");
}

static vr_status describe(vr_gpu_about *out, int device, const vr_error *no_library, vr_error *err)
{
    struct cudaDeviceProp prop;
    vr_status             status = vr_cuda_check(err, cudaGetDeviceProperties(&prop, device), "cudaGetDeviceProperties");
    if (status) return status;
    *out = (vr_gpu_about){.memory = prop.totalGlobalMem, .usable = prop.major >= OLDEST && no_library->code == VR_OK};
    snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof out->name - 1, prop.name);
    snprintf(out->chip, sizeof out->chip, "sm_%d%d", prop.major, prop.minor);
    if (prop.major < OLDEST)
        snprintf(out->why, sizeof out->why, "GPU %d is of architecture %s; sm_80 or newer is wanted.", device, out->chip);
    else
        snprintf(out->why, sizeof out->why, "%.*s", (int)sizeof out->why - 1, no_library->text);
    return VR_OK;
}

static int list_gpus(vr_gpu_about *list, int room, vr_error *err)
{
    int               count = 0;
    vr_lt             lt;
    vr_error          no_library = {0};
    const cudaError_t e = cudaGetDeviceCount(&count);
    if (e != cudaSuccess || count == 0) {
        say_why(e, err);
        return 0;
    }
    if (vr_lt_open(&lt, &no_library) == VR_OK) vr_lt_close(&lt);
    for (int i = 0; i < count && i < room; i++)
        if (describe(&list[i], i, &no_library, err)) return 0;
    return count;
}

__attribute__((visibility("default"))) extern const vr_plugin_t vr_plugin;
const vr_plugin_t vr_plugin = {VR_PLUGIN_ABI, vr_plugin_sizes, &vr_cuda, list_gpus};
