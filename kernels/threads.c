/* threads.c: the crew of a back end.
 *
 * One 64-bit word, the ticket, holds the tasks of the current run (high half) and the next one to take (low half).  A
 * thread takes a task by a compare-and-swap of the whole word, and reads fn and arg only then: the run cannot end
 * while a task of it is taken, so they cannot change under its eyes.  The caller waits for tasks that were taken, never
 * for a thread that the system has put aside before it took one; on a machine with other work that is the difference
 * between a late thread and a late answer.
 *
 * A thread without work spins for a moment, because the next verb follows within microseconds and waking a sleeper
 * takes tens of them, and then sleeps on a condition variable. */
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* About 0.1 ms of pauses on a current x86: longer than the gaps between verbs, shorter than anyone would notice. */
enum { SPINS = 3000 };

typedef struct {
    vr_threads *crew;
    int         number;
} seat;

struct vr_threads {
    _Alignas(64) _Atomic uint64_t ticket; /* tasks << 32 | next */
    _Alignas(64) atomic_int done;         /* tasks finished in this run */
    _Alignas(64) vr_task_fn fn;           /* of the current run; written before the ticket */
    void           *arg;
    atomic_int      sleepers;       /* threads that wait for work in `wake` */
    atomic_bool     caller_sleeps;  /* the caller waits for `done` in `rest` */
    bool            stop;           /* under the lock */
    int             count, started; /* started: threads beside the caller */
    int             spins;
    pthread_mutex_t lock;
    pthread_cond_t  wake, rest;
    pthread_t      *threads; /* [count-1] */
    seat           *seats;   /* [count-1] */
};

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static bool has_task(uint64_t ticket) { return (uint32_t)ticket < ticket >> 32; }

/* Take and do tasks until there are none. */
static void work(vr_threads *crew, int number)
{
    uint64_t ticket = atomic_load(&crew->ticket);
    while (has_task(ticket)) {
        if (!atomic_compare_exchange_weak(&crew->ticket, &ticket, ticket + 1)) continue;
        int tasks = (int)(ticket >> 32);
        crew->fn((int)(uint32_t)ticket, number, crew->arg);
        if (atomic_fetch_add(&crew->done, 1) + 1 == tasks && atomic_load(&crew->caller_sleeps)) {
            pthread_mutex_lock(&crew->lock);
            pthread_cond_signal(&crew->rest);
            pthread_mutex_unlock(&crew->lock);
        }
        ticket = atomic_load(&crew->ticket);
    }
}

/* Sleep until there is a task; false where the crew is to end. */
static bool await_task(vr_threads *crew)
{
    pthread_mutex_lock(&crew->lock);
    atomic_fetch_add(&crew->sleepers, 1); /* before the look at the ticket: run() looks in the other order */
    while (!crew->stop && !has_task(atomic_load(&crew->ticket))) pthread_cond_wait(&crew->wake, &crew->lock);
    atomic_fetch_sub(&crew->sleepers, 1);
    bool go_on = !crew->stop;
    pthread_mutex_unlock(&crew->lock);
    return go_on;
}

static void *serve(void *arg)
{
    const seat *s = arg;
    vr_threads *crew = s->crew;
    for (;;) {
        work(crew, s->number);
        int spin = 0;
        while (spin < crew->spins && !has_task(atomic_load_explicit(&crew->ticket, memory_order_relaxed))) {
            pause_briefly();
            spin++;
        }
        if (spin == crew->spins && !await_task(crew)) return NULL;
    }
}

static void await_done(vr_threads *crew, int tasks)
{
    for (int spin = 0; spin < crew->spins; spin++) {
        if (atomic_load(&crew->done) == tasks) return;
        pause_briefly();
    }
    pthread_mutex_lock(&crew->lock);
    atomic_store(&crew->caller_sleeps, true);
    while (atomic_load(&crew->done) != tasks) pthread_cond_wait(&crew->rest, &crew->lock);
    atomic_store(&crew->caller_sleeps, false);
    pthread_mutex_unlock(&crew->lock);
}

void vr_threads_run(vr_threads *crew, vr_task_fn fn, void *arg, int tasks)
{
    if (tasks <= 1 || crew->count == 1) {
        for (int task = 0; task < tasks; task++) fn(task, 0, arg);
        return;
    }
    crew->fn = fn;
    crew->arg = arg;
    atomic_store(&crew->done, 0);
    atomic_store(&crew->ticket, (uint64_t)tasks << 32);
    if (atomic_load(&crew->sleepers) > 0) {
        pthread_mutex_lock(&crew->lock);
        pthread_cond_broadcast(&crew->wake);
        pthread_mutex_unlock(&crew->lock);
    }
    work(crew, 0);
    await_done(crew, tasks);
}

int vr_threads_count(const vr_threads *crew) { return crew->count; }

static vr_status start(vr_threads *crew, vr_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int refused = 0;
    while (crew->started < crew->count - 1 && !refused) {
        int i = crew->started;
        crew->seats[i] = (seat){crew, i + 1};
        refused = pthread_create(&crew->threads[i], NULL, serve, &crew->seats[i]);
        if (!refused) crew->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!refused) return VR_OK;
    return vr_fail(err, VR_E_MEMORY, "threads", "The system refused thread %d of %d (%s); ask for fewer threads.",
                   crew->started + 2, crew->count, strerror(refused));
}

vr_status vr_threads_open(vr_threads **out, int count, vr_error *err)
{
    *out = NULL;
    vr_threads *crew = vr_alloc_zeroed(1, sizeof *crew);
    if (!crew) return vr_fail(err, VR_E_MEMORY, "threads", "There is no memory for %d threads.", count);
    crew->count = count;
    /* Spinning beside more threads than processors would only keep the others from their work. */
    crew->spins = count <= vr_threads_allowed("") ? SPINS : 0;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->wake, NULL);
    pthread_cond_init(&crew->rest, NULL);
    crew->threads = vr_alloc((size_t)count, sizeof *crew->threads);
    crew->seats = vr_alloc((size_t)count, sizeof *crew->seats);
    vr_status status = crew->threads && crew->seats
                           ? start(crew, err)
                           : vr_fail(err, VR_E_MEMORY, "threads", "There is no memory for %d threads.", count);
    if (status != VR_OK) {
        vr_threads_close(crew);
        return status;
    }
    *out = crew;
    return VR_OK;
}

void vr_threads_close(vr_threads *crew)
{
    if (!crew) return;
    pthread_mutex_lock(&crew->lock);
    crew->stop = true;
    pthread_cond_broadcast(&crew->wake);
    pthread_mutex_unlock(&crew->lock);
    for (int i = 0; i < crew->started; i++) pthread_join(crew->threads[i], NULL);
    pthread_cond_destroy(&crew->rest);
    pthread_cond_destroy(&crew->wake);
    pthread_mutex_destroy(&crew->lock);
    free(crew->threads);
    free(crew->seats);
    free(crew);
}

/* ---- how many processors ---- */

typedef struct {
    char text[4096];
} path;

static path join(const char *root, const char *mount, const char *group, const char *file)
{
    path p;
    if (snprintf(p.text, sizeof p.text, "%s%s%s/%s", root, mount, group, file) >= (int)sizeof p.text) p.text[0] = 0;
    return p;
}

/* A number from a file, or -1 where the file or the number is lacking ("max"). */
static long long read_number(path p)
{
    long long value = -1;
    FILE     *file = fopen(p.text, "re");
    if (!file) return -1;
    if (fscanf(file, "%lld", &value) != 1) value = -1;
    fclose(file);
    return value;
}

/* The quota of one control group in processors, rounded up; `limit` where it sets none or a higher one. */
static int cut(int limit, long long quota_us, long long period_us)
{
    if (quota_us <= 0 || period_us <= 0) return limit;
    long long cpus = (quota_us - 1) / period_us + 1;
    return cpus < limit ? (int)cpus : limit;
}

static int group_limit(int limit, const char *root, const char *mount, const char *group)
{
    long long quota = -1, period = -1;
    path      v2 = join(root, mount, group, "cpu.max");
    FILE     *file = fopen(v2.text, "re");
    if (file) {
        if (fscanf(file, "%lld %lld", &quota, &period) != 2) quota = -1;
        fclose(file);
        return cut(limit, quota, period);
    }
    quota = read_number(join(root, mount, group, "cpu.cfs_quota_us"));
    period = read_number(join(root, mount, group, "cpu.cfs_period_us"));
    return cut(limit, quota, period);
}

/* The limits of a group and of all above it.  A container often sees its own group as the root of the mount while
 * /proc still gives the outer path; the walk upwards ends there and so finds it as well. */
static int tree_limit(int limit, const char *root, const char *mount, char *group)
{
    for (;;) {
        limit = group_limit(limit, root, mount, group);
        char *slash = strrchr(group, '/');
        if (!slash) return limit;
        *slash = 0;
    }
}

/* A line of /proc/self/cgroup: "0::/path" (version 2) or "4:cpu,cpuacct:/path". */
static int line_limit(int limit, const char *root, char *line)
{
    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return limit;
    *group++ = 0;
    controllers++;
    if (*controllers == 0) return tree_limit(limit, root, "/sys/fs/cgroup", group);
    char *rest = NULL;
    for (char *name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, "cpu") == 0) return tree_limit(limit, root, "/sys/fs/cgroup/cpu", group);
    return limit;
}

/* Processors of the affinity mask, which cpusets cut as well.  A mask shorter than the system's is refused, so longer ones
 * are tried. */
static int affinity(void)
{
    enum { MOST = 1 << 16 };
    int count = 0;
    for (int cpus = CPU_SETSIZE; cpus <= MOST && count == 0; cpus *= 2) {
        cpu_set_t   *set = CPU_ALLOC((size_t)cpus);
        const size_t bytes = CPU_ALLOC_SIZE((size_t)cpus);
        if (set && sched_getaffinity(0, bytes, set) == 0) count = CPU_COUNT_S(bytes, set);
        if (set) CPU_FREE(set);
    }
    return count;
}

int vr_threads_allowed(const char *root)
{
    int   limit = affinity();
    path  list = join(root, "/proc", "/self", "cgroup");
    FILE *file = fopen(list.text, "re");
    if (file) {
        char line[4096];
        while (fgets(line, sizeof line, file)) limit = line_limit(limit, root, line);
        fclose(file);
    }
    return limit > 1 ? limit : 1;
}
