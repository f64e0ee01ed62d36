/* settings.c: the ways of merging that an opened model knows, and which of them it follows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { MOST_SETTINGS = 4096 };

vr_merge_words vr_merge_words_of(const vitrun_merge *m)
{
    if (!m) return (vr_merge_words){0};
    return (vr_merge_words){.merge = m->method,
                            .tau = m->tau,
                            .layers = m->layers,
                            .r = m->r,
                            .keep = m->keep,
                            .rates = m->rates,
                            .rates_from = m->rates_from,
                            .scope = m->scope,
                            .pool = m->pool,
                            .weights = m->weights,
                            .prop_attn = m->prop_attn,
                            .rule = m->rule,
                            .refine = m->refine,
                            .partition = m->partition,
                            .feature = m->feature,
                            .similarity = m->similarity,
                            .forced = m->forced,
                            .seed = m->seed,
                            .restore = m->restore,
                            .restore_mode = m->restore_mode,
                            .fuse = m->fuse};
}

/* Features of patches are one answer of one length. */
static vr_status check_patches(const vr_model *m, const vr_schedule *s, vr_error *err)
{
    if (m->answer != VR_FEATURES_PATCHES) return VR_OK;
    if (m->grids > 1)
        return vr_fail(err, VR_E_USAGE, "features", "Features of patches are given for one image size, but %d were named.",
                       m->grids);
    if (s->count == 0 || s->steps[s->count - 1].method == VR_MARE) return VR_OK;
    return vr_fail(err, VR_E_USAGE, "features",
                   "Features of patches need every patch, but %s leaves fewer; have mame's merges restored (--restore %d), or "
                   "merge nothing.",
                   s->name, m->config.depth - 1);
}

static vr_status make(vr_setting *out, const vitrun *v, const vitrun_merge *merge, vr_error *err)
{
    const vr_merge_model model = vr_merge_model_of(&v->model.config);
    const vr_merge_words words = vr_merge_words_of(merge);
    if (vr_merge_words_check(&words, err) || vr_schedule_make(&out->schedule, v->data_dir, &words, &model, err) ||
        check_patches(&v->model, &out->schedule, err))
        return err->code;
    vr_step *steps = reallocarray(out->schedule.steps, (size_t)out->schedule.count + 1, sizeof *steps);
    if (steps) out->schedule.steps = steps; /* it had room for the longest schedule there is */
    out->title = strdup(vr_schedule_name(&out->schedule).text);
    return out->title ? VR_OK : vr_fail(err, VR_E_MEMORY, "", "No memory for another way of merging.");
}

static void unmake(vr_setting *s)
{
    vr_schedule_free(&s->schedule);
    free(s->title);
}

static void follow(vitrun *v, int setting)
{
    if (setting != v->used) v->batch_first = v->costs; /* traces are of the old one: nobody may read them as the new one's */
    v->used = setting;
    vr_lanes_follow(v, &v->setting[setting].schedule);
    v->about.merge = v->setting[setting].title;
    vr_budget_tell(v);
}

static bool covers(vr_run_needs have, vr_run_needs want)
{
    return have.reduces >= want.reduces && have.weights >= want.weights && have.traces >= want.traces;
}

/* Lay the run out anew where it lacks what the schedule asks for; what it had before it keeps. */
static vr_status fit_run(vitrun *v, const vr_schedule *schedule, vr_error *err)
{
    vr_run_needs needs = vr_run_needs_of(schedule, v->keep_trace), have = v->run.needs;
    if (v->run.model && covers(have, needs)) return VR_OK;
    needs.reduces |= have.reduces, needs.weights |= have.weights;
    if (needs.traces < have.traces) needs.traces = have.traces;
    vr_run fresh;
    vr_lane_close(&v->second);
    if (vr_budget_fit(v, &fresh, needs, err)) return err->code;
    vr_run_close(&v->run);
    v->run = fresh;
    v->batch_first = v->costs; /* traces are gone */
    return vr_lane_open(v, err);
}

vr_status vr_setting_add(vitrun *v, const vitrun_merge *merge, vr_error *err)
{
    vr_setting next = {0}, *grown;
    if (v->settings == MOST_SETTINGS)
        return vr_fail(err, VR_E_USAGE, "settings", "A model knows at most %d ways of merging.", MOST_SETTINGS);
    if (make(&next, v, merge, err) || fit_run(v, &next.schedule, err)) {
        unmake(&next);
        return err->code;
    }
    grown = reallocarray(v->setting, (size_t)v->settings + 1, sizeof *grown);
    if (grown) {
        v->setting = grown;
        v->setting[v->settings++] = next;
    } else {
        unmake(&next);
        vr_fail(err, VR_E_MEMORY, "", "No memory for another way of merging.");
    }
    if (v->settings) follow(v, grown ? v->settings - 1 : v->used); /* the list or the run may lie elsewhere now */
    return err->code;
}

void vr_settings_free(vitrun *v)
{
    for (int i = 0; i < v->settings; i++) unmake(&v->setting[i]);
    free(v->setting);
}

int vitrun_add_merge(vitrun *v, const vitrun_merge *merge, int *setting, vitrun_error *err)
{
    vr_error  e = {0};
    const int used = v->used;
    if (vr_setting_add(v, merge, &e) == VR_OK) *setting = v->settings - 1;
    follow(v, used);
    return vr_report(err, &e);
}

int vitrun_use_merge(vitrun *v, int setting, vitrun_error *err)
{
    vr_error e = {0};
    if (setting < 0 || setting >= v->settings)
        vr_fail(&e, VR_E_USAGE, "settings", "There is no way of merging with number %d; %d are known.", setting, v->settings);
    else
        follow(v, setting);
    return vr_report(err, &e);
}

const char *vitrun_merge_name(const vitrun *v, int setting)
{
    return setting >= 0 && setting < v->settings ? v->setting[setting].title : "";
}
