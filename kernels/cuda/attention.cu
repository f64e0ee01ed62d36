/* attention.cu: softmax(q k^T / sqrt(D) + ln size) v over ragged images, in two ways:
 *
 *   plain     products and sums in f32, any head size up to 128, blocks of 32 keys
 *   fast      tensor cores for half types and head sizes that are multiples of 8; whole rows of scores in registers for
 *             images of up to 256 keys, blocks of 64 keys with running maxima for longer ones
 *
 * Which way an image goes depends on its own length and the matrices' shape alone, so that its bits do not depend on its
 * batch.  What a reducer wants beside the result comes from two small kernels. */
#include <math.h>

#include <cuda/mma.h>

#include "segments.cuh"

constexpr int HEAD_MOST = 128;

static const float LOG2E = 1.4426950408889634f;

/* One call's arguments, as kernels see them. */
template <class T> struct looking {
    cells<T>     y, q, k, v;
    const int   *q_offsets, *kv_offsets;
    const float *size;        /* [Tkv] or NULL */
    int          head;        /* D */
    float        scale;       /* 1 / sqrt(D) */
    int          least, most; /* for images of more keys than `least`, up to `most` */
};

/* One image and head of it. */
template <class T> struct glance {
    int begin, queries, first, keys, col;
};
template <class T> static __device__ __forceinline__ glance<T> glance_of(const looking<T> &a)
{
    const int image = (int)blockIdx.x, begin = a.q_offsets[image], first = a.kv_offsets[image];
    return {begin, a.q_offsets[image + 1] - begin, first, a.kv_offsets[image + 1] - first, (int)blockIdx.y * a.head};
}

/* ---- plain ---- */

constexpr int PLAIN_ROWS = 32, PLAIN_KEYS = 32, PLAIN_WARPS = 4, PLAIN_SHARE = PLAIN_ROWS / PLAIN_WARPS;

static __device__ __forceinline__ int plain_pitch(int head) { return head | 1; } /* odd: rows meet no bank conflict */

static size_t plain_shared(int head)
{
    return (size_t)((PLAIN_ROWS + 2 * PLAIN_KEYS) * (head | 1) + PLAIN_ROWS * PLAIN_KEYS) * sizeof(float);
}

/* to [count][pitch]: columns col .. of rows first .., zeros past the last of them */
template <class T>
static __device__ void plain_load(float *to, cells<T> from, int first, int rows, int count, int col, int head)
{
    for (int i = (int)threadIdx.x; i < count * head; i += 32 * PLAIN_WARPS) {
        const int r = i / head, c = i % head;
        to[r * plain_pitch(head) + c] = r < rows ? to_float(from.row(first + r)[col + c]) : 0.0f;
    }
}

static __device__ __forceinline__ float warp_max(float x)
{
    for (int by = 16; by > 0; by /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, by));
    return x;
}
static __device__ __forceinline__ float warp_sum(float x)
{
    for (int by = 16; by > 0; by /= 2) x += __shfl_xor_sync(~0u, x, by);
    return x;
}

/* A warp has 8 queries; while scoring a lane has a key, while adding up it has columns lane, lane + 32, ... */
template <class T> __global__ void __launch_bounds__(32 * PLAIN_WARPS) plain_kernel(looking<T> a)
{
    VR_DYNAMIC_SHARED(float, room);
    const glance<T> g = glance_of(a);
    const int       warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, pitch = plain_pitch(a.head);
    const int       tile = (int)blockIdx.z * PLAIN_ROWS;
    float          *q = room, *k = q + PLAIN_ROWS * pitch, *v = k + PLAIN_KEYS * pitch;
    float          *p = v + PLAIN_KEYS * pitch + warp * PLAIN_SHARE * PLAIN_KEYS;
    float           o[PLAIN_SHARE][HEAD_MOST / 32] = {}, top[PLAIN_SHARE], sum[PLAIN_SHARE] = {};
    if (tile >= g.queries) return;
    for (int r = 0; r < PLAIN_SHARE; r++) top[r] = -INFINITY;
    plain_load(q, a.q, g.begin + tile, g.queries - tile, PLAIN_ROWS, g.col, a.head);
    q += warp * PLAIN_SHARE * pitch;
    for (int from = 0; from < g.keys; from += PLAIN_KEYS) {
        plain_load(k, a.k, g.first + from, g.keys - from, PLAIN_KEYS, g.col, a.head);
        plain_load(v, a.v, g.first + from, g.keys - from, PLAIN_KEYS, g.col, a.head);
        __syncthreads();
        float s[PLAIN_SHARE] = {};
        for (int c = 0; c < a.head; c++)
#pragma unroll
            for (int r = 0; r < PLAIN_SHARE; r++) s[r] += q[r * pitch + c] * k[lane * pitch + c];
        const bool  in = from + lane < g.keys;
        const float bias = in && a.size ? logf(a.size[g.first + from + lane]) : 0;
#pragma unroll
        for (int r = 0; r < PLAIN_SHARE; r++) {
            const float score = in ? s[r] * a.scale + bias : -INFINITY, before = top[r];
            top[r] = fmaxf(before, warp_max(score));
            const float shrink = expf(before - top[r]), share = expf(score - top[r]);
            sum[r] = sum[r] * shrink + share; /* of this lane's keys */
            p[r * PLAIN_KEYS + lane] = share;
            for (int c = 0; c < HEAD_MOST / 32; c++) o[r][c] *= shrink;
        }
        __syncwarp();
        for (int j = 0; j < PLAIN_KEYS; j++)
#pragma unroll
            for (int c = 0; c < HEAD_MOST / 32; c++) {
                const float x = lane + 32 * c < a.head ? v[j * pitch + lane + 32 * c] : 0.0f;
#pragma unroll
                for (int r = 0; r < PLAIN_SHARE; r++) o[r][c] += p[r * PLAIN_KEYS + j] * x;
            }
        __syncthreads(); /* keys and values may be filled again */
    }
#pragma unroll
    for (int r = 0; r < PLAIN_SHARE; r++) {
        const int   row = tile + warp * PLAIN_SHARE + r;
        const float all = warp_sum(sum[r]);
        if (row >= g.queries) continue;
        for (int c = 0; c < HEAD_MOST / 32; c++)
            if (lane + 32 * c < a.head)
                a.y.row(g.begin + row)[g.col + lane + 32 * c] = from_float<T>(g.keys > 0 ? o[r][c] / all : 0);
    }
}

template <class T> static cudaError_t plain(const vr_gpu *gpu, const looking<T> &a, int images, int heads, int queries)
{
    const size_t bytes = plain_shared(a.head);
    const dim3   grid((unsigned)images, (unsigned)heads, (unsigned)((queries + PLAIN_ROWS - 1) / PLAIN_ROWS));
    if (bytes > 48 << 10) {
        const cudaError_t error = VR_ALLOW_SMEM(plain_kernel<T>, bytes);
        if (error) return vr_gpu_not_launched(gpu, "plain_kernel", error);
    }
    VR_LAUNCH(plain_kernel<T>, grid, dim3(32 * PLAIN_WARPS), bytes, gpu->stream, a);
    return vr_gpu_launched(gpu, "plain_kernel");
}

/* ---- fast ---- */

constexpr int WARPS = 4;

template <int HEAD, int KEYS> constexpr size_t fast_shared()
{
    return (size_t)(2 * KEYS + 16 * WARPS) * (HEAD + 8) * 2 + KEYS * sizeof(float);
}

/* to [count up to a multiple of 16][HEAD + 8]: zeros past the last row, since 0 times junk may be a NaN, and past the last
 * column.  The lanes who .. of `crew` share the work. */
template <int HEAD, class T>
static __device__ __forceinline__ void fast_load(T *to, cells<T> from, int first, int rows, int count, int col, int head,
                                                 int who, int crew)
{
    for (int i = who; i < (count + 15) / 16 * 16 * (HEAD / 8); i += crew) {
        const int  r = i / (HEAD / 8), c = i % (HEAD / 8) * 8;
        const bool in = r < rows && c < head;
        cp_async_16(to + r * (HEAD + 8) + c, from.row(first + (in ? r : 0)) + col + (in ? c : 0), in);
    }
}

/* Longer rows than these come in blocks of as many keys; wider instances are for images whose keys they hold at once. */
constexpr int BLOCK_KEYS = 64;

/* A block has an image's head, or every gridDim.z-th 64 queries of it; a warp has 16 queries and their scores of a block of
 * up to KEYS keys.  HEAD is D or more, a multiple of 16. */
template <class T, int HEAD, int KEYS> __global__ void __launch_bounds__(32 * WARPS, 2) fast_kernel(looking<T> a)
{
    constexpr bool WHOLE = KEYS > BLOCK_KEYS;
    constexpr int  PITCH = HEAD + 8; /* 8 more: ldmatrix meets no bank conflict */
    VR_DYNAMIC_SHARED(T, k);
    const glance<T> at = glance_of(a);
    const int       warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    T              *v = k + KEYS * PITCH, *q = v + (KEYS + 16 * warp) * PITCH;
    float          *bias = (float *)(v + (KEYS + 16 * WARPS) * PITCH); /* [KEYS] in powers of two; -infinity past the end */
    const int       start = (int)blockIdx.z * 16 * WARPS, step = (int)gridDim.z * 16 * WARPS;
    const float     scale = a.scale * LOG2E;
    if (at.keys <= a.least || at.keys > a.most || start >= at.queries) return;

    for (int base = start; base < at.queries; base += step) {
        const int tile = base + 16 * warp; /* may lie past the end: the warp still meets the others */
        unsigned  qa[HEAD / 16][4];
        float     o[HEAD / 8][4] = {}, top[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
        if (at.keys > 0)
            fast_load<HEAD>(q, a.q, at.begin + (tile < at.queries ? tile : 0), at.queries - tile, 16, at.col, a.head, lane, 32);
        cp_async_commit();

        for (int from = 0; from < at.keys; from += KEYS) {
            const int keys = min(KEYS, at.keys - from);
            if ((!WHOLE && at.keys > KEYS) || base == start) {
                if (from > 0 || base > start) __syncthreads(); /* all have done with the keys before */
                fast_load<HEAD>(k, a.k, at.first + from, keys, keys, at.col, a.head, (int)threadIdx.x, 32 * WARPS);
                fast_load<HEAD>(v, a.v, at.first + from, keys, keys, at.col, a.head, (int)threadIdx.x, 32 * WARPS);
                cp_async_commit();
                for (int j = (int)threadIdx.x; j < (keys + 15) / 16 * 16; j += 32 * WARPS)
                    bias[j] = j >= keys ? -INFINITY : a.size ? log2f(a.size[at.first + from + j]) : 0.0f;
                cp_async_wait<0>();
                __syncthreads();
            } else {
                cp_async_wait<0>();
                __syncwarp();
            }
            if (from == 0) {
#pragma unroll
                for (int d = 0; d < HEAD / 16; d++) ldmatrix_x4(qa[d], q + lane % 16 * PITCH + 16 * d + lane / 16 * 8);
                __syncwarp(); /* q may be filled again */
            }

            float s[KEYS / 8][4]; /* of rows g, g+8 and keys 8j+2t, 8j+2t+1; then their exponentials */
            float before[2] = {top[0], top[1]};
#pragma unroll
            for (int j = 0; j < KEYS / 16; j++)
                if (16 * j < keys) {
#pragma unroll
                    for (int i = 0; i < 4; i++) s[2 * j][i] = s[2 * j + 1][i] = 0;
#pragma unroll
                    for (int d = 0; d < HEAD / 16; d++) {
                        unsigned b[4];
                        ldmatrix_x4(b, k + (16 * j + lane / 16 * 8 + lane % 8) * PITCH + 16 * d + lane / 8 % 2 * 8);
                        mma_16x8x16<T>(s[2 * j], qa[d], b[0], b[1]);
                        mma_16x8x16<T>(s[2 * j + 1], qa[d], b[2], b[3]);
                    }
#pragma unroll
                    for (int i = 0; i < 8; i++) {
                        float &x = s[2 * j + i / 4][i % 4];
                        x = x * scale + bias[16 * j + i / 4 * 8 + 2 * t + i % 2];
                        top[i / 2 % 2] = fmaxf(top[i / 2 % 2], x);
                    }
                }
#pragma unroll
            for (int h = 0; h < 2; h++) {
                top[h] = fmaxf(top[h], __shfl_xor_sync(~0u, top[h], 1));
                top[h] = fmaxf(top[h], __shfl_xor_sync(~0u, top[h], 2));
            }
            if (!WHOLE && from > 0) {
                const float shrink[2] = {exp2f(before[0] - top[0]), exp2f(before[1] - top[1])};
                sum[0] *= shrink[0], sum[1] *= shrink[1];
#pragma unroll
                for (int i = 0; i < HEAD / 8 * 4; i++) o[i / 4][i % 4] *= shrink[i / 2 % 2];
            }
#pragma unroll
            for (int j = 0; j < KEYS / 16; j++)
                if (16 * j < keys) {
                    unsigned p[4];
#pragma unroll
                    for (int i = 0; i < 4; i++) { /* a pair of C fragments is an A fragment */
                        const float *x = s[2 * j + i / 2] + i % 2 * 2;
                        const float  lo = exp2f(x[0] - top[i % 2]), hi = exp2f(x[1] - top[i % 2]);
                        sum[i % 2] += lo + hi;
                        p[i] = pack2<T>(lo, hi);
                    }
#pragma unroll
                    for (int d = 0; d < HEAD / 16; d++) {
                        unsigned b[4];
                        ldmatrix_x4_trans(b, v + (16 * j + lane % 16) * PITCH + 16 * d + lane / 16 * 8);
                        mma_16x8x16<T>(o[2 * d], p, b[0], b[1]);
                        mma_16x8x16<T>(o[2 * d + 1], p, b[2], b[3]);
                    }
                }
            if (WHOLE) break; /* so the compiler knows that sums begin here */
        }
#pragma unroll
        for (int h = 0; h < 2; h++) {
            sum[h] += __shfl_xor_sync(~0u, sum[h], 1);
            sum[h] += __shfl_xor_sync(~0u, sum[h], 2);
            const int row = tile + g + 8 * h;
            if (row >= at.queries) continue;
            const float part = at.keys > 0 ? 1 / sum[h] : 0;
            T          *to = a.y.row(at.begin + row) + at.col + 2 * t;
#pragma unroll
            for (int d = 0; d < HEAD / 8; d++)
                if (8 * d < a.head) *(unsigned *)(to + 8 * d) = pack2<T>(o[d][2 * h] * part, o[d][2 * h + 1] * part);
        }
    }
}

/* Images of least < keys <= most. */
template <class T, int HEAD, int KEYS>
static cudaError_t fast_launch(const vr_gpu *gpu, looking<T> a, int images, int heads, int queries, int least, int most)
{
    const size_t bytes = fast_shared<HEAD, KEYS>();
    const int    tiles = (queries + 16 * WARPS - 1) / (16 * WARPS), others = images * heads;
    const int    wanted = most > KEYS ? tiles : (2 * gpu->sms + others - 1) / others; /* blocks that share a head */
    const dim3   grid((unsigned)images, (unsigned)heads, (unsigned)max(1, min(tiles, wanted)));
    a.least = least, a.most = most;
    if (bytes > 48 << 10) {
        const cudaError_t error = VR_ALLOW_SMEM((fast_kernel<T, HEAD, KEYS>), bytes);
        if (error) return vr_gpu_not_launched(gpu, "fast_kernel", error);
    }
    VR_LAUNCH((fast_kernel<T, HEAD, KEYS>), grid, dim3(32 * WARPS), bytes, gpu->stream, a);
    return vr_gpu_launched(gpu, "fast_kernel");
}

/* Whole rows of up to 256 keys, where a block's shared memory and registers have room for them. */
template <int HEAD> static int whole_rows(const vr_gpu *gpu)
{
    if (HEAD > 80) return BLOCK_KEYS;
    if (fast_shared<HEAD, 256>() <= gpu->shared_most) return 256;
    return fast_shared<HEAD, 208>() <= gpu->shared_most ? 208 : BLOCK_KEYS;
}

template <class T, int HEAD>
static cudaError_t fast(const vr_gpu *gpu, const looking<T> &a, int images, int heads, int queries, int keys)
{
    const int   whole = whole_rows<HEAD>(gpu), widest = min(keys, whole);
    cudaError_t error = cudaSuccess;
    if constexpr (HEAD <= 80) {
        if (widest > 208)
            error = fast_launch<T, HEAD, 256>(gpu, a, images, heads, queries, -1, whole);
        else if (widest > BLOCK_KEYS)
            error = fast_launch<T, HEAD, 208>(gpu, a, images, heads, queries, -1, whole);
    }
    if (widest <= BLOCK_KEYS) error = fast_launch<T, HEAD, BLOCK_KEYS>(gpu, a, images, heads, queries, -1, whole);
    if (error || keys <= whole) return error;
    return fast_launch<T, HEAD, BLOCK_KEYS>(gpu, a, images, heads, queries, whole, INT32_MAX);
}

/* ---- beside the result ---- */

constexpr int EXTRAS_CREW = 256;

/* whole: k is aligned, and `head` a number of wides. */
template <class T> static __device__ __forceinline__ float product_of(const float *q, const T *k, int head, bool whole)
{
    constexpr int COUNT = wide<T>::COUNT;
    float         sum = 0;
    if (whole)
        for (int c = 0; c < head; c += COUNT) {
            const wide<T> part = *(const wide<T> *)(const void *)(k + c);
#pragma unroll
            for (int j = 0; j < COUNT; j++) sum += q[c + j] * to_float(part.x[j]);
        }
    else
        for (int c = 0; c < head; c++) sum += q[c] * to_float(k[c]);
    return sum;
}

/* scores [Tkv]: an image's query 0 looks at its keys; heads are added in their order.  A thread has every 256th key. */
template <class T> __global__ void __launch_bounds__(EXTRAS_CREW, 1) class_scores_kernel(looking<T> a, int heads, float *scores)
{
    VR_SHARED(float, q, [HEAD_MOST]);
    VR_SHARED(float, room, [2][EXTRAS_CREW / 32]);
    VR_DYNAMIC_SHARED(float, score); /* [keys] */
    const int       tid = (int)threadIdx.x;
    const glance<T> g = glance_of(a);
    if (g.queries == 0) return;
    for (int h = 0; h < heads; h++) {
        float top = -INFINITY, sum = 0;
        if (tid < a.head) q[tid] = to_float(a.q.row(g.begin)[h * a.head + tid]);
        __syncthreads();
        for (int j = tid; j < g.keys; j += EXTRAS_CREW) {
            float s = product_of(q, a.k.row(g.first + j) + h * a.head, a.head, a.k.whole && a.head % wide<T>::COUNT == 0);
            s = s * a.scale + (a.size ? logf(a.size[g.first + j]) : 0);
            score[j] = s;
            top = fmaxf(top, s);
        }
        top = warp_max(top);
        if (tid % 32 == 0) room[0][tid / 32] = top;
        __syncthreads();
        for (int w = 0; w < EXTRAS_CREW / 32; w++) top = fmaxf(top, room[0][w]);
        for (int j = tid; j < g.keys; j += EXTRAS_CREW) sum += score[j] = expf(score[j] - top);
        sum = block_sum(sum, room[1]);
        for (int j = tid; j < g.keys; j += EXTRAS_CREW) {
            const float share = score[j] / sum / (float)heads;
            scores[g.first + j] = h == 0 ? share : scores[g.first + j] + share;
        }
    }
}

template <class T>
__global__ void __launch_bounds__(EXTRAS_CREW) mean_keys_kernel(cells<float> mean, cells<T> k, int heads, int rows)
{
    const int i = (int)blockIdx.x * EXTRAS_CREW + (int)threadIdx.x, row = i / mean.cols, col = i % mean.cols;
    if (row >= rows) return;
    float sum = 0;
    for (int h = 0; h < heads; h++) sum += to_float(k.row(row)[h * mean.cols + col]);
    mean.row(row)[col] = sum / (float)heads;
}

template <class T>
static cudaError_t beside(const vr_gpu *gpu, const looking<T> &a, vr_segments kv_rows, int heads, const vr_extras *extras)
{
    const size_t cells_of_mean = (size_t)kv_rows.rows * (size_t)a.head, bytes = (size_t)kv_rows.longest * sizeof(float);
    if (extras->mean_keys.data && cells_of_mean > 0) {
        VR_LAUNCH(mean_keys_kernel<T>, dim3((unsigned)((cells_of_mean + EXTRAS_CREW - 1) / EXTRAS_CREW)), dim3(EXTRAS_CREW), 0,
                  gpu->stream, cells_of<float>(extras->mean_keys), a.k, heads, kv_rows.rows);
        const cudaError_t error = vr_gpu_launched(gpu, "mean_keys_kernel");
        if (error) return error;
    }
    if (extras->class_scores) {
        if (bytes > 48 << 10) {
            const cudaError_t error = VR_ALLOW_SMEM(class_scores_kernel<T>, bytes);
            if (error) return vr_gpu_not_launched(gpu, "class_scores_kernel", error);
        }
        VR_LAUNCH(class_scores_kernel<T>, dim3((unsigned)kv_rows.images), dim3(EXTRAS_CREW), bytes, gpu->stream, a, heads,
                  extras->class_scores);
        return vr_gpu_launched(gpu, "class_scores_kernel");
    }
    return cudaSuccess;
}

/* ---- the verb ---- */

static bool aligned(vr_mat m) { return m.stride % 8 == 0 && (uintptr_t)m.data % 16 == 0; }

template <class T> static cudaError_t look(const vr_gpu *gpu, const looking<T> &a, int images, int heads, int queries, int keys)
{
    if (a.head <= 32) return fast<T, 32>(gpu, a, images, heads, queries, keys);
    if (a.head <= 64) return fast<T, 64>(gpu, a, images, heads, queries, keys);
    if (a.head <= 80) return fast<T, 80>(gpu, a, images, heads, queries, keys);
    return fast<T, 128>(gpu, a, images, heads, queries, keys);
}

template <class T>
static cudaError_t attention(const vr_gpu *gpu, vr_mat y, vr_mat q, vr_mat k, vr_mat v, vr_segments q_rows, vr_segments kv_rows,
                             int heads, const vr_extras *extras)
{
    const int        head = y.cols / heads, images = q_rows.images, queries = q_rows.longest;
    const looking<T> a = {cells_of<T>(y),
                          cells_of<T>(q),
                          cells_of<T>(k),
                          cells_of<T>(v),
                          q_rows.offsets,
                          kv_rows.offsets,
                          extras ? extras->size : NULL,
                          head,
                          1 / sqrtf((float)head),
                          -1,
                          INT32_MAX};
    cudaError_t      error = cudaSuccess;
    if (images == 0 || queries == 0) return error;
    if constexpr (sizeof(T) == 2) {
        const bool may = head % 8 == 0 && aligned(y) && aligned(q) && aligned(k) && aligned(v);
        error = may ? look(gpu, a, images, heads, queries, kv_rows.longest) : plain(gpu, a, images, heads, queries);
    } else {
        error = plain(gpu, a, images, heads, queries);
    }
    return error || !extras ? error : beside(gpu, a, kv_rows, heads, extras);
}

cudaError_t vr_gpu_attention(const vr_gpu *gpu, vr_mat y, vr_mat q, vr_mat k, vr_mat v, vr_segments q_rows, vr_segments kv_rows,
                             int heads, const vr_extras *extras)
{
    if (y.cols > heads * HEAD_MOST) return cudaErrorInvalidValue;
    switch (y.type) {
    case VR_F16:
        return attention<half_t>(gpu, y, q, k, v, q_rows, kv_rows, heads, extras);
    case VR_BF16:
        return attention<bf16_t>(gpu, y, q, k, v, q_rows, kv_rows, heads, extras);
    default:
        return attention<float>(gpu, y, q, k, v, q_rows, kv_rows, heads, extras);
    }
}
