/* cpu.c: the CPU back end's life and memory, and the choice of the instruction set. */
#include "cpu.h"
#include "impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* ---- instruction sets ---- */

static bool always(void) { return true; }
#if defined(__x86_64__)
/* The compiler's question also asks the system whether it keeps the wide registers. */
static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}
static bool has_avx512vnni(void) { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }
static bool has_avx512bf16(void) { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }

/* Where vdpbf16ps does twice the work of a multiply-add of f32: on Zen 4 and later, which are all of AMD's that have it
 * (measured: 236 against 118 GFLOP/s a core).  On Sapphire Rapids it was the slower of the two. */
static bool has_quick_avx512bf16(void) { return has_avx512bf16() && __builtin_cpu_is("amd"); }

/* The processor has the tile unit, the system keeps its registers, and lets this process use them. */
static bool has_amx(void)
{
    enum { TILE_DATA = 18, ASK_PERMISSION = 0x1023, BF16_BIT = 22, TILE_BIT = 24, OSXSAVE_BIT = 27 };
    unsigned a, b, c, d, low, high;
    if (!has_avx512bf16() || !__get_cpuid(1, &a, &b, &c, &d) || !(c >> OSXSAVE_BIT & 1)) return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> BF16_BIT & 1) || !(d >> TILE_BIT & 1)) return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low >> (TILE_DATA - 1) & 3) == 3 && syscall(SYS_arch_prctl, ASK_PERMISSION, TILE_DATA) == 0;
}
#endif

/* The best first, of those that multiply the type at hand. */
static const struct {
    const char       *name;
    const vr_isa     *isa;  /* the vectors */
    const vr_kernels *bf16; /* how bf16 is multiplied; NULL: not here */
    const vr_bytes   *int8; /* likewise */
    bool (*supported)(void);
    bool (*quick)(void); /* worth taking unasked; NULL: where it is supported */
} isas[] = {
#if defined(__x86_64__)
    {"amx", &vr_isa_avx512, &vr_kernels_amx, NULL, has_amx, NULL},
    {"avx512bf16", &vr_isa_avx512, &vr_kernels_avx512bf16, NULL, has_avx512bf16, has_quick_avx512bf16},
    {"avx512vnni", &vr_isa_avx512, NULL, &vr_bytes_avx512vnni, has_avx512vnni, NULL},
    {"avx512", &vr_isa_avx512, &vr_isa_avx512.widened, NULL, has_avx512, NULL},
    {"avx2", &vr_isa_avx2, &vr_isa_avx2.widened, NULL, has_avx2, NULL},
#endif
    {"portable", &vr_isa_portable, &vr_isa_portable.widened, NULL, always, NULL},
};
enum { ISAS = sizeof isas / sizeof *isas };

/* What a back end is made of. */
typedef struct {
    const vr_isa     *isa;
    const vr_kernels *kernels;
    const vr_bytes   *bytes; /* NULL but for int8 */
} choice;

static bool find_guest(const char *name, vr_math math, choice *out)
{
#if defined(__x86_64__)
    const bool bf16 = math == VR_MATH_BF16, int8 = math == VR_MATH_INT8;
    for (const vr_guest *g = vr_cpu_guests; g && g->name && has_avx512(); g++) {
        if (strcmp(name, g->name) || !((bf16 && g->bf16) || (int8 && g->int8))) continue;
        *out = (choice){&vr_isa_avx512, bf16 ? g->bf16 : &vr_isa_avx512.f32, int8 ? g->int8 : NULL};
        return true;
    }
#endif
    (void)name, (void)math, (void)out;
    return false;
}

/* The best instruction set of this machine for that arithmetic, or the one of that name if it is there and has it. */
static bool find_isa(const char *name, vr_math math, choice *out)
{
    const bool bf16 = math == VR_MATH_BF16, int8 = math == VR_MATH_INT8;
    for (int i = 0; i < ISAS; i++) {
        bool (*const wanted)(void) = name || !isas[i].quick ? isas[i].supported : isas[i].quick;
        if ((name && strcmp(name, isas[i].name)) || (bf16 && !isas[i].bf16) || (int8 && !isas[i].int8) || !wanted()) continue;
        *out = (choice){isas[i].isa, bf16 ? isas[i].bf16 : &isas[i].isa->f32, int8 ? isas[i].int8 : NULL};
        return true;
    }
    return name && find_guest(name, math, out);
}

bool vr_cpu_isa_supported(const char *name, vr_math math)
{
    choice c;
    return find_isa(name, math, &c);
}

const char *vr_cpu_isa(int number) { return number >= 0 && number < ISAS ? isas[number].name : NULL; }

/* What the environment names, or NULL. */
static const char *forced_isa(void)
{
    const char *name = getenv("VITRUN_ISA");
    return name && *name ? name : NULL;
}

static const char *name_of(const choice *c) { return c->bytes ? c->bytes->name : c->kernels->name; }

const char *vr_cpu_isa_chosen(vr_math math)
{
    choice c;
    return find_isa(forced_isa(), math, &c) ? name_of(&c) : NULL;
}

static vr_status pick_isa(choice *out, vr_math math, vr_error *err)
{
    const char *name = forced_isa();
    if (find_isa(name, math, out)) return VR_OK;
    if (!name)
        return vr_fail(err, VR_E_DEVICE, "isa",
                       "This processor has no instructions for products of bytes (AVX512-VNNI); use --dtype bf16 or f32.");
    char   there[80] = "";
    size_t at = 0;
    for (int i = 0; i < ISAS; i++)
        if (vr_cpu_isa_supported(isas[i].name, math))
            at += (size_t)snprintf(there + at, sizeof there - at, "%s%s", at ? ", " : "", isas[i].name);
    return vr_fail(err, VR_E_DEVICE, "isa", "VITRUN_ISA asks for %s, but for this dtype there is on this machine only: %s.",
                   vr_quotez(name).text, at ? there : "none");
}

/* ---- life ---- */

static vr_cpu_impl *impl_of(const vr_backend *be) { return be->impl; }

int vr_cpu_threads(const vr_backend *be) { return vr_threads_count(impl_of(be)->crew); }

enum { BUDGET = 2048 };

/* What one layer hands to the next should still be in the caches: on Ice Lake, with one thread or two, pairs of pictures are up to
 * 8 % faster than eight together.  That each further thread, which brings a second cache of its own, takes as many more is
 * assumed, and so is all of it for other processors. */
static int together(int threads)
{
    const int tokens = 260 * (threads < 2 ? 2 : threads);
    return tokens < BUDGET ? tokens : 0;
}

static vr_status cpu_open(vr_backend *be, const vr_wish *wish, vr_error *err)
{
    enum { THREADS_MAX = 1024 };
    int threads = wish->threads;
    if (threads < 0 || threads > THREADS_MAX)
        return vr_fail(err, VR_E_USAGE, "thread-count",
                       "%d threads were asked for; give 1 to %d, or 0 for as many as there are processors.", threads,
                       THREADS_MAX);
    vr_cpu_impl *impl = vr_alloc_zeroed(1, sizeof *impl);
    if (!impl) return vr_fail(err, VR_E_MEMORY, "", "There is no memory for the CPU back end.");
    const vr_math math = wish->math == VR_MATH_BF16 || wish->math == VR_MATH_INT8 ? wish->math : VR_MATH_F32;
    choice        isa = {0};
    vr_status     status = pick_isa(&isa, math, err);
    impl->isa = isa.isa;
    impl->kernels = isa.kernels;
    impl->bytes = isa.bytes;
    if (threads == 0) threads = vr_threads_allowed("");
    if (status == VR_OK) status = vr_threads_open(&impl->crew, threads < THREADS_MAX ? threads : THREADS_MAX, err);
    if (status != VR_OK) {
        free(impl);
        return status;
    }
    *be = (vr_backend){.ops = &vr_cpu,
                       .impl = impl,
                       .activations = impl->kernels->activations,
                       .residual = VR_F32,
                       .math = math,
                       .budget = BUDGET,
                       .together = together(vr_threads_count(impl->crew)),
                       .chip = name_of(&isa)};
    return VR_OK;
}

static void cpu_unreserve(vr_backend *be)
{
    vr_cpu_impl *impl = impl_of(be);
    free(impl->scratch);
    impl->scratch = NULL;
    impl->scratch_stride = 0;
    free(impl->rounded), free(impl->rounding);
    impl->rounded = NULL, impl->rounding = NULL;
    impl->rounded_rows = 0;
    impl->rounded_stride = 0;
    vr_reduction_release(&impl->reduction);
}

static void cpu_close(vr_backend *be)
{
    vr_cpu_impl *impl = impl_of(be);
    if (!impl) return;
    vr_threads_close(impl->crew);
    cpu_unreserve(be);
    free(impl->rows);
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

/* Rows of bytes as deep as the deepest layer; a multiple of 1 KiB from one to the next would crowd few sets of the cache. */
static vr_status reserve_rounded(vr_cpu_impl *impl, int rows, vr_error *err)
{
    size_t stride = ((size_t)impl->deepest + 63) / 64 * 64, bytes;
    if (stride % 1024 == 0) stride += 64;
    if (rows <= impl->rounded_rows && stride <= impl->rounded_stride) return VR_OK;
    free(impl->rounded), free(impl->rounding);
    impl->rounding = vr_alloc((size_t)rows, sizeof *impl->rounding);
    impl->rounded = vr_mul((size_t)rows, stride, &bytes) ? vr_alloc(bytes, 1) : NULL;
    impl->rounded_rows = impl->rounded && impl->rounding ? rows : 0;
    impl->rounded_stride = stride;
    if (impl->rounded_rows == rows) return VR_OK;
    return vr_fail(err, VR_E_MEMORY, "", "There is no memory for the bytes of %d tokens, %d of each.", rows, impl->deepest);
}

/* Of images of up to so many tokens.  Rows of a multiple of 256 scores are laid further apart, and may need more than longer ones. */
static size_t attention_floats(const vr_cpu_impl *impl, int longest, int head_size)
{
    const int    spread = longest / 256 * 256;
    const size_t most = impl->kernels->attention_scratch(longest, head_size);
    const size_t other = spread ? impl->kernels->attention_scratch(spread, head_size) : 0;
    return ((other > most ? other : most) + 15) / 16 * 16;
}

static vr_status cpu_reserve(vr_backend *be, const vr_limits *most, int head_size, int patch, vr_error *err)
{
    (void)patch;
    vr_cpu_impl *impl = impl_of(be);
    if (impl->bytes && impl->deepest > 0 && reserve_rounded(impl, most->rows, err)) return err->code;
    size_t stride = attention_floats(impl, most->longest, head_size), count;
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
    .pack = vr_cpu_pack,
    .pack_rows = vr_cpu_pack_rows,
    .unpack = vr_cpu_unpack,
    .reserve = cpu_reserve,
    .reserve_reduction = cpu_reserve_reduction,
    .unreserve = cpu_unreserve,
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
    .peak = vr_cpu_peak,
};
