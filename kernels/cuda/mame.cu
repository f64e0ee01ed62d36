/* mame.cu: MaMe in three launches:
 *
 *   decide   similarities and weights of 64 sources; a source needs no other source
 *   settle   how many tokens each image has left, and where, by one block
 *   merge    64 merged tokens, 64 channels of them; kept tokens are moved
 *
 * and before them, for a random partition only, one that draws it. */
#include <math.h>

#include <cuda/device.h>

/* The hash of a partition is the same on the device. */
extern "C" {
static inline __host__ __device__ uint64_t vr_partition_key(uint64_t seed, int layer, int token);
}
#include "reduce.cuh"

enum { MERGED, KEPT, GONE }; /* what becomes of a source */

typedef struct {
    vr_mame  how;
    int      images, prefix, destination_tiles;
    int     *order;      /* [T] a random partition: destinations, then sources, as ordinary tokens */
    int     *fate;       /* [T] of an image's sources by number */
    int     *place;      /* [T] likewise, the row where a source is kept, VR_GONE or VR_SPREAD */
    size_t  *weights_at; /* [B+1] */
    float   *weight;     /* WF, as in vr_trace */
    vr_trace trace;      /* its arrays are NULL where nobody asks */
} mame_plan;

/* One image of it. */
struct mame_image {
    int            first, prefix, M, N; /* its first token in the batch; destinations, sources */
    vr_partition   partition;
    const int     *order;
    __device__ int token(int place) const { return prefix + (partition == VR_RANDOM ? order[place] : place); }
    __device__ int destination(int i) const { return partition == VR_ALTERNATING ? prefix + 2 * i : token(i); }
    __device__ int source(int j) const { return partition == VR_ALTERNATING ? prefix + 2 * j + 1 : token(M + j); }
};

/* M of n ordinary tokens, as vr_mame_destinations() */
static __device__ int destinations_of(const vr_mame &how, int n)
{
    if (how.partition != VR_RANDOM) return n - n / 2;
    const int m = (int)ceil(how.share * n);
    return max(min(m, n), min(n, 1));
}

static __device__ mame_image image_of(const mame_plan &p, const int *offsets, int b)
{
    const int first = offsets[b], n = max(offsets[b + 1] - first - p.prefix, 0), M = destinations_of(p.how, n);
    return {first, p.prefix, M, n - M, p.how.partition, p.order + first};
}

/* ---- partition ---- */

__global__ void __launch_bounds__(CREW, 1) partition_kernel(mame_plan p, const int *__restrict__ offsets)
{
    const int        image = (int)blockIdx.x;
    const mame_image m = image_of(p, offsets, image);
    const int        n = m.M + m.N;
    for (int t = (int)threadIdx.x; t < n; t += CREW) {
        const uint64_t key = vr_partition_key(p.how.seed, p.how.layer, t);
        int            smaller = 0;
        for (int o = 0; o < n; o++) smaller += vr_partition_key(p.how.seed, p.how.layer, o) < key;
        p.fate[m.first + t] = smaller < m.M;
    }
    __syncthreads();
    for (int t = (int)threadIdx.x; t < n; t += CREW) {
        int before = 0;
        for (int o = 0; o < t; o++) before += p.fate[m.first + o];
        p.order[m.first + (p.fate[m.first + t] ? before : m.M + t - before)] = t;
    }
}

/* ---- decide ---- */

typedef struct {
    float matches[CREW / TILE][TILE], sum[CREW / TILE][TILE], rest[CREW / TILE][TILE];
    int   best[TILE];
} decide_room;

/* Of a quarter's sums the whole, in one order. */
static __device__ __forceinline__ float of_quarters(const float (&part)[CREW / TILE][TILE], int column)
{
    return ((part[0][column] + part[1][column]) + part[2][column]) + part[3][column];
}

/* The similarities of up to 64 sources, weight [M, N] from their column on, become their weights. */
static __device__ void weigh(const vr_mame &how, decide_room &room, float *weight, int *fate, int M, int N, int sources)
{
    const int  column = (int)threadIdx.x % TILE, quarter = (int)threadIdx.x / TILE;
    const bool mine = column < sources;
    float      matches = 0, sum = 0, rest = 0;
    weight += column;
    for (int i = quarter; mine && i < M; i += CREW / TILE) {
        const float q = weight[(size_t)i * (size_t)N] - how.tau;
        if (q > 0) matches++, sum += q;
    }
    room.matches[quarter][column] = matches, room.sum[quarter][column] = sum;
    __syncthreads();
    matches = of_quarters(room.matches, column), sum = of_quarters(room.sum, column);
    const float guard = 1e-6f * matches;
    for (int i = quarter; mine && i < M; i += CREW / TILE) {
        const float e = matches * fmaxf(0, weight[(size_t)i * (size_t)N] - how.tau) - sum;
        if (e > guard) rest += e;
    }
    room.rest[quarter][column] = rest;
    if (how.force == VR_FORCE_MERGE && quarter == 0 && mine && matches == 0) { /* the most similar, the first of equals */
        int best = 0;
        for (int i = 1; i < M; i++)
            if (weight[(size_t)i * (size_t)N] > weight[(size_t)best * (size_t)N]) best = i;
        room.best[column] = best;
    }
    __syncthreads();
    rest = of_quarters(room.rest, column);
    const bool matched = matches > 0, refined = matched && how.refine && rest > 0;
    const bool plain = matched && !refined && (!how.refine || how.rule == VR_SIMILARITY || how.force != VR_UNFORCED);
    for (int i = quarter; mine && i < M; i += CREW / TILE) {
        float      &w = weight[(size_t)i * (size_t)N];
        const float q = fmaxf(0, w - how.tau), e = matches * q - sum;
        if (refined)
            w = e > guard ? e / rest : 0;
        else if (plain)
            w = q / sum;
        else
            w = how.force == VR_FORCE_MERGE && i == room.best[column];
    }
    if (quarter == 0 && mine)
        fate[column] = refined || plain || how.force == VR_FORCE_MERGE ? MERGED : how.force == VR_FORCE_DROP ? GONE : KEPT;
}

/* Where the image's weights begin; its first block notes it for the launches to come. */
static __device__ size_t place_weights(const mame_plan &p, const int *offsets, size_t *room, int image, const mame_image &m)
{
    const size_t at = sum_before(image, room, [=](int b) {
        const mame_image o = image_of(p, offsets, b);
        return (size_t)o.M * (size_t)o.N;
    });
    if (threadIdx.x == 0 && blockIdx.y == 0) {
        p.weights_at[image + 1] = at + (size_t)m.M * (size_t)m.N;
        if (p.trace.row) p.trace.destinations[image] = m.M;
    }
    return at;
}

template <class T>
__global__ void __launch_bounds__(CREW, 1) decide_kernel(mame_plan p, cells<T> feature, const int *__restrict__ offsets)
{
    VR_SHARED(product_room<T>, room, [1]);
    VR_SHARED(decide_room, columns, [1]);
    VR_SHARED(float, scale, [2][TILE]);
    VR_SHARED(size_t, sums, [CREW / 32]);
    const int        image = (int)blockIdx.x, from = (int)blockIdx.y * TILE;
    const mame_image m = image_of(p, offsets, image);
    float           *weight = p.weight + place_weights(p, offsets, sums, image, m);
    if (from >= m.N) return;
    const auto                          destination = [=](int i) { return m.destination(i); };
    const auto                          source = [=](int j) { return m.source(j); };
    const gathered<T, decltype(source)> right = {feature, source, m.first, from, m.N};
    if (!p.how.dot) inverse_norms(scale[1], right, feature.cols);
    for (int tile = 0; tile < m.M; tile += TILE) {
        const gathered<T, decltype(destination)> left = {feature, destination, m.first, tile, m.M};
        float                                    sum[4][4] = {};
        if (!p.how.dot) inverse_norms(scale[0], left, feature.cols);
        product(sum, room[0], left, right, feature.cols);
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                const int d = product_left<T>(i, j), s = product_right<T>(i, j);
                if (tile + d < m.M && from + s < m.N)
                    weight[(size_t)(tile + d) * (size_t)m.N + (size_t)(from + s)] =
                        p.how.dot ? sum[i][j] : sum[i][j] * scale[0][d] * scale[1][s];
            }
        __syncthreads(); /* the norms may be filled again, the similarities read */
    }
    weigh(p.how, columns[0], weight + from, p.fate + m.first + from, m.M, m.N, min(TILE, m.N - from));
}

/* ---- settle ---- */

constexpr int SETTLERS = 1024;

/* The paper's batch rule: a source that one image keeps is kept in all. */
static __device__ void unite(const mame_plan &p, const int *offsets, int longest)
{
    for (int j = (int)threadIdx.x; j < longest; j += SETTLERS) {
        bool kept = false;
        for (int b = 0; b < p.images; b++) {
            const mame_image m = image_of(p, offsets, b);
            kept = kept || (j < m.N && p.fate[m.first + j] == KEPT);
        }
        for (int b = 0; b < p.images && kept; b++) {
            const mame_image m = image_of(p, offsets, b);
            if (j < m.N) p.fate[m.first + j] = KEPT;
        }
    }
}

/* By one warp: the rows of an image's kept sources.  Returns the number of its tokens. */
static __device__ int place_sources(const mame_plan &p, const mame_image &m)
{
    const int lane = (int)threadIdx.x % 32;
    int       row = m.prefix + m.M;
    for (int from = 0; from < m.N; from += 32) {
        const int      j = from + lane, fate = j < m.N ? p.fate[m.first + j] : GONE;
        const unsigned kept = __ballot_sync(~0u, fate == KEPT);
        if (j < m.N)
            p.place[m.first + j] = fate == KEPT ? row + __popc(kept & ((1u << lane) - 1)) : fate == GONE ? VR_GONE : VR_SPREAD;
        row += __popc(kept);
    }
    return row;
}

__global__ void __launch_bounds__(SETTLERS)
    settle_kernel(mame_plan p, const int *__restrict__ in_offsets, int *__restrict__ out_offsets, int longest)
{
    VR_SHARED(int, room, [SETTLERS / 32]);
    const int tid = (int)threadIdx.x, share = (p.images + SETTLERS - 1) / SETTLERS, from = min(tid * share, p.images);
    const int end = min(from + share, p.images);
    if (p.how.by_batch) unite(p, in_offsets, longest);
    __syncthreads();
    for (int b = tid / 32; b < p.images; b += SETTLERS / 32) {
        const int count = place_sources(p, image_of(p, in_offsets, b));
        if (tid % 32 == 0) out_offsets[b + 1] = count;
    }
    __syncthreads();
    int mine = 0;
    for (int b = from; b < end; b++) mine += out_offsets[b + 1];
    int at = block_scan(mine, room);
    if (tid == 0) out_offsets[0] = 0, p.weights_at[0] = 0;
    for (int b = from; b < end; b++) out_offsets[b + 1] = at += out_offsets[b + 1];
}

/* ---- merge ---- */

/* What merging reads and writes beside the tokens. */
typedef struct {
    const float *size; /* or NULL */
    float       *grown;
    const int   *in_offsets, *out_offsets;
} mame_ends;

/* What destinations from .. M-1 get of each source, by its mass; nothing of one that the batch keeps. */
template <class T> struct shares {
    enum { ALONG = true };
    const mame_image &m;
    const float      *weight; /* of the image, as of place and mass */
    const int        *place;
    const float      *mass; /* NULL where all count alike */
    int               from;
    __device__ float  of(int line, int term) const /* without the mass */
    {
        const bool spread = from + line < m.M && place[term] == VR_SPREAD;
        return spread ? weight[(size_t)(from + line) * (size_t)m.N + (size_t)term] : 0.0f;
    }
    __device__ float operator()(int line, int term) const
    {
        return mass ? of(line, term) * mass[m.source(term)] : of(line, term);
    }
    __device__ const wide<T> *run(int, int) const { return NULL; }
};

template <class T> struct sources {
    enum { ALONG = false };
    const mame_image &m;
    cells<T>          x;
    int               col;
    __device__ float  operator()(int line, int term) const
    {
        return col + line < x.cols ? to_float(x.row(m.first + m.source(term))[col + line]) : 0.0f;
    }
    __device__ const wide<T> *run(int line, int term) const
    {
        if (!x.whole || col + line >= x.cols) return NULL;
        return x.wide_row(m.first + m.source(term)) + (col + line) / wide<T>::COUNT;
    }
};

/* total and growth [TILE]: what the sources add to each destination's mass and to its size. */
template <class T>
static __device__ void add_up(float *total, float *growth, const shares<T> &left, const mame_image &m, const float *size)
{
    const int lane = (int)threadIdx.x % 32;
    for (int line = (int)threadIdx.x / 32; line < TILE; line += CREW / 32) {
        float sum = 0, grown = 0;
        for (int j = lane; j < m.N; j += 32) {
            sum += left(line, j);
            if (size) grown += left.of(line, j) * size[m.source(j)];
        }
        for (int by = 16; by > 0; by /= 2) {
            sum += __shfl_xor_sync(~0u, sum, by);
            grown += __shfl_xor_sync(~0u, grown, by);
        }
        if (lane == 0) total[line] = sum, growth[line] = grown;
    }
}

/* What is noted of a token that went to a row: for one block of those that make it. */
static __device__ void note(const mame_plan &p, const mame_image &m, int to, int token, int row, int column, float mass,
                            float total)
{
    if (!p.trace.row) return;
    p.trace.row[m.first + token] = row;
    p.trace.column[m.first + token] = column;
    p.trace.mass[m.first + token] = mass;
    if (row >= 0) p.trace.total[to + row] = total;
}

template <class T>
static __device__ void merge_tile(const mame_plan &p, const mame_ends &e, cells<T> y, cells<T> x, const mame_image &m,
                                  product_room<T> &room, float *total, float *growth, float *weight, int to)
{
    const int        tid = (int)threadIdx.x, from = (int)blockIdx.y * TILE, col = (int)blockIdx.z * TILE;
    const float     *size = e.size ? e.size + m.first : NULL, *mass = p.how.by_mass ? size : NULL;
    const shares<T>  left = {m, weight, p.place + m.first, mass, from};
    const sources<T> right = {m, x, col};
    float            sum[4][4] = {};
    if (from >= m.M) return;
    add_up(total, growth, left, m, size);
    __syncthreads();
    product(sum, room, left, right, m.N);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            const int d = from + product_left<T>(i, j), c = col + product_right<T>(i, j);
            if (d >= m.M || c >= x.cols) continue;
            const int   t = m.destination(d);
            const float own = mass ? mass[t] : 1, all = own + total[d - from];
            const T     was = x.row(m.first + t)[c];
            y.row(to + m.prefix + d)[c] = own == all ? was : from_float<T>((own * to_float(was) + sum[i][j]) / all);
        }
    if (blockIdx.z > 0) return;
    for (int d = from + tid; d < min(from + TILE, m.M); d += CREW) {
        const int   t = m.destination(d);
        const float own = mass ? mass[t] : 1;
        note(p, m, to, t, m.prefix + d, -1, own, own + total[d - from]);
        if (size) e.grown[to + m.prefix + d] = size[t] + growth[d - from];
    }
    if (!p.trace.row || !p.how.by_batch) return;
    for (int i = tid; i < min(TILE, m.M - from) * m.N; i += CREW) /* what the batch keeps has no weights */
        if (p.place[m.first + i % m.N] >= 0) weight[(size_t)from * (size_t)m.N + (size_t)i] = 0;
}

/* TILE columns of a row, by one warp. */
template <class T> static __device__ __forceinline__ void move_row(cells<T> y, int to, cells<T> x, int from, int col)
{
    const int lane = (int)threadIdx.x % 32, end = min(col + TILE, x.cols), each = wide<T>::COUNT;
    if (x.whole && y.whole) {
        if (col + lane * each < end) y.wide_row(to)[col / each + lane] = x.wide_row(from)[col / each + lane];
        return;
    }
    for (int c = col + lane; c < end; c += 32) y.row(to)[c] = x.row(from)[c];
}

/* Special tokens and kept sources are moved, and noted with those that were spread or are gone. */
template <class T>
static __device__ void move_tile(const mame_plan &p, const mame_ends &e, cells<T> y, cells<T> x, const mame_image &m, int from,
                                 int to)
{
    const int    lane = (int)threadIdx.x % 32, col = (int)blockIdx.z * TILE, end = min(from + TILE, m.prefix + m.N);
    const float *size = e.size ? e.size + m.first : NULL;
    for (int l = from + (int)threadIdx.x / 32; l < end; l += CREW / 32) {
        const int t = l < m.prefix ? l : m.source(l - m.prefix), row = l < m.prefix ? l : p.place[m.first + l - m.prefix];
        if (row >= 0) move_row(y, to + row, x, m.first + t, col);
        if (blockIdx.z > 0 || lane > 0) continue;
        const float mass = p.how.by_mass ? size[t] : 1;
        note(p, m, to, t, row, l < m.prefix ? -1 : l - m.prefix, mass, mass);
        if (size && row >= 0) e.grown[to + row] = size[t];
    }
}

template <class T> __global__ void __launch_bounds__(CREW, 1) merge_kernel(mame_plan p, mame_ends e, cells<T> y, cells<T> x)
{
    VR_SHARED(product_room<T>, room, [1]);
    VR_SHARED(float, total, [TILE]);
    VR_SHARED(float, growth, [TILE]);
    const int        image = (int)blockIdx.x, tile = (int)blockIdx.y, to = e.out_offsets[image];
    const mame_image m = image_of(p, e.in_offsets, image);
    if (tile < p.destination_tiles)
        merge_tile(p, e, y, x, m, room[0], total, growth, p.weight + p.weights_at[image], to);
    else
        move_tile(p, e, y, x, m, (tile - p.destination_tiles) * TILE, to);
}

/* ---- the verb ---- */

static void lay_out(mame_plan *p, vr_arena *arena, const vr_limits *most, const vr_trace *trace)
{
    const size_t T = (size_t)most->rows, B = (size_t)most->images;
    p->order = (int *)vr_arena_take(arena, T, sizeof *p->order);
    p->fate = (int *)vr_arena_take(arena, T, sizeof *p->fate);
    p->place = (int *)vr_arena_take(arena, T, sizeof *p->place);
    p->weights_at = (size_t *)vr_arena_take(arena, B + 1, sizeof *p->weights_at);
    p->weight = (float *)vr_arena_take(arena, vr_limits_weights(most), sizeof *p->weight);
    if (!trace) return;
    p->trace = *trace;
    p->weights_at = trace->weights_at, p->weight = trace->weight;
}

size_t vr_gpu_mame_scratch(const vr_limits *most)
{
    mame_plan plan = {};
    vr_arena  arena = {};
    lay_out(&plan, &arena, most, NULL);
    return arena.overflow ? SIZE_MAX : arena.used;
}

static unsigned tiles_of(int count) { return (unsigned)((count + TILE - 1) / TILE); }

template <class T> static void decide(const vr_gpu *gpu, const mame_plan *p, vr_mat feature, const int *offsets, dim3 grid)
{
    VR_LAUNCH(decide_kernel<T>, grid, dim3(CREW), 0, gpu->stream, *p, cells_of<T>(feature), offsets);
}

template <class T> static void merge(const vr_gpu *gpu, const mame_plan *p, const mame_ends *e, vr_mat y, vr_mat x, dim3 grid)
{
    VR_LAUNCH(merge_kernel<T>, grid, dim3(CREW), 0, gpu->stream, *p, *e, cells_of<T>(y), cells_of<T>(x));
}

cudaError_t vr_gpu_mame(const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, vr_mat feature, const vr_mame *how,
                        const vr_trace *trace, void *scratch)
{
    const vr_limits most = {in.images, in.rows, in.longest, 0};
    const int       destinations = how->partition == VR_RANDOM ? in.longest : (in.longest + 1) / 2;
    const int       sources = how->partition == VR_RANDOM ? in.longest : in.longest / 2;
    mame_plan       plan = {};
    vr_arena        arena = {};
    arena.base = (char *)scratch;
    lay_out(&plan, &arena, &most, trace);
    plan.how = *how, plan.images = in.images, plan.prefix = in.prefix;
    plan.destination_tiles = (int)tiles_of(destinations);
    const dim3      images((unsigned)in.images), sides(images.x, max(tiles_of(sources), 1u));
    const dim3      parts(images.x, tiles_of(destinations) + tiles_of(in.prefix + sources), tiles_of(in.x.cols));
    const mame_ends ends = {in.size, out.size, in.offsets, out.offsets};
    cudaError_t     error = cudaSuccess; /* what a launch that failed did not write, the next must not read */
    if (in.images > 0) {
        if (how->partition == VR_RANDOM) {
            VR_LAUNCH(partition_kernel, images, dim3(CREW), 0, gpu->stream, plan, in.offsets);
            if ((error = vr_gpu_launched(gpu, "partition_kernel"))) return error;
        }
        if (feature.type == VR_F16) decide<half_t>(gpu, &plan, feature, in.offsets, sides);
        if (feature.type == VR_BF16) decide<bf16_t>(gpu, &plan, feature, in.offsets, sides);
        if (feature.type == VR_F32) decide<float>(gpu, &plan, feature, in.offsets, sides);
        if ((error = vr_gpu_launched(gpu, "decide_kernel"))) return error;
    }
    VR_LAUNCH(settle_kernel, dim3(1), dim3(SETTLERS), 0, gpu->stream, plan, in.offsets, out.offsets, in.longest);
    if ((error = vr_gpu_launched(gpu, "settle_kernel"))) return error;
    if (in.images > 0 && parts.y > 0) {
        if (in.x.type == VR_F16) merge<half_t>(gpu, &plan, &ends, out.x, in.x, parts);
        if (in.x.type == VR_BF16) merge<bf16_t>(gpu, &plan, &ends, out.x, in.x, parts);
        if (in.x.type == VR_F32) merge<float>(gpu, &plan, &ends, out.x, in.x, parts);
    }
    return vr_gpu_launched(gpu, "merge_kernel");
}
