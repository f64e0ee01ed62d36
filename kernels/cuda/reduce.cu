/* reduce.cu: see reduce.cuh. */
#include "reduce.cuh"

void vr_merging_lay_out(vr_merging *m, vr_arena *arena, const vr_limits *most, const vr_trace *trace)
{
    const size_t T = (size_t)most->rows;
    m->list = (int *)vr_arena_take(arena, T, sizeof *m->list);
    m->start = (int *)vr_arena_take(arena, T, sizeof *m->start);
    m->parts = (int *)vr_arena_take(arena, T, sizeof *m->parts);
    m->row = (int *)vr_arena_take(arena, T, sizeof *m->row);
    m->mass = (float *)vr_arena_take(arena, T, sizeof *m->mass);
    m->total = (float *)vr_arena_take(arena, T, sizeof *m->total);
    if (trace) m->row = trace->row, m->mass = trace->mass, m->total = trace->total;
}

constexpr int ROWS = CREW / 32; /* a warp makes a row */

/* 16 bytes of a merged row. */
template <class T>
static __device__ __forceinline__ wide<T> merged(const cells<T> &x, const vr_merging &m, int first, const int *list, int parts,
                                                 float total, int at)
{
    float   sum[wide<T>::COUNT] = {};
    wide<T> out;
    for (int i = 0; i < parts; i++) {
        const wide<T> part = x.wide_row(first + list[i])[at];
        for (int j = 0; j < wide<T>::COUNT; j++) sum[j] += m.mass[first + list[i]] * to_float(part.x[j]);
    }
    for (int j = 0; j < wide<T>::COUNT; j++) out.x[j] = from_float<T>(sum[j] / total);
    return out;
}

template <class T>
__global__ void __launch_bounds__(CREW, 1)
    follow_kernel(cells<T> y, cells<T> x, vr_merging m, const int *__restrict__ in_offsets, const int *__restrict__ out_offsets)
{
    const int image = (int)blockIdx.x, first = in_offsets[image], row = (int)blockIdx.y * ROWS + (int)threadIdx.x / 32;
    const int to = out_offsets[image] + row, lane = (int)threadIdx.x % 32;
    if (to >= out_offsets[image + 1]) return;
    const int  *list = m.list + first + m.start[to], parts = m.parts[to];
    const float total = m.total[to];
    const bool  lone = parts == 1 && m.mass[first + *list] == total;
    if (x.whole && y.whole)
        for (int c = lane; c < x.cols / wide<T>::COUNT; c += 32)
            y.wide_row(to)[c] = lone ? x.wide_row(first + *list)[c] : merged(x, m, first, list, parts, total, c);
    else
        for (int c = lane; c < x.cols; c += 32) {
            float sum = 0;
            for (int i = 0; i < parts; i++) sum += m.mass[first + list[i]] * to_float(x.row(first + list[i])[c]);
            y.row(to)[c] = lone ? x.row(first + *list)[c] : from_float<T>(sum / total);
        }
}

template <class T> static cudaError_t follow(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, vr_merging merging)
{
    const dim3 grid((unsigned)in.images, (unsigned)((in.longest + ROWS - 1) / ROWS));
    if (grid.x == 0 || grid.y == 0) return cudaSuccess;
    VR_LAUNCH(follow_kernel<T>, grid, dim3(CREW), 0, gpu->stream, cells_of<T>(out.x), cells_of<T>(in.x), merging, in.offsets,
              out.offsets);
    return vr_gpu_launched(gpu, "follow_kernel");
}

cudaError_t vr_merging_follow(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, vr_merging merging)
{
    switch (in.x.type) {
    case VR_F16:
        return follow<half_t>(gpu, out, in, merging);
    case VR_BF16:
        return follow<bf16_t>(gpu, out, in, merging);
    default:
        return follow<float>(gpu, out, in, merging);
    }
}
