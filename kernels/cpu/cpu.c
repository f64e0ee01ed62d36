/* cpu.c: the CPU back end's life and memory, and the choice of the instruction set. */
#include "cpu.h"
#include "impl.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- instruction sets, the best first ---- */

static bool always(void) { return true; }
#if defined(__x86_64__)
/* The compiler's question also asks the system whether it keeps the wide registers. */
static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}
#endif

static const struct {
    const vr_isa *isa;
    bool (*supported)(void);
} isas[] = {
#if defined(__x86_64__)
    {&vr_isa_avx512, has_avx512},
    {&vr_isa_avx2, has_avx2},
#endif
    {&vr_isa_portable, always},
};
enum { ISAS = sizeof isas / sizeof *isas };

/* The best instruction set of this machine, or the one of that name if it is there; NULL if not. */
static const vr_isa *find_isa(const char *name)
{
    for (int i = 0; i < ISAS; i++)
        if (isas[i].supported() && (!name || strcmp(name, isas[i].isa->name) == 0)) return isas[i].isa;
    return NULL;
}

bool vr_cpu_isa_supported(const char *name) { return find_isa(name) != NULL; }

static vr_status pick_isa(const vr_isa **isa, vr_error *err)
{
    const char *name = getenv("VITRUN_ISA");
    if (name && !*name) name = NULL;
    *isa = find_isa(name);
    if (*isa) return VR_OK;
    char   there[64] = "";
    size_t at = 0;
    for (int i = 0; i < ISAS; i++)
        if (isas[i].supported())
            at += (size_t)snprintf(there + at, sizeof there - at, "%s%s", at ? ", " : "", isas[i].isa->name);
    return vr_fail(err, VR_E_DEVICE, "isa", "VITRUN_ISA asks for %s, but this build on this machine has only: %s.",
                   vr_quotez(name).text, there);
}

/* ---- life ---- */

static vr_cpu_impl *impl_of(const vr_backend *be) { return be->impl; }

int vr_cpu_threads(const vr_backend *be) { return vr_threads_count(impl_of(be)->crew); }

static vr_status cpu_open(vr_backend *be, const vr_wish *wish, vr_error *err)
{
    enum { THREADS_MAX = 1024 };
    int           threads = wish->threads;
    const vr_isa *isa;
    if (threads < 0 || threads > THREADS_MAX)
        return vr_fail(err, VR_E_USAGE, "thread-count",
                       "%d threads were asked for; give 1 to %d, or 0 for as many as there are processors.", threads,
                       THREADS_MAX);
    vr_status status = pick_isa(&isa, err);
    if (status != VR_OK) return status;
    vr_cpu_impl *impl = vr_alloc_zeroed(1, sizeof *impl);
    if (!impl) return vr_fail(err, VR_E_MEMORY, "", "There is no memory for the CPU back end.");
    impl->isa = isa;
    if (threads == 0) threads = vr_threads_allowed("");
    status = vr_threads_open(&impl->crew, threads < THREADS_MAX ? threads : THREADS_MAX, err);
    if (status != VR_OK) {
        free(impl);
        return status;
    }
    *be = (vr_backend){.ops = &vr_cpu, .impl = impl, .math = VR_MATH_F32, .budget = 2048, .chip = isa->name};
    return VR_OK;
}

static void cpu_close(vr_backend *be)
{
    vr_cpu_impl *impl = impl_of(be);
    if (!impl) return;
    vr_threads_close(impl->crew);
    free(impl->scratch);
    free(impl->rows);
    vr_reduction_release(&impl->reduction);
    free(impl);
    be->impl = NULL;
}

/* ---- memory ---- */

static vr_status cpu_alloc(vr_backend *be, void **out, size_t bytes, vr_error *err)
{
    (void)be;
    *out = vr_alloc(bytes, 1);
    if (!*out) return vr_fail(err, VR_E_MEMORY, "", "The system refused %zu bytes of memory.", bytes);
    return VR_OK;
}

static void cpu_free(vr_backend *be, void *p)
{
    (void)be;
    free(p);
}

static vr_status cpu_put(vr_backend *be, void *dst, const void *host, size_t bytes, vr_error *err)
{
    (void)be, (void)err;
    memcpy(dst, host, bytes);
    return VR_OK;
}

static vr_status cpu_get(vr_backend *be, void *host, const void *src, size_t bytes, vr_error *err)
{
    (void)be, (void)err;
    memcpy(host, src, bytes);
    return VR_OK;
}

typedef struct {
    float               *panels; /* [ceil(out / width)][in][width] */
    const float         *weight; /* [out, in], or NULL: */
    const vr_row_source *source;
    float               *rows; /* [threads, rows_stride] */
    size_t               rows_stride;
    int                  out, in, width;
    pthread_mutex_t      lock;
    int                  failed; /* under the lock: the first panel, in order, that cannot be had, */
    vr_error             err;    /* and why */
} pack_job;

/* Panels before one that failed are read all the same, so that the first failure in order is the one that is said. */
static bool given_up(pack_job *j, int task)
{
    pthread_mutex_lock(&j->lock);
    const bool stop = j->err.code != VR_OK && task > j->failed;
    pthread_mutex_unlock(&j->lock);
    return stop;
}

static const float *fetch_rows(pack_job *j, int task, int thread, int first, int count)
{
    float   *rows = j->rows + (size_t)thread * j->rows_stride;
    vr_error err = {0};
    if (given_up(j, task)) return NULL;
    if (j->source->read(j->source->from, first, count, rows, &err) == VR_OK) return rows;
    pthread_mutex_lock(&j->lock);
    if (j->err.code == VR_OK || task < j->failed) j->err = err, j->failed = task;
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

static void pack_task(int task, int thread, void *arg)
{
    pack_job    *j = arg;
    int          row = task * j->width, rows = j->out - row < j->width ? j->out - row : j->width;
    const float *weight = j->source ? fetch_rows(j, task, thread, row, rows) : j->weight + (size_t)row * (size_t)j->in;
    if (weight) vr_pack_panel(j->panels + (size_t)row * (size_t)j->in, j->width, weight, (size_t)j->in, rows, j->in);
}

static bool take_rows(vr_cpu_impl *impl, pack_job *j)
{
    const size_t want = ((size_t)j->width * (size_t)j->in + 15) / 16 * 16;
    if (want > impl->rows_stride) {
        size_t count;
        free(impl->rows);
        impl->rows = vr_mul(want, (size_t)vr_threads_count(impl->crew), &count) ? vr_alloc(count, sizeof(float)) : NULL;
        impl->rows_stride = impl->rows ? want : 0;
    }
    j->rows = impl->rows, j->rows_stride = impl->rows_stride;
    return impl->rows != NULL;
}

/* `weight` whole, or `source`. */
static vr_status pack_either(vr_backend *be, vr_weight *out, const float *weight, const vr_row_source *source,
                             const float *bias, int out_features, int in_features, vr_error *err)
{
    assert(out_features > 0 && in_features > 0);
    vr_cpu_impl *impl = impl_of(be);
    const int    width = impl->isa->panel, panels = (out_features + width - 1) / width;
    pack_job     job = {.weight = weight,
                        .source = source,
                        .out = out_features,
                        .in = in_features,
                        .width = width,
                        .lock = PTHREAD_MUTEX_INITIALIZER};
    size_t       groups;
    *out = (vr_weight){.out = out_features, .in = in_features};
    if (vr_mul((size_t)panels * (size_t)width, (size_t)in_features, &groups)) out->data = vr_alloc_large(groups, sizeof(float));
    if (bias) out->bias = vr_alloc((size_t)out_features, sizeof *bias);
    if (!out->data || (bias && !out->bias) || (source && !take_rows(impl, &job))) {
        be->ops->unpack(be, out);
        return vr_fail(err, VR_E_MEMORY, "", "There is no memory for a weight of %d x %d numbers.", out_features, in_features);
    }
    job.panels = out->data;
    vr_threads_run(impl->crew, pack_task, &job, panels);
    if (bias) memcpy(out->bias, bias, (size_t)out_features * sizeof *bias);
    if (job.err.code == VR_OK) return VR_OK;
    be->ops->unpack(be, out);
    return vr_fail(err, job.err.code, job.err.rule, "%s", job.err.text);
}

static vr_status cpu_pack(vr_backend *be, vr_weight *out, const float *weight, const float *bias, int out_features,
                          int in_features, vr_error *err)
{
    return pack_either(be, out, weight, NULL, bias, out_features, in_features, err);
}

static vr_status cpu_pack_rows(vr_backend *be, vr_weight *out, const vr_row_source *rows, const float *bias, int out_features,
                               int in_features, vr_error *err)
{
    return pack_either(be, out, NULL, rows, bias, out_features, in_features, err);
}

static void cpu_unpack(vr_backend *be, vr_weight *w)
{
    (void)be;
    free(w->data);
    free(w->bias);
    *w = (vr_weight){0};
}

static vr_status cpu_reserve(vr_backend *be, const vr_limits *most, int head_size, int patch, vr_error *err)
{
    (void)patch;
    vr_cpu_impl *impl = impl_of(be);
    size_t       stride = (impl->isa->attention_scratch(most->longest, head_size) + 15) / 16 * 16, count;
    if (stride <= impl->scratch_stride) return VR_OK;
    free(impl->rows); /* weights are packed by now */
    impl->rows = NULL;
    impl->rows_stride = 0;
    free(impl->scratch);
    impl->scratch = NULL;
    impl->scratch_stride = 0;
    if (vr_mul(stride, (size_t)vr_threads_count(impl->crew), &count)) impl->scratch = vr_alloc(count, sizeof(float));
    if (!impl->scratch)
        return vr_fail(err, VR_E_MEMORY, "", "There is no memory for the attention of %d threads over %d tokens.",
                       vr_threads_count(impl->crew), most->longest);
    impl->scratch_stride = stride;
    return VR_OK;
}

static vr_status cpu_reserve_reduction(vr_backend *be, const vr_limits *most, vr_error *err)
{
    vr_cpu_impl *impl = impl_of(be);
    return vr_reduction_reserve(&impl->reduction, most, vr_threads_count(impl->crew), impl->isa->panel, err);
}

static vr_status cpu_finish(vr_backend *be, vr_error *err)
{
    vr_error fault = be->fault;
    be->fault = (vr_error){0};
    return fault.code == VR_OK ? VR_OK : vr_fail(err, fault.code, fault.rule, "%s", fault.text);
}

const vr_ops vr_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .put = cpu_put,
    .get = cpu_get,
    .pack = cpu_pack,
    .pack_rows = cpu_pack_rows,
    .unpack = cpu_unpack,
    .reserve = cpu_reserve,
    .reserve_reduction = cpu_reserve_reduction,
    .finish = cpu_finish,
    .patch_embed = vr_cpu_patch_embed,
    .layernorm = vr_cpu_layernorm,
    .linear = vr_cpu_linear,
    .attention = vr_cpu_attention,
    .pool = vr_cpu_pool,
    .gather = vr_cpu_gather,
    .mame = vr_cpu_mame,
    .mare = vr_cpu_mare,
    .tome = vr_cpu_tome,
    .evit = vr_cpu_evit,
    .diffrate = vr_cpu_diffrate,
};
