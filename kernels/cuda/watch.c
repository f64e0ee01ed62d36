/* watch.c: launches between two events each, whose times are read when the stream has come to its end: watching does not wait,
 * so kernels run one behind the other as they do unwatched. */
#include "backend.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    cudaEvent_t from, to;
    int         row;
} launch;

struct vr_watch {
    vr_profile *profile;
    launch     *launched; /* [room], the first `count` since the last collection */
    int         count, room;
    const char *verb; /* of the profile when `first` was noted */
    int         first;
    cudaError_t fault;
};

static _Thread_local vr_watch *watching;

void vr_watch_use(vr_watch *w) { watching = w; }

vr_watch *vr_watch_open(vr_profile *profile)
{
    vr_watch *w = vr_alloc_zeroed(1, sizeof *w);
    if (w) w->profile = profile;
    return w;
}

void vr_watch_close(vr_watch *w)
{
    if (!w) return;
    if (watching == w) watching = NULL;
    for (int i = 0; i < w->room; i++) {
        if (w->launched[i].from) cudaEventDestroy(w->launched[i].from);
        if (w->launched[i].to) cudaEventDestroy(w->launched[i].to);
    }
    free(w->launched);
    free(w);
}

static void grow(vr_watch *w)
{
    enum { STEP = 128 };
    launch *more = reallocarray(w->launched, (size_t)w->room + STEP, sizeof *more);
    if (!more) {
        w->fault = cudaErrorMemoryAllocation;
        return;
    }
    memset(more + w->room, 0, STEP * sizeof *more);
    w->launched = more;
    for (int i = w->room; i < w->room + STEP && w->fault == cudaSuccess; i++) {
        w->fault = cudaEventCreate(&more[i].from);
        if (w->fault == cudaSuccess) w->fault = cudaEventCreate(&more[i].to);
    }
    w->room += STEP;
}

/* "(fast_kernel<T, HEAD, KEYS>)" is the kernel "fast". */
static void plain_name(char *out, size_t size, const char *kernel)
{
    const char *from = kernel + strspn(kernel, "( ");
    size_t      length = strcspn(from, "<)"), suffix = strlen("_kernel");
    if (length > suffix && strncmp(from + length - suffix, "_kernel", suffix) == 0) length -= suffix;
    if (length >= size) length = size - 1;
    memcpy(out, from, length);
    out[length] = 0;
}

void vr_watch_from(const char *kernel, cudaStream_t stream)
{
    vr_watch *w = watching;
    char      name[32];
    if (!w || w->fault != cudaSuccess) return;
    if (w->count == w->room) grow(w);
    if (w->fault != cudaSuccess) return;
    plain_name(name, sizeof name, kernel);
    const int row = vr_profile_find(w->profile, name);
    w->launched[w->count].row = row;
    w->profile->row[row].launches++;
    if (w->verb != w->profile->verb) w->verb = w->profile->verb, w->first = row;
    w->fault = cudaEventRecord(w->launched[w->count].from, stream);
}

void vr_watch_to(cudaStream_t stream)
{
    vr_watch *w = watching;
    if (!w || w->fault != cudaSuccess) return;
    w->fault = cudaEventRecord(w->launched[w->count].to, stream);
    w->count++;
}

void vr_watch_work(vr_watch *w, const char *kernel, vr_work work)
{
    if (!w) return;
    vr_profile_row *row = &w->profile->row[kernel ? vr_profile_find(w->profile, kernel) : w->first];
    row->work = vr_work_sum(row->work, work);
}

cudaError_t vr_watch_collect(vr_watch *w)
{
    for (int i = 0; i < w->count && w->fault == cudaSuccess; i++) {
        float ms = 0;
        w->fault = cudaEventElapsedTime(&ms, w->launched[i].from, w->launched[i].to);
        w->profile->row[w->launched[i].row].seconds += 1e-3 * (double)ms;
    }
    w->count = 0;
    return w->fault;
}
