/* open.c: from flags to an opened engine. */
#include "cli.h"

#include <string.h>

static vr_status threads(const cli_options *o, vitrun_options *out, vr_error *err)
{
    if (!o->threads || cli_number(&out->threads, o->threads, 1, 1024)) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "value", "--threads (or VITRUN_THREADS) is '%s'; it wants a whole number from 1 to 1024",
                   vr_quotez(o->threads).text);
}

static vr_status max_batch(const cli_options *o, vitrun_options *out, vr_error *err)
{
    if (!o->max_batch || strcmp(o->max_batch, "auto") == 0 || cli_number(&out->max_batch, o->max_batch, 1, 65536)) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "value", "--max-batch is '%s'; it wants auto, or a whole number from 1 to 65536",
                   vr_quotez(o->max_batch).text);
}

/* "224" or "224x336", height first. */
static vr_status image_size(const cli_options *o, vitrun_options *out, vr_error *err)
{
    if (!o->img_size) return VR_OK;
    char  text[24];
    char *width = text;
    if (strlen(o->img_size) < sizeof text) {
        strcpy(text, o->img_size);
        char *x = strchr(text, 'x');
        if (x) *x = 0, width = x + 1;
        if (cli_number(&out->image_height, text, 1, 16384) && cli_number(&out->image_width, width, 1, 16384)) return VR_OK;
    }
    return vr_fail(err, VR_E_USAGE, "value", "--img-size is '%s'; it wants N or HEIGHTxWIDTH, each from 1 to 16384",
                   vr_quotez(o->img_size).text);
}

static vr_status element_type(const cli_options *o, vitrun_options *out, vr_error *err)
{
    if (!o->dtype) return VR_OK;
    bool known = false;
    for (const char *const *w = (const char *const[]){"auto", "f32", "tf32", "f16", "bf16", "int8", NULL}; *w; w++)
        if (strcmp(o->dtype, *w) == 0) known = true;
    if (!known)
        return vr_fail(err, VR_E_USAGE, "value", "the dtype is '%s'; it can be one of: auto f32 tf32 f16 bf16 int8",
                       vr_quotez(o->dtype).text);
    out->dtype = o->dtype;
    return VR_OK;
}

vr_status cli_engine_options(const cli_options *o, vitrun_options *out, vr_error *err)
{
    *out = vitrun_defaults();
    out->model = o->model;
    out->arch = o->arch;
    out->random = o->random;
    out->seed = o->seed;
    out->device = o->device;
    out->deterministic = o->deterministic;
    out->lanes = o->lanes;
    out->allow_nonfinite = o->allow_nonfinite;
    out->max_header = (size_t)o->max_header;
    out->strict = o->strict;
    out->merge = &o->merge;
    out->data_dir = o->data_dir;
    out->max_image_bytes = (size_t)o->max_file_size;
    out->max_image_pixels = o->max_pixels;
    out->max_image_side = o->max_side;
    out->formats = o->formats;
    out->allow_truncated = o->allow_truncated;
    if (o->exif_given) out->exif = o->exif;
    if (threads(o, out, err) || max_batch(o, out, err) || image_size(o, out, err) || element_type(o, out, err))
        return err->code;
    return VR_OK;
}

static void say_device(const cli_options *o, const vitrun_about_t *a)
{
    static bool said;
    if (said) return;
    said = true;
    if (a->why_cpu[0]) cli_note(o, "using the CPU. %s", a->why_cpu);
}

void cli_say_memory(const cli_options *o, const vitrun *v)
{
    static char said[400];
    const char *now = vitrun_about(v)->why_smaller;
    if (*now && strcmp(now, said)) cli_note(o, "%s", now);
    snprintf(said, sizeof said, "%s", now);
}

vr_status cli_open(vitrun **v, const cli_options *o, vitrun_options *options, bool *implicit, vr_error *err)
{
    bool none = !options->model && !options->random;
    *v = NULL;
    if (implicit) *implicit = none;
    if (none && options->arch)
        return vr_fail(err, VR_E_USAGE, "flags",
                       "--arch %s says how the model is built, not where it is; add -m MODEL or --random",
                       vr_quotez(options->arch).text);
    if (none && cli_default_model(&options->model, err)) return err->code;
    if (none) cli_note(o, "no model given; using the demonstration model, which knows ten classes (-m MODEL for another)");
    vitrun_error e = {0};
    if (vitrun_open(v, options, &e)) return vr_fail(err, (vr_status)e.code, "engine", "%s", e.text);
    say_device(o, vitrun_about(*v));
    cli_say_memory(o, *v);
    return VR_OK;
}
