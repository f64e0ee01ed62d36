/* cache.c: the command that keeps the crops of a data set. */
#include "cache.h"
#include "../engine/internal.h"
#include "../kernels/threads.h"
#include "../loaders/sha256.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What each thread has of its own. */
typedef struct {
    uint8_t *rgb; /* [crop_height, crop_width, 3] */
    void    *scratch;
    size_t   scratch_bytes;
} desk;

typedef struct {
    const cli_options *o;
    vr_crop_settings   settings;
    vr_picture_list    list;
    vr_crops_writer   *writer;
    desk              *desk; /* [threads] */
    int                threads;
    cli_progress       progress;
    pthread_mutex_t    lock;
    size_t             done; /* under the lock, */
    vr_error           err;  /* as is what ended it all */
} job;

/* ---- one picture ---- */

static int nibble(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

vr_status cache_read_source(uint8_t **bytes, vr_crop_source *from, const char *path, size_t max_bytes, vr_error *err)
{
    size_t length;
    *from = (vr_crop_source){0};
    if (vr_image_file_read(bytes, &length, path, max_bytes, err)) return err->code;
    const vr_sha256_text sum = vr_sha256(*bytes, length);
    from->bytes = length;
    for (int i = 0; i < 32; i++) from->sha256[i] = (uint8_t)(nibble(sum.text[2 * i]) << 4 | nibble(sum.text[2 * i + 1]));
    return VR_OK;
}

/* The sentence without the name in front: the cache lies under a name of its own. */
static void cut_name(vr_error *why, const char *path)
{
    const vr_quoted name = vr_quotez(path);
    const size_t    n = strlen(name.text);
    if (strncmp(why->text, name.text, n) == 0 && strncmp(why->text + n, ": ", 2) == 0)
        memmove(why->text, why->text + n + 2, strlen(why->text + n + 2) + 1);
}

static vr_status make_crop(const job *j, desk *d, const char *path, vr_crop_source *from, vr_error *why)
{
    const vr_crop_settings *s = &j->settings;
    uint8_t                *bytes = NULL;
    vr_image                im = {0};
    if (cache_read_source(&bytes, from, path, s->limits.max_bytes, why) == VR_OK &&
        vr_image_decode(&im, bytes, (size_t)from->bytes, &s->limits, why) == VR_OK) {
        from->width = im.width, from->height = im.height;
        vr_recipe_crop(d->rgb, &im, &s->recipe, s->exif, s->uncropped, &d->scratch, &d->scratch_bytes, why);
    }
    vr_image_free(&im);
    free(bytes);
    return why->code;
}

static void count_in(job *j, int thread, const vr_error *err)
{
    pthread_mutex_lock(&j->lock);
    if (err->code) vr_fail(&j->err, err->code, err->rule, "%s", err->text);
    j->done++;
    if (thread == 0) cli_progress_show(&j->progress, j->done);
    pthread_mutex_unlock(&j->lock);
}

static bool stopped(job *j)
{
    pthread_mutex_lock(&j->lock);
    const bool stop = j->err.code || cli_stop_signal;
    pthread_mutex_unlock(&j->lock);
    return stop;
}

static void one_picture(int task, int thread, void *arg)
{
    job           *j = arg;
    desk          *d = &j->desk[thread];
    const size_t   i = (size_t)task;
    const char    *path = j->list.path[i];
    vr_crop_source from = {0};
    vr_error       err = {0}, why = {0}; /* what ends it all; what keeps this picture out */
    if (stopped(j)) return;
    const bool made = make_crop(j, d, path, &from, &why) == VR_OK;
    cut_name(&why, path);
    if (why.code && why.code != VR_E_IMAGE && why.code != VR_E_IO)
        vr_fail(&err, why.code, why.rule, "%s: %s", vr_quotez(path).text, why.text); /* no fault of the picture's */
    else
        vr_crops_put(j->writer, i, &from, made ? d->rgb : NULL, &why, &err);
    count_in(j, thread, &err);
}

/* ---- all of them ---- */

static vr_status take_desks(job *j, vr_error *err)
{
    const vr_recipe *r = &j->settings.recipe;
    j->desk = vr_alloc_zeroed((size_t)j->threads, sizeof *j->desk);
    bool enough = j->desk != NULL;
    for (int t = 0; t < j->threads && enough; t++)
        enough = (j->desk[t].rgb = vr_alloc((size_t)r->crop_height * (size_t)r->crop_width, 3)) != NULL;
    return enough ? VR_OK : vr_fail(err, VR_E_MEMORY, "memory", "no memory for the crops of %d threads", j->threads);
}

static void put_back_desks(job *j)
{
    for (int t = 0; j->desk && t < j->threads; t++) {
        free(j->desk[t].rgb);
        free(j->desk[t].scratch);
    }
    free(j->desk);
}

static vr_status fill(job *j, vr_error *err)
{
    vr_threads *crew;
    if (vr_threads_open(&crew, j->threads, err)) return err->code;
    cli_progress_start(&j->progress, j->o, "pictures", j->list.count);
    vr_threads_run(crew, one_picture, j, (int)j->list.count);
    cli_progress_end(&j->progress);
    vr_threads_close(crew);
    if (j->err.code) vr_fail(err, j->err.code, j->err.rule, "%s", j->err.text);
    return err->code;
}

static size_t say_failures(const job *j)
{
    size_t failed = 0;
    for (size_t i = 0; i < j->list.count; i++) {
        char        sentence[1000];
        const char *why = vr_crops_why(j->writer, i);
        if (!why) continue;
        snprintf(sentence, sizeof sentence, "%s: %s", vr_quotez(j->list.path[i]).text, why);
        cli_error(VR_E_IMAGE, sentence);
        failed++;
    }
    return failed;
}

/* What is finished gets its name; what is not, leaves nothing. */
static int finish(job *j, cli_output *out, vr_error *err)
{
    size_t failed = 0;
    int    code = VR_OK;
    if (cli_stop_signal) code = 128 + cli_stop_signal;
    if (!code && !err->code && (failed = say_failures(j)) == j->list.count) code = VR_E_IMAGE;
    if (!code && !err->code) vr_crops_end(j->writer, VITRUN_VERSION, err);
    const bool keep = !code && !err->code;
    vr_error   closing = {0};
    if (cli_output_close(out, keep, &closing) && !err->code) *err = closing;
    if (err->code) return cli_failed(err);
    if (!keep) return code;
    cli_note(j->o, "'%s' holds %zu pictures (%s, exif %s), %zu of them without a crop", vr_quotez(j->o->output).text,
             j->list.count, j->settings.recipe.name, j->settings.exif ? "on" : "off", failed);
    return failed || j->list.unreadable ? CLI_EXIT_SOME : VR_OK;
}

static int write_cache(job *j)
{
    vr_error   err = {0};
    cli_output out;
    if (cli_output_open(&out, j->o->output, &err)) return cli_failed(&err);
    if (take_desks(j, &err) == VR_OK &&
        vr_crops_begin(&j->writer, fileno(out.stream), j->o->output, &j->settings, &j->list, &err) == VR_OK)
        fill(j, &err);
    const int code = finish(j, &out, &err);
    vr_crops_writer_free(j->writer);
    put_back_desks(j);
    return code;
}

/* ---- how crops are made ---- */

/* As --recipe names it, whose crop is what comes out of it. */
static vr_status settings_of_recipe(vr_crop_settings *s, const cli_options *o, vr_error *err)
{
    const vr_recipe *r = vr_recipe_find(o->recipe);
    if (!r)
        return vr_fail(err, VR_E_USAGE, "recipe", "--recipe: \"%s\" is not known; see vitrun pixels, or name a model with -m",
                       vr_quotez(o->recipe).text);
    s->recipe = *r;
    s->uncropped = r->crop_height == 0;
    if (s->uncropped) s->recipe.crop_height = r->resize_height, s->recipe.crop_width = r->resize_width;
    vr_recipe_name(&s->recipe);
    s->limits = vr_image_limits_default();
    if (o->max_file_size) s->limits.max_bytes = (size_t)o->max_file_size;
    if (o->max_pixels) s->limits.max_pixels = o->max_pixels;
    if (o->max_side) s->limits.max_side = o->max_side;
    s->limits.allow_truncated = o->allow_truncated;
    return o->formats ? vr_image_formats_parse(o->formats, &s->limits.formats, err) : VR_OK;
}

/* As a model wants them. */
static vr_status settings_of_model(vr_crop_settings *s, const cli_options *o, vr_error *err)
{
    vitrun        *v;
    vitrun_options options;
    if (cli_engine_options(o, &options, err)) return err->code;
    options.device = "cpu";
    if (cli_open(&v, o, &options, NULL, err)) return err->code;
    *s = vr_crop_settings_of(v);
    vitrun_close(v);
    return VR_OK;
}

static vr_status choose_settings(job *j, vr_error *err)
{
    const cli_options *o = j->o;
    if (o->recipe && (o->model || o->arch || o->img_size))
        return vr_fail(err, VR_E_USAGE, "flags", "--recipe and a model contradict each other; give one");
    if (o->recipe ? settings_of_recipe(&j->settings, o, err) : settings_of_model(&j->settings, o, err)) return err->code;
    j->settings.exif = o->exif_given && o->exif; /* off as for eval */
    return VR_OK;
}

static vr_status check_flags(job *j, vr_error *err)
{
    const cli_options *o = j->o;
    if (!o->input_count) return vr_fail(err, VR_E_USAGE, "flags", "cache wants DIR: where are the pictures?");
    if (!o->output || strcmp(o->output, "-") == 0)
        return vr_fail(err, VR_E_USAGE, "flags", "cache wants -o FILE: a cache is no text for standard output");
    j->threads = cli_machine_read().cores;
    if (o->threads && !cli_number(&j->threads, o->threads, 1, 1024))
        return vr_fail(err, VR_E_USAGE, "value",
                       "--threads (or VITRUN_THREADS) is '%s'; it wants a whole number from 1 to 1024",
                       vr_quotez(o->threads).text);
    return cli_output_probe(o->output, err);
}

static vr_status find_pictures(job *j, vr_error *err)
{
    if (vr_picture_list_walk(&j->list, j->o->inputs[0], true, err)) return err->code;
    if (j->list.unreadable) cli_note(j->o, "%zu folders cannot be read and are left out", j->list.unreadable);
    return j->list.count ? VR_OK
                         : vr_fail(err, VR_E_IMAGE, "no-picture", "'%s' holds no picture", vr_quotez(j->o->inputs[0]).text);
}

int cmd_cache(const cli_options *o)
{
    vr_error err = {0};
    job      j = {.o = o, .lock = PTHREAD_MUTEX_INITIALIZER};
    int      code;
    if (o->verify) return cache_verify(o);
    if (check_flags(&j, &err) || find_pictures(&j, &err) || choose_settings(&j, &err))
        code = cli_failed(&err);
    else
        code = write_cache(&j);
    vr_picture_list_free(&j.list);
    return code;
}
