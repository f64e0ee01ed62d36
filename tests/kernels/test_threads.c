/* If these failed, a verb could lose or repeat some of its work, or hang, or read what is not yet written; or vitrun
 * would start as many threads as the machine has processors where its container was given one. */
#include "../../kernels/threads.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TASKS_MAX = 1000, THREADS_MAX = 8 };

typedef struct {
    int         times[TASKS_MAX]; /* written by the tasks, read by the caller: plain, for the thread sanitizer */
    atomic_bool busy[THREADS_MAX];
    atomic_int  wrong;
    int         threads, round;
    int         seen; /* what the caller wrote before the run */
} record;

static void note(int task, int thread, void *arg)
{
    record *r = arg;
    if (thread < 0 || thread >= r->threads || atomic_exchange(&r->busy[thread], true)) atomic_fetch_add(&r->wrong, 1);
    if (r->seen != r->round) atomic_fetch_add(&r->wrong, 1);
    r->times[task]++;
    atomic_store(&r->busy[thread], false);
}

static void run_rounds(vr_threads *crew, record *r, int tasks, int rounds, useconds_t rest_us)
{
    memset(r, 0, sizeof *r);
    r->threads = vr_threads_count(crew);
    for (r->round = 1; r->round <= rounds; r->round++) {
        r->seen = r->round;
        vr_threads_run(crew, note, r, tasks);
        for (int t = 0; t < tasks; t++) cr_assert_eq(r->times[t], r->round, "task %d of %d", t, tasks);
        if (rest_us) usleep(rest_us);
    }
    cr_assert_eq(r->wrong, 0);
}

Test(threads, every_task_is_done_once)
{
    static record r;
    const int     tasks[] = {0, 1, 2, 3, 7, TASKS_MAX}, counts[] = {1, 2, 3, THREADS_MAX};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        vr_threads *crew;
        vr_error    err = {0};
        cr_assert_eq(vr_threads_open(&crew, counts[c], &err), VR_OK, "%s", err.text);
        cr_assert_eq(vr_threads_count(crew), counts[c]);
        for (size_t t = 0; t < sizeof tasks / sizeof *tasks; t++) run_rounds(crew, &r, tasks[t], 50, 0);
        vr_threads_close(crew);
    }
}

Test(threads, sleepers_wake)
{
    static record r;
    vr_threads   *crew;
    cr_assert_eq(vr_threads_open(&crew, 3, NULL), VR_OK);
    run_rounds(crew, &r, 20, 20, 3000); /* far longer than a thread spins */
    vr_threads_close(crew);
}

static void slow(int task, int thread, void *arg)
{
    (void)thread, (void)arg;
    if (task == 0) usleep(5000);
}

Test(threads, the_caller_sleeps_for_a_slow_task)
{
    vr_threads *crew;
    cr_assert_eq(vr_threads_open(&crew, 2, NULL), VR_OK);
    for (int i = 0; i < 20; i++) vr_threads_run(crew, slow, NULL, 2);
    vr_threads_close(crew);
}

Test(threads, close_at_any_time)
{
    static record r;
    vr_threads_close(NULL);
    for (int i = 0; i < 50; i++) {
        vr_threads *crew;
        cr_assert_eq(vr_threads_open(&crew, 3, NULL), VR_OK);
        if (i % 2) run_rounds(crew, &r, 5, 1, 0);
        vr_threads_close(crew);
    }
}

/* With hardly any address space left there is room for the stacks of a few threads, not of 1000. */
Test(threads, too_many_are_refused_in_a_sentence)
{
#ifdef __SANITIZE_ADDRESS__
    fprintf(stderr, "NOT TESTED under the address sanitizer, which needs the address space: too many threads\n");
#else
    vr_threads *crew;
    vr_error    err = {0};
    cr_assert_eq(setrlimit(RLIMIT_AS, &(struct rlimit){256 << 20, RLIM_INFINITY}), 0);
    cr_assert_eq(vr_threads_open(&crew, 1000, &err), VR_E_MEMORY);
    cr_assert_null(crew);
    cr_assert(strstr(err.text, "fewer threads"), "%s", err.text);
#endif
}

/* ---- how many processors ---- */

static char root[] = "/tmp/vr_threads_XXXXXX";

static void place(const char *file, const char *text)
{
    char  path[512], command[600];
    FILE *f;
    snprintf(path, sizeof path, "%s%s", root, file);
    snprintf(command, sizeof command, "mkdir -p $(dirname %s)", path);
    cr_assert_eq(system(command), 0);
    cr_assert_not_null(f = fopen(path, "w"));
    fputs(text, f);
    fclose(f);
}

static int machine(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void make_root(void) { cr_assert_not_null(mkdtemp(root)); }

static void remove_root(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    cr_assert_eq(system(command), 0);
}

/* Broken: a process that was bound to one processor runs threads for all of them. */
Test(threads, affinity, .init = make_root, .fini = remove_root)
{
    cpu_set_t all, one;
    cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    const int bound = vr_threads_allowed(root);
    cr_assert_eq(sched_setaffinity(0, sizeof all, &all), 0);
    cr_expect_eq(bound, 1);
    cr_expect_eq(vr_threads_allowed(root), CPU_COUNT(&all));
}

Test(threads, no_groups_no_limit, .init = make_root, .fini = remove_root) { cr_assert_eq(vr_threads_allowed(root), machine()); }

Test(threads, quota_of_version_2, .init = make_root, .fini = remove_root)
{
    place("/proc/self/cgroup", "0::/box/inner\n");
    place("/sys/fs/cgroup/box/inner/cpu.max", "max 100000\n");
    cr_assert_eq(vr_threads_allowed(root), machine());
    place("/sys/fs/cgroup/box/inner/cpu.max", "50000 100000\n");
    cr_assert_eq(vr_threads_allowed(root), 1, "half a processor is one thread");
    place("/sys/fs/cgroup/box/inner/cpu.max", "110000 100000\n");
    cr_assert_eq(vr_threads_allowed(root), machine() < 2 ? 1 : 2, "rounded up");
    place("/sys/fs/cgroup/box/cpu.max", "100000 100000\n");
    cr_assert_eq(vr_threads_allowed(root), 1, "the group above counts as well");
}

Test(threads, quota_of_version_2_seen_from_inside, .init = make_root, .fini = remove_root)
{
    place("/proc/self/cgroup", "0::/outer/path/not/mounted\n");
    place("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    cr_assert_eq(vr_threads_allowed(root), 1);
}

Test(threads, quota_of_version_1, .init = make_root, .fini = remove_root)
{
    place("/proc/self/cgroup", "7:memory:/box\n4:cpu,cpuacct:/box\n0::/\n");
    place("/sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
    place("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1\n");
    cr_assert_eq(vr_threads_allowed(root), machine());
    place("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "100000\n");
    cr_assert_eq(vr_threads_allowed(root), 1);
}

Test(threads, damaged_files_do_no_harm, .init = make_root, .fini = remove_root)
{
    place("/proc/self/cgroup", "nonsense\n::\n0::/box\n1:cpu\n");
    place("/sys/fs/cgroup/box/cpu.max", "-5 zero\n");
    cr_assert_eq(vr_threads_allowed(root), machine());
    place("/sys/fs/cgroup/box/cpu.max", "100000 0\n");
    cr_assert_eq(vr_threads_allowed(root), machine());
}
