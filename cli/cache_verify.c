/* cache_verify.c: `vitrun cache --verify FILE [DIR]`: are the crops what was written, and the sources what was read? */
#include "cache.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    vr_crops       *crops;
    vr_picture_list list; /* of DIR; empty without it */
    cli_progress    progress;
    size_t          crop_count, damaged;
    size_t          same, changed, missing, added; /* sources */
} check;

static void complain(const char *what, const char *name)
{
    char sentence[400];
    snprintf(sentence, sizeof sentence, "%s: %s", vr_quotez(name).text, what);
    cli_error(VR_E_IO, sentence);
}

static vr_status check_crops(check *c, vr_error *err)
{
    uint8_t *rgb = vr_alloc(vr_crops_bytes(c->crops), 1);
    if (!rgb) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for a crop");
    for (size_t i = 0; i < vr_crops_count(c->crops) && !cli_stop_signal; i++) {
        vr_error why = {0};
        if (vr_crops_entry(c->crops, i).code) continue;
        c->crop_count++;
        if (vr_crops_read(c->crops, i, rgb, &why)) c->damaged++, cli_failed(&why);
        cli_progress_show(&c->progress, i);
    }
    free(rgb);
    return VR_OK;
}

/* A source that could not be read when the cache was made is the same where it still cannot. */
static void check_source(check *c, const vr_crop_entry *e, const char *path)
{
    vr_error       why = {0};
    vr_crop_source from;
    uint8_t       *bytes = NULL;
    cache_read_source(&bytes, &from, path, vr_crops_settings(c->crops)->limits.max_bytes, &why);
    free(bytes);
    if (from.bytes == e->bytes && memcmp(from.sha256, e->sha256, sizeof from.sha256) == 0) {
        c->same++;
    } else {
        c->changed++;
        complain(why.code ? "cannot be read any more" : "is not the file that the crop was made of", path);
    }
}

/* Both lists have one order, so they are walked side by side. */
static void check_sources(check *c)
{
    size_t i = 0, k = 0;
    while ((i < vr_crops_count(c->crops) || k < c->list.count) && !cli_stop_signal) {
        const vr_crop_entry e = i < vr_crops_count(c->crops) ? vr_crops_entry(c->crops, i) : (vr_crop_entry){0};
        const char         *there = k < c->list.count ? vr_picture_list_name(&c->list, k) : NULL;
        const int           order = !e.name ? 1 : !there ? -1 : vr_picture_order(e.name, there);
        if (order < 0) {
            c->missing++, i++;
            complain("is in the cache, but not in the folder", e.name);
        } else if (order > 0) {
            c->added++;
            complain("is in the folder, but not in the cache", c->list.path[k++]);
        } else {
            check_source(c, &e, c->list.path[k]);
            i++, k++;
        }
        cli_progress_show(&c->progress, i);
    }
}

static int report(const check *c, const char *folder)
{
    const vr_crop_settings *s = vr_crops_settings(c->crops);
    const size_t            wrong = c->damaged + c->changed + c->missing + c->added;
    cli_output              out;
    vr_error                err = {0};
    if (cli_stop_signal) return 128 + cli_stop_signal;
    if (cli_output_open(&out, NULL, &err)) return cli_failed(&err);
    fprintf(out.stream, "made by      vitrun %s: %s, exif %s\n", vr_crops_version(c->crops), s->recipe.name,
            s->exif ? "on" : "off");
    fprintf(out.stream, "pictures     %zu, %zu of them without a crop\n", vr_crops_count(c->crops),
            vr_crops_count(c->crops) - c->crop_count);
    fprintf(out.stream, "crops        %zu as written, %zu damaged\n", c->crop_count - c->damaged, c->damaged);
    if (folder)
        fprintf(out.stream, "sources      %zu as read, %zu changed, %zu missing, %zu new\n", c->same, c->changed, c->missing,
                c->added);
    return cli_output_end(&out, true, wrong ? CLI_EXIT_SOME : VR_OK);
}

int cache_verify(const cli_options *o)
{
    vr_error    err = {0};
    check       c = {0};
    const char *folder = o->input_count ? o->inputs[0] : NULL;
    int         code = VR_OK;
    if (o->output)
        vr_fail(&err, VR_E_USAGE, "flags", "--verify checks a cache and writes none; leave out -o");
    else if (vr_crops_open(&c.crops, o->verify, &err) == VR_OK && folder)
        vr_picture_list_walk(&c.list, folder, true, &err);
    if (!err.code) {
        cli_progress_start(&c.progress, o, "pictures", vr_crops_count(c.crops));
        if (check_crops(&c, &err) == VR_OK && folder) check_sources(&c);
        cli_progress_end(&c.progress);
    }
    code = err.code ? cli_failed(&err) : report(&c, folder);
    vr_picture_list_free(&c.list);
    vr_crops_close(c.crops);
    return code;
}
