/* golden_reducers.c: single reductions, and chains of eight, against golden files.  Decisions (who goes where, how many
 * are left) must be equal; numbers within the tolerances of golden/README.md, MaMe's wider because a refined weight is
 * a difference of nearly equal numbers. */
#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../kernels/cpu/cpu.h"
#include "../kernels/trace.h"
#include "../loaders/json.h"
#include "../loaders/safetensors.h"
#include "reference/reference.h"

enum { CHAIN = 8 };
static const double MAME_TOLERANCE = 1e-4, TOLERANCE = 2e-6;

/* ---- the file ---- */

typedef struct {
    vr_safetensors *file;
    vr_json        *doc;
    char            wrong[300]; /* what differs; "" while nothing does */
    double          worst;      /* relative error */
    double          tolerance;
} golden;

/* Note the first difference. */
#define DIFFERS(g, ...)                                                          \
    do {                                                                         \
        if (!(g)->wrong[0]) snprintf((g)->wrong, sizeof(g)->wrong, __VA_ARGS__); \
    } while (0)

/* A tensor's numbers, released by free(); NULL where there is none. */
static float *floats(golden *g, const char *name, size_t *count)
{
    const vr_tensor *t = vr_safetensors_find(g->file, name);
    if (!t) return NULL;
    float *out = vr_alloc((size_t)t->elements + 1, sizeof *out);
    if (!out || vr_safetensors_read_f32(g->file, t, 0, t->elements, out, NULL)) DIFFERS(g, "cannot read %s", name);
    if (count) *count = (size_t)t->elements;
    return out;
}

static int *ints(golden *g, const char *name, int *count)
{
    const vr_tensor *t = vr_safetensors_find(g->file, name);
    if (!t) return NULL;
    int     *out = vr_alloc((size_t)t->elements + 1, sizeof *out);
    uint8_t *raw = vr_alloc((size_t)t->bytes + 1, 1);
    if (!out || !raw || vr_safetensors_read_raw(g->file, t, raw, NULL)) DIFFERS(g, "cannot read %s", name);
    for (size_t i = 0; i < t->elements; i++) {
        if (t->dtype == VR_U8)
            out[i] = raw[i];
        else
            memcpy(&out[i], raw + 4 * i, 4);
    }
    free(raw);
    if (count) *count = (int)t->elements;
    return out;
}

static double number(const golden *g, const char *key)
{
    double d = 0;
    vr_json_double(vr_json_get(g->doc, key), &d);
    return d;
}

static bool truth(const golden *g, const char *key)
{
    bool b = false;
    vr_json_bool(vr_json_get(g->doc, key), &b);
    return b;
}

static const char *word(const golden *g, const char *key)
{
    const char *s = "";
    vr_json_string(vr_json_get(g->doc, key), &s);
    return s;
}

static bool is(const golden *g, const char *key, const char *value) { return strcmp(word(g, key), value) == 0; }

/* `found` [n] against a tensor of the file; no word where the file has none. */
static void check_floats(golden *g, const char *name, const float *found, size_t n)
{
    size_t count;
    float *wanted = floats(g, name, &count);
    if (!wanted) return;
    if (count != n) DIFFERS(g, "%s: %zu numbers instead of %zu", name, n, count);
    double rel = vr_golden_relative(found, wanted, count < n ? count : n);
    if (!(rel <= g->worst)) g->worst = rel;
    if (!(rel <= g->tolerance)) DIFFERS(g, "%s is off by %.1e", name, rel);
    free(wanted);
}

static void check_ints(golden *g, const char *name, const int *found, int n)
{
    int  count;
    int *wanted = ints(g, name, &count);
    if (!wanted) {
        DIFFERS(g, "no %s", name);
        return;
    }
    if (count != n) DIFFERS(g, "%s: %d numbers instead of %d", name, n, count);
    for (int i = 0; i < n && i < count; i++)
        if (found[i] != wanted[i]) DIFFERS(g, "%s[%d] is %d instead of %d", name, i, found[i], wanted[i]);
    free(wanted);
}

/* ---- the batch ---- */

typedef struct {
    vr_backend *be;
    vr_tokens   in, out;
    vr_trace    trace;
    vr_limits   most;
    void       *memory;
} bench;

static void lay_out(bench *t, vr_arena *a)
{
    const size_t cells = (size_t)t->most.rows * (size_t)t->in.x.cols;
    t->out.x = (vr_mat){vr_arena_take(a, cells, sizeof(float)), 0, t->in.x.cols, (size_t)t->in.x.cols, VR_F32};
    t->out.size = vr_arena_take(a, (size_t)t->most.rows, sizeof(float));
    t->out.offsets = vr_arena_take(a, (size_t)t->most.images + 1, sizeof(int));
    vr_trace_lay_out(&t->trace, a, &t->most, true);
}

static void batch_open(bench *t, golden *g, vr_backend *be, int prefix)
{
    size_t cells = 0;
    int    bounds = 0;
    *t = (bench){.be = be, .in = {.prefix = prefix}};
    t->in.x.data = floats(g, "x", &cells);
    t->in.offsets = ints(g, "offsets", &bounds);
    t->in.images = bounds - 1;
    t->in.x.rows = t->in.offsets[t->in.images];
    t->in.x.cols = (int)number(g, "d");
    t->in.x.stride = (size_t)t->in.x.cols;
    t->in.size = floats(g, "size", NULL);
    t->most = (vr_limits){.images = t->in.images, .rows = t->in.x.rows, .longest = 1, .cols = t->in.x.cols};
    for (int b = 0; b < t->in.images; b++) {
        int n = t->in.offsets[b + 1] - t->in.offsets[b];
        if (n > t->most.longest) t->most.longest = n;
    }
    vr_arena a = {0};
    lay_out(t, &a);
    t->memory = vr_alloc_zeroed(a.used + 1, 1);
    a = (vr_arena){.base = t->memory};
    lay_out(t, &a);
}

static void reserve(golden *g, bench *t)
{
    vr_error err = {0};
    if (t->be->ops->reserve_reduction(t->be, &t->most, &err)) DIFFERS(g, "%s", err.text);
}

static void batch_close(bench *t) { free(t->in.x.data), free(t->in.offsets), free(t->in.size), free(t->memory); }

static void check_tokens(golden *g, const bench *t)
{
    check_ints(g, "out_offsets", t->out.offsets, t->in.images + 1);
    if (!g->wrong[0]) check_floats(g, "out", t->out.x.data, (size_t)t->out.x.rows * t->out.x.stride);
}

/* ---- MaMe and MaRe ---- */

static vr_mame mame_options(const golden *g)
{
    return (vr_mame){.tau = (float)number(g, "tau"),
                     .rule = is(g, "rule", "similarity") ? VR_SIMILARITY : VR_ALG1,
                     .refine = truth(g, "refine"),
                     .force = is(g, "forced", "merge")  ? VR_FORCE_MERGE
                              : is(g, "forced", "drop") ? VR_FORCE_DROP
                                                        : VR_UNFORCED,
                     .dot = is(g, "similarity", "dot"),
                     .by_batch = is(g, "batch", "union"),
                     .partition = is(g, "partition", "sequential") ? VR_SEQUENTIAL : VR_ALTERNATING};
}

/* What is compared: the tokens, their keys, or the keys' mean over heads; released by free(). */
static vr_mat feature_of(golden *g, const bench *t)
{
    const int heads = (int)number(g, "heads"), D = (int)number(g, "head_dim"), T = t->in.x.rows;
    float    *keys = floats(g, "keys", NULL);
    if (!keys) return (vr_mat){0};
    if (is(g, "feature", "k")) return (vr_mat){keys, T, heads * D, (size_t)(heads * D), VR_F32};
    for (int r = 0; r < T; r++)
        for (int c = 0; c < D; c++) {
            double sum = 0;
            for (int h = 0; h < heads; h++) sum += (double)keys[(r * heads + h) * D + c];
            keys[r * D + c] = (float)(sum / heads);
        }
    return (vr_mat){keys, T, D, (size_t)D, VR_F32};
}

/* Masses of ordinary tokens in the file are sizes of all tokens here. */
static void give_sizes(golden *g, bench *t)
{
    float *mass = floats(g, "mass", NULL), *next = mass;
    if (!mass) return;
    t->in.size = vr_alloc((size_t)t->in.x.rows, sizeof *t->in.size);
    for (int b = 0; b < t->in.images; b++)
        for (int r = t->in.offsets[b]; r < t->in.offsets[b + 1]; r++)
            t->in.size[r] = r - t->in.offsets[b] < t->in.prefix ? 1 : *next++;
    free(mass);
}

static void check_mass(golden *g, const bench *t)
{
    float *found = vr_alloc((size_t)t->out.x.rows + 1, sizeof *found);
    size_t n = 0;
    for (int b = 0; b < t->in.images; b++)
        for (int r = t->out.offsets[b] + t->in.prefix; r < t->out.offsets[b + 1]; r++) found[n++] = t->out.size[r];
    check_floats(g, "mass_out", found, n);
    free(found);
}

static void check_weights(golden *g, const bench *t)
{
    const vr_trace *r = &t->trace;
    int            *preserved = vr_alloc((size_t)t->in.x.rows + 1, sizeof *preserved), sources = 0;
    float          *R = vr_alloc((size_t)t->in.x.rows + 1, sizeof *R);
    size_t          destinations = 0;
    for (int b = 0; b < t->in.images; b++) {
        for (int i = r->in_offsets[b]; i < r->in_offsets[b + 1]; i++)
            if (r->column[i] >= 0) preserved[sources++] = r->row[i] >= 0;
        for (int i = 0; i < r->destinations[b]; i++) R[destinations++] = r->total[r->out_offsets[b] + r->prefix + i];
    }
    check_ints(g, "preserved", preserved, sources);
    check_floats(g, "R", R, destinations);
    check_floats(g, "WF", r->weight, r->weights_at[t->in.images]);
    free(preserved), free(R);
}

/* The map from the patches that there were to the tokens that are left, image by image [tokens, patches], special
 * tokens without a row. */
typedef struct {
    vr_mat *image; /* [B], one row a token */
    int     images;
} soft_map;

static soft_map map_open(const bench *t)
{
    soft_map m = {vr_alloc_zeroed((size_t)t->in.images, sizeof *m.image), t->in.images};
    for (int b = 0; b < m.images; b++) {
        int n = t->in.offsets[b + 1] - t->in.offsets[b], patches = n - t->in.prefix;
        m.image[b] = (vr_mat){vr_alloc_zeroed((size_t)(n * patches) + 1, sizeof(float)), n, patches, (size_t)patches, VR_F32};
        for (int p = 0; p < patches; p++) m.image[b].data[(t->in.prefix + p) * patches + p] = 1;
    }
    return m;
}

static void map_follow(soft_map *m, const bench *t)
{
    for (int b = 0; b < m->images; b++) {
        vr_mat from = m->image[b], to = from;
        to.rows = t->out.offsets[b + 1] - t->out.offsets[b];
        to.data = vr_alloc_zeroed((size_t)to.rows * to.stride + 1, sizeof *to.data);
        vr_trace_follow(&t->trace, b, to, from);
        free(from.data);
        m->image[b] = to;
    }
}

static void map_check(soft_map *m, golden *g, int prefix)
{
    size_t all = 0, n = 0;
    for (int b = 0; b < m->images; b++) all += (size_t)m->image[b].rows * m->image[b].stride;
    float *found = vr_alloc(all + 1, sizeof *found);
    for (int b = 0; b < m->images; b++) {
        vr_mat ordinary = vr_mat_rows(m->image[b], prefix, m->image[b].rows - prefix);
        size_t count = (size_t)ordinary.rows * ordinary.stride;
        memcpy(found + n, ordinary.data, count * sizeof *found);
        n += count;
        free(m->image[b].data);
    }
    check_floats(g, "soft_map", found, n);
    free(found), free(m->image);
}

static void check_mare(golden *g, const bench *t)
{
    vr_mat y = t->out.x, x = t->in.x;
    y.data = floats(g, "y", NULL);
    x.data = vr_alloc_zeroed((size_t)x.rows * x.stride + 1, sizeof *x.data);
    vr_mare_restore(t->be, x, y, &t->trace, VR_MARE_PAPER);
    check_floats(g, "mare_paper", x.data, (size_t)x.rows * x.stride);
    vr_mare_restore(t->be, x, y, &t->trace, VR_MARE_COPY);
    check_floats(g, "mare_copy", x.data, (size_t)x.rows * x.stride);
    free(x.data), free(y.data);
}

static void run_mame(golden *g, vr_backend *be)
{
    bench   t;
    vr_mame how = mame_options(g);
    batch_open(&t, g, be, (int)number(g, "specials"));
    vr_mat   feature = feature_of(g, &t);
    soft_map map = map_open(&t);
    if (feature.cols > t.most.cols) t.most.cols = feature.cols;
    give_sizes(g, &t);
    reserve(g, &t);
    vr_mame_merge(be, &t.out, &t.in, feature.data ? feature : t.in.x, &how, &t.trace);
    check_weights(g, &t);
    check_tokens(g, &t);
    if (t.in.size) check_mass(g, &t);
    if (!g->wrong[0]) check_mare(g, &t);
    map_follow(&map, &t);
    map_check(&map, g, t.in.prefix);
    free(feature.data);
    batch_close(&t);
}

/* x += residual x linear^T + bias */
static void between(vr_mat x, const float *linear, const float *bias, double residual)
{
    double *before = vr_alloc((size_t)x.cols, sizeof *before);
    for (int r = 0; r < x.rows; r++) {
        float *row = x.data + (size_t)r * x.stride;
        for (int c = 0; c < x.cols; c++) before[c] = (double)row[c];
        for (int c = 0; c < x.cols; c++) {
            double sum = 0;
            for (int k = 0; k < x.cols; k++) sum += before[k] * (double)linear[c * x.cols + k];
            row[c] = (float)(before[c] + residual * sum + (double)bias[c]);
        }
    }
    free(before);
}

static void run_chain(golden *g, vr_backend *be)
{
    bench   t;
    vr_mame how = mame_options(g);
    batch_open(&t, g, be, (int)number(g, "specials"));
    soft_map map = map_open(&t);
    float   *linear = floats(g, "linear", NULL), *bias = floats(g, "bias", NULL);
    int     *counts = ints(g, "counts", NULL);
    reserve(g, &t);
    for (int l = 0; l < CHAIN && !g->wrong[0]; l++) {
        char name[16];
        snprintf(name, sizeof name, "out_%d", l);
        vr_mame_merge(be, &t.out, &t.in, t.in.x, &how, &t.trace);
        map_follow(&map, &t);
        for (int b = 0; b < t.in.images; b++)
            if (t.out.offsets[b + 1] - t.out.offsets[b] != counts[b * CHAIN + l])
                DIFFERS(g, "image %d has %d tokens after merge %d instead of %d", b, t.out.offsets[b + 1] - t.out.offsets[b], l,
                        counts[b * CHAIN + l]);
        check_floats(g, name, t.out.x.data, (size_t)t.out.x.rows * t.out.x.stride);
        if (l < CHAIN - 1)
            between(t.out.x, linear + l * t.in.x.cols * t.in.x.cols, bias + l * t.in.x.cols, number(g, "residual"));
        t.in.x.rows = t.out.x.rows;
        memcpy(t.in.x.data, t.out.x.data, (size_t)t.out.x.rows * t.out.x.stride * sizeof *t.in.x.data);
        memcpy(t.in.offsets, t.out.offsets, (size_t)(t.in.images + 1) * sizeof *t.in.offsets);
    }
    map_check(&map, g, t.in.prefix);
    free(linear), free(bias), free(counts);
    batch_close(&t);
}

/* ---- ToMe, EViT, DiffRate ---- */

static void run_tome(golden *g, vr_backend *be)
{
    bench     t;
    const int cols = (int)number(g, "metric_dim"), prefix = truth(g, "class_token") + truth(g, "dist_token");
    batch_open(&t, g, be, prefix);
    vr_mat metric = {floats(g, "metric", NULL), t.in.x.rows, cols, (size_t)cols, VR_F32};
    if (cols > t.most.cols) t.most.cols = cols;
    reserve(g, &t);
    vr_tome_merge(be, &t.out, &t.in, metric, (int)number(g, "r"), &t.trace);
    check_ints(g, "map", t.trace.row, t.in.x.rows);
    check_tokens(g, &t);
    check_floats(g, "size_out", t.out.size, (size_t)t.out.x.rows);
    for (int r = 0; r < t.out.x.rows; r++) t.out.size[r] = logf(t.out.size[r]);
    check_floats(g, "bias_out", t.out.size, (size_t)t.out.x.rows);
    free(metric.data);
    batch_close(&t);
}

/* One score a token; the class token's is a NaN, which nobody may read. */
static float *scores_of(golden *g, const bench *t)
{
    float *given = floats(g, "class_attention", NULL), *next = given;
    float *scores = vr_alloc((size_t)t->in.x.rows + 1, sizeof *scores);
    for (int b = 0; b < t->in.images; b++)
        for (int r = t->in.offsets[b]; r < t->in.offsets[b + 1]; r++) scores[r] = r == t->in.offsets[b] ? NAN : *next++;
    free(given);
    return scores;
}

/* Which input token is in each output row from `first` on; -1: none, or several. */
static int kept_tokens(const bench *t, int b, int first, int *found)
{
    const vr_trace *r = &t->trace;
    int             in = r->in_offsets[b], count = r->out_offsets[b + 1] - r->out_offsets[b] - first;
    for (int o = 0; o < count; o++) {
        int parts = 0;
        for (int i = in; i < r->in_offsets[b + 1]; i++)
            if (r->row[i] == first + o) found[o] = i - in, parts++;
        if (parts != 1) found[o] = -1;
    }
    return count;
}

static void run_evit(golden *g, vr_backend *be)
{
    bench t;
    int   kept = 0;
    batch_open(&t, g, be, 1);
    float        *scores = scores_of(g, &t);
    int          *found = vr_alloc((size_t)t.in.x.rows + 1, sizeof *found), *bounds = ints(g, "kept_offsets", NULL);
    const vr_evit how = {number(g, "keep_rate"), truth(g, "fuse")};
    reserve(g, &t);
    vr_evit_keep(be, &t.out, &t.in, scores, &how, &t.trace);
    for (int b = 0; b < t.in.images; b++) {
        kept_tokens(&t, b, 1, found + kept); /* a fused token may follow */
        for (; kept < bounds[b + 1]; kept++) found[kept]--;
    }
    check_ints(g, "kept", found, kept);
    check_tokens(g, &t);
    free(scores), free(found), free(bounds);
    batch_close(&t);
}

/* The file's rows are in sorted order, ours may be in another where nobody left: compare row by row through `order`. */
static void check_by_order(golden *g, bench *t, const int *order, const int *bounds)
{
    const int C = t->in.x.cols;
    float    *rows = vr_alloc((size_t)(t->out.x.rows * C) + 1, sizeof *rows), *size = vr_alloc((size_t)t->out.x.rows + 1, 4);
    for (int b = 0; b < t->in.images; b++)
        for (int i = 0, first = t->out.offsets[b]; i < t->out.offsets[b + 1] - first; i++) {
            int row = t->trace.row[t->in.offsets[b] + order[bounds[b] + i]];
            if (row < 0) DIFFERS(g, "token %d of image %d is gone", order[bounds[b] + i], b);
            if (row < 0) row = 0;
            memcpy(rows + (first + i) * C, t->out.x.data + (first + row) * C, (size_t)C * sizeof *rows);
            size[first + i] = t->out.size[first + row];
        }
    memcpy(t->out.x.data, rows, (size_t)(t->out.x.rows * C) * sizeof *rows);
    check_floats(g, "size_out", size, (size_t)t->out.x.rows);
    check_tokens(g, t);
    free(rows), free(size);
}

static void run_diffrate(golden *g, vr_backend *be)
{
    bench t;
    batch_open(&t, g, be, 1);
    float            *scores = scores_of(g, &t);
    int              *order = ints(g, "order", NULL), *bounds = ints(g, "order_offsets", NULL);
    int              *dst = vr_alloc((size_t)t.in.x.rows + 1, sizeof *dst), merged = 0;
    const vr_diffrate how = {(int)number(g, "P"), (int)number(g, "K")};
    reserve(g, &t);
    vr_diffrate_merge(be, &t.out, &t.in, scores, &how, &t.trace);
    for (int b = 0; b < t.in.images; b++) {
        int left = t.out.offsets[b + 1] - t.out.offsets[b], gone = 0;
        for (int i = bounds[b] + left; i < bounds[b + 1]; i++) dst[merged++] = t.trace.row[t.in.offsets[b] + order[i]];
        for (int i = t.in.offsets[b]; i < t.in.offsets[b + 1]; i++) gone += t.trace.row[i] == VR_GONE;
        if (t.in.offsets[b + 1] - t.in.offsets[b] - gone != bounds[b + 1] - bounds[b])
            DIFFERS(g, "image %d: %d pruned", b, gone);
    }
    check_ints(g, "dst", dst, merged);
    if (!g->wrong[0]) check_by_order(g, &t, order, bounds);
    free(scores), free(order), free(bounds), free(dst);
    batch_close(&t);
}

/* ---- a case ---- */

static const struct {
    const char *algorithm;
    void (*run)(golden *g, vr_backend *be);
    const double *tolerance;
} runners[] = {{"mame", run_mame, &MAME_TOLERANCE},
               {"mame_chain", run_chain, &MAME_TOLERANCE},
               {"tome", run_tome, &TOLERANCE},
               {"evit", run_evit, &TOLERANCE},
               {"diffrate", run_diffrate, &TOLERANCE}};

/* On one back end; false where the case failed.  Appends to words. */
static bool run_on(golden *g, const vr_golden_backend *b, char *words, size_t room)
{
    size_t     used = strlen(words);
    vr_backend be;
    g->worst = 0;
    g->wrong[0] = 0;
    vr_golden_use(b, NULL);
    if (b->ops->open(&be, &(vr_wish){.threads = 2}, NULL)) return false;
    for (size_t i = 0; i < sizeof runners / sizeof *runners; i++)
        if (is(g, "algorithm", runners[i].algorithm)) {
            g->tolerance = *runners[i].tolerance;
            runners[i].run(g, &be);
        }
    be.ops->close(&be);
    unsetenv("VITRUN_ISA");
    if (g->wrong[0])
        snprintf(words + used, room - used, "%s: %s ", b->name, g->wrong);
    else
        snprintf(words + used, room - used, "%s %.1e ", b->name, g->worst);
    return !g->wrong[0];
}

void vr_golden_reducer(const char *name, const char *path)
{
    golden   g = {0};
    vr_error err = {0};
    char     words[1500] = "", shown[256];
    bool     good = true;
    snprintf(shown, sizeof shown, "%.*s", (int)strcspn(name, "."), name);
    if (vr_safetensors_open(&g.file, path, 0, &err)) {
        vr_golden_report(FAILED, shown, err.text);
        return;
    }
    const char *text = vr_safetensors_metadata(g.file, "case");
    if (!text || vr_json_parse(&g.doc, text, strlen(text), name, &err))
        vr_golden_report(FAILED, shown, text ? err.text : "no case in the metadata");
    else {
        vr_golden_backend list[BACKENDS];
        const int         count = vr_golden_backends(list, true);
        for (int i = 0; i < count; i++) good &= run_on(&g, &list[i], words, sizeof words);
        vr_golden_report(good ? PASSED : FAILED, shown, words);
    }
    vr_json_free(g.doc);
    vr_safetensors_close(g.file);
}
