/* reduce.cuh: what the CUDA reducers share: products of gathered rows, ranks, and the merging of whole tokens. */
#ifndef VR_CUDA_REDUCE_CUH
#define VR_CUDA_REDUCE_CUH

#include <cuda/mma.h>

#include "segments.cuh"

extern "C" {
#include "../arena.h"
}

/* ---- products ---- */

/* A block of CREW threads makes a tile of TILE x TILE sums; a thread owns 4 x 4 of them. */
constexpr int TILE = 64, CREW = 256, STEP = 16, PITCH = TILE + 4;

/* Sums are made in parts of so many terms: a refined weight is a difference of similarities, and one long chain of
 * additions would put its error at several times that of this one. */
constexpr int PART = 64;

/* A side of a product, `SIDE`, offers
 *     float operator()(int line, int term)      for lines 0 .. TILE-1, 0 past its end; asked for terms below depth only
 *     const wide<T> *run(int line, int term)    the 16 bytes from there on along its memory; NULL: ask one by one
 *     ALONG                                     that memory runs along the terms, and not along the lines */

/* Tiles in shared memory.  Those of half types lie as their sides do; 8 more, so that ldmatrix meets no bank conflict. */
template <class T> struct product_room {
    alignas(16) T left[PART][TILE + 8];
    alignas(16) T right[PART][TILE + 8];
};
template <> struct product_room<float> {
    alignas(16) float left[STEP][PITCH];
    alignas(16) float right[STEP][PITCH];
};

/* Which line of the left side, and of the right, the thread's sum[i][j] belongs to. */
template <class T> VR_FN int product_left(int i, int)
{
    return (int)threadIdx.x / 32 % 4 * 16 + (int)threadIdx.x % 32 / 4 + i / 2 * 8;
}
template <class T> VR_FN int product_right(int i, int j)
{
    return (int)threadIdx.x / 128 * 32 + 8 * j + 2 * ((int)threadIdx.x % 4) + i % 2;
}
template <> __device__ __forceinline__ int product_left<float>(int i, int) { return (int)threadIdx.x / 16 * 4 + i; }
template <> __device__ __forceinline__ int product_right<float>(int, int j) { return (int)threadIdx.x % 16 * 4 + j; }

template <class SIDE> VR_FN void product_load(float (&to)[STEP][PITCH], const SIDE &side, int from, int depth)
{
    const int tid = (int)threadIdx.x;
    for (int i = 0; i < 4; i++) {
        const int line = SIDE::ALONG ? tid / 4 : tid % 16 * 4 + i, term = SIDE::ALONG ? tid % 4 * 4 + i : tid / 16;
        to[term][line] = from + term < depth ? side(line, from + term) : 0.0f;
    }
}

/* To [line][term], or to [term][line] where memory runs along the lines. */
template <class T, class SIDE> VR_FN void product_load(T (&to)[PART][TILE + 8], const SIDE &side, int from, int depth)
{
    for (int i = (int)threadIdx.x; i < PART * TILE / 8; i += CREW) {
        const int      slow = i / 8, fast = i % 8 * 8, line = SIDE::ALONG ? slow : fast;
        const int      term = from + (SIDE::ALONG ? fast : slow);
        const wide<T> *run = term < depth ? side.run(line, term) : NULL;
        wide<T>        values;
        if (run)
            values = *run;
        else
            for (int j = 0; j < 8; j++) {
                const int l = SIDE::ALONG ? line : line + j, t = SIDE::ALONG ? term + j : term;
                values.x[j] = from_float<T>(t < depth ? side(l, t) : 0.0f);
            }
        *(wide<T> *)(void *)&to[slow][fast] = values;
    }
}

/* sum += the products of up to PART terms, on tensor cores: a warp makes 16 x 32. */
template <class T, class L, class R> VR_FN void product_part(float (&sum)[4][4], const product_room<T> &room, int depth)
{
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, row = warp % 4 * 16, col = warp / 4 * 32;
    float     some[4][4] = {};
#pragma unroll
    for (int k = 0; k < PART; k += 16) {
        unsigned a[4], b[4];
        if (k >= depth) break;
        if (L::ALONG)
            ldmatrix_x4(a, &room.left[row + lane % 16][k + lane / 16 * 8]);
        else
            ldmatrix_x4_trans(a, &room.left[k + lane / 16 * 8 + lane % 8][row + lane / 8 % 2 * 8]);
#pragma unroll
        for (int n = 0; n < 4; n += 2) {
            if (R::ALONG)
                ldmatrix_x4(b, &room.right[col + 8 * n + lane / 16 * 8 + lane % 8][k + lane / 8 % 2 * 8]);
            else
                ldmatrix_x4_trans(b, &room.right[k + lane % 16][col + 8 * n + lane / 16 * 8]);
            mma_16x8x16<T>(some[n], a, b[0], b[1]);
            mma_16x8x16<T>(some[n + 1], a, b[2], b[3]);
        }
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) sum[i][j] += some[j][i];
}

/* sum[i][j] += sum over terms of left(line, term) right(line, term), the lines being product_left and _right of i, j. */
template <class T, class L, class R>
static __device__ void product(float (&sum)[4][4], product_room<T> &room, const L &left, const R &right, int depth)
{
    for (int from = 0; from < depth; from += PART) {
        product_load(room.left, left, from, depth);
        product_load(room.right, right, from, depth);
        __syncthreads();
        product_part<T, L, R>(sum, room, depth - from);
        __syncthreads(); /* the room may be filled again */
    }
}
template <class L, class R>
static __device__ void product(float (&sum)[4][4], product_room<float> &room, const L &left, const R &right, int depth)
{
    const int row = product_left<float>(0, 0), col = product_right<float>(0, 0);
    for (int part = 0; part < depth; part += PART) {
        float     some[4][4] = {};
        const int end = part + PART < depth ? part + PART : depth;
        for (int from = part; from < end; from += STEP) {
            product_load(room.left, left, from, depth);
            product_load(room.right, right, from, depth);
            __syncthreads();
#pragma unroll
            for (int k = 0; k < STEP; k++)
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int j = 0; j < 4; j++) some[i][j] += room.left[k][row + i] * room.right[k][col + j];
            __syncthreads(); /* the room may be filled again */
        }
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) sum[i][j] += some[i][j];
    }
}

/* A side of a product: some rows of a matrix, 0 past the last of them.  WHICH says which token a line is. */
template <class T, class WHICH> struct gathered {
    enum { ALONG = true };
    cells<T>         x;
    WHICH            which;
    int              first, from, count; /* the image's first row; line 0 is number `from` of `count` */
    __device__ float operator()(int line, int term) const
    {
        return from + line < count ? to_float(x.row(first + which(from + line))[term]) : 0.0f;
    }
    __device__ const wide<T> *run(int line, int term) const
    {
        if (!x.whole || from + line >= count) return NULL;
        return x.wide_row(first + which(from + line)) + term / wide<T>::COUNT;
    }
};

/* scale [TILE]: 1 / the norm of each line, 0 for zeros.  A barrier must follow. */
template <class T, class WHICH> static __device__ void inverse_norms(float *scale, const gathered<T, WHICH> &side, int depth)
{
    constexpr int COUNT = wide<T>::COUNT;
    const int     lane = (int)threadIdx.x % 32;
    for (int line = (int)threadIdx.x / 32; line < TILE; line += CREW / 32) {
        float sum = 0;
        for (int term = lane * COUNT; term < depth; term += 32 * COUNT) {
            const wide<T> *run = side.run(line, term);
            for (int j = 0; j < COUNT; j++) {
                const float x = run ? to_float(run->x[j]) : term + j < depth ? side(line, term + j) : 0.0f;
                sum += x * x;
            }
        }
        for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(~0u, sum, by);
        if (lane == 0) scale[line] = sum > 0 ? 1 / sqrtf(sum) : 0;
    }
}

/* ---- the most similar ---- */

/* Two groups of an image's tokens, as ToMe and DiffRate compare them: for each source the most similar destination.
 * An implementation `PAIRS` is copied to the kernel and offers
 *     bool open(int image, int first, int n)      false where there is nothing to do
 *     int  M, N, barred                           destinations barred .. M-1 are candidates
 *     int  destination(int i), source(int j)      which token of the image
 * and best, score [rows] get, at the image's first row on, destination (-1: none) and cosine for each source. */
template <class T, class PAIRS>
__global__ void __launch_bounds__(CREW, 1)
    nearest_kernel(PAIRS pairs, cells<T> x, const int *__restrict__ offsets, int *__restrict__ best, float *__restrict__ score)
{
    VR_SHARED(product_room<T>, room, [1]);
    VR_SHARED(float, block, [TILE][TILE + 1]); /* cosines, [destination][source] */
    VR_SHARED(float, scale, [2][TILE]);
    VR_SHARED(float, top, [4][TILE]);
    VR_SHARED(int, at, [4][TILE]);
    const int tid = (int)threadIdx.x, image = (int)blockIdx.x, first = offsets[image], from = (int)blockIdx.y * TILE;
    if (!pairs.open(image, first, offsets[image + 1] - first) || from >= pairs.N) return;
    const auto                    destination = [=](int i) { return pairs.destination(i); };
    const auto                    source = [=](int j) { return pairs.source(j); };
    gathered<T, decltype(source)> right = {x, source, first, from, pairs.N};
    inverse_norms(scale[1], right, x.cols);
    float found = -INFINITY; /* of this thread's source among a quarter of each tile's destinations */
    int   where = -1;
    for (int tile = 0; tile < pairs.M; tile += TILE) {
        gathered<T, decltype(destination)> left = {x, destination, first, tile, pairs.M};
        float                              sum[4][4] = {};
        inverse_norms(scale[0], left, x.cols);
        product(sum, room[0], left, right, x.cols);
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                const int d = product_left<T>(i, j), s = product_right<T>(i, j);
                block[d][s] = sum[i][j] * scale[0][d] * scale[1][s];
            }
        __syncthreads();
        for (int d = tid / TILE; d < TILE && tile + d < pairs.M; d += CREW / TILE) {
            const float s = block[d][tid % TILE];
            if (tile + d >= pairs.barred && s > found) found = s, where = tile + d;
        }
        __syncthreads(); /* the tile may be filled again */
    }
    top[tid / TILE][tid % TILE] = found;
    at[tid / TILE][tid % TILE] = where;
    __syncthreads();
    if (tid >= TILE || from + tid >= pairs.N) return;
    for (int part = 1; part < CREW / TILE; part++) /* the first of equals */
        if (at[part][tid] >= 0 && (top[part][tid] > found || (top[part][tid] == found && at[part][tid] < where)))
            found = top[part][tid], where = at[part][tid];
    best[first + from + tid] = where;
    score[first + from + tid] = found;
}

/* Sources are numbered below `longest`. */
template <class PAIRS>
static cudaError_t nearest(const vr_gpu *gpu, PAIRS pairs, vr_mat x, const int *offsets, int images, int longest, int *best,
                           float *score)
{
    const dim3 grid((unsigned)images, (unsigned)((longest + TILE - 1) / TILE));
    if (grid.x == 0 || grid.y == 0) return cudaSuccess;
    if (x.type == VR_F16)
        VR_LAUNCH((nearest_kernel<half_t, PAIRS>), grid, dim3(CREW), 0, gpu->stream, pairs, cells_of<half_t>(x), offsets, best,
                  score);
    else if (x.type == VR_BF16)
        VR_LAUNCH((nearest_kernel<bf16_t, PAIRS>), grid, dim3(CREW), 0, gpu->stream, pairs, cells_of<bf16_t>(x), offsets, best,
                  score);
    else
        VR_LAUNCH((nearest_kernel<float, PAIRS>), grid, dim3(CREW), 0, gpu->stream, pairs, cells_of<float>(x), offsets, best,
                  score);
    return vr_gpu_launched(gpu, "nearest_kernel");
}

/* ---- order ---- */

/* A number that grows as x falls; -0 counts as 0. */
VR_FN unsigned falling(float x)
{
    unsigned bits;
    x += 0.0f;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 31 ? bits : ~bits & 0x7fffffffu;
}

/* How many of the count values go before number i, the largest first and equals in order. */
VR_FN int rank_of(const float *values, int count, int i)
{
    const unsigned mine = falling(values[i]);
    int            rank = 0;
    for (int j = 0; j < count; j++) {
        const unsigned other = falling(values[j]);
        rank += other < mine || (other == mine && j < i);
    }
    return rank;
}

/* ---- merging whole tokens ---- */

/* Which tokens go into which row.  An image's part of an array of T begins at its first row, of an input or of an
 * output; row, mass and total are as in vr_trace. */
typedef struct {
    int   *row, *list, *start, *parts; /* [T] of the input; an image's tokens by row; [T] of the output: where in it */
    float *mass, *total;
} vr_merging;

/* Room for such a batch; row, mass and total are the trace's, if there is one. */
void vr_merging_lay_out(vr_merging *m, vr_arena *arena, const vr_limits *most, const vr_trace *trace);

/* Fills list, start and parts for one image from row; the whole block calls it, with a barrier before and after.
 *   first, n  the image's tokens;  to  its first row in the output */
VR_FN void merging_list(const vr_merging &m, int first, int n, int to)
{
    for (int t = (int)threadIdx.x; t < n; t += (int)blockDim.x) {
        const int mine = m.row[first + t];
        int       less = 0, before = 0, same = 0;
        if (mine < 0) continue;
        for (int o = 0; o < n; o++) {
            const int other = m.row[first + o];
            less += other >= 0 && other < mine;
            before += other == mine && o < t;
            same += other == mine;
        }
        m.list[first + less + before] = t;
        if (before == 0) m.start[to + mine] = less, m.parts[to + mine] = same;
    }
}

/* What of(token) gives, summed over the tokens of output row `row` in their order. */
template <class F> static __device__ __forceinline__ float merging_sum(const vr_merging &m, int first, int row_in_batch, F of)
{
    float sum = 0;
    for (int i = 0; i < m.parts[row_in_batch]; i++) sum += of(m.list[first + m.start[row_in_batch] + i]);
    return sum;
}

/* out = the rows of in, merged: sum of mass x / total, a lone token copied.  offsets of both are known to the device. */
cudaError_t vr_merging_follow(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, vr_merging merging);

/* What an output and a trace begin with, images or none; for every block. */
VR_FN void begin_batch(int *out_offsets, const vr_trace &trace)
{
    if (blockIdx.x > 0 || threadIdx.x > 0) return;
    out_offsets[0] = 0;
    if (trace.row) trace.weights_at[0] = 0;
}

/* Trace fields of MaMe alone, for the others: no weights, no columns.  For one image, by one block. */
VR_FN void trace_nothing(const vr_trace &trace, int image, int first, int n)
{
    if (!trace.row) return;
    if (threadIdx.x == 0) trace.destinations[image] = 0, trace.weights_at[image + 1] = 0;
    for (int t = (int)threadIdx.x; t < n; t += (int)blockDim.x) trace.column[first + t] = -1;
}

#endif
