/* token_maps.c: one picture through the model, once with each merge setting, and what became of its patches. */
#include "tokens.h"

#include <stdlib.h>
#include <string.h>

static vr_status engine_error(const vitrun_error *e, vr_error *err)
{
    return vr_fail(err, (vr_status)e->code, "engine", "%s", e->text);
}

static vr_status no_memory(vr_error *err)
{
    return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the picture and its maps");
}

/* ---- the picture ---- */

static vr_status read_picture(cli_scene *s, const vitrun *v, const char *path, vr_error *err)
{
    const vitrun_about_t *a = vitrun_about(v);
    vitrun_error          e = {0};
    s->patch = a->patch, s->depth = a->depth;
    s->height = a->image_height, s->width = a->image_width;
    s->rows = s->height / s->patch, s->cols = s->width / s->patch;
    s->patches = s->rows * s->cols;
    s->rgb = vr_alloc(3 * (size_t)s->height, (size_t)s->width);
    if (!s->rgb) return no_memory(err);
    return vitrun_crop_of_file(v, path, s->rgb, &e) ? engine_error(&e, err) : VR_OK;
}

/* ---- the maps ---- */

static vr_status reserve(cli_maps *m, const cli_scene *s, vr_error *err)
{
    const size_t maps = (size_t)s->depth + 1, patches = (size_t)s->patches;
    m->maps = vr_alloc_zeroed(maps, sizeof *m->maps);
    m->cells = vr_alloc(2 * maps * patches, sizeof *m->cells);
    if (!m->maps || !m->cells) return no_memory(err);
    for (size_t i = 0; i < maps; i++) {
        int *cells = m->cells + 2 * i * patches;
        m->maps[i] = (cli_map){.block = (int)i - 1, .token = cells, .group = cells + patches};
    }
    return VR_OK;
}

static vr_status follow(cli_maps *m, const cli_scene *s, vitrun *v, vr_error *err)
{
    vitrun_error   e = {0};
    float         *answer = vr_alloc((size_t)vitrun_about(v)->outputs, sizeof *answer);
    const uint8_t *rgb = s->rgb;
    snprintf(m->name, sizeof m->name, "%s", vitrun_about(v)->merge);
    if (!answer) no_memory(err);
    if (!err->code && reserve(m, s, err) == VR_OK) vitrun_run_rgb(v, answer, &rgb, NULL, 1, &e);
    for (int i = 0; i <= s->depth && !err->code && !e.code; i++)
        vitrun_token_map(v, i - 1, 0, m->maps[i].token, m->maps[i].group, &m->maps[i].tokens, &e);
    free(answer);
    return e.code ? engine_error(&e, err) : err->code;
}

static vr_status add_setting(cli_scene *s, vitrun *v, const vitrun_merge *merge, vr_error *err)
{
    vitrun_error e = {0};
    int          setting;
    if (vitrun_add_merge(v, merge, &setting, &e) || vitrun_use_merge(v, setting, &e)) return engine_error(&e, err);
    return follow(&s->settings[s->count++], s, v, err);
}

vr_status cli_scene_make(cli_scene *s, const cli_options *o, const vitrun_merge *merge, size_t count, vr_error *err)
{
    vitrun        *v = NULL;
    vitrun_options options;
    *s = (cli_scene){.settings = vr_alloc_zeroed(count, sizeof *s->settings)};
    if (!s->settings) return no_memory(err);
    if (cli_engine_options(o, &options, err)) return err->code;
    options.merge = &merge[0];
    options.keep_trace = 1;
    if (cli_open(&v, o, &options, NULL, err) == VR_OK) read_picture(s, v, o->inputs[0], err);
    if (!err->code) follow(&s->settings[s->count++], s, v, err);
    for (size_t i = 1; i < count && !err->code && !cli_stop_signal; i++) add_setting(s, v, &merge[i], err);
    vitrun_close(v);
    return err->code;
}

void cli_scene_free(cli_scene *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->settings[i].maps);
        free(s->settings[i].cells);
    }
    free(s->settings);
    free(s->rgb);
    *s = (cli_scene){0};
}

bool cli_scene_changes(const cli_scene *s, size_t setting, int i)
{
    const cli_map *now = &s->settings[setting].maps[i], *before = now - 1;
    return now->tokens != before->tokens || memcmp(now->group, before->group, (size_t)s->patches * sizeof *now->group) != 0;
}
