/* What the engine's own files and the tests know of an opened vitrun. */
#ifndef VR_INTERNAL_H
#define VR_INTERNAL_H

#include "../loaders/crops.h"
#include "../loaders/labels.h"
#include "plan.h"
#include "vitrun.h"

/* The residual stream after one block of all images of a call, kept for vitrun_block_output. */
typedef struct {
    float *data; /* [rows, dim], grows with the micro-batches of a call */
    size_t rows, room;
    int   *offsets; /* [images + 1], NULL before the first call */
    int    images;
} vr_kept;

/* What an image cost. */
typedef struct {
    double gmacs, merge_gmacs;
} vr_cost;

/* A second micro-batch in flight: a back end that shares the first one's weights, and a run in it.  {0}: there is none. */
typedef struct {
    vr_backend backend;
    vr_run     run;
} vr_lane;

/* A way of merging. */
typedef struct {
    vr_schedule schedule;
    char       *title;
} vr_setting;

struct vitrun {
    vr_backend      backend;
    vr_model        model;
    vr_run          run;
    vr_lane         second;
    int             lanes_most; /* 1: no second one */
    vitrun_about_t  about;
    vr_labels       labels; /* of the labels file; empty where the config carries its own */
    vr_image_limits limits;
    bool            exif;
    char           *path, *data_dir;
    char            why_cpu[600], why_smaller[400];

    vr_setting *setting; /* [settings] ways of merging; 0 is the one it was opened with */
    int         settings, used;
    int         token_budget; /* as asked for, or less where memory did not do */
    bool        budget_given; /* by the caller, who would rather have an error than less */

    vr_cost *cost;        /* [cost_room] of the images of the last call */
    int     *cost_tokens; /* [cost_room, depth] */
    int      costs, cost_room;
    bool     keep_trace;
    int      batch_first; /* image of the last call that the last micro-batch began with */

    vr_kept  *kept; /* [depth + 1], NULL without keep_blocks; kept[0] is the input of block 0 */
    vr_status kept_fault;
};

/* vitrun_open on a back end of the caller's choice; NULL: as options->device says. */
vr_status vr_open_on(vitrun **out, const vitrun_options *options, const vr_ops *ops, vr_error *err);

/* Make ready to keep the block outputs of a call of so many images; nothing without keep_blocks. */
vr_status vr_keep_start(vitrun *v, int images, vr_error *err);
void      vr_keep_free(vitrun *v);

/* Pictures of any number, in micro-batches within the token budget: logits [images, outputs].  Their costs are written from
 * v->cost[first] on, where vr_cost_reserve made room. */
vr_status vr_run_pictures(vitrun *v, float *logits, const vr_picture *in, int images, int first, vr_error *err);
/* One micro-batch of them in one of v's runs. */
vr_status vr_run_batch(vitrun *v, vr_run *run, float *logits, const vr_picture *in, int images, int first, vr_error *err);
int       vr_tokens_of(const vr_model *m, const vr_picture *p);

/* Open a second lane with the first one's plan, where the back end offers one and memory does; else v has one, as before. */
vr_status vr_lane_open(vitrun *v, vr_error *err);
void      vr_lane_close(vr_lane *lane);
/* Both follow a schedule, which is borrowed. */
void vr_lanes_follow(vitrun *v, const vr_schedule *schedule);

/* Room for the costs of that many images. */
vr_status vr_cost_reserve(vitrun *v, int images, vr_error *err);
void      vr_cost_of(const vr_run *run, int image_of_batch, int patches, int *tokens, vr_cost *out);

/* Bytes of a crop of the model's own size, [crop_height, crop_width, 3]. */
size_t vr_crop_bytes(const vitrun *v);

/* A decoded picture to that crop, as vr_picture.rgb takes it.
 *   scratch   *scratch with *scratch_bytes of room, NULL and 0 at first, is grown as needed; the caller frees it
 *   im        turned upright in place, where EXIF is heeded
 * May be called by several threads at once, each with scratch memory of its own. */
vr_status vr_crop_image(uint8_t *rgb, const vitrun *v, vr_image *im, void **scratch, size_t *scratch_bytes, vr_error *err);

/* Pictures of a cache instead of files: path i, by which results name it, is entry[i] of it. */
typedef struct {
    const vr_crops *crops;
    const size_t   *entry; /* [count] */
} vr_cached;

/* How this model's crops are made of files. */
vr_crop_settings vr_crop_settings_of(const vitrun *v);

/* What the two sides of the way from files to answers did, in seconds: the decoders' together, and the caller's thread. */
typedef struct {
    int    decoders;
    size_t pictures, failed; /* handed over; those among them without an answer */
    double whole;
    double decode, resize, decoders_waited; /* for a free place */
    double compute, compute_waited;         /* for decoded pictures */
} vr_stages;

/* vitrun_classify_under, and what its stages did.
 *   setting_count  0: nothing is computed, and `each` is called once a picture
 *   cached         where the pictures are taken from; NULL: from their files.  VR_E_USAGE where that cache was made for another
 *                  recipe; VR_E_IO where it is damaged, which ends the run
 *   stages         written; NULL: nobody asks */
vr_status vr_classify_files(vitrun *v, const int *settings, int setting_count, const vr_cached *cached,
                            const char *const *paths, size_t count, int batch, vitrun_result_fn *each, void *user,
                            vr_stages *stages, vr_error *err);

/* vr_run_open with v's token budget.  Where memory does not do, a budget that nobody gave is halved until it does, down to one
 * image, and v->why_smaller says so; VR_E_MEMORY says what was needed, what was free, and how many images would fit. */
vr_status vr_budget_fit(vitrun *v, vr_run *out, vr_run_needs needs, vr_error *err);
void      vr_budget_tell(vitrun *v); /* in v->about */

/* Take up a way of merging as the last of v->setting and follow it; the run is laid out anew where its buffers do not do.
 *   merge   NULL: none */
vr_status vr_setting_add(vitrun *v, const vitrun_merge *merge, vr_error *err);
void      vr_settings_free(vitrun *v);

/* The same words for the loader of schedules; NULL: none. */
vr_merge_words vr_merge_words_of(const vitrun_merge *m);

/* Hand an error to a caller of the public interface. */
int vr_report(vitrun_error *out, const vr_error *err);

#endif
