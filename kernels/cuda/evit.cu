/* evit.cu: EViT in two launches: the order of the scores and who goes where; the moving and the sum of those dropped. */
#include <math.h>

#include "reduce.cuh"

typedef struct {
    vr_merging merging;
    vr_trace   trace;
    double     keep;
    bool       fuse;
} evit_plan;

/* Of n tokens, the class token among them, so many are kept beside it. */
static __device__ int kept(double keep, int n)
{
    const int left = (int)ceil(keep * (n - 1));
    return min(left, n - 1);
}

static __device__ int tokens_left(const evit_plan &p, int n)
{
    const int left = kept(p.keep, n);
    return n > 0 ? 1 + left + (p.fuse && left < n - 1) : 0;
}

__global__ void __launch_bounds__(CREW, 1)
    evit_kernel(evit_plan p, const float *__restrict__ scores, const float *__restrict__ size, float *__restrict__ grown,
                const int *__restrict__ in_offsets, int *__restrict__ out_offsets, int images)
{
    VR_SHARED(int, room, [CREW / 32]);
    const int image = (int)blockIdx.x, tid = (int)threadIdx.x;
    begin_batch(out_offsets, p.trace);
    if (image >= images) return;
    const int first = in_offsets[image], n = in_offsets[image + 1] - first, left = kept(p.keep, n);
    const int count = tokens_left(p, n);
    const int to = sum_before(image, room, [=](int b) { return tokens_left(p, in_offsets[b + 1] - in_offsets[b]); });
    if (tid == 0) out_offsets[image + 1] = to + count;
    trace_nothing(p.trace, image, first, n);
    for (int t = tid; t < n; t += CREW) {
        const int  rank = t > 0 && left < n - 1 ? 1 + rank_of(scores + first + 1, n - 1, t - 1) : t;
        const bool stays = rank <= left;
        p.merging.row[first + t] = stays ? rank : p.fuse ? left + 1 : VR_GONE;
        p.merging.mass[first + t] = stays || !p.fuse ? 1 : scores[first + t];
    }
    __syncthreads();
    merging_list(p.merging, first, n, to);
    __syncthreads();
    for (int row = to + tid; row < to + count; row += CREW) {
        p.merging.total[row] = 1;
        if (size) grown[row] = merging_sum(p.merging, first, row, [=](int t) { return size[first + t]; });
    }
}

size_t vr_gpu_evit_scratch(const vr_limits *most)
{
    vr_merging merging = {};
    vr_arena   arena = {};
    vr_merging_lay_out(&merging, &arena, most, NULL);
    return arena.overflow ? SIZE_MAX : arena.used;
}

cudaError_t vr_gpu_evit(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, const float *scores, const vr_evit *how,
                        const vr_trace *trace, void *scratch)
{
    const vr_limits most = {in.images, in.rows, in.longest, 0};
    evit_plan       plan = {};
    vr_arena        arena = {};
    arena.base = (char *)scratch;
    vr_merging_lay_out(&plan.merging, &arena, &most, trace);
    if (trace) plan.trace = *trace;
    plan.keep = how->keep, plan.fuse = how->fuse;
    VR_LAUNCH(evit_kernel, dim3((unsigned)max(in.images, 1)), dim3(CREW), 0, gpu->stream, plan, scores, in.size, out.size,
              in.offsets, out.offsets, in.images);
    const cudaError_t error = vr_gpu_launched(gpu, "evit_kernel");
    return error ? error : vr_merging_follow(gpu, out, in, plan.merging);
}
