/* vitrun: Vision Transformer inference in C.  The one public header; nothing else of ours is needed to use it.
 *
 *     vitrun_options o = vitrun_defaults();
 *     o.model = "weights/dinov2_small_imagenette";
 *     vitrun *v; vitrun_error e = {0};
 *     if (vitrun_open(&v, &o, &e)) { fprintf(stderr, "%s\n", e.text); return e.code; }
 *     float logits[10];                                        // vitrun_about(v)->outputs of them
 *     if (vitrun_logits_of_file(v, "photo.jpg", logits, &e)) ...
 *     vitrun_close(v);
 *
 * Threads.  An opened vitrun is used by one thread at a time and runs its arithmetic on threads of its own.  Several may
 * be open at once, each used from its own thread.  Functions that take no vitrun may be called from anywhere.
 * Ownership.  What a function returns through a const pointer lives as long as the vitrun; all else is the caller's.
 * Results.  An image's logits do not depend, bit for bit, on the other images of the call, its place among them, or the
 * number of threads; on a GPU only where that is asked for (deterministic). */
#ifndef VITRUN_H
#define VITRUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VITRUN_VERSION "0.1.0"

#pragma GCC visibility push(default)

/* Every function that can fail returns one of these; they are also the exit codes of the command line. */
enum {
    VITRUN_OK = 0,
    VITRUN_USAGE = 2, /* an option or argument that cannot be */
    VITRUN_MODEL = 3, /* the model is missing, damaged or not supported */
    VITRUN_IMAGE = 4, /* a picture cannot be read */
    VITRUN_IO = 5,
    VITRUN_MEMORY = 6,
    VITRUN_DEVICE = 7,
    VITRUN_NONFINITE = 8 /* a NaN or an infinity among weights or logits */
};

/* Set to {0} before the first call; a call that fails overwrites it, one that does not leaves it alone.  The sentence says
 * what, where, found, wanted, and the remedy. */
typedef struct {
    int  code;
    char text[600];
} vitrun_error;

typedef struct vitrun vitrun;

/* How tokens are merged or dropped inside the model, in the words of the command line (--tau "0.8", --merge-layers "0-7");
 * NULL or 0: the method's default.  A word that the method would ignore is refused. */
typedef struct {
    const char *method; /* "none", "mame", "tome", "evit", "diffrate", the name of a schedule, or a schedule file */
    const char *tau, *layers, *r, *keep, *rates, *rates_from;
    const char *scope, *pool, *weights, *prop_attn;
    const char *rule, *refine, *partition, *feature, *similarity, *forced, *seed;
    const char *restore, *restore_mode;
    bool        fuse;
} vitrun_merge;

typedef struct {
    const char *model;   /* a .safetensors file, its index.json, or a folder that holds one (and config.json); NULL with arch */
    const char *arch;    /* name of a description in configs/models, for models without config.json; NULL: from the model */
    int         random;  /* 1: no file, deterministic random weights of `arch` */
    uint64_t    seed;    /* of the random weights */
    const char *device;  /* "cpu", "cuda", "cuda:1"; "auto": a GPU where one can be used; NULL: the same, see why_cpu */
    const char *dtype;   /* "auto", "f32", "bf16", "int8"; on a GPU "f32", "tf32", "f16", "bf16", and auto is f16 */
    int         threads; /* of the CPU, which beside a GPU decodes pictures; 0: as many as this process may use */
    int         deterministic;             /* 1: on a GPU too an image's logits do not depend on its batch, bit for bit */
    int         image_height, image_width; /* 0: the model's own; otherwise positions are interpolated */
    const int (*more_sizes)[2]; /* [more_sizes_count] {height, width} of further sizes that vitrun_run will be given */
    int                 more_sizes_count;
    int                 token_budget; /* most tokens of a micro-batch; 0: chosen for the device, fewer where memory is short */
    int                 max_batch;    /* the same in images (of the largest size); 0: as token_budget says */
    int                 lanes;        /* micro-batches in flight at once: 1, or 0: two on a GPU, where memory does */
    int                 keep_blocks;  /* 1: keep every block's output for vitrun_block_output */
    int                 keep_trace;   /* 1: keep what became of each token for vitrun_token_map */
    const char         *features;     /* NULL: answers are logits; "cls", "mean", "patches", "logits-input": see vitrun_run */
    int                 allow_nonfinite;  /* 1: accept NaN and infinite weights */
    size_t              max_header;       /* of a safetensors file, bytes; 0: 16 MiB */
    const vitrun_merge *merge;            /* NULL: nothing is merged; read during vitrun_open only */
    int                 strict;           /* 1: tensors that the model does not use are an error */
    const char         *data_dir;         /* the folder configs/; NULL: $VITRUN_DATA, else found above the program */
    size_t              max_image_bytes;  /* 0: 64 MiB */
    uint64_t            max_image_pixels; /* 0: 50,000,000 */
    int                 max_image_side;   /* 0: 16,384 */
    const char         *formats;          /* NULL: all; otherwise a list such as "jpeg,png" */
    int                 allow_truncated;  /* 1: decode damaged pictures as Pillow's lenient switch does */
    int                 exif;             /* 1 (default): turn pictures upright as EXIF says; 0: pixels as stored */
} vitrun_options;
vitrun_options vitrun_defaults(void);

/* Load a model and make it ready.  *out is NULL after a failure. */
int  vitrun_open(vitrun **out, const vitrun_options *options, vitrun_error *err);
void vitrun_close(vitrun *v); /* NULL is allowed */

typedef struct {
    const char *name;                 /* "vit_small_patch14_dinov2" */
    const char *layout;               /* "timm", "transformers ViT", "transformers DeiT", "transformers DINOv2", "random" */
    const char *path;                 /* as given, NULL for random weights */
    const char *device, *dtype, *isa; /* what is really used: "cpu", "f32", "avx512" */
    int         threads;              /* of the CPU: for the arithmetic, or beside a GPU for decoding pictures */
    int         image_height, image_width; /* what vitrun_run expects */
    int         patch, dim, depth, heads, mlp, prefix, classes;
    int         outputs; /* numbers of one image's answer: classes; or its features, asked for or for want of a classifier */
    int         tokens;  /* of one image, special tokens included */
    const char *pooling; /* "class token", "mean", ... */
    double      norm_eps;
    uint64_t    parameters, weight_bytes; /* as stored in the file */
    double      gmacs;                    /* multiply-adds of one image, in 1e9, as executed */
    const char *merge;                    /* what is merged, by a name that tells all settings: "mame_l0-7_t0.8"; "none" */
    const char *recipe;                   /* preprocessing in words: "bicubic-248-crop224" */
    float       mean[3], std[3];
    size_t      activation_bytes; /* planned at opening */
    int         max_batch;        /* images of the model's own size that a micro-batch has room for */
    int         lanes;            /* micro-batches in flight at once: 1 or 2 */
    double      load_seconds;
    const char *why_cpu;     /* why device "auto" became the CPU, and device NULL with a GPU at hand; else "" */
    const char *why_smaller; /* why fewer images are computed at once than suit the device, for want of memory; else "" */
} vitrun_about_t;
const vitrun_about_t *vitrun_about(const vitrun *v);

/* The name of class i ("church, church building") and its WordNet id; "" where the model carries none. */
const char *vitrun_label(const vitrun *v, int i);
const char *vitrun_synset(const vitrun *v, int i);

/* Other ways of merging for the same model; vitrun_options.merge is number 0, and the one in use until another is chosen.
 * vitrun_add_merge gives the next one its number; vitrun_use_merge chooses for the calls that follow (and about->merge).
 * Weights stay; memory for activations grows where the new way needs more.  vitrun_merge_name: as about->merge; "" where
 * there is none.  Errors: VITRUN_USAGE and VITRUN_MODEL as for vitrun_options.merge, VITRUN_MEMORY. */
int         vitrun_add_merge(vitrun *v, const vitrun_merge *merge, int *setting, vitrun_error *err);
int         vitrun_use_merge(vitrun *v, int setting, vitrun_error *err);
const char *vitrun_merge_name(const vitrun *v, int setting);

/* Normalised pixels in, logits out.
 *   pixels   [images] pointers to [3, height, width] f32
 *   sizes    [images] {height, width}, each one that was named at opening; NULL: all of the model's size
 *   logits   [images, outputs]
 * VITRUN_USAGE for a size that was not named; VITRUN_NONFINITE where a logit is no number (the message names the image).
 * Opened with `features`, an image's answer is, instead of logits, what stands behind the final norm:
 *   "cls"           [dim] the class token
 *   "mean"          [dim] the mean of the patch tokens, weighed by what merged into them where the merging says so
 *   "patches"       [patches, dim] every patch token in the order of the grid; merged ones have to be restored (merge.restore)
 *   "logits-input"  [dim or 2 dim] what the classifier reads: by the model, one of the first two, class token and mean, or
 *                   class and distillation token
 * Models that pool before their norm (MAE fine-tuned) apply it to the mean; else to each token. */
int vitrun_run(vitrun *v, float *logits, const float *const *pixels, const int (*sizes)[2], int images, vitrun_error *err);

/* The same for pictures that are not normalised yet, a quarter of the memory: each rgb[i] points to [height, width, 3] bytes.
 * They are normalised by about->mean and about->std on the device, as vitrun_pixels_of_file does it; logits are the same, bit
 * for bit. */
int vitrun_run_rgb(vitrun *v, float *logits, const uint8_t *const *rgb, const int (*sizes)[2], int images, vitrun_error *err);

/* After vitrun_run with keep_blocks: the residual stream after block i of all images of that call, packed.
 *   out      [total tokens, dim], offsets [images + 1]; either may be NULL.  Block -1 is the input of block 0. */
int vitrun_block_output(const vitrun *v, int block, float *out, int *offsets, vitrun_error *err);

/* After vitrun_run with keep_trace: which token holds most of each patch after a block, by the arg-max of the soft map that
 * the reductions make (of equal shares, the first token's).
 *   block           -1: before block 0, where each patch is its own token.  A block's restoration shows in the next one
 *   image           of the last call, and of its last micro-batch: give vitrun_run one image at a time to be sure
 *   token_of_patch  [patches] in the order of the grid: ordinary tokens from 0 on, -1 where nothing is left of the patch
 *   group_of_patch  [patches] the same groups by numbers that last: at first a patch's own number, then that of the part
 *                   with the most patches; where two tokens want one number the larger share has it, and who finds none
 *                   takes the number of a patch of its own; -1 as above
 *   tokens          ordinary tokens that left the block; one that holds most of no patch has none in the map
 * Each may be NULL.  The work grows with patches squared; memory for it is taken and given back. */
int vitrun_token_map(const vitrun *v, int block, int image, int *token_of_patch, int *group_of_patch, int *tokens,
                     vitrun_error *err);

/* What image i of the last call of vitrun_run cost.
 *   tokens       [depth] that left each block, special ones included; where only the special tokens' rows of the last block
 *                are computed (class-token models, neither block outputs nor traces kept), as many as those; may be NULL
 *   gmacs        multiply-adds that were executed, in 1e9, the merging's own not among them; may be NULL
 *   merge_gmacs  those of the merging; may be NULL */
int vitrun_cost(const vitrun *v, int image, int *tokens, double *gmacs, double *merge_gmacs, vitrun_error *err);

/* One picture file to pixels ready for vitrun_run: out [3, image_height, image_width].  May run on any thread while v lives. */
int vitrun_pixels_of_file(const vitrun *v, const char *path, float *out, vitrun_error *err);
int vitrun_pixels_of_memory(const vitrun *v, const void *bytes, size_t length, float *out, vitrun_error *err);

/* The same for vitrun_run_rgb: resized and cropped, not normalised.  out [image_height, image_width, 3]. */
int vitrun_crop_of_file(const vitrun *v, const char *path, uint8_t *out, vitrun_error *err);

/* One picture file ("-": standard input) to logits [outputs]. */
int vitrun_logits_of_file(vitrun *v, const char *path, float *logits, vitrun_error *err);

/* Many picture files: decoded on other threads while earlier ones are computed. */
typedef struct {
    size_t       index;   /* of the path in the call */
    int          setting; /* place in the list of settings of the call; 0 where it had none */
    const char  *path;
    int          code;          /* VITRUN_OK, or why this one has no answer */
    const char  *error;         /* the sentence, or NULL */
    int          width, height; /* as decoded, before EXIF rotation; 0 where unknown */
    const float *logits;        /* [outputs], valid during the callback; NULL where code is not VITRUN_OK */
    const int   *tokens;        /* [depth] that left each block, valid during the callback; NULL where code is not VITRUN_OK */
    double       gmacs, merge_gmacs;             /* as in vitrun_cost */
    double       decode_ms, resize_ms, infer_ms; /* infer: this image's share of its batch */
} vitrun_result;

/* Called once for each path (and setting), in the order of the paths, from the calling thread.  Not 0: stop early. */
typedef int vitrun_result_fn(const vitrun_result *r, void *user);

/* A broken file is a result with its error, never a stop.  batch 0: chosen.  Returns VITRUN_OK also where files failed;
 * other codes where the run itself could not go on. */
int vitrun_classify(vitrun *v, const char *const *paths, size_t count, int batch, vitrun_result_fn *each, void *user,
                    vitrun_error *err);

/* The same under several ways of merging: each picture is decoded once, and each batch is computed under one after the
 * other, beginning with another one from batch to batch, so that what disturbs the machine disturbs all alike.
 * `each` is called for path 0 under settings[0], settings[1], ..., then for path 1.
 *   settings   [setting_count] numbers of ways of merging */
int vitrun_classify_under(vitrun *v, const int *settings, int setting_count, const char *const *paths, size_t count, int batch,
                          vitrun_result_fn *each, void *user, vitrun_error *err);

/* The k largest logits with softmax probabilities over all classes, best first; ties by lower index.
 *   out [min(k, classes)]; returns how many were written. */
typedef struct {
    int   index;
    float logit, prob;
} vitrun_class;
int vitrun_topk(const float *logits, int classes, int k, vitrun_class *out);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
