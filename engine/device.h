/* From a device's name to a back end.  The CPU's is part of the program; a GPU's lies in a plugin, vitrun-cuda.so, which is
 * looked for in $VITRUN_PLUGIN_PATH (the file or its folder), beside the program, and in LIBDIR/vitrun. */
#ifndef VR_DEVICE_H
#define VR_DEVICE_H

#include "../kernels/plugin.h"

const char *vr_math_name(vr_math math);                                    /* "f32", "tf32", "f16", "bf16" */
vr_status   vr_math_parse(vr_math *out, const char *dtype, vr_error *err); /* NULL is "auto" */

/* Choose by name.
 *   device   "cpu", "cuda", "cuda:N", "auto" or NULL
 *   dtype    as in vitrun_options
 *   wish     device and math are set
 *   why_cpu  [600] why auto is the CPU, where somebody wants to know: "" for a GPU, for "cpu", and for NULL where there is no
 *            driver or no plugin, which is how most machines are
 * VR_E_USAGE for an unknown word, VR_E_DEVICE where a GPU was asked for by name and cannot be used. */
vr_status vr_device_choose(const vr_ops **ops, vr_wish *wish, char why_cpu[600], const char *device, const char *dtype,
                           vr_error *err);

/* The GPUs of this machine; see vr_plugin_t. */
int vr_device_gpus(vr_gpu_about *list, int room, vr_error *err);

#endif
