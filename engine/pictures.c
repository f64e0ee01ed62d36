/* pictures.c: from picture files to pixels and results; decoding runs ahead of the arithmetic on threads of its own. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* One picture. */

size_t vr_crop_bytes(const vitrun *v)
{
    const vr_recipe *r = &v->model.config.recipe;
    return 3 * (size_t)r->crop_height * (size_t)r->crop_width;
}

vr_status vr_crop_image(uint8_t *rgb, const vitrun *v, vr_image *im, void **scratch, size_t *scratch_bytes, vr_error *err)
{
    const vr_recipe *r = &v->model.config.recipe;
    int              resized_w, resized_h, w, h;
    if (v->exif && vr_image_upright(im, err)) return err->code;
    if (vr_recipe_sizes(r, im->width, im->height, &resized_w, &resized_h, &w, &h, err)) return err->code;
    if (v->model.config.uncropped) w = resized_w, h = resized_h;
    if (w != r->crop_width || h != r->crop_height)
        return vr_fail(err, VR_E_IMAGE, "size", "The picture comes out as %dx%d, but the model wants %dx%d.", w, h,
                       r->crop_width, r->crop_height);
    return vr_resize_crop(rgb, im, r, scratch, scratch_bytes, err);
}

/* Put the picture's name in front of a sentence. */
static vr_status name_it(const char *path, const vr_error *why, vr_error *err)
{
    return why->code ? vr_fail(err, why->code, why->rule, "%s: %s", vr_quotez(path).text, why->text) : VR_OK;
}

static vr_status crop_once(uint8_t *rgb, const vitrun *v, vr_image *im, vr_error *err)
{
    void  *scratch = NULL;
    size_t scratch_bytes = 0;
    vr_crop_image(rgb, v, im, &scratch, &scratch_bytes, err);
    free(scratch);
    return err->code;
}

static vr_status crop_of_file(uint8_t *rgb, const vitrun *v, const char *path, vr_error *err)
{
    vr_image im = {0};
    vr_error why = {0};
    if (vr_image_read(&im, path, &v->limits, err) == VR_OK) crop_once(rgb, v, &im, &why);
    name_it(path, &why, err);
    vr_image_free(&im);
    return err->code;
}

static uint8_t *crop_memory(const vitrun *v, vr_error *err)
{
    const vr_recipe *r = &v->model.config.recipe;
    uint8_t         *rgb = vr_alloc(vr_crop_bytes(v), 1);
    if (!rgb) vr_fail(err, VR_E_MEMORY, "", "No memory for a picture of %dx%d.", r->crop_height, r->crop_width);
    return rgb;
}

static void normalise(float *out, const vitrun *v, const uint8_t *rgb)
{
    const vr_recipe *r = &v->model.config.recipe;
    vr_normalise(out, rgb, r->crop_height, r->crop_width, r);
}

int vitrun_crop_of_file(const vitrun *v, const char *path, uint8_t *out, vitrun_error *err)
{
    vr_error e = {0};
    crop_of_file(out, v, path, &e);
    return vr_report(err, &e);
}

int vitrun_pixels_of_file(const vitrun *v, const char *path, float *out, vitrun_error *err)
{
    vr_error e = {0};
    uint8_t *rgb = crop_memory(v, &e);
    if (rgb && crop_of_file(rgb, v, path, &e) == VR_OK) normalise(out, v, rgb);
    free(rgb);
    return vr_report(err, &e);
}

int vitrun_pixels_of_memory(const vitrun *v, const void *bytes, size_t length, float *out, vitrun_error *err)
{
    vr_image im = {0};
    vr_error e = {0};
    uint8_t *rgb = crop_memory(v, &e);
    if (rgb && vr_image_decode(&im, bytes, length, &v->limits, &e) == VR_OK && crop_once(rgb, v, &im, &e) == VR_OK)
        normalise(out, v, rgb);
    vr_image_free(&im);
    free(rgb);
    return vr_report(err, &e);
}

int vitrun_logits_of_file(vitrun *v, const char *path, float *logits, vitrun_error *err)
{
    vr_error e = {0};
    uint8_t *rgb = crop_memory(v, &e);
    int      code = rgb && crop_of_file(rgb, v, path, &e) == VR_OK
                        ? vitrun_run_rgb(v, logits, (const uint8_t *const[]){rgb}, NULL, 1, err)
                        : vr_report(err, &e);
    free(rgb);
    return code;
}

/* Many pictures: a ring of slots.  Decoders take the next path when its slot is free; the caller's thread takes the
 * slots in order, a batch at a time, and hands results over in the order of the paths. */

enum { FREE, READY };
enum { MAX_DECODERS = 16 };

typedef struct {
    int      state; /* FREE: to be filled; READY: filled or failed */
    uint8_t *rgb;   /* the crop, as vr_crop_image makes it */
    vr_error err;
    int      width, height;
    double   decode_ms, resize_ms;
} slot;

typedef struct {
    const vitrun      *v;
    const char *const *paths;
    size_t             count;
    slot              *slots; /* [ring] */
    size_t             ring;
    size_t             next;  /* path to be decoded next */
    size_t             taken; /* paths whose slot was given back */
    bool               stop;
    pthread_mutex_t    lock;
    pthread_cond_t     changed;
} ring;

/* What a decoder keeps from picture to picture. */
typedef struct {
    void  *scratch;
    size_t bytes;
} scratch;

static void decode_one(const vitrun *v, scratch *room, const char *path, slot *s)
{
    vr_image im = {0};
    double   t0 = vr_now();
    s->err = (vr_error){0};
    s->width = s->height = 0;
    s->decode_ms = s->resize_ms = 0;
    vr_image_read(&im, path, &v->limits, &s->err);
    double t1 = vr_now();
    s->decode_ms = 1e3 * (t1 - t0);
    if (s->err.code == VR_OK) {
        s->width = im.width, s->height = im.height;
        vr_error why = {0};
        vr_crop_image(s->rgb, v, &im, &room->scratch, &room->bytes, &why);
        name_it(path, &why, &s->err);
        s->resize_ms = 1e3 * (vr_now() - t1);
    }
    vr_image_free(&im);
}

static void *decoder(void *arg)
{
    ring   *r = arg;
    scratch room = {0};
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!r->stop && r->next < r->count && r->next >= r->taken + r->ring) pthread_cond_wait(&r->changed, &r->lock);
        if (r->stop || r->next >= r->count) break;
        size_t i = r->next++;
        slot  *s = &r->slots[i % r->ring];
        pthread_mutex_unlock(&r->lock);
        decode_one(r->v, &room, r->paths[i], s);
        pthread_mutex_lock(&r->lock);
        s->state = READY;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    free(room.scratch);
    return NULL;
}

/* Wait until path `first` is ready, then take as many ready ones behind it as a batch holds; wait for a full batch, since
 * decoding is the cheaper side. */
static size_t take_batch(ring *r, size_t first, size_t batch)
{
    size_t want = r->count - first < batch ? r->count - first : batch, n = 0;
    pthread_mutex_lock(&r->lock);
    while (n < want) {
        if (r->slots[(first + n) % r->ring].state == READY)
            n++;
        else
            pthread_cond_wait(&r->changed, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return n;
}

static void give_back(ring *r, size_t n)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < n; i++) r->slots[(r->taken + i) % r->ring].state = FREE;
    r->taken += n;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* What each way of merging made of a batch. */
typedef struct {
    const int  *settings; /* [count] */
    int         count;
    size_t      size;     /* pictures of a full batch */
    vr_picture *pictures; /* [size] those that could be read */
    float      *logits;   /* [count, size, outputs] of them */
    double     *ms;       /* [count] an image */
} answers;

/* Run the pictures of a batch that could be read, under each setting in turn from settings[start] on. */
static vr_status infer(vitrun *v, const ring *r, size_t first, size_t n, const answers *a, int start, vr_error *err)
{
    const vr_grid *g = &v->model.grid[0];
    int            images = 0;
    for (size_t i = 0; i < n; i++) {
        const slot *s = &r->slots[(first + i) % r->ring];
        if (s->err.code == VR_OK)
            a->pictures[images++] =
                (vr_picture){.rgb = s->rgb, .height = g->height, .width = g->width, .positions = g->positions};
    }
    for (int turn = 0; turn < a->count; turn++) {
        const int    k = (start + turn) % a->count;
        const size_t at = (size_t)k * a->size;
        double       t0 = vr_now();
        a->ms[k] = 0;
        if (images == 0) continue;
        v->run.schedule = &v->setting[a->settings[k]].schedule;
        if (vr_run_pictures(v, a->logits + at * (size_t)v->model.outputs, a->pictures, images, (int)at, err)) return err->code;
        a->ms[k] = 1e3 * (vr_now() - t0) / images;
    }
    return VR_OK;
}

/* Picture i of the batch, the `read`-th that could be read, under setting k. */
static bool hand_over(const vitrun *v, const ring *r, size_t i, const answers *a, size_t read, int k, vitrun_result_fn *each,
                      void *user)
{
    const size_t  cols = (size_t)v->model.outputs, at = (size_t)k * a->size + read;
    const slot   *s = &r->slots[i % r->ring];
    vr_error      bad = s->err;
    vitrun_result out = {.index = i,
                         .setting = k,
                         .path = r->paths[i],
                         .width = s->width,
                         .height = s->height,
                         .decode_ms = s->decode_ms,
                         .resize_ms = s->resize_ms};
    if (bad.code == VR_OK) {
        out.logits = a->logits + at * cols;
        out.infer_ms = a->ms[k];
        out.tokens = v->cost_tokens + at * (size_t)v->model.config.depth;
        out.gmacs = v->cost[at].gmacs, out.merge_gmacs = v->cost[at].merge_gmacs;
        if (!vr_all_finite(out.logits, cols))
            vr_fail(&bad, VR_E_NONFINITE, "logits-nonfinite", "%s: a %s is a NaN or an infinity.", vr_quotez(out.path).text,
                    v->model.answer ? "feature" : "logit");
    }
    if (bad.code) out.code = (int)bad.code, out.error = bad.text, out.logits = NULL, out.tokens = NULL;
    return each(&out, user) == 0;
}

static bool hand_over_batch(const vitrun *v, const ring *r, size_t first, size_t n, const answers *a, vitrun_result_fn *each,
                            void *user)
{
    size_t read = 0; /* pictures of the batch before this one that could be read */
    for (size_t i = first; i < first + n; i++) {
        for (int k = 0; k < a->count; k++)
            if (!hand_over(v, r, i, a, read, k, each, user)) return false;
        read += r->slots[i % r->ring].err.code == VR_OK;
    }
    return true;
}

static void close_ring(ring *r, pthread_t *threads, int started, uint8_t *crops)
{
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r->slots);
    free(crops);
}

static bool take_memory(ring *r, answers *a, const vitrun *v, uint8_t **crops)
{
    const size_t bytes = vr_crop_bytes(v);
    size_t       rows;
    *crops = vr_alloc(r->ring, bytes);
    a->pictures = vr_alloc(a->size, sizeof *a->pictures);
    a->logits = vr_mul((size_t)a->count, a->size, &rows) ? vr_alloc(rows, (size_t)v->model.outputs * sizeof *a->logits) : NULL;
    a->ms = vr_alloc((size_t)a->count, sizeof *a->ms);
    r->slots = vr_alloc_zeroed(r->ring, sizeof *r->slots);
    if (!*crops || !a->pictures || !a->logits || !a->ms || !r->slots) return false;
    for (size_t i = 0; i < r->ring; i++) r->slots[i].rgb = *crops + i * bytes;
    return true;
}

static vr_status classify_all(vitrun *v, ring *r, answers *a, vitrun_result_fn *each, void *user, vr_error *err)
{
    pthread_t threads[MAX_DECODERS];
    uint8_t  *crops = NULL;
    int       started = 0, wanted = v->about.threads < MAX_DECODERS ? v->about.threads : MAX_DECODERS, start = 0;
    if (!take_memory(r, a, v, &crops)) vr_fail(err, VR_E_MEMORY, "", "No memory for batches of %zu pictures.", a->size);
    while (!err->code && started < wanted && (size_t)started < r->count &&
           pthread_create(&threads[started], NULL, decoder, r) == 0)
        started++;
    if (!err->code && started == 0) vr_fail(err, VR_E_MEMORY, "", "No thread could be started to decode pictures.");

    for (size_t first = 0; first < r->count && !err->code; start = (start + 1) % a->count) {
        size_t n = take_batch(r, first, a->size);
        if (infer(v, r, first, n, a, start, err) || !hand_over_batch(v, r, first, n, a, each, user)) break;
        give_back(r, n);
        first += n;
    }
    close_ring(r, threads, started, crops);
    free(a->pictures);
    free(a->logits);
    free(a->ms);
    return err->code;
}

int vitrun_classify_under(vitrun *v, const int *settings, int setting_count, const char *const *paths, size_t count, int batch,
                          vitrun_result_fn *each, void *user, vitrun_error *err)
{
    vr_error  e = {0};
    const int used = v->used;
    size_t    most = (size_t)(v->run.tokens_max / v->about.tokens),
           size = batch > 0 && (size_t)batch < most ? (size_t)batch : most;
    if (size > count) size = count;
    for (int k = 0; k < setting_count && !e.code; k++)
        if (settings[k] < 0 || settings[k] >= v->settings)
            vr_fail(&e, VR_E_USAGE, "settings", "There is no way of merging with number %d; %d are known.", settings[k],
                    v->settings);
    if (!e.code && size > 0 && setting_count > INT_MAX / (int)size)
        vr_fail(&e, VR_E_USAGE, "settings", "%d settings are too many for batches of %zu pictures.", setting_count, size);
    if (e.code || count == 0 || setting_count <= 0 || vr_cost_reserve(v, (int)size * setting_count, &e))
        return vr_report(err, &e);
    v->run.tap = NULL;

    ring    r = {.v = v,
                 .paths = paths,
                 .count = count,
                 .ring = 2 * size,
                 .lock = PTHREAD_MUTEX_INITIALIZER,
                 .changed = PTHREAD_COND_INITIALIZER};
    answers a = {.settings = settings, .count = setting_count, .size = size};
    classify_all(v, &r, &a, each, user, &e);
    v->run.schedule = &v->setting[used].schedule;
    v->batch_first = v->costs; /* traces are of whichever setting came last */
    return vr_report(err, &e);
}

int vitrun_classify(vitrun *v, const char *const *paths, size_t count, int batch, vitrun_result_fn *each, void *user,
                    vitrun_error *err)
{
    return vitrun_classify_under(v, &v->used, 1, paths, count, batch, each, user, err);
}
