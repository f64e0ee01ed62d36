/* peak.c: the flops a second that all threads reach together, with FMAs that stay in registers. */
#include <stdlib.h>

#include "impl.h"

/* Half a millisecond each, so that many pass between two interruptions even beside other jobs.  The upper quartile counts: neither
 * windows that were interrupted nor the few in which the clock ran faster than it can go on with (1.07 times, Ice Lake). */
enum { ROUNDS = 1 << 18, WINDOWS = 150 };

typedef struct {
    const vr_isa *isa;
    float        *left; /* [threads] what the rounds came to, so that they have to be done */
} peak_job;

static void peak_task(int task, int thread, void *arg)
{
    const peak_job *j = arg;
    (void)thread;
    j->left[task] = j->isa->peak(ROUNDS);
}

static int by_rate(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double vr_cpu_peak(vr_backend *be)
{
    const vr_cpu_impl *impl = be->impl;
    const int          threads = vr_threads_count(impl->crew);
    peak_job           job = {impl->isa, vr_alloc_zeroed((size_t)threads, sizeof(float))};
    double             rate[WINDOWS] = {0};
    for (int i = 0; job.left && i < WINDOWS; i++) {
        const double started = vr_now();
        vr_threads_run(impl->crew, peak_task, &job, threads);
        rate[i] = impl->isa->peak_flops * ROUNDS * threads / (vr_now() - started);
    }
    free(job.left);
    qsort(rate, WINDOWS, sizeof *rate, by_rate);
    return rate[WINDOWS * 3 / 4];
}
