/* device.c: see device.h. */
#include "device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../kernels/cpu/cpu.h"

#ifndef VR_LIBDIR
#define VR_LIBDIR "/usr/local/lib"
#endif

enum { GPUS_MAX = 64 };
static const char plugin_name[] = "vitrun-cuda.so";

/* ---- dtypes ---- */

static const char *const maths[VR_MATHS] = {"auto", "f32", "tf32", "f16", "bf16", "int8"};

const char *vr_math_name(vr_math math) { return maths[math]; }

vr_status vr_math_parse(vr_math *out, const char *dtype, vr_error *err)
{
    if (!dtype) dtype = "auto";
    for (int i = 0; i < VR_MATHS; i++)
        if (strcmp(dtype, maths[i]) == 0) {
            *out = (vr_math)i;
            return VR_OK;
        }
    return vr_fail(err, VR_E_USAGE, "dtype", "There is no dtype \"%s\"; known are auto, f32, tf32, f16, bf16 and int8.",
                   vr_quotez(dtype).text);
}

/* why_cpu: why it is no GPU that was chosen, or "". */
static vr_status check_cpu_math(const vr_wish *wish, const char *why_cpu, vr_error *err)
{
    if (wish->math != VR_MATH_F16 && wish->math != VR_MATH_TF32) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "not-supported",
                   "The dtype %s is not supported yet on a CPU; use --dtype bf16, int8 or f32.%s%s", maths[wish->math],
                   *why_cpu ? " " : "", why_cpu);
}

/* ---- the plugin ---- */

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool beside_program(char *out, size_t size)
{
    char    self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return false;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    if (!slash) return false;
    *slash = 0;
    return snprintf(out, size, "%s/%s", self, plugin_name) < (int)size && is_file(out);
}

/* Where the plugin is. */
static vr_status find_plugin(char *out, size_t size, vr_error *err)
{
    const char *named = getenv("VITRUN_PLUGIN_PATH");
    if (named && *named) {
        if (snprintf(out, size, "%s", named) < (int)size && is_file(out)) return VR_OK;
        if (snprintf(out, size, "%s/%s", named, plugin_name) < (int)size && is_file(out)) return VR_OK;
        return vr_fail(err, VR_E_DEVICE, "no-plugin", "VITRUN_PLUGIN_PATH is %s, but there is no %s.", vr_quotez(named).text,
                       plugin_name);
    }
    if (beside_program(out, size)) return VR_OK;
    if (snprintf(out, size, "%s/vitrun/%s", VR_LIBDIR, plugin_name) < (int)size && is_file(out)) return VR_OK;
    return vr_fail(
        err, VR_E_DEVICE, "no-plugin",
        "This build has no GPU plugin: %s is neither beside the program nor in %s/vitrun; build it where CUDA's nvcc "
        "is (make CUDA=1), or say where it is with VITRUN_PLUGIN_PATH.",
        plugin_name, VR_LIBDIR);
}

/* The plugin stays open until the program ends: CUDA does not like to be unloaded. */
static vr_status open_plugin(const vr_plugin_t **out, const char *path, vr_error *err)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return vr_fail(err, VR_E_DEVICE, "plugin", "The GPU plugin cannot be opened: %s.", dlerror());
    const vr_plugin_t *p = dlsym(library, "vr_plugin");
    if (!p) return vr_fail(err, VR_E_DEVICE, "plugin", "%s: is no plugin of vitrun.", vr_quotez(path).text);
    if (p->abi != VR_PLUGIN_ABI || p->sizes() != vr_plugin_sizes())
        return vr_fail(err, VR_E_DEVICE, "plugin-abi",
                       "%s: was built for another version of vitrun; build it anew (make CUDA=1).", vr_quotez(path).text);
    *out = p;
    return VR_OK;
}

/* Looking for a driver first spares machines without one the opening of the plugin. */
static bool driver_there(void)
{
    const char *named = getenv("VITRUN_PLUGIN_PATH");
    if (named && *named) return true;
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (driver) dlclose(driver);
    return driver != NULL;
}

static int list_gpus(const vr_plugin_t **plugin, vr_gpu_about *list, int room, vr_error *err)
{
    char path[4400];
    if (find_plugin(path, sizeof path, err)) return 0;
    if (!driver_there()) {
        vr_fail(err, VR_E_DEVICE, "no-driver", "There is no NVIDIA driver on this machine (libcuda.so.1 is not found).");
        return 0;
    }
    return open_plugin(plugin, path, err) ? 0 : (*plugin)->gpus(list, room, err);
}

int vr_device_gpus(vr_gpu_about *list, int room, vr_error *err)
{
    const vr_plugin_t *plugin;
    return list_gpus(&plugin, list, room, err);
}

static vr_status choose_gpu(const vr_ops **ops, int number, vr_error *err)
{
    const vr_plugin_t *plugin;
    vr_gpu_about       list[GPUS_MAX];
    const int          count = list_gpus(&plugin, list, GPUS_MAX, err);
    if (count == 0) return err->code;
    if (number >= count || number >= GPUS_MAX)
        return vr_fail(err, VR_E_DEVICE, "gpu-number", "There is no GPU %d; this machine has %d, numbered from 0.", number,
                       count);
    if (!list[number].usable) return vr_fail(err, VR_E_DEVICE, "gpu", "%s", list[number].why);
    *ops = plugin->ops;
    return VR_OK;
}

/* ---- choosing ---- */

/* "cuda" or "cuda:N" */
static bool gpu_number(const char *device, int *out)
{
    *out = 0;
    if (strncmp(device, "cuda", 4)) return false;
    if (!device[4]) return true;
    if (device[4] != ':' || !device[5] || strlen(device) > 7) return false;
    for (const char *p = device + 5; *p; p++) {
        if (*p < '0' || *p > '9') return false;
        *out = 10 * *out + (*p - '0');
    }
    return true;
}

vr_status vr_device_choose(const vr_ops **ops, vr_wish *wish, char why_cpu[600], const char *device, const char *dtype,
                           vr_error *err)
{
    const char *name = device ? device : "auto";
    const bool  automatic = strcmp(name, "auto") == 0;
    vr_error    why = {0};
    *why_cpu = 0;
    if (vr_math_parse(&wish->math, dtype, err)) return err->code;
    const bool gpu = gpu_number(name, &wish->device), bytes = wish->math == VR_MATH_INT8;
    if (gpu && bytes)
        return vr_fail(err, VR_E_USAGE, "not-supported",
                       "The dtype int8 is not supported yet on a GPU; use --device cpu, or --dtype f16.");
    if (gpu) return choose_gpu(ops, wish->device, err);
    if (!automatic && strcmp(name, "cpu"))
        return vr_fail(err, VR_E_USAGE, "device", "There is no device \"%s\"; known are auto, cpu, cuda and cuda:N.",
                       vr_quotez(name).text);
    if (automatic && !bytes && choose_gpu(ops, 0, &why) == VR_OK) return VR_OK;
    const bool usual = why.rule && (strcmp(why.rule, "no-plugin") == 0 || strcmp(why.rule, "no-driver") == 0);
    if (automatic && (device || !usual)) snprintf(why_cpu, 600, "%s", why.text);
    *ops = &vr_cpu;
    return check_cpu_math(wish, why_cpu, err);
}
