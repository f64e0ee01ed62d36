/* A fixed crew of threads that share out numbered tasks, and how many of them this process may keep busy. */
#ifndef VR_THREADS_H
#define VR_THREADS_H

#include "base.h"

typedef struct vr_threads vr_threads;

/* One task.
 *   task    0 .. tasks-1 of the run
 *   thread  0 .. count-1; no two tasks run under the same number at once, so it may index scratch memory */
typedef void (*vr_task_fn)(int task, int thread, void *arg);

/* A crew of `count` (at least 1) threads, the caller's own among them.  On failure *out is NULL and nothing is left
 * running.  The new threads block every signal, which are the host program's affair. */
vr_status vr_threads_open(vr_threads **out, int count, vr_error *err);

/* Ends the threads and releases the crew.  NULL is allowed. */
void vr_threads_close(vr_threads *crew);

int vr_threads_count(const vr_threads *crew);

/* Does all tasks and returns when the last is done; everything the caller wrote before is seen by the tasks, and what
 * they wrote by the caller.  Tasks start in rising order and are taken by whichever thread is free.  One caller at a
 * time, and not from inside a task.  A single task, or a crew of one, runs in the calling thread. */
void vr_threads_run(vr_threads *crew, vr_task_fn fn, void *arg, int tasks);

/* How many processors this process may keep busy, at least 1: its affinity mask, cut by the CPU quotas of its control
 * groups (versions 2 and 1), rounded up.
 *   root  where /proc and /sys are found; "" but in tests */
int vr_threads_allowed(const char *root);

#endif
