/* step: a model that runs once for every line on its standard input and answers with the seconds that took.
 *
 *     step MODEL THREADS BATCH PIXELS LOGITS [METHOD TAU]
 *
 * PIXELS holds BATCH images of the model's size as raw f32, or, where it ends in .rgb, as bytes that are not normalised yet;
 * LOGITS is written once, by the first run, which is followed by a line: what computes, in which type, and the GMACs of an image on average, without merging's own.  METHOD and TAU say how
 * tokens are merged.  Runs on a GPU where one can be used.  Made for peers.py, here and in tests/gpu, which runs several
 * engines in turn on the same work; uses vitrun.h alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../engine/vitrun.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* GMACs of an image of the last run, on average. */
static double average_cost(const vitrun *v, int batch)
{
    double sum = 0;
    for (int i = 0; i < batch; i++) {
        double gmacs = 0;
        vitrun_cost(v, i, NULL, &gmacs, NULL, NULL);
        sum += gmacs;
    }
    return sum / batch;
}

/* The batch: normalised floats [3, height, width], or bytes [height, width, 3] which the device normalises. */
typedef struct {
    const float   **pixels; /* [batch], or NULL */
    const uint8_t **rgb;    /* [batch], or NULL */
    float          *logits;
    int             batch;
} work;

static bool ends_in(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* Kept to the end of the program. */
static bool read_batch(work *w, const char *path, size_t cells)
{
    const bool   rgb = ends_in(path, ".rgb");
    const size_t image = cells * (rgb ? 1 : sizeof(float)), batch = (size_t)w->batch;
    char        *all = malloc(batch * image);
    FILE        *file = fopen(path, "rb");
    w->pixels = rgb ? NULL : malloc(batch * sizeof *w->pixels);
    w->rgb = rgb ? malloc(batch * sizeof *w->rgb) : NULL;
    if (!all || !file || (!w->pixels && !w->rgb) || fread(all, image, batch, file) != batch || fclose(file)) return false;
    for (size_t b = 0; b < batch; b++) {
        if (w->rgb) w->rgb[b] = (const uint8_t *)all + b * image;
        if (w->pixels) w->pixels[b] = (const float *)(const void *)(all + b * image);
    }
    return true;
}

static int run(vitrun *v, const work *w, vitrun_error *e)
{
    return w->rgb ? vitrun_run_rgb(v, w->logits, w->rgb, NULL, w->batch, e)
                  : vitrun_run(v, w->logits, w->pixels, NULL, w->batch, e);
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 8) {
        fprintf(stderr, "usage: step MODEL THREADS BATCH PIXELS LOGITS [METHOD TAU]\n");
        return 2;
    }
    vitrun        *v;
    vitrun_error   e = {0};
    vitrun_options o = vitrun_defaults();
    vitrun_merge   merge = {0};
    work           w = {.batch = atoi(argv[3])};
    o.model = argv[1];
    o.threads = atoi(argv[2]);
    o.dtype = getenv("STEP_DTYPE");
    if (argc == 8) merge.method = argv[6], merge.tau = argv[7], o.merge = &merge;
    if (vitrun_open(&v, &o, &e)) {
        fprintf(stderr, "step: %s\n", e.text);
        return e.code;
    }
    const vitrun_about_t *about = vitrun_about(v);
    const size_t          cells = 3 * (size_t)about->image_height * (size_t)about->image_width,
                 outputs = (size_t)w.batch * (size_t)about->classes;
    FILE *out = fopen(argv[5], "wb");
    w.logits = malloc(outputs * sizeof *w.logits);
    if (!w.logits || !out || !read_batch(&w, argv[4], cells)) {
        fprintf(stderr, "step: cannot read %d images from %s\n", w.batch, argv[4]);
        return 5;
    }
    if (run(v, &w, &e) || fwrite(w.logits, sizeof *w.logits, outputs, out) != outputs || fclose(out)) {
        fprintf(stderr, "step: %s\n", e.text);
        return 5;
    }
    printf("%s %s %.6f\n", about->isa, about->dtype, average_cost(v, w.batch));
    fflush(stdout);
    for (int c; (c = getchar()) != EOF;) {
        if (c != '\n') continue;
        double t0 = now();
        if (run(v, &w, &e)) return 8;
        printf("%.9f\n", now() - t0);
        fflush(stdout);
    }
    vitrun_close(v);
    return 0;
}
