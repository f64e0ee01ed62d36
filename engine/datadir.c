/* datadir.c: finds configs/, from any working folder, installed or not. */
#include "datadir.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VR_DATADIR
#define VR_DATADIR "/usr/local/share/vitrun"
#endif

static bool holds_models(const char *folder)
{
    char path[4400];
    return snprintf(path, sizeof path, "%s/models", folder) < (int)sizeof path && access(path, R_OK | X_OK) == 0;
}

/* Climb from the folder of `file` and look for configs/ (a build tree) or share/vitrun/configs (an installed one). */
static bool search_above(char *out, size_t size, const char *file)
{
    char folder[4096];
    if (snprintf(folder, sizeof folder, "%s", file) >= (int)sizeof folder) return false;
    for (int level = 0; level < 4; level++) {
        char *slash = strrchr(folder, '/');
        if (!slash) return false;
        *slash = 0;
        if (snprintf(out, size, "%s/configs", folder) < (int)size && holds_models(out)) return true;
        if (snprintf(out, size, "%s/share/vitrun/configs", folder) < (int)size && holds_models(out)) return true;
    }
    return false;
}

vr_status vr_data_dir(char *out, size_t size, const char *wanted, vr_error *err)
{
    const char *named = wanted ? wanted : getenv("VITRUN_DATA");
    char        self[4096];
    Dl_info     library;
    if (named) {
        if (snprintf(out, size, "%s", named) < (int)size && holds_models(out)) return VR_OK;
        return vr_fail(err, VR_E_MODEL, "data-dir",
                       "%s: has no folder models/; name the folder of vitrun's configs with --data-dir or $VITRUN_DATA.",
                       vr_quotez(named).text);
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = 0;
        if (search_above(out, size, self)) return VR_OK;
    }
    static const char here; /* an address inside this program or library */
    if (dladdr(&here, &library) && library.dli_fname && realpath(library.dli_fname, self) && search_above(out, size, self))
        return VR_OK;
    if (snprintf(out, size, "%s/configs", VR_DATADIR) < (int)size && holds_models(out)) return VR_OK;
    return vr_fail(err, VR_E_MODEL, "data-dir",
                   "The model descriptions (configs/) were found neither above the program nor in %s; name their folder with "
                   "--data-dir or $VITRUN_DATA.",
                   VR_DATADIR);
}
