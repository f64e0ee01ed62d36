/* vitrun.c: the public interface: open, run, close. */
#include "internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../kernels/cpu/cpu.h"
#include "../loaders/safetensors.h"
#include "datadir.h"
#include "device.h"
#include "fetch.h"
#include "forward.h"

int vr_report(vitrun_error *out, const vr_error *err)
{
    if (out && err->code) {
        out->code = (int)err->code;
        snprintf(out->text, sizeof out->text, "%s", err->text);
    }
    return (int)err->code;
}

vitrun_options vitrun_defaults(void) { return (vitrun_options){.dtype = "auto", .exif = 1}; }

/* Opening. */

static vr_status choose_device(vitrun *v, const vitrun_options *o, vr_wish *wish, vr_error *err)
{
    *wish = (vr_wish){.threads = o->threads, .deterministic = o->deterministic != 0};
    if (!v->backend.ops) return vr_device_choose(&v->backend.ops, wish, v->why_cpu, o->device, o->dtype, err);
    return vr_math_parse(&wish->math, o->dtype, err);
}

/* The folder whose config.json speaks for a model. */
static vr_status folder_of(char out[4096], const char *model, vr_error *err)
{
    struct stat st;
    if (snprintf(out, 4096, "%s", model) >= 4096) return vr_fail(err, VR_E_MODEL, "path", "The model's path is too long.");
    if (stat(model, &st) == 0 && S_ISDIR(st.st_mode)) return VR_OK;
    char *slash = strrchr(out, '/');
    if (!slash)
        strcpy(out, ".");
    else
        slash[slash == out] = 0;
    return VR_OK;
}

/* The description: from --arch where it is named, else from the config.json beside the weights. */
static vr_status read_config(vr_config *c, bool *fit, const char *data_dir, const vitrun_options *o, vr_error *err)
{
    char folder[4096];
    bool found = false;
    *fit = false;
    if (o->arch) {
        vr_status status = vr_config_read_arch(c, data_dir, o->arch, err);
        if (status == VR_OK && !o->random) {
            c->classes = -1; /* a fine-tuned head has its own count, a position table its own grid */
            *fit = true;
        }
        return status;
    }
    if (o->random) return vr_fail(err, VR_E_USAGE, "arch", "Random weights need an architecture; name one with --arch.");
    if (!o->model) return vr_fail(err, VR_E_USAGE, "model", "No model was named; name one with --model.");
    struct stat st;
    if (stat(o->model, &st))
        return vr_fail(err, VR_E_MODEL, "model-missing", "%s: there is no such model.", vr_quotez(o->model).text);
    if (folder_of(folder, o->model, err) || vr_config_read_folder(c, &found, data_dir, folder, err)) return err->code;
    if (found) return VR_OK;
    vr_safetensors *weights; /* what is no checkpoint at all should not be told to get a config */
    if (vr_safetensors_open(&weights, o->model, o->max_header, err)) return err->code;
    vr_safetensors_close(weights);
    return vr_fail(err, VR_E_MODEL, "config-missing",
                   "%s: has no config.json; say which architecture its weights are of with --arch.", vr_quotez(folder).text);
}

static vr_status read_answer(vr_answer *out, const char *features, const vr_config *c, vr_error *err)
{
    static const char *const words[] = {"cls", "mean", "patches", "logits-input"};
    *out = VR_LOGITS;
    for (int i = 0; features && i < 4; i++)
        if (strcmp(features, words[i]) == 0) *out = (vr_answer)(VR_FEATURES_CLASS + i);
    if (features && *out == VR_LOGITS)
        return vr_fail(err, VR_E_USAGE, "features",
                       "There are no features \"%s\"; known are cls, mean, patches and logits-input.",
                       vr_quotez(features).text);
    if (*out == VR_FEATURES_CLASS && c->prefix == 0)
        return vr_fail(err, VR_E_USAGE, "features", "%s has no class token; take the features mean.", c->name);
    return VR_OK;
}

static vr_status load(vitrun *v, const vitrun_options *o, vr_config *c, bool fit, vr_error *err)
{
    vr_answer answer;
    if (read_answer(&answer, o->features, c, err)) return err->code;
    vr_checkpoint *ck = NULL;
    vr_status      status = o->random ? vr_checkpoint_open_random(&ck, c, o->seed, err)
                                      : vr_checkpoint_open(&ck, o->model, c, fit, o->max_header, o->strict, err);
    if (status == VR_OK && fit) status = vr_config_set_size(c, c->image_height, c->image_width, err);
    if (status == VR_OK && (o->image_height || o->image_width))
        status = vr_config_set_size(c, o->image_height, o->image_width, err);
    if (status == VR_OK && c->label_count && c->label_count != c->classes)
        status = vr_fail(err, VR_E_MODEL, "config-labels", "%s: its config names %d labels, but its classifier has %d classes.",
                         vr_quotez(o->model).text, c->label_count, c->classes);
    if (status == VR_OK)
        status = vr_model_load(&v->model, &v->backend, c, ck, o->more_sizes, o->more_sizes_count, answer,
                               o->keep_blocks || o->keep_trace, o->allow_nonfinite != 0, err);
    vr_checkpoint_close(ck);
    return status;
}

static vr_status load_labels(vitrun *v, const char *data_dir, vr_error *err)
{
    const vr_config *c = &v->model.config;
    char             path[4400];
    if (c->label_count || !c->labels_file[0] || c->classes != 1000) return VR_OK;
    snprintf(path, sizeof path, "%s/labels/%s.txt", data_dir, c->labels_file);
    if (vr_labels_read(&v->labels, path, err)) return err->code;
    if (v->labels.count == (size_t)c->classes) return VR_OK;
    return vr_fail(err, VR_E_MODEL, "labels", "%s: holds %zu labels, but the model has %d classes.", vr_quotez(path).text,
                   v->labels.count, c->classes);
}

static vr_status set_limits(vitrun *v, const vitrun_options *o, vr_error *err)
{
    v->limits = vr_image_limits_default();
    v->exif = o->exif != 0;
    v->keep_trace = o->keep_trace != 0;
    if (o->max_image_bytes) v->limits.max_bytes = o->max_image_bytes;
    if (o->max_image_pixels) v->limits.max_pixels = o->max_image_pixels;
    if (o->max_image_side) v->limits.max_side = o->max_image_side;
    v->limits.allow_truncated = o->allow_truncated != 0;
    return o->formats ? vr_image_formats_parse(o->formats, &v->limits.formats, err) : VR_OK;
}

/* Of one image without merging. */
static double plain_gmacs(const vr_model *m)
{
    const int depth = m->config.depth, all = m->config.prefix + m->grid[0].patches;
    int       before[256], after[256]; /* config.c bounds the depth */
    for (int l = 0; l < depth; l++) before[l] = after[l] = all;
    if (m->few) after[depth - 1] = m->config.prefix;
    return vr_model_macs(m, m->grid[0].patches, before, after) * 1e-9;
}

static void describe(vitrun *v, const vitrun_options *o, double seconds)
{
    static const char *const pooling[] = {"class token", "mean of two heads", "mean", "class token and mean"};
    const vr_model          *m = &v->model;
    const vr_config         *c = &m->config;
    v->about = (vitrun_about_t){
        .name = c->name,
        .layout = o->random ? "random" : vr_layout_name(c->layout),
        .path = v->path,
        .device = v->backend.ops->name,
        .dtype = vr_math_name(v->backend.math),
        .isa = v->backend.chip,
        .why_cpu = v->why_cpu,
        .threads = 1,
        .image_height = c->recipe.crop_height,
        .image_width = c->recipe.crop_width,
        .patch = c->patch,
        .dim = c->dim,
        .depth = c->depth,
        .heads = c->heads,
        .mlp = c->mlp,
        .prefix = c->prefix,
        .classes = c->classes,
        .outputs = m->outputs,
        .tokens = c->prefix + m->grid[0].patches,
        .pooling = pooling[c->head],
        .norm_eps = (double)c->norm_eps,
        .parameters = m->parameters,
        .weight_bytes = m->weight_bytes,
        .gmacs = plain_gmacs(m),
        .merge = v->setting[0].title,
        .recipe = c->recipe.name,
        .activation_bytes = v->run.device_bytes,
        .load_seconds = seconds,
    };
    memcpy(v->about.mean, c->recipe.mean, sizeof v->about.mean);
    memcpy(v->about.std, c->recipe.std, sizeof v->about.std);
    if (v->backend.ops == &vr_cpu) v->about.threads = vr_cpu_threads(&v->backend);
}

static vr_status open_parts(vitrun *v, const vitrun_options *o, vr_error *err)
{
    char      data_dir[4096];
    vr_config c = {0};
    bool      fit = false;
    vr_wish   wish;
    if (choose_device(v, o, &wish, err) || set_limits(v, o, err)) return err->code;
    if (o->threads < 0 || o->threads > 1024)
        return vr_fail(err, VR_E_USAGE, "threads", "%d threads cannot be; name 1 to 1024, or 0 for all.", o->threads);
    if (o->model && o->random) return vr_fail(err, VR_E_USAGE, "random", "Either a model or random weights, not both.");
    if (o->model && !(v->path = strdup(o->model))) return vr_fail(err, VR_E_MEMORY, "", "No memory.");
    if (vr_data_dir(data_dir, sizeof data_dir, o->data_dir, err)) return err->code;
    if (!(v->data_dir = strdup(data_dir))) return vr_fail(err, VR_E_MEMORY, "", "No memory.");
    vr_status status = read_config(&c, &fit, data_dir, o, err);
    if (status == VR_OK) status = v->backend.ops->open(&v->backend, &wish, err);
    if (status == VR_OK) status = load(v, o, &c, fit, err);
    vr_config_free(&c);
    if (status || load_labels(v, data_dir, err)) return err->code;
    v->token_budget = o->token_budget > 0 ? o->token_budget : v->backend.budget;
    if (vr_setting_add(v, o->merge, err)) return err->code;
    if (o->keep_blocks && !(v->kept = vr_alloc_zeroed((size_t)v->model.config.depth + 1, sizeof *v->kept)))
        return vr_fail(err, VR_E_MEMORY, "", "No memory to keep block outputs.");
    return VR_OK;
}

vr_status vr_open_on(vitrun **out, const vitrun_options *options, const vr_ops *ops, vr_error *err)
{
    double  started = vr_now();
    vitrun *v = vr_alloc_zeroed(1, sizeof *v);
    *out = NULL;
    if (!v) return vr_fail(err, VR_E_MEMORY, "", "No memory.");
    v->backend.ops = ops;
    if (open_parts(v, options, err)) {
        vitrun_close(v);
        return err->code;
    }
    describe(v, options, vr_now() - started);
    *out = v;
    return VR_OK;
}

int vitrun_open(vitrun **out, const vitrun_options *options, vitrun_error *err)
{
    vr_error e = {0};
    vr_open_on(out, options, NULL, &e);
    return vr_report(err, &e);
}

void vitrun_close(vitrun *v)
{
    if (!v) return;
    vr_keep_free(v);
    free(v->cost);
    free(v->cost_tokens);
    vr_run_close(&v->run);
    vr_settings_free(v);
    vr_model_free(&v->model);
    if (v->backend.impl) v->backend.ops->close(&v->backend);
    vr_labels_free(&v->labels);
    free(v->path);
    free(v->data_dir);
    free(v);
}

const vitrun_about_t *vitrun_about(const vitrun *v) { return &v->about; }

const char *vitrun_label(const vitrun *v, int i)
{
    const vr_config *c = &v->model.config;
    if (i < 0 || i >= c->classes) return "";
    if (c->label_count) return c->label_names[i];
    return v->labels.count ? v->labels.name[i] : "";
}

const char *vitrun_synset(const vitrun *v, int i)
{
    const vr_config *c = &v->model.config;
    if (i < 0 || i >= c->classes) return "";
    if (c->label_count) return c->label_synsets[i];
    return v->labels.count && v->labels.synset ? v->labels.synset[i] : "";
}

/* Running. */

static vr_status fetch_patches(vitrun *v, float *out, int images, vr_error *err)
{
    const int    prefix = v->model.config.prefix, patches = v->model.grid[0].patches;
    const size_t dim = (size_t)v->model.config.dim;
    for (int b = 0; b < images; b++) {
        const vr_mat rows = vr_mat_rows(v->run.t, b * (prefix + patches) + prefix, patches);
        if (vr_fetch(&v->backend, out + (size_t)b * (size_t)v->model.outputs, dim, rows, err)) return err->code;
    }
    return VR_OK;
}

/* The answers of a micro-batch, [images, outputs]. */
static vr_status fetch_answers(vitrun *v, float *out, int images, vr_error *err)
{
    const vr_config *c = &v->model.config;
    const vr_run    *run = &v->run;
    vr_backend      *be = &v->backend;
    const size_t     outputs = (size_t)v->model.outputs;
    if (v->model.head.data) return vr_fetch(be, out, outputs, vr_mat_rows(run->logits, 0, images), err);
    if (v->model.answer == VR_FEATURES_PATCHES) return fetch_patches(v, out, images, err);
    if (vr_fetch(be, out, outputs, vr_mat_rows(run->normed, 0, images), err)) return err->code;
    if (v->model.answer == VR_FEATURES_HEAD && c->head == VR_HEAD_DISTILLED)
        return vr_fetch(be, out + c->dim, outputs, vr_mat_rows(run->pooled, 0, images), err);
    return VR_OK;
}

static int tokens_of(const vr_model *m, const vr_picture *p)
{
    return m->config.prefix + (p->height / m->config.patch) * (p->width / m->config.patch);
}

/* One micro-batch. */
static vr_status run_batch(vitrun *v, float *logits, const vr_picture *in, int images, int first, vr_error *err)
{
    const vr_ops *ops = v->backend.ops;
    v->batch_first = v->costs = first; /* those before it have lost their traces */
    vr_forward(&v->run, in, images);
    if (ops->finish(&v->backend, err)) return err->code;
    if (v->run.tap && v->kept_fault) return vr_fail(err, v->kept_fault, "", "The block outputs could not be kept.");
    if (fetch_answers(v, logits, images, err)) return err->code;
    for (int b = 0; b < images; b++) {
        const int patches = tokens_of(&v->model, &in[b]) - v->model.config.prefix;
        vr_cost_of(v, b, patches, v->cost_tokens + (size_t)(first + b) * (size_t)v->model.config.depth, &v->cost[first + b]);
    }
    v->costs = first + images;
    return VR_OK;
}

/* How many of the pictures, at least one, fit a micro-batch. */
static int cut_batch(const vr_run *run, const vr_picture *in, int images)
{
    int count = 0, tokens = 0;
    while (count < images && count < run->images_max) {
        tokens += tokens_of(run->model, &in[count]);
        if (tokens > run->tokens_max) break;
        count++;
    }
    return count;
}

vr_status vr_run_pictures(vitrun *v, float *logits, const vr_picture *in, int images, int first, vr_error *err)
{
    for (int done = 0, count; done < images; done += count) {
        count = cut_batch(&v->run, in + done, images - done);
        if (run_batch(v, logits + (size_t)done * (size_t)v->model.outputs, in + done, count, first + done, err))
            return err->code;
    }
    return VR_OK;
}

static vr_status check_logits(const vitrun *v, const float *logits, int images, vr_error *err)
{
    const size_t cols = (size_t)v->model.outputs;
    for (int b = 0; b < images; b++)
        if (!vr_all_finite(logits + (size_t)b * cols, cols))
            return vr_fail(err, VR_E_NONFINITE, "logits-nonfinite", "The %s of image %d hold a NaN or an infinity.",
                           v->model.answer ? "features" : "logits", b);
    return VR_OK;
}

/* The paper's rule looks at the whole batch, so the batch may not be cut. */
static vr_status check_scope(const vitrun *v, int images, vr_error *err)
{
    const int most = v->run.tokens_max / v->about.tokens;
    if (v->run.schedule->scope != VR_SCOPE_BATCH || images <= most) return VR_OK;
    return vr_fail(
        err, VR_E_USAGE, "scope",
        "Merging over the whole batch needs all %d images at once, but only %d fit the token budget; use smaller batches.",
        images, most);
}

/* What a call brings: pixels or bytes of each image. */
typedef struct {
    const float *const   *pixels;
    const uint8_t *const *rgb;
    const int (*sizes)[2];
    int images;
} input;

static vr_status list_pictures(const vitrun *v, vr_picture *out, const input *in, vr_error *err)
{
    for (int i = 0; i < in->images; i++) {
        const vr_grid *g = in->sizes ? vr_model_grid(&v->model, in->sizes[i][0], in->sizes[i][1]) : &v->model.grid[0];
        if (!g)
            return vr_fail(err, VR_E_USAGE, "image-size",
                           "Image %d is %dx%d, a size that was not named when the model was opened.", i, in->sizes[i][0],
                           in->sizes[i][1]);
        out[i] = (vr_picture){.pixels = in->pixels ? in->pixels[i] : NULL,
                              .rgb = in->rgb ? in->rgb[i] : NULL,
                              .height = g->height,
                              .width = g->width,
                              .positions = g->positions};
    }
    return VR_OK;
}

static vr_status run_all(vitrun *v, float *logits, const input *in, vr_error *err)
{
    if (in->images < 0) return vr_fail(err, VR_E_USAGE, "images", "%d images cannot be.", in->images);
    vr_picture *pictures = vr_alloc((size_t)in->images, sizeof *pictures);
    if (!pictures) return vr_fail(err, VR_E_MEMORY, "", "No memory for a list of %d images.", in->images);
    if (vr_keep_start(v, in->images, err) == VR_OK && vr_cost_reserve(v, in->images, err) == VR_OK &&
        check_scope(v, in->images, err) == VR_OK && list_pictures(v, pictures, in, err) == VR_OK &&
        vr_run_pictures(v, logits, pictures, in->images, 0, err) == VR_OK)
        check_logits(v, logits, in->images, err);
    free(pictures);
    return err->code;
}

int vitrun_run(vitrun *v, float *logits, const float *const *pixels, const int (*sizes)[2], int images, vitrun_error *err)
{
    vr_error e = {0};
    run_all(v, logits, &(input){.pixels = pixels, .sizes = sizes, .images = images}, &e);
    return vr_report(err, &e);
}

int vitrun_run_rgb(vitrun *v, float *logits, const uint8_t *const *rgb, const int (*sizes)[2], int images, vitrun_error *err)
{
    vr_error e = {0};
    run_all(v, logits, &(input){.rgb = rgb, .sizes = sizes, .images = images}, &e);
    return vr_report(err, &e);
}
