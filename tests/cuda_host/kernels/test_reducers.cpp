/* If these failed, a GPU would merge, keep or drop other tokens than the CPU does, or record it wrongly. */
#include "harness.h"

#include <functional>
#include <stdlib.h>

struct batch {
    std::vector<int>   counts;
    int                prefix, cols, gap;
    vr_dtype           type;
    bool               sizes;
    std::vector<int>   offsets;
    bool               twins; /* some tokens are the same */
    table              x;
    std::vector<float> size, scores;
    batch(std::vector<int> c, int p, int d, int g, vr_dtype t, bool s, bool w = true)
        : counts(c), prefix(p), cols(d), gap(g), type(t), sizes(s), offsets(offsets_of(c)), twins(w), x(0, d)
    {
        draw();
    }
    void draw()
    {
        size.reserve(1); /* there is a pointer even where there is no token */
        x = grouped_tokens(counts, cols, twins);
        round_table(x, type);
        size.assign((size_t)x.rows, 1), scores.clear();
        for (size_t b = 0; b < counts.size(); b++)
            for (int i = offsets[b]; i < offsets[b + 1]; i++) {
                if (i - offsets[b] >= prefix) size[(size_t)i] = (float)(1 + (int)(uniform() * 4));
                /* some scores are equal */
                scores.push_back(i > offsets[b] && uniform() < 0.1 ? scores.back() : (float)uniform() / 16);
            }
    }
    int       images() const { return (int)counts.size(); }
    vr_limits limits() const
    {
        vr_limits most = {images(), x.rows, 0, cols};
        for (int n : counts) most.longest = n > most.longest ? n : most.longest;
        return most;
    }
};

/* One reduction by the oracle, with its record. */
struct host_trace {
    std::vector<char> memory;
    vr_trace          t;
    explicit host_trace(const vr_limits &most) : t()
    {
        vr_arena arena = {};
        vr_trace_lay_out(&t, &arena, &most, true);
        memory.resize(arena.used + 64);
        arena = {};
        arena.base = memory.data();
        vr_trace_lay_out(&t, &arena, &most, true);
    }
    host_trace(const host_trace &) = delete;
    host_trace &operator=(const host_trace &) = delete;
};

struct device_trace {
    device_array<int>    in, out, destinations, row, column;
    device_array<size_t> weights_at;
    device_array<float>  mass, total, weight;
    vr_trace             t;
    device_trace(const vr_limits &most, int prefix)
        : in((size_t)most.images + 1), out((size_t)most.images + 1), destinations((size_t)most.images), row((size_t)most.rows),
          column((size_t)most.rows), weights_at((size_t)most.images + 1), mass((size_t)most.rows), total((size_t)most.rows),
          weight(vr_limits_weights(&most)), t{most.images, prefix,   in.p,   out.p,   destinations.p, weights_at.p,
                                              row.p,       column.p, mass.p, total.p, weight.p}
    {
    }
};

typedef std::function<void(vr_backend *, vr_tokens *, const vr_tokens *, vr_trace *)> oracle_fn;
typedef std::function<cudaError_t(const vr_gpu *, vr_gpu_tokens, vr_gpu_tokens, const float *, const vr_trace *, void *)>
                                                 kernel_fn;
typedef std::function<size_t(const vr_limits *)> scratch_fn;

struct reduction {
    std::string what;
    oracle_fn   oracle;
    kernel_fn   kernel;
    scratch_fn  scratch;
    bool        near_cells; /* weights are differences of similarities: a looser bound */
};

struct oracle_result {
    std::vector<int>   offsets;
    table              y;
    std::vector<float> size;
};

static oracle_result ask_oracle(const reduction &r, batch &in, vr_trace *trace)
{
    oracle_result o = {std::vector<int>((size_t)in.images() + 1), table(in.x.rows, in.cols),
                       std::vector<float>((size_t)in.x.rows)};
    o.size.reserve(1);
    vr_tokens  from = {in.x.mat(), in.sizes ? in.size.data() : NULL, in.offsets.data(), in.images(), in.prefix};
    vr_tokens  to = {o.y.mat(), in.sizes ? o.size.data() : NULL, o.offsets.data(), 0, 0};
    vr_backend be = {};
    be.ops = &vr_reference;
    r.oracle(&be, &to, &from, trace);
    return o;
}

static bool same(const std::vector<int> &got, const int *want, size_t count)
{
    return count == 0 || memcmp(got.data(), want, count * sizeof(int)) == 0;
}

static void check_trace(const device_trace &got, const vr_trace &want, const batch &in, double limit, const std::string &what)
{
    const size_t B = (size_t)in.images(), T = (size_t)in.x.rows, after = (size_t)want.out_offsets[B];
    check(same(got.destinations.get(), want.destinations, B), what + ": destinations");
    check(memcmp(got.weights_at.get().data(), want.weights_at, (B + 1) * sizeof(size_t)) == 0, what + ": weights_at");
    check(same(got.row.get(), want.row, T), what + ": rows");
    check(same(got.column.get(), want.column, T), what + ": columns");
    check_floats(got.mass.get(), want.mass, T, limit, what + ": mass");
    check_floats(got.total.get(), want.total, after, limit, what + ": total");
    check_floats(got.weight.get(), want.weight, want.weights_at[B], limit, what + ": weights");
}

static void test(const reduction &r, batch &in, bool traced)
{
    const vr_limits     most = in.limits();
    host_trace          wanted(most);
    const oracle_result want = ask_oracle(r, in, &wanted.t);
    const int           after = want.offsets[(size_t)in.images()];
    std::string         what = r.what + " " + vr_dtype_name(in.type) + text(" prefix %d cols %d, tokens", in.prefix, in.cols);
    for (int n : in.counts) what += " " + std::to_string(n);
    const double        exact = r.near_cells ? 1e-4 : 2e-6, limit = type_error(in.type, exact, 2e-3, 1.6e-2);
    table               y(after, in.cols);
    device_mat          x(in.x, in.type, in.gap);
    device_array<int>   offsets(in.offsets);
    device_array<float> size(in.size), scores(in.scores);
    std::copy(want.y.x.begin(), want.y.x.begin() + (long)y.x.size(), y.x.begin());
    in_all_orders(what, [&] {
        device_mat          out(in.x.rows, in.cols, in.type, in.gap);
        device_array<int>   out_offsets(in.offsets.size());
        device_array<float> grown((size_t)in.x.rows);
        device_array<char>  scratch(r.scratch(&most));
        device_trace        trace(most, in.prefix);
        const vr_gpu        gpu = test_gpu();
        const vr_gpu_tokens from = {x.m, in.sizes ? size.p : NULL, offsets.p, in.images(), in.prefix, in.x.rows, most.longest};
        const vr_gpu_tokens to = {out.m,       in.sizes ? grown.p : NULL, out_offsets.p, in.images(), in.prefix, in.x.rows,
                                  most.longest};
        check_equal(r.kernel(&gpu, to, from, scores.p, traced ? &trace.t : NULL, scratch.p), cudaSuccess, what);
        cudaDeviceSynchronize();
        if (!vr_fake::said().empty()) return; /* told by the caller */
        const bool equal = same(out_offsets.get(), want.offsets.data(), in.offsets.size());
        check(equal, what + ": offsets");
        check(out.gaps_untouched() && out.rows_untouched(after), what + ": cells beside the result");
        if (!equal) return;
        check_close(out.get(after), y, limit, what);
        if (in.sizes) check_floats(grown.get(), want.size.data(), (size_t)after, exact, what + " sizes");
        if (traced) check_trace(trace, wanted.t, in, exact, what);
    });
}

/* ---- MaMe ---- */

static double similarity(const table &x, int a, int b, bool dot)
{
    double ab = 0, aa = 0, bb = 0;
    for (int c = 0; c < x.cols; c++) {
        ab += (double)x.at(a, c) * (double)x.at(b, c);
        aa += (double)x.at(a, c) * (double)x.at(a, c);
        bb += (double)x.at(b, c) * (double)x.at(b, c);
    }
    return dot ? ab : aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : 0;
}

/* How far the closest decision is from falling otherwise: decisions closer than rounding are nobody's fault. */
static double margin_of(const batch &in, const vr_mame &how, const table &feature)
{
    double margin = 1;
    for (size_t b = 0; b < in.counts.size(); b++) {
        const int        first = in.offsets[b] + in.prefix, n = in.offsets[b + 1] - first, M = vr_mame_destinations(&how, n);
        std::vector<int> dst, src;
        for (int t = 0; t < n; t++) {
            int smaller = 0;
            for (int o = 0; o < n && how.partition == VR_RANDOM; o++)
                smaller += vr_partition_key(how.seed, how.layer, o) < vr_partition_key(how.seed, how.layer, t);
            const bool d = how.partition == VR_ALTERNATING ? t % 2 == 0 : how.partition == VR_SEQUENTIAL ? t < M : smaller < M;
            (d ? dst : src).push_back(first + t);
        }
        for (int s : src) {
            double              k = 0, Q = 0, best = -1e30, second = -1e30;
            std::vector<double> q;
            for (int d : dst) {
                const double S = similarity(feature, d, s, how.dot), scale = how.dot ? 1 / (1 + fabs(S)) : 1;
                margin = fmin(margin, fabs(S - (double)how.tau) * scale);
                q.push_back(fmax(0, S - (double)how.tau));
                k += q.back() > 0, Q += q.back();
                if (S > best)
                    second = best, best = S;
                else if (S > second && S < best)
                    second = S;
            }
            for (double each : q)
                if (k > 1 && each > 0) margin = fmin(margin, fabs((k * each - Q) / k - 1e-6) / (how.dot ? 1 + Q : 1));
            if (k == 0 && second > -1e30) margin = fmin(margin, best - second);
        }
    }
    return margin;
}

static reduction mame(vr_mame how, const table *feature, const device_mat *on_device)
{
    return {text("mame tau %.2f refine %d rule %d force %d dot %d batch %d mass %d partition %d", (double)how.tau, how.refine,
                 how.rule, how.force, how.dot, how.by_batch, how.by_mass, how.partition) +
                (feature ? " feature" : ""),
            [=](vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_trace *trace) {
                vr_mame_merge(be, out, in, feature ? const_cast<table *>(feature)->mat() : in->x, &how, trace);
            },
            [=](const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, const float *, const vr_trace *trace, void *scratch) {
                return vr_gpu_mame(gpu, out, in, on_device ? on_device->m : in.x, &how, trace, scratch);
            },
            vr_gpu_mame_scratch, true};
}

/* Draws until no decision is near to rounding. */
static void test_mame(const vr_mame &how, const std::vector<int> &counts, int prefix, int cols, int gap, vr_dtype type)
{
    batch in(counts, prefix, cols, gap, type, how.by_mass || cols % 2);
    for (int tries = 0; tries < 200 && margin_of(in, how, in.x) < 3e-6; tries++) in.draw();
    check(margin_of(in, how, in.x) >= 3e-6, "a batch without near ties");
    test(mame(how, NULL, NULL), in, prefix != 1 || counts.size() > 2);
}

static vr_mame merging(float tau)
{
    vr_mame how = {};
    how.tau = tau, how.refine = true;
    return how;
}

static void test_mame_options(vr_dtype type)
{
    const std::vector<int> counts = {1, 9, 0, 2, 34, 3, 17, 70};
    std::vector<int>       with2 = counts;
    for (int &n : with2) n += 2;
    for (int rule = 0; rule < 2; rule++)
        for (int force = 0; force < 3; force++) {
            vr_mame how = merging(0.7f);
            how.rule = (vr_mame_rule)rule, how.force = (vr_force)force;
            test_mame(how, counts, 0, 24, 8, type);
            how.refine = false, how.by_mass = force == 1;
            test_mame(how, with2, 2, 13, 3, type);
        }
    for (int i = 0; i < 6; i++) {
        vr_mame how = merging(0.6f);
        how.dot = i == 0, how.by_batch = i == 1 || i == 2, how.by_mass = i >= 2, how.partition = (vr_partition)(i % 3);
        how.share = 0.35, how.seed = 5, how.layer = i;
        if (how.by_batch) how.force = i == 2 ? VR_FORCE_DROP : VR_UNFORCED;
        test_mame(how, with2, 2, 32, 0, type);
    }
    for (double share : {0.0, 1.0, 0.9}) {
        vr_mame how = merging(0.5f);
        how.partition = VR_RANDOM, how.share = share, how.seed = 11;
        test_mame(how, {40, 7, 1, 0}, 0, 16, 0, type);
    }
}

static void test_mame_shapes(vr_dtype type)
{
    const vr_mame how = merging(0.7f);
    for (int n : {1, 2, 3, 15, 16, 17, 18, 33, 129}) test_mame(how, {n}, 1, n % 2 ? 40 : 72, 0, type);
    test_mame(how, {197, 64}, 1, 64, 8, type);
    test_mame(how, {257, 258}, 1, 48, 0, type);
    test_mame(how, {300, 20}, 0, 64, 0, type);
    test_mame(merging(0.2f), {100}, 1, 328, 8, type);
    test_mame(how, {}, 1, 16, 0, type);
}

/* Keys, or their mean over heads, say who resembles whom. */
static void test_mame_feature(vr_dtype type, vr_dtype feature_type)
{
    const std::vector<int> counts = {41, 6};
    batch                  in(counts, 1, 32, 0, type, true), keys(counts, 1, 20, 4, feature_type, false);
    const vr_mame          how = merging(0.6f);
    while (margin_of(in, how, keys.x) < 3e-6) keys.draw();
    device_mat on_device(keys.x, feature_type, 4);
    test(mame(how, &keys.x, &on_device), in, true);
}

/* The ten tokens of the worked example: equal similarities, and one that matches nothing. */
static void test_mame_ties(vr_dtype type)
{
    const float ten[] = {1, 0, 0, 2, 1, 0, 0, 1, 0, 3, 2, 0, -1, 0, 0, -2, 1, 0, 1, 1, 0, .1f, .1f, 1, 0, -1, 0, -1, 1, 0};
    for (int i = 0; i < 4; i++) {
        vr_mame how = merging(0.5f);
        how.refine = i != 3, how.rule = i == 1 ? VR_SIMILARITY : VR_ALG1, how.force = i == 2 ? VR_FORCE_MERGE : VR_UNFORCED;
        batch in({10, 10}, 0, 3, 5, type, true);
        for (size_t c = 0; c < in.x.x.size(); c++) in.x.x[c] = c < 30 ? ten[c] : 0; /* and ten tokens of zeros */
        round_table(in.x, type);
        test(mame(how, NULL, NULL), in, true);
    }
}

/* ---- the others ---- */

static reduction tome(int r)
{
    return {text("tome %d", r),
            [=](vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_trace *trace) {
                vr_tome_merge(be, out, in, in->x, r, trace);
            },
            [=](const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, const float *, const vr_trace *trace, void *scratch) {
                return vr_gpu_tome(gpu, out, in, in.x, r, trace, scratch);
            },
            vr_gpu_tome_scratch, false};
}

static float *g_scores; /* the batch's, on the host */

static reduction evit(double keep, bool fuse)
{
    const vr_evit how = {keep, fuse};
    return {text("evit %.2f fuse %d", keep, fuse),
            [=](vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_trace *trace) {
                vr_evit_keep(be, out, in, g_scores, &how, trace);
            },
            [=](const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, const float *scores, const vr_trace *trace,
                void *scratch) { return vr_gpu_evit(gpu, out, in, scores, &how, trace, scratch); },
            vr_gpu_evit_scratch, false};
}

static reduction diffrate(int prune_kept, int merge_kept)
{
    const vr_diffrate how = {prune_kept, merge_kept};
    return {text("diffrate %d %d", prune_kept, merge_kept),
            [=](vr_backend *be, vr_tokens *out, const vr_tokens *in, vr_trace *trace) {
                vr_diffrate_merge(be, out, in, g_scores, &how, trace);
            },
            [=](const vr_gpu *gpu, vr_gpu_tokens out, vr_gpu_tokens in, const float *scores, const vr_trace *trace,
                void *scratch) { return vr_gpu_diffrate(gpu, out, in, scores, &how, trace, scratch); },
            vr_gpu_diffrate_scratch, false};
}

static void test_others(vr_dtype type)
{
    for (int prefix = 0; prefix < 3; prefix++)
        for (int r : {-1, 0, 1, 7, 1000}) {
            batch in({prefix + 1, prefix, 17, 40, 2 + prefix, 3 + prefix, 65}, prefix, prefix == 1 ? 21 : 32, 3, type, true,
                     false);
            test(tome(r), in, r != 7);
        }
    for (int r : {16, 500}) {
        batch in({197, 257, 33}, 1, 64, 0, type, true, false);
        test(tome(r), in, true);
    }
    for (int prefix = 0; prefix < 3; prefix++) { /* cosines are exact sixteenths, many of them equal */
        batch in({70, 31}, prefix, 16, 0, type, true);
        for (float &c : in.x.x) c = uniform() < 0.5 ? 1.0f : -1.0f;
        test(tome(20), in, true);
        g_scores = in.scores.data();
        if (prefix == 1) test(diffrate(50, 20), in, true);
    }
    for (double keep : {0.0, 0.1, 0.5, 0.7, 1.0})
        for (bool fuse : {false, true}) {
            batch in({1, 2, 3, 17, 65, 197}, 1, 24, keep > 0.3 ? 0 : 5, type, keep < 0.6);
            g_scores = in.scores.data();
            test(evit(keep, fuse), in, !fuse || keep < 0.6);
        }
    const int kept[][2] = {{1, 1}, {9, 1}, {9, 9}, {30, 20}, {200, 12}, {20, 40}, {1000, 1000}, {100, 70}};
    for (const int *k : kept) {
        batch in({1, 2, 12, 33, 150}, 1, 28, 4, type, true, false);
        g_scores = in.scores.data();
        test(diffrate(k[0], k[1]), in, k[0] != 30);
    }
    batch none({}, 1, 8, 0, type, true);
    g_scores = none.scores.data();
    test(tome(3), none, true), test(evit(0.5, true), none, true), test(diffrate(2, 2), none, true);
}

/* ---- MaRe ---- */

static void test_mare(const reduction &r, batch &in)
{
    const vr_limits     most = in.limits();
    host_trace          trace(most);
    const oracle_result merged = ask_oracle(r, in, &trace.t);
    const int           after = merged.offsets[(size_t)in.images()];
    table               y(after, in.cols), x(in.x.rows, in.cols);
    for (float &c : y.x) c = (float)normal();
    round_table(y, in.type);
    device_mat        on_device(y, in.type, in.gap);
    const size_t      B = (size_t)in.images(), T = (size_t)in.x.rows;
    const vr_trace   &t = trace.t;
    device_array<int> io(std::vector<int>(t.in_offsets, t.in_offsets + B + 1)),
        oo(std::vector<int>(t.out_offsets, t.out_offsets + B + 1));
    device_array<int> destinations(std::vector<int>(t.destinations, t.destinations + B)),
        row(std::vector<int>(t.row, t.row + T));
    device_array<int>    column(std::vector<int>(t.column, t.column + T));
    device_array<size_t> at(std::vector<size_t>(t.weights_at, t.weights_at + B + 1));
    device_array<float>  mass(std::vector<float>(t.mass, t.mass + T)), total(std::vector<float>(t.total, t.total + after));
    device_array<float>  weight(std::vector<float>(t.weight, t.weight + t.weights_at[B]));
    const vr_trace       there = {in.images(), in.prefix, io.p,   oo.p,    destinations.p, at.p,
                                  row.p,       column.p,  mass.p, total.p, weight.p};
    vr_backend           be = {};
    be.ops = &vr_reference;
    for (vr_mare mode : {VR_MARE_PAPER, VR_MARE_COPY}) {
        vr_mare_restore(&be, x.mat(), y.mat(), &trace.t, mode);
        const std::string what = text("mare %d after ", mode) + r.what + " " + vr_dtype_name(in.type);
        in_all_orders(what, [&] {
            device_mat         out(in.x.rows, in.cols, in.type, in.gap);
            device_array<char> scratch(vr_gpu_mare_scratch(&most));
            const vr_gpu       gpu = test_gpu();
            check_equal(vr_gpu_mare(&gpu, out.m, on_device.m, &there, most.longest, most.longest, mode, scratch.p), cudaSuccess,
                        what);
            cudaDeviceSynchronize();
            if (!vr_fake::said().empty()) return;
            check_close(out.get(in.x.rows), x, type_error(in.type, 2e-6, 1e-3, 8e-3), what);
            check(out.gaps_untouched(), what + ": gaps");
        });
    }
}

static void test_mares(vr_dtype type)
{
    vr_mame forced = merging(0.7f), heavy = merging(0.5f);
    forced.force = VR_FORCE_DROP, heavy.by_mass = true, heavy.rule = VR_SIMILARITY;
    for (const vr_mame &how : {merging(0.7f), forced, heavy}) {
        batch in({1, 34, 2, 140}, 1, 40, 3, type, true);
        test_mare(mame(how, NULL, NULL), in);
    }
    batch in({1, 34, 2, 77}, 1, 70, 0, type, true);
    g_scores = in.scores.data();
    test_mare(tome(9), in), test_mare(evit(0.5, true), in), test_mare(diffrate(30, 20), in);
}

int main(int argc, char **argv)
{
    const std::string only = argc > 1 ? argv[1] : "";
    for (vr_dtype type : TYPES) {
        seed_numbers(100 + (uint64_t)type);
        if (only.empty() || only == "mame") {
            test_mame_ties(type), test_mame_options(type), test_mame_shapes(type);
            test_mame_feature(type, type), test_mame_feature(type, VR_F32);
        }
        if (only.empty() || only == "others") test_others(type);
        if (only.empty() || only == "mare") test_mares(type);
    }
    return verdict("reducers");
}
