/* bundled.c: where the demonstration model and the photographs that come with vitrun lie. */
#include "cli.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

/* What comes with vitrun: a folder, known by a file in it, in the tree and below PREFIX/share/vitrun. */
typedef struct {
    const char *in_tree, *installed, *file;
} bundled;

static bool holds(const char *folder, const char *file)
{
    char path[PATH_MAX + 64];
    return snprintf(path, sizeof path, "%s/%s", folder, file) < (int)sizeof path && access(path, R_OK) == 0;
}

static bool join(char *out, size_t size, const char *root, const char *between, const char *name)
{
    int length = snprintf(out, size, "%s/%s%s", root, between, name);
    return length > 0 && (size_t)length < size;
}

/* The program is TREE/build/vitrun or, under a sanitizer, TREE/build/asan/vitrun; installed it is PREFIX/bin/vitrun, and
 * PREFIX need not be the one it was compiled for. */
static bool above_program(char *out, size_t size, const bundled *b)
{
    char    self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return false;
    self[n] = 0;
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(self, '/');
        if (!slash) return false;
        *slash = 0;
        if (up == 0) continue; /* the program's own folder is no root */
        if (join(out, size, self, "", b->in_tree) && holds(out, b->file)) return true;
        if (join(out, size, self, "share/vitrun/", b->installed) && holds(out, b->file)) return true;
    }
    return false;
}

/* out ends as the place where `make install` put it, whether it is there or not. */
static bool find(char *out, size_t size, const bundled *b)
{
    return above_program(out, size, b) || (join(out, size, VR_DATADIR, "", b->installed) && holds(out, b->file));
}

vr_status cli_default_model(const char **path, vr_error *err)
{
    static const bundled model = {"weights/dinov2_small_imagenette", "weights/dinov2_small_imagenette", "model.safetensors"};
    static char          folder[PATH_MAX];
    *path = folder;
    if (find(folder, sizeof folder, &model)) return VR_OK;
    return vr_fail(
        err, VR_E_MODEL, "no-model",
        "no model: give -m MODEL, set VITRUN_MODEL, or use --arch NAME --random; the demonstration model is neither above "
        "the program, in %s or share/vitrun/%s, nor in %s",
        model.in_tree, model.installed, folder);
}

vr_status cli_default_pictures(char *path[CLI_DEFAULT_PICTURES], vr_error *err)
{
    static const bundled     pictures = {"tests/pictures", "pictures", "china.jpg"};
    static const char *const names[CLI_DEFAULT_PICTURES] = {"china.jpg", "flower.jpg"};
    static char              file[CLI_DEFAULT_PICTURES][PATH_MAX + 64];
    char                     folder[PATH_MAX];
    if (!find(folder, sizeof folder, &pictures))
        return vr_fail(err, VR_E_IMAGE, "no-picture",
                       "no photographs to measure on: those that come with vitrun are neither above the program, in %s or "
                       "share/vitrun/%s, nor in %s; name some, or measure random pixels with --synthetic",
                       pictures.in_tree, pictures.installed, folder);
    for (int i = 0; i < CLI_DEFAULT_PICTURES; i++) {
        snprintf(file[i], sizeof file[i], "%s/%s", folder, names[i]);
        path[i] = file[i];
    }
    return VR_OK;
}
