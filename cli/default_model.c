/* default_model.c: where the demonstration model lies. */
#include "cli.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#define MODEL "weights/dinov2_small_imagenette"

static bool holds_model(const char *folder)
{
    char file[PATH_MAX + 32];
    snprintf(file, sizeof file, "%s/model.safetensors", folder);
    return access(file, R_OK) == 0;
}

/* The program is TREE/build/vitrun or, under a sanitizer, TREE/build/asan/vitrun; installed it is PREFIX/bin/vitrun, and
 * PREFIX need not be the one it was compiled for. */
static bool above_program(char *out, size_t size)
{
    static const char *const between[] = {"", "share/vitrun/"};
    char                     self[PATH_MAX];
    ssize_t                  n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return false;
    self[n] = 0;
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(self, '/');
        if (!slash) return false;
        *slash = 0;
        for (int i = 0; up > 0 && i < 2; i++) { /* the program's own folder is no root */
            int length = snprintf(out, size, "%s/%s%s", self, between[i], MODEL);
            if (length > 0 && (size_t)length < size && holds_model(out)) return true;
        }
    }
    return false;
}

vr_status cli_default_model(const char **path, vr_error *err)
{
    static char folder[PATH_MAX];
    *path = folder;
    if (above_program(folder, sizeof folder)) return VR_OK;
    snprintf(folder, sizeof folder, "%s/%s", VR_DATADIR, MODEL);
    if (holds_model(folder)) return VR_OK;
    return vr_fail(
        err, VR_E_MODEL, "no-model",
        "no model: give -m MODEL, set VITRUN_MODEL, or use --arch NAME --random; the demonstration model is neither above "
        "the program, in %s or share/vitrun/%s, nor in %s",
        MODEL, MODEL, folder);
}
