/* What the parts of the command that measures share: bench.c times whole runs, bench_kernels.c looks inside one,
 * bench_files.c goes from files to answers. */
#ifndef VR_CLI_BENCH_H
#define VR_CLI_BENCH_H

#include "cli.h"

typedef struct {
    const cli_options *o;
    cli_output         out;
    const char        *format;  /* "md", "csv" or "json" */
    size_t             printed; /* results so far */
    char             **names;   /* [name_count] of photographs; none: random pixels */
    size_t             name_count;
} bench;

/* Which photographs, as the flags say; and without any word of them, those that come with vitrun. */
vr_status bench_names_find(bench *b, vr_error *err);
void      bench_names_free(bench *b);

/* The images of a batch, and what comes of them. */
typedef struct {
    int             batch;
    size_t          different, next; /* images in pixels; the one that the next batch begins with */
    size_t          cells;           /* bytes of an image */
    uint8_t        *pixels;          /* [different, height, width, 3], normalised by the model: the way that files go */
    const uint8_t **each;            /* [batch] into pixels */
    float          *logits;          /* [batch, outputs] */
    bool            synthetic;
} bench_work;

/* Photographs are decoded here, at most 1024 and about 256 MiB of pixels; what cannot be read is left out and noted.
 * VR_E_IMAGE where none can be read. */
vr_status bench_work_open(bench_work *w, const bench *b, const vitrun *v, int batch, vr_error *err);
void      bench_work_close(bench_work *w);

/* The next images, round and round, through the model. */
vr_status bench_run_once(vitrun *v, bench_work *w, double *ms, vr_error *err);

/* In a JSON object that is open, after its first field. */
void bench_json_pair(FILE *f, const char *key, double x);
void bench_json_text(FILE *f, const char *key, const char *text);
void bench_json_model(const bench *b, const vitrun_about_t *a, int batch); /* opens an object: what every form says */

/* One opened model and batch, measured and printed; the first three are the modes of the command. */
typedef vr_status bench_mode(bench *b, vitrun *v, int batch, vr_error *err);
bench_mode        bench_whole, bench_kernels, bench_files;

#endif
