/* stress_cpu.c: the crew of threads and the verbs of the CPU back end, many small runs of changing size, for the thread
 * sanitizer.  A program of its own because Criterion's arena does not start under that sanitizer:
 *   make BUILD=build/tsan SAN=thread CFLAGS="-O1 -g" build/tsan/libvitrun.a
 *   gcc -std=c17 -D_GNU_SOURCE -O1 -g -fsanitize=thread -o build/tsan/stress_cpu tests/stress/stress_cpu.c \
 *       build/tsan/libvitrun.a -lm -lpthread && build/tsan/stress_cpu
 * Prints nothing and ends with 0 where all is well. */
#include "../../kernels/cpu/cpu.h"
#include "../../kernels/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4, TASKS_MAX = 64 };

static void count_up(int task, int thread, void *arg)
{
    (void)thread;
    ((int *)arg)[task]++; /* plain on purpose */
}

static int stress_crew(void)
{
    static int  times[TASKS_MAX];
    vr_threads *crew;
    if (vr_threads_open(&crew, THREADS, NULL) != VR_OK) return 1;
    int wrong = 0;
    for (int round = 0; round < 20000; round++) {
        int tasks = round % TASKS_MAX;
        for (int t = 0; t < tasks; t++) times[t] = round;
        vr_threads_run(crew, count_up, times, tasks);
        for (int t = 0; t < tasks; t++) wrong += times[t] != round + 1;
        if (round % 500 == 0) usleep(2000); /* let them fall asleep */
    }
    vr_threads_close(crew);
    return wrong;
}

static int stress_verbs(void)
{
    enum { ROWS = 120, C = 48 };
    vr_backend be;
    vr_weight  w;
    if (vr_cpu.open(&be, &(vr_wish){.threads = THREADS}, NULL) != VR_OK) return 1;
    if (vr_cpu.reserve(&be, &(vr_limits){.longest = ROWS}, C, 1, NULL) != VR_OK) return 1;
    float *memory = vr_alloc_zeroed(ROWS * C * 5, sizeof *memory), *ones = vr_alloc_zeroed(3 * C * C, sizeof *ones);
    if (!memory || !ones || vr_cpu.pack(&be, &w, ones, ones, 3 * C, C, VR_LAYER_OF_BLOCK, NULL) != VR_OK) return 1;
    vr_norm norm = {ones, ones, 1e-6f};
    for (int round = 0; round < 500; round++) {
        int     rows = 1 + round % ROWS, middle = rows / 3, offsets[] = {0, middle, rows};
        vr_rows images = {2, offsets};
        vr_mat  x = {memory, rows, C, C, VR_F32}, t = {memory + ROWS * C, rows, C, C, VR_F32},
               h = {memory + 2 * ROWS * C, rows, 3 * C, 3 * C, VR_F32};
        vr_layernorm(&be, t, x, &norm);
        vr_linear(&be, h, t, &w, VR_GELU_ERF, VR_SET);
        vr_attention(&be, x, vr_mat_cols(h, 0, C), vr_mat_cols(h, C, C), vr_mat_cols(h, 2 * C, C), &images, &images,
                     1 + round % 3, NULL);
        vr_pool(&be, vr_mat_rows(t, 0, rows < 2 ? 0 : 2), x, &(vr_rows){rows < 2 ? 0 : 2, offsets},
                (vr_pooling){.kind = VR_POOL_MEAN, .row = 0, .prefix = 0});
    }
    vr_cpu.unpack(&be, &w);
    vr_cpu.close(&be);
    free(memory), free(ones);
    return 0;
}

int main(void)
{
    int wrong = stress_crew() + stress_verbs();
    if (wrong) fprintf(stderr, "stress_cpu: %d results were wrong\n", wrong);
    return wrong != 0;
}
