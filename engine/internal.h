/* What the engine's own files and the tests know of an opened vitrun. */
#ifndef VR_INTERNAL_H
#define VR_INTERNAL_H

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

/* A way of merging. */
typedef struct {
    vr_schedule schedule;
    char       *title;
} vr_setting;

struct vitrun {
    vr_backend      backend;
    vr_model        model;
    vr_run          run;
    vitrun_about_t  about;
    vr_labels       labels; /* of the labels file; empty where the config carries its own */
    vr_image_limits limits;
    bool            exif;
    char           *path, *data_dir;
    char            why_cpu[600];

    vr_setting *setting; /* [settings] ways of merging; 0 is the one it was opened with */
    int         settings, used;
    int         token_budget; /* as asked for */

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

/* Room for the costs of that many images. */
vr_status vr_cost_reserve(vitrun *v, int images, vr_error *err);
void      vr_cost_of(const vitrun *v, int image_of_batch, int patches, int *tokens, vr_cost *out);

/* Bytes of a crop of the model's own size, [crop_height, crop_width, 3]. */
size_t vr_crop_bytes(const vitrun *v);

/* A decoded picture to that crop, as vr_picture.rgb takes it.
 *   scratch   *scratch with *scratch_bytes of room, NULL and 0 at first, is grown as needed; the caller frees it
 *   im        turned upright in place, where EXIF is heeded
 * May be called by several threads at once, each with scratch memory of its own. */
vr_status vr_crop_image(uint8_t *rgb, const vitrun *v, vr_image *im, void **scratch, size_t *scratch_bytes, vr_error *err);

/* Take up a way of merging as the last of v->setting and follow it; the run is laid out anew where its buffers do not do.
 *   merge   NULL: none */
vr_status vr_setting_add(vitrun *v, const vitrun_merge *merge, vr_error *err);
void      vr_settings_free(vitrun *v);

/* The same words for the loader of schedules; NULL: none. */
vr_merge_words vr_merge_words_of(const vitrun_merge *m);

/* Hand an error to a caller of the public interface. */
int vr_report(vitrun_error *out, const vr_error *err);

#endif
