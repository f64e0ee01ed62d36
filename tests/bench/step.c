/* step: a model that runs once for every line on its standard input and answers with the seconds that took.
 *
 *     step MODEL THREADS BATCH PIXELS LOGITS [METHOD TAU]
 *
 * PIXELS holds BATCH images of the model's size as raw f32; LOGITS is written once, by the first run, which is followed by
 * a line: what computes, in which type, and the GMACs of an image on average, without merging's own.  METHOD and TAU say how
 * tokens are merged.  Runs on a GPU where one can be used.  Made for peers.py, here and in tests/gpu, which runs several
 * engines in turn on the same work; uses vitrun.h alone. */
#include <stdio.h>
#include <stdlib.h>
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
    const int      batch = atoi(argv[3]);
    o.model = argv[1];
    o.threads = atoi(argv[2]);
    if (argc == 8) merge.method = argv[6], merge.tau = argv[7], o.merge = &merge;
    if (vitrun_open(&v, &o, &e)) {
        fprintf(stderr, "step: %s\n", e.text);
        return e.code;
    }
    const vitrun_about_t *about = vitrun_about(v);
    const size_t          cells = 3 * (size_t)about->image_height * (size_t)about->image_width,
                 outputs = (size_t)batch * (size_t)about->classes;
    float        *pixels = malloc((size_t)batch * cells * sizeof *pixels), *logits = malloc(outputs * sizeof *logits);
    const float **images = malloc((size_t)batch * sizeof *images);
    FILE         *in = fopen(argv[4], "rb"), *out = fopen(argv[5], "wb");
    if (!pixels || !logits || !images || !in || !out ||
        fread(pixels, cells * sizeof *pixels, (size_t)batch, in) != (size_t)batch) {
        fprintf(stderr, "step: cannot read %d images from %s\n", batch, argv[4]);
        return 5;
    }
    for (int b = 0; b < batch; b++) images[b] = pixels + (size_t)b * cells;
    if (vitrun_run(v, logits, images, NULL, batch, &e) || fwrite(logits, sizeof *logits, outputs, out) != outputs ||
        fclose(out)) {
        fprintf(stderr, "step: %s\n", e.text);
        return 5;
    }
    printf("%s %s %.6f\n", about->isa, about->dtype, average_cost(v, batch));
    fflush(stdout);
    for (int c; (c = getchar()) != EOF;) {
        if (c != '\n') continue;
        double t0 = now();
        if (vitrun_run(v, logits, images, NULL, batch, &e)) return 8;
        printf("%.9f\n", now() - t0);
        fflush(stdout);
    }
    vitrun_close(v);
    return 0;
}
