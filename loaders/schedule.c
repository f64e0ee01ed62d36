/* schedule.c: schedules, from a file or from words.  Both end as steps "as written" (schedule_parts.h), which a model's
 * depth turns into one step a layer (schedule_expand.c), and which are then checked together (schedule_settle.c). */
#include "schedule_parts.h"

#include <stdlib.h>
#include <string.h>

vr_merge_model vr_merge_model_of(const vr_config *c)
{
    int patches = (c->recipe.crop_height / c->patch) * (c->recipe.crop_width / c->patch);
    return (vr_merge_model){.name = c->name,
                            .depth = c->depth,
                            .dim = c->dim,
                            .tokens = c->prefix + patches,
                            .special = c->prefix,
                            .mean_pool = c->head == VR_HEAD_MEAN};
}

const vr_step *vr_schedule_at(const vr_schedule *s, int layer, bool restores)
{
    for (int i = 0; i < s->count; i++)
        if (s->steps[i].layer == layer && (s->steps[i].method == VR_MARE) == restores) return &s->steps[i];
    return NULL;
}

void vr_schedule_free(vr_schedule *s)
{
    free(s->steps);
    s->steps = NULL;
    s->count = 0;
}

vr_status vr_schedule_begin(vr_schedule *s, const vr_merge_model *m, vr_error *err)
{
    memset(s, 0, sizeof *s);
    s->depth = m->depth, s->tokens = m->tokens;
    if (m->depth < 1 || m->depth > VR_SCHEDULE_LAYERS)
        return vr_fail(err, VR_E_USAGE, "schedule-depth", "%s has %d blocks; schedules are for 1 to %d",
                       vr_quotez(m->name).text, m->depth, VR_SCHEDULE_LAYERS);
    s->steps = vr_alloc_zeroed(VR_SCHEDULE_STEPS, sizeof *s->steps);
    return s->steps ? VR_OK : vr_fail(err, VR_E_MEMORY, "", "no memory for a merge schedule");
}

/* ---- files ---- */

static vr_status read_top_text(char *out, size_t size, const vr_json *doc, const char *key, const vr_origin *from)
{
    const vr_json *v = vr_json_get(doc, key);
    const char    *text;
    if (!v) return VR_OK;
    if (!vr_json_string(v, &text))
        return vr_origin_fail(from, "schedule-type", key, "must be a string; found %s", vr_json_type_name(v));
    if (strlen(text) >= size) return vr_origin_fail(from, "schedule-range", key, "is longer than %zu bytes", size - 1);
    strcpy(out, text);
    return VR_OK;
}

static vr_status read_top_word(int *out, bool *said, const vr_json *doc, const char *key, const char *const *words,
                               const vr_origin *from)
{
    char text[32] = "";
    if (read_top_text(text, sizeof text, doc, key, from)) return from->err->code;
    *said = vr_json_get(doc, key) != NULL;
    return *said ? vr_word_find(out, from, key, words, text) : VR_OK;
}

/* A schedule's name becomes part of file names and of tables. */
bool vr_schedule_plain_name(const char *name)
{
    return name[0] && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == strlen(name);
}

static vr_status read_top(vr_schedule *s, bool *pool_said, const vr_json *doc, const vr_origin *from)
{
    static const char *const keys[] = {"name", "source", "model", "scope", "pool", "prop_attn", "steps", NULL};
    int                      scope = 0, pool = 0, prop = 0;
    bool                     said;
    if (vr_json_type(doc) != VR_JSON_OBJECT)
        return vr_origin_fail(from, "schedule-type", "the schedule", "must be an object; found %s", vr_json_type_name(doc));
    if (vr_json_only_keys(doc, keys, from->file, from->err) || read_top_text(s->name, sizeof s->name, doc, "name", from) ||
        read_top_text(s->source, sizeof s->source, doc, "source", from) ||
        read_top_text(s->model, sizeof s->model, doc, "model", from) ||
        read_top_word(&scope, &said, doc, "scope", vr_scope_words, from) ||
        read_top_word(&prop, &said, doc, "prop_attn", vr_prop_words, from) ||
        read_top_word(&pool, pool_said, doc, "pool", vr_pool_words, from))
        return from->err->code;
    s->scope = (vr_merge_scope)scope, s->pool = (vr_merge_pool)pool, s->prop_attn = (vr_prop_attn)prop;
    if (!vr_json_get(doc, "name")) return vr_origin_fail(from, "schedule-missing", "name", "is missing");
    if (vr_schedule_plain_name(s->name)) return VR_OK;
    return vr_origin_fail(from, "schedule-range", "name", "is '%s'; it wants letters, digits, _, - and .",
                          vr_quotez(s->name).text);
}

static vr_status read_steps(vr_schedule *s, const char *data_dir, const vr_json *doc, const vr_merge_model *m, vr_origin *from)
{
    const vr_json *list = vr_json_get(doc, "steps");
    if (!list || vr_json_type(list) != VR_JSON_ARRAY)
        return vr_origin_fail(from, list ? "schedule-type" : "schedule-missing", "steps", "must be a list; found %s",
                              list ? vr_json_type_name(list) : "nothing");
    if (vr_json_size(list) > VR_SCHEDULE_STEPS)
        return vr_origin_fail(from, "schedule-list", "steps", "has %zu steps; at most %d are read", vr_json_size(list),
                              VR_SCHEDULE_STEPS);
    vr_written *w = vr_alloc_zeroed(1, sizeof *w);
    if (!w) return vr_fail(from->err, VR_E_MEMORY, "", "no memory for a step of a schedule");
    for (size_t i = 0; i < vr_json_size(list) && !from->err->code; i++) {
        from->step = (int)i;
        if (vr_written_read(w, vr_json_item(list, i), from) == VR_OK) vr_schedule_expand(s, data_dir, w, m, from);
    }
    from->step = -1;
    free(w);
    return from->err->code;
}

vr_status vr_schedule_read_steps(vr_schedule *s, bool *pool_said, const char *data_dir, const char *path,
                                 const vr_merge_model *m, vr_error *err)
{
    vr_origin from = {path, -1, err};
    vr_json  *doc = NULL;
    if (vr_schedule_begin(s, m, err) || vr_json_read(&doc, path, 0, err)) return err->code;
    if (read_top(s, pool_said, doc, &from) == VR_OK) read_steps(s, data_dir, doc, m, &from);
    vr_json_free(doc);
    return err->code;
}

vr_status vr_schedule_read(vr_schedule *out, const char *data_dir, const char *path, const vr_merge_model *model, vr_error *err)
{
    vr_error  mine = {0};
    vr_origin from = {path, -1, &mine};
    bool      pool_said = false;
    if (vr_schedule_read_steps(out, &pool_said, data_dir, path, model, &mine) ||
        vr_schedule_settle(out, pool_said, model, &from))
        vr_schedule_free(out);
    return mine.code ? vr_fail(err, mine.code, mine.rule, "%s", mine.text) : VR_OK;
}
