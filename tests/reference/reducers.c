/* reducers.c: what the reducing verbs mean.  Storage is f32, as the views say; every sum and every decision is in
 * double.  An image is one call of each function; the oracle allocates as it goes. */
#include "reducers.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* ---- shared ---- */

static float *at(vr_mat m, int row, int col)
{
    assert(row >= 0 && row < m.rows && col >= 0 && col < m.cols);
    return m.data + (size_t)row * m.stride + (size_t)col;
}

static void *take(int count, size_t size)
{
    void *p = vr_alloc_zeroed((size_t)count + 1, size);
    assert(p);
    return p;
}

static int less(int a, int b) { return a < b ? a : b; }

/* One image of a batch: its tokens before and after, and what is noted about them. */
typedef struct {
    vr_mat  x, feature;   /* [n in, ...] */
    vr_mat  y;            /* [room for n in, C] */
    float  *size, *grown; /* sizes before and after, or NULL */
    int     prefix;
    int    *row, *column; /* [n in] as in vr_trace */
    double *mass, *total;
} image;

static image begin(vr_tokens *out, const vr_tokens *in, vr_mat feature, int b)
{
    const int from = in->offsets[b], n = in->offsets[b + 1] - from;
    vr_mat    room = {out->x.data, in->x.rows, out->x.cols, out->x.stride, VR_F32};
    assert(n >= in->prefix);
    if (b == 0) out->offsets[0] = 0, out->images = in->images, out->prefix = in->prefix;
    image m = {.x = vr_mat_rows(in->x, from, n),
               .feature = vr_mat_rows(feature, from, n),
               .y = vr_mat_rows(room, out->offsets[b], n),
               .prefix = in->prefix,
               .row = take(n, sizeof *m.row),
               .column = take(n, sizeof *m.column),
               .mass = take(n, sizeof *m.mass),
               .total = take(n, sizeof *m.total)};
    if (in->size) m.size = in->size + from, m.grown = out->size + out->offsets[b];
    for (int t = 0; t < n; t++) m.row[t] = t, m.column[t] = -1, m.mass[t] = m.total[t] = 1;
    return m;
}

/* The image has `count` tokens now. */
static void end(vr_tokens *out, const vr_tokens *in, vr_trace *trace, image *m, int b, int count)
{
    out->offsets[b + 1] = out->offsets[b] + count;
    out->x.rows = out->offsets[b + 1];
    if (trace) {
        const int n = m->x.rows;
        if (b == 0) trace->images = in->images, trace->prefix = in->prefix;
        for (int i = b; i <= b + 1; i++) trace->in_offsets[i] = in->offsets[i], trace->out_offsets[i] = out->offsets[i];
        for (int t = 0; t < n; t++) {
            trace->row[in->offsets[b] + t] = m->row[t];
            trace->column[in->offsets[b] + t] = m->column[t];
            trace->mass[in->offsets[b] + t] = (float)m->mass[t];
            if (t < count) trace->total[out->offsets[b] + t] = (float)m->total[t];
        }
    }
    free(m->row), free(m->column), free(m->mass), free(m->total);
}

static void trace_no_weights(vr_trace *trace, int b)
{
    if (!trace) return;
    trace->destinations[b] = 0;
    trace->weights_at[b] = trace->weights_at[b + 1] = 0;
}

/* Token t goes on as output row `row`. */
static void move(image *m, int t, int row)
{
    for (int c = 0; c < m->x.cols; c++) *at(m->y, row, c) = *at(m->x, t, c);
    if (m->size) m->grown[row] = m->size[t];
    m->row[t] = row;
}

static double product(vr_mat m, int a, int b)
{
    double sum = 0;
    for (int c = 0; c < m.cols; c++) sum += (double)*at(m, a, c) * (double)*at(m, b, c);
    return sum;
}

/* 0 for a token of zeros */
static double cosine(vr_mat m, int a, int b)
{
    const double norms = sqrt(product(m, a, a)) * sqrt(product(m, b, b));
    return norms > 0 ? product(m, a, b) / norms : 0;
}

/* index [count] sorted from the largest value to the smallest; equal ones stay in order. */
static void sort_descending(int *index, const double *value, int count)
{
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && value[index[j]] > value[index[j - 1]]; j--) {
            int swap = index[j];
            index[j] = index[j - 1], index[j - 1] = swap;
        }
}

/* ---- MaMe ---- */

/* One image's tokens in two parts, and what the one part gives to the other. */
typedef struct {
    int     M, N;
    int    *dst, *src;   /* [M], [N] tokens of the image, special ones counted */
    double *S, *WF;      /* [M, N] */
    bool   *kept, *gone; /* [N] */
} split;

static bool is_destination(const vr_mame *how, int n, int token)
{
    int smaller = 0;
    switch (how->partition) {
    case VR_ALTERNATING:
        return token % 2 == 0;
    case VR_SEQUENTIAL:
        return token < vr_mame_destinations(how, n);
    case VR_RANDOM:
        for (int t = 0; t < n; t++)
            smaller += vr_partition_key(how->seed, how->layer, t) < vr_partition_key(how->seed, how->layer, token);
        return smaller < vr_mame_destinations(how, n);
    }
    return false;
}

static split divide(int prefix, int n, const vr_mame *how)
{
    split s = {0, 0, take(n, sizeof *s.dst), take(n, sizeof *s.src), NULL, NULL, NULL, NULL};
    for (int t = 0; t < n; t++) {
        if (is_destination(how, n, t))
            s.dst[s.M++] = prefix + t;
        else
            s.src[s.N++] = prefix + t;
    }
    s.S = take(s.M * s.N, sizeof *s.S);
    s.WF = take(s.M * s.N, sizeof *s.WF);
    s.kept = take(s.N, sizeof *s.kept);
    s.gone = take(s.N, sizeof *s.gone);
    return s;
}

static void undivide(split *s) { free(s->dst), free(s->src), free(s->S), free(s->WF), free(s->kept), free(s->gone); }

static int most_similar(const split *s, int j)
{
    int best = 0;
    for (int i = 1; i < s->M; i++)
        if (s->S[i * s->N + j] > s->S[best * s->N + j]) best = i;
    return best;
}

/* One source: its weights, or that it is kept or gone. */
static void decide(split *s, const vr_mame *how, int j)
{
    const double *S = s->S + j;
    double       *WF = s->WF + j, Q = 0, E = 0;
    int           k = 0;
    for (int i = 0; i < s->M; i++) {
        const double q = fmax(0, S[i * s->N] - (double)how->tau);
        k += q > 0;
        Q += q;
    }
    if (k == 0) {
        s->kept[j] = how->force == VR_UNFORCED;
        s->gone[j] = how->force == VR_FORCE_DROP;
        if (how->force == VR_FORCE_MERGE) WF[most_similar(s, j) * s->N] = 1;
        return;
    }
    for (int i = 0; i < s->M; i++) {
        const double e = k * fmax(0, S[i * s->N] - (double)how->tau) - Q;
        if (e > 1e-6 * k) E += WF[i * s->N] = e;
    }
    if (how->refine && E == 0 && how->rule == VR_ALG1 && how->force == VR_UNFORCED) {
        s->kept[j] = true;
        return;
    }
    const bool refined = how->refine && E > 0;
    for (int i = 0; i < s->M; i++) WF[i * s->N] = refined ? WF[i * s->N] / E : fmax(0, S[i * s->N] - (double)how->tau) / Q;
}

/* feature [tokens of the image, any] */
static void weigh(split *s, vr_mat feature, const vr_mame *how)
{
    for (int i = 0; i < s->M; i++)
        for (int j = 0; j < s->N; j++) s->S[i * s->N + j] = (how->dot ? product : cosine)(feature, s->dst[i], s->src[j]);
    for (int j = 0; j < s->N; j++) decide(s, how, j);
}

static double mass_of(const image *m, const vr_mame *how, int t) { return how->by_mass ? (double)m->size[t] : 1; }

static void merge_destination(image *m, const split *s, const vr_mame *how, int i)
{
    const int d = s->dst[i], row = m->prefix + i;
    double    total = mass_of(m, how, d);
    for (int j = 0; j < s->N; j++) total += s->WF[i * s->N + j] * mass_of(m, how, s->src[j]);
    for (int c = 0; c < m->x.cols; c++) {
        double sum = mass_of(m, how, d) * (double)*at(m->x, d, c);
        for (int j = 0; j < s->N; j++)
            sum += s->WF[i * s->N + j] * mass_of(m, how, s->src[j]) * (double)*at(m->x, s->src[j], c);
        *at(m->y, row, c) = (float)(sum / total);
    }
    if (m->size) {
        double size = (double)m->size[d];
        for (int j = 0; j < s->N; j++) size += s->WF[i * s->N + j] * (double)m->size[s->src[j]];
        m->grown[row] = (float)size;
    }
    m->row[d] = row;
    m->total[row] = total;
}

/* Returns the number of tokens left. */
static int merge_image(image *m, const split *s, const vr_mame *how)
{
    int row = m->prefix + s->M;
    for (int t = 0; t < m->x.rows; t++) m->mass[t] = mass_of(m, how, t);
    for (int t = 0; t < m->x.rows; t++) m->total[t] = how->by_mass && t < m->prefix ? (double)m->size[t] : 1;
    for (int t = 0; t < m->prefix; t++) move(m, t, t);
    for (int i = 0; i < s->M; i++) merge_destination(m, s, how, i);
    for (int j = 0; j < s->N; j++) {
        m->column[s->src[j]] = j;
        m->row[s->src[j]] = s->gone[j] ? VR_GONE : VR_SPREAD;
        if (!s->kept[j]) continue;
        m->total[row] = mass_of(m, how, s->src[j]);
        move(m, s->src[j], row++);
    }
    return row;
}

/* The paper's batch rule. */
static void unite(split *s, int images)
{
    for (int a = 0; a < images; a++)
        for (int b = 0; b < images; b++)
            for (int j = 0; j < less(s[a].N, s[b].N); j++)
                if (s[b].kept[j]) s[a].kept[j] = true;
    for (int b = 0; b < images; b++)
        for (int i = 0; i < s[b].M; i++)
            for (int j = 0; j < s[b].N; j++)
                if (s[b].kept[j]) s[b].WF[i * s[b].N + j] = 0;
}

static void trace_weights(vr_trace *trace, const split *s, int b)
{
    if (!trace) return;
    if (b == 0) trace->weights_at[0] = 0;
    trace->destinations[b] = s->M;
    for (int i = 0; i < s->M * s->N; i++) trace->weight[trace->weights_at[b] + (size_t)i] = (float)s->WF[i];
    trace->weights_at[b + 1] = trace->weights_at[b] + (size_t)(s->M * s->N);
}

void vr_reference_mame(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat feature, const vr_mame *how, vr_trace *trace)
{
    (void)be;
    split *s = take(in->images, sizeof *s);
    for (int b = 0; b < in->images; b++) {
        const int from = in->offsets[b], n = in->offsets[b + 1] - from;
        s[b] = divide(in->prefix, n - in->prefix, how);
        weigh(&s[b], vr_mat_rows(feature, from, n), how);
    }
    if (how->by_batch) unite(s, in->images);
    for (int b = 0; b < in->images; b++) {
        image m = begin(out, in, feature, b);
        trace_weights(trace, &s[b], b);
        end(out, in, trace, &m, b, merge_image(&m, &s[b], how));
        undivide(&s[b]);
    }
    free(s);
}

/* ---- MaRe ---- */

void vr_reference_mare(vr_backend *be, vr_mat x, vr_mat y, const vr_trace *trace, vr_mare mode)
{
    (void)be;
    for (int b = 0; b < trace->images; b++)
        for (int t = trace->in_offsets[b]; t < trace->in_offsets[b + 1]; t++)
            for (int c = 0; c < x.cols; c++) {
                const int    M = trace->destinations[b], row = trace->row[t], first = trace->out_offsets[b];
                const size_t N = M ? (trace->weights_at[b + 1] - trace->weights_at[b]) / (size_t)M : 0;
                double       sum = 0;
                for (int o = 0; o < trace->out_offsets[b + 1] - first; o++) {
                    double weight = row == o;
                    if (row == VR_SPREAD && o >= trace->prefix && o < trace->prefix + M)
                        weight =
                            (double)trace
                                ->weight[trace->weights_at[b] + (size_t)(o - trace->prefix) * N + (size_t)trace->column[t]];
                    if (mode == VR_MARE_PAPER) weight *= (double)trace->mass[t] / (double)trace->total[first + o];
                    sum += weight * (double)*at(y, first + o, c);
                }
                *at(x, t, c) = (float)sum;
            }
}

/* ---- ToMe ---- */

typedef struct {
    int    *order, *best; /* even tokens, the most similar first; by token, the odd token that it resembles most */
    double *score;        /* by token */
    int     evens, r;
} pairing;

static pairing pair(const image *m, int r)
{
    const int n = m->x.rows;
    pairing   p = {take(n, sizeof *p.order), take(n, sizeof *p.best), take(n, sizeof *p.score), (n + 1) / 2,
                   less(r, (n - m->prefix) / 2)};
    for (int u = 0; u < n; u += 2) {
        p.order[u / 2] = u;
        p.score[u] = -INFINITY;
        if (u == 0 && m->prefix > 0) continue; /* the class token */
        for (int v = m->prefix == 2 ? 3 : 1; v < n; v += 2) {
            const double score = cosine(m->feature, u, v);
            if (score > p.score[u]) p.score[u] = score, p.best[u] = v;
        }
    }
    sort_descending(p.order, p.score, p.evens);
    return p;
}

/* Rows of the tokens that stay: m->row of each; returns their number. */
static int arrange(image *m, const pairing *p)
{
    int next = 0;
    for (int t = 0; t < m->x.rows; t++) m->row[t] = VR_GONE;
    if (m->prefix == 0)
        for (int i = p->r; i < p->evens; i++) m->row[p->order[i]] = next++;
    else
        for (int u = 0; u < m->x.rows; u += 2) {
            bool stays = false;
            for (int i = p->r; i < p->evens; i++) stays = stays || p->order[i] == u;
            if (!stays) continue;
            m->row[u] = next++;
            if (u == 0 && m->prefix == 2) m->row[1] = next++;
        }
    for (int v = m->prefix == 2 ? 3 : 1; v < m->x.rows; v += 2) m->row[v] = next++;
    return next;
}

static void merge_pairs(image *m, const pairing *p, int v)
{
    double total = (double)m->size[v];
    for (int i = 0; i < p->r; i++)
        if (p->best[p->order[i]] == v) total += (double)m->size[p->order[i]];
    for (int c = 0; c < m->x.cols; c++) {
        double sum = (double)m->size[v] * (double)*at(m->x, v, c);
        for (int i = 0; i < p->r; i++)
            if (p->best[p->order[i]] == v) sum += (double)m->size[p->order[i]] * (double)*at(m->x, p->order[i], c);
        *at(m->y, m->row[v], c) = (float)(sum / total);
    }
    m->grown[m->row[v]] = (float)total;
    m->total[m->row[v]] = total;
}

static int tome_image(image *m, int r)
{
    for (int t = 0; t < m->x.rows; t++) m->mass[t] = m->total[t] = (double)m->size[t];
    if (less(r, (m->x.rows - m->prefix) / 2) <= 0) {
        for (int t = 0; t < m->x.rows; t++) move(m, t, t);
        return m->x.rows;
    }
    pairing   p = pair(m, r);
    const int count = arrange(m, &p);
    for (int u = 0; u < m->x.rows; u += 2)
        if (m->row[u] >= 0) move(m, u, m->row[u]), m->total[m->row[u]] = (double)m->size[u];
    for (int v = 1; v < m->x.rows; v += 2) merge_pairs(m, &p, v);
    for (int i = 0; i < p.r; i++) m->row[p.order[i]] = m->row[p.best[p.order[i]]];
    free(p.order), free(p.best), free(p.score);
    return count;
}

void vr_reference_tome(vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_mat metric, int r, vr_trace *trace)
{
    (void)be;
    assert(in->size && out->size);
    for (int b = 0; b < in->images; b++) {
        image m = begin(out, in, metric, b);
        trace_no_weights(trace, b);
        end(out, in, trace, &m, b, tome_image(&m, r));
    }
}

/* ---- EViT ---- */

/* The tokens after the class token, the highest score first; released by free(). */
static int *by_score(const float *scores, int n)
{
    int    *order = take(n, sizeof *order);
    double *value = take(n, sizeof *value);
    for (int t = 0; t < n; t++) value[t] = t == 0 ? INFINITY : (double)scores[t], order[t] = t;
    sort_descending(order, value, n);
    free(value);
    return order;
}

static int evit_image(image *m, const float *scores, const vr_evit *how)
{
    const int n = m->x.rows, left = less((int)ceil(how->keep * (n - 1)), n - 1), fused = left + 1;
    if (left == n - 1) {
        for (int t = 0; t < n; t++) move(m, t, t);
        return n;
    }
    int *order = by_score(scores, n);
    for (int t = 0; t < n; t++) m->row[t] = how->fuse ? fused : VR_GONE;
    for (int i = 0; i <= left; i++) move(m, order[i], i);
    for (int t = 0; t < n && how->fuse; t++)
        if (m->row[t] == fused) m->mass[t] = (double)scores[t];
    for (int c = 0; c < m->x.cols && how->fuse; c++) {
        double sum = 0;
        for (int t = 0; t < n; t++)
            if (m->row[t] == fused) sum += (double)scores[t] * (double)*at(m->x, t, c);
        *at(m->y, fused, c) = (float)sum;
    }
    if (m->size && how->fuse) {
        double size = 0;
        for (int t = 0; t < n; t++) size += m->row[t] == fused ? (double)m->size[t] : 0;
        m->grown[fused] = (float)size;
    }
    free(order);
    return fused + how->fuse;
}

void vr_reference_evit(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_evit *how,
                       vr_trace *trace)
{
    (void)be;
    assert(in->prefix == 1);
    for (int b = 0; b < in->images; b++) {
        image m = begin(out, in, in->x, b);
        trace_no_weights(trace, b);
        end(out, in, trace, &m, b, evit_image(&m, scores + in->offsets[b], how));
    }
}

/* ---- DiffRate ---- */

/* Of output rows 1 .. K-1 the one that token u resembles most. */
static int nearest_row(const image *m, const int *order, int K, int u, double *similarity)
{
    int best = 1;
    *similarity = -INFINITY;
    for (int v = 1; v < K; v++) {
        const double s = cosine(m->x, u, order[v]);
        if (s > *similarity) *similarity = s, best = v;
    }
    return best;
}

static int diffrate_image(image *m, const float *scores, const vr_diffrate *how)
{
    const int n = m->x.rows, P = less(n, how->prune_kept), K = less(P, how->merge_kept);
    if (K == n) {
        for (int t = 0; t < n; t++) move(m, t, t);
        return n;
    }
    int    *order = by_score(scores, n);
    double *sum = take(K * m->x.cols, sizeof *sum), *size = take(K, sizeof *size);
    for (int t = 0; t < n; t++) m->row[t] = VR_GONE;
    for (int v = 0; v < K; v++) {
        m->row[order[v]] = v;
        size[v] = (double)m->size[order[v]];
        for (int c = 0; c < m->x.cols; c++) sum[v * m->x.cols + c] = (double)*at(m->x, order[v], c);
    }
    for (int i = K; i < P && K > 1; i++) {
        double    similarity;
        const int u = order[i], v = nearest_row(m, order, K, u, &similarity);
        m->row[u] = v;
        m->total[v]++;
        size[v] += (double)m->size[u] * similarity;
        for (int c = 0; c < m->x.cols; c++) sum[v * m->x.cols + c] += (double)*at(m->x, u, c);
    }
    for (int v = 0; v < K; v++) {
        m->grown[v] = (float)fmax((double)VR_SIZE_LEAST, size[v]);
        for (int c = 0; c < m->x.cols; c++) *at(m->y, v, c) = (float)(sum[v * m->x.cols + c] / m->total[v]);
    }
    free(order), free(sum), free(size);
    return K;
}

void vr_reference_diffrate(vr_backend *be, vr_tokens *out, const vr_tokens *in, const float *scores, const vr_diffrate *how,
                           vr_trace *trace)
{
    (void)be;
    assert(in->prefix == 1 && in->size && out->size && how->prune_kept > 0 && how->merge_kept > 0);
    for (int b = 0; b < in->images; b++) {
        image m = begin(out, in, in->x, b);
        trace_no_weights(trace, b);
        end(out, in, trace, &m, b, diffrate_image(&m, scores + in->offsets[b], how));
    }
}
