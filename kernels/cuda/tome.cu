/* tome.cu: ToMe in three launches: each even token's most similar odd one; who goes where; the merging. */
#include <math.h>

#include "reduce.cuh"

/* How many of n tokens are merged away. */
static __device__ int merges(int r, int n, int prefix)
{
    const int most = (n - prefix) / 2;
    return r < 0 ? 0 : r < most ? r : most;
}

/* Odd tokens are destinations, even ones sources; the second special token, which receives nothing, is the first of the
 * odd, and the class token, which never goes, the first of the even. */
struct odd_and_even {
    int             r, prefix, M, N, barred;
    __device__ bool open(int, int, int n)
    {
        M = n / 2, N = n - M, barred = prefix == 2;
        return merges(r, n, prefix) > 0;
    }
    __device__ int destination(int i) const { return 2 * i + 1; }
    __device__ int source(int j) const { return 2 * j; }
};

typedef struct {
    vr_merging merging;
    float     *score; /* [T] of an image's even tokens, by number */
    int       *best;
    int       *rank; /* [T] of an image's even tokens: how many are more similar to their best */
    vr_trace   trace;
} tome_plan;

/* Ranks of the image's evens; the class token comes last whatever the scores are. */
static __device__ void rank_evens(const tome_plan &p, int first, int evens, bool class_token)
{
    for (int u = (int)threadIdx.x; u < evens; u += (int)blockDim.x)
        p.rank[first + u] =
            class_token && u == 0 ? evens - 1 : rank_of(p.score + first + class_token, evens - class_token, u - class_token);
}

/* Rows of those who stay: evens first, in their old order, or without special tokens by similarity. */
static __device__ void number_rows(const tome_plan &p, int first, int n, int r, int prefix)
{
    const int evens = n - n / 2;
    int      *row = p.merging.row + first, *rank = p.rank + first;
    for (int u = (int)threadIdx.x; u < evens; u += (int)blockDim.x) {
        int before = 0;
        for (int o = 0; o < u; o++) before += rank[o] >= r;
        if (rank[u] >= r) row[2 * u] = prefix == 0 ? rank[u] - r : before + (prefix == 2 && u > 0);
    }
    for (int v = (int)threadIdx.x; v < n / 2; v += (int)blockDim.x) row[2 * v + 1] = prefix == 2 && v == 0 ? 1 : evens - r + v;
}

static __device__ void number_merged(const tome_plan &p, int first, int n, int r, int prefix)
{
    int *row = p.merging.row + first;
    for (int u = (int)threadIdx.x; u < n - n / 2; u += (int)blockDim.x)
        if (p.rank[first + u] < r) row[2 * u] = row[2 * max(p.best[first + u], (int)(prefix == 2)) + 1];
}

__global__ void __launch_bounds__(CREW, 1)
    tome_kernel(tome_plan p, const float *__restrict__ size, float *__restrict__ grown, const int *__restrict__ in_offsets,
                int *__restrict__ out_offsets, int images, int prefix, int r_wanted)
{
    VR_SHARED(int, room, [CREW / 32]);
    const int image = (int)blockIdx.x, tid = (int)threadIdx.x;
    begin_batch(out_offsets, p.trace);
    if (image >= images) return;
    const auto left = [=](int b) {
        const int n = in_offsets[b + 1] - in_offsets[b];
        return n - merges(r_wanted, n, prefix);
    };
    const int first = in_offsets[image], n = in_offsets[image + 1] - first, r = merges(r_wanted, n, prefix);
    const int to = sum_before(image, room, left);
    if (tid == 0) out_offsets[image + 1] = to + n - r;
    trace_nothing(p.trace, image, first, n);
    for (int t = tid; t < n; t += CREW) {
        p.merging.mass[first + t] = size[first + t];
        if (r == 0) p.merging.row[first + t] = t;
    }
    if (r > 0) {
        rank_evens(p, first, n - n / 2, prefix > 0);
        __syncthreads();
        number_rows(p, first, n, r, prefix);
        __syncthreads();
        number_merged(p, first, n, r, prefix);
    }
    __syncthreads();
    merging_list(p.merging, first, n, to);
    __syncthreads();
    for (int row = to + tid; row < to + n - r; row += CREW)
        p.merging.total[row] = grown[row] = merging_sum(p.merging, first, row, [=](int t) { return size[first + t]; });
}

static void lay_out(tome_plan *p, vr_arena *arena, const vr_limits *most, const vr_trace *trace)
{
    vr_merging_lay_out(&p->merging, arena, most, trace);
    p->score = (float *)vr_arena_take(arena, (size_t)most->rows, sizeof *p->score);
    p->best = (int *)vr_arena_take(arena, (size_t)most->rows, sizeof *p->best);
    p->rank = (int *)vr_arena_take(arena, (size_t)most->rows, sizeof *p->rank);
    if (trace) p->trace = *trace;
}

size_t vr_gpu_tome_scratch(const vr_limits *most)
{
    tome_plan plan = {};
    vr_arena  arena = {};
    lay_out(&plan, &arena, most, NULL);
    return arena.overflow ? SIZE_MAX : arena.used;
}

cudaError_t vr_gpu_tome(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, vr_mat metric, int r, const vr_trace *trace,
                        void *scratch)
{
    const vr_limits    most = {in.images, in.rows, in.longest, 0};
    const odd_and_even pairs = {r, in.prefix, 0, 0, 0};
    tome_plan          plan = {};
    vr_arena           arena = {};
    arena.base = (char *)scratch;
    lay_out(&plan, &arena, &most, trace);
    cudaError_t error = cudaSuccess;
    if (r > 0) error = nearest(gpu, pairs, metric, in.offsets, in.images, (in.longest + 1) / 2, plan.best, plan.score);
    if (error) return error;
    VR_LAUNCH(tome_kernel, dim3((unsigned)max(in.images, 1)), dim3(CREW), 0, gpu->stream, plan, in.size, out.size, in.offsets,
              out.offsets, in.images, in.prefix, r);
    error = vr_gpu_launched(gpu, "tome_kernel");
    return error ? error : vr_merging_follow(gpu, out, in, plan.merging);
}
