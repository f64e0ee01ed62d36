/* diffrate.cu: DiffRate in four launches: the order of the scores; the most similar of those who stay; who goes where; the
 * merging. */
#include <math.h>

#include "reduce.cuh"

/* Places 1 .. K-1 of the order are candidates for places K .. P-1. */
struct kept_and_merged {
    const int      *order; /* [T] the image's tokens as sorted */
    vr_diffrate     how;
    int             M, N, barred;
    __device__ bool open(int, int first, int n)
    {
        order += first, barred = 1;
        M = min(n, min(how.prune_kept, how.merge_kept)), N = min(n, how.prune_kept) - M;
        return N > 0;
    }
    __device__ int destination(int i) const { return order[i]; }
    __device__ int source(int j) const { return order[M + j]; }
};

typedef struct {
    vr_merging  merging;
    vr_trace    trace;
    vr_diffrate how;
    int        *order, *rank; /* [T] the image's tokens as sorted, and the place of each */
    int        *best;         /* [T] an image's sources by number */
    float      *score;
} diffrate_plan;

__global__ void __launch_bounds__(CREW, 1)
    sort_kernel(diffrate_plan p, const float *__restrict__ scores, const int *__restrict__ offsets)
{
    const int first = offsets[blockIdx.x], n = offsets[blockIdx.x + 1] - first;
    for (int t = (int)threadIdx.x; t < n; t += CREW) {
        const int rank = t == 0 ? 0 : 1 + rank_of(scores + first + 1, n - 1, t - 1);
        p.order[first + rank] = t;
        p.rank[first + t] = rank;
    }
}

/* Where a token goes, of n that are to be P and then K; `best` is of the image's sources. */
static __device__ int row_of(int t, int rank, int n, int P, int K, const int *best)
{
    if (K == n) return t;
    if (rank < K) return rank;
    return rank < P ? best[rank - K] : VR_GONE;
}

__global__ void __launch_bounds__(CREW, 1)
    diffrate_kernel(diffrate_plan p, const float *__restrict__ size, float *__restrict__ grown,
                    const int *__restrict__ in_offsets, int *__restrict__ out_offsets, int images)
{
    VR_SHARED(int, room, [CREW / 32]);
    const int image = (int)blockIdx.x, tid = (int)threadIdx.x, most = min(p.how.prune_kept, p.how.merge_kept);
    begin_batch(out_offsets, p.trace);
    if (image >= images) return;
    const int first = in_offsets[image], n = in_offsets[image + 1] - first, P = min(n, p.how.prune_kept), K = min(n, most);
    const int to = sum_before(image, room, [=](int b) { return min(in_offsets[b + 1] - in_offsets[b], most); });
    if (tid == 0) out_offsets[image + 1] = to + K;
    trace_nothing(p.trace, image, first, n);
    for (int t = tid; t < n; t += CREW) {
        p.merging.row[first + t] = row_of(t, p.rank[first + t], n, P, K, p.best + first);
        p.merging.mass[first + t] = 1;
    }
    __syncthreads();
    merging_list(p.merging, first, n, to);
    __syncthreads();
    for (int row = to + tid; row < to + K; row += CREW) {
        const float sum = merging_sum(p.merging, first, row, [=](int t) {
            const int rank = p.rank[first + t];
            return K < n && rank >= K ? size[first + t] * p.score[first + rank - K] : size[first + t];
        });
        p.merging.total[row] = (float)p.merging.parts[row];
        grown[row] = K < P ? fmaxf(VR_SIZE_LEAST, sum) : sum;
    }
}

static void lay_out(diffrate_plan *p, vr_arena *arena, const vr_limits *most, const vr_trace *trace)
{
    vr_merging_lay_out(&p->merging, arena, most, trace);
    p->order = (int *)vr_arena_take(arena, (size_t)most->rows, sizeof *p->order);
    p->rank = (int *)vr_arena_take(arena, (size_t)most->rows, sizeof *p->rank);
    p->best = (int *)vr_arena_take(arena, (size_t)most->rows, sizeof *p->best);
    p->score = (float *)vr_arena_take(arena, (size_t)most->rows, sizeof *p->score);
    if (trace) p->trace = *trace;
}

size_t vr_gpu_diffrate_scratch(const vr_limits *most)
{
    diffrate_plan plan = {};
    vr_arena      arena = {};
    lay_out(&plan, &arena, most, NULL);
    return arena.overflow ? SIZE_MAX : arena.used;
}

cudaError_t vr_gpu_diffrate(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, const float *scores, const vr_diffrate *how,
                            const vr_trace *trace, void *scratch)
{
    const vr_limits most = {in.images, in.rows, in.longest, 0};
    diffrate_plan   plan = {};
    vr_arena        arena = {};
    arena.base = (char *)scratch;
    lay_out(&plan, &arena, &most, trace);
    plan.how = *how;
    if (in.images > 0) VR_LAUNCH(sort_kernel, dim3((unsigned)in.images), dim3(CREW), 0, gpu->stream, plan, scores, in.offsets);
    cudaError_t error = vr_gpu_launched(gpu, "sort_kernel");
    if (error) return error;
    const kept_and_merged pairs = {plan.order, *how, 0, 0, 0};
    error = nearest(gpu, pairs, in.x, in.offsets, in.images, in.longest, plan.best, plan.score);
    if (error) return error;
    VR_LAUNCH(diffrate_kernel, dim3((unsigned)max(in.images, 1)), dim3(CREW), 0, gpu->stream, plan, in.size, out.size,
              in.offsets, out.offsets, in.images);
    error = vr_gpu_launched(gpu, "diffrate_kernel");
    return error ? error : vr_merging_follow(gpu, out, in, plan.merging);
}
