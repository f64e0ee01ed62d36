/* If these failed, tokens would look at the wrong tokens, or an image's result would depend on its batch. */
#include "harness.h"

struct looks {
    std::vector<int> queries, keys;
    int              heads, head, gap;
    bool             extras;
};

static std::string name_of(const looks &l, vr_dtype type)
{
    std::string s = std::string("attention ") + vr_dtype_name(type) + text(" %d x %d, keys", l.heads, l.head);
    for (int n : l.keys) s += " " + std::to_string(n);
    return s;
}

static table numbers(int rows, int cols, double scale)
{
    table t(rows, cols);
    for (float &x : t.x) x = (float)(scale * normal());
    return t;
}

static vr_extras extras_of(bool wanted, float *size, float *scores, vr_mat mean)
{
    vr_extras e = {};
    if (wanted) e.size = size, e.class_scores = scores, e.mean_keys = mean;
    return e;
}

static int longest(const std::vector<int> &counts)
{
    int most = 0;
    for (int n : counts) most = n > most ? n : most;
    return most;
}

static void test(const looks &l, vr_dtype type)
{
    const std::vector<int> qo = offsets_of(l.queries), ko = offsets_of(l.keys);
    const int              C = l.heads * l.head, images = (int)l.keys.size();
    const std::string      what = name_of(l, type);
    table q = numbers(qo.back(), C, 1.5), k = numbers(ko.back(), C, 1.5), v = numbers(ko.back(), C, 1), y(qo.back(), C);
    table size(1, ko.back()), scores(1, ko.back()), mean(ko.back(), l.head);
    for (float &s : size.x) s = 1 + (float)(int)(uniform() * 5);
    round_table(q, type), round_table(k, type), round_table(v, type);

    vr_backend be = {};
    vr_wish    wish = {};
    vr_limits  most = {images, ko.back(), longest(l.keys) + 1, C};
    vr_error   error = {};
    check(vr_reference.open(&be, &wish, &error) == VR_OK && vr_reference.reserve(&be, &most, l.head, 1, &error) == VR_OK,
          "oracle");
    const vr_rows   q_rows = {images, qo.data()}, kv_rows = {images, ko.data()};
    const vr_extras wanted = extras_of(l.extras, size.x.data(), scores.x.data(), mean.mat());
    vr_attention(&be, y.mat(), q.mat(), k.mat(), v.mat(), &q_rows, &kv_rows, l.heads, l.extras ? &wanted : NULL);
    vr_reference.close(&be);

    device_mat          dq(q, type, l.gap), dk(k, type, l.gap), dv(v, type, l.gap);
    device_array<int>   dqo(qo), dko(ko);
    device_array<float> dsize(size.x);
    in_all_orders(what, [&] {
        device_mat          dy(qo.back(), C, type, l.gap), dmean(ko.back(), l.head, VR_F32, 3);
        device_array<float> dscores((size_t)ko.back());
        const vr_gpu        gpu = test_gpu();
        const vr_extras     asked = extras_of(l.extras, dsize.p, dscores.p, dmean.m);
        const cudaError_t   e = vr_gpu_attention(&gpu, dy.m, dq.m, dk.m, dv.m, {images, dqo.p, qo.back(), longest(l.queries)},
                                                 {images, dko.p, ko.back(), longest(l.keys)}, l.heads, l.extras ? &asked : NULL);
        check_equal(e, cudaSuccess, what);
        cudaDeviceSynchronize();
        check_close(dy.get(qo.back()), y, type_error(type, 2e-6, 2e-3, 1.6e-2), what);
        check(dy.gaps_untouched() && dmean.gaps_untouched(), what + ": gaps");
        if (!l.extras) return;
        check_floats(dscores.get(), scores.x.data(), scores.x.size(), 4e-6, what + " class scores");
        check_close(dmean.get(ko.back()), mean, 1e-6, what + " mean keys");
    });
}

/* An image's bits are the same alone, and beside one that sends the batch another way. */
static void test_company(vr_dtype type, int head)
{
    const std::vector<int> counts = {70, 300, 5};
    const std::vector<int> o = offsets_of(counts);
    const int              C = 2 * head;
    table                  x = numbers(o.back(), 3 * C, 1);
    round_table(x, type);
    device_mat        dx(x, type, 8), together(o.back(), C, type, 8);
    device_array<int> offsets(o);
    const vr_gpu      gpu = test_gpu();
    const vr_mat      q = vr_mat_cols(dx.m, 0, C), k = vr_mat_cols(dx.m, C, C), v = vr_mat_cols(dx.m, 2 * C, C);
    const std::string what = text("attention in company, %s, head %d", vr_dtype_name(type), head);
    order_begin(0);
    const vr_segments all = {3, offsets.p, o.back(), 300};
    check_equal(vr_gpu_attention(&gpu, together.m, q, k, v, all, all, 2, NULL), cudaSuccess, what);
    cudaDeviceSynchronize();
    const table want = together.get(o.back());
    for (size_t b = 0; b < counts.size(); b++) {
        device_mat        alone(counts[b], C, type, 8);
        device_array<int> own(std::vector<int>{0, counts[b]});
        const vr_segments one = {1, own.p, counts[b], counts[b]};
        const auto        part = [&](vr_mat m) { return vr_mat_rows(m, o[b], counts[b]); };
        check_equal(vr_gpu_attention(&gpu, alone.m, part(q), part(k), part(v), one, one, 2, NULL), cudaSuccess, what);
        order_end(what);
        const table got = alone.get(counts[b]);
        check(memcmp(got.x.data(), &want.x[(size_t)o[b] * (size_t)C], got.x.size() * sizeof(float)) == 0, what);
    }
}

int main()
{
    for (vr_dtype type : TYPES) {
        seed_numbers(type);
        for (int n : {1, 2, 15, 16, 17, 64, 65}) test({{n}, {n}, 2, 64, 8, n == 17 || n == 2}, type);
        for (int head : {8, 16, 24, 32, 80, 96, 128}) test({{5, 0, 33, 1}, {5, 0, 33, 1}, 2, head, 8, head % 32 == 0}, type);
        for (int head : {7, 25, 63}) test({{19, 3}, {19, 3}, 3, head, 5, true}, type);
        test({{1, 2, 0, 1}, {50, 17, 0, 80}, 2, 64, 0, true}, type);
        test({{197, 40}, {197, 40}, 1, 64, 0, true}, type);
        test({{257}, {257}, 1, 80, 0, true}, type);
        test({{250, 20}, {250, 20}, 1, 32, 8, false}, type);
        test({{3, 2, 1}, {0, 257, 90}, 1, 128, 8, false}, type);
        test({{2, 70}, {577, 70}, 1, 64, 8, true}, type);
        test({{}, {}, 2, 64, 0, true}, type);
        for (int head : {32, 64, 128}) test_company(type, head);
    }
    return verdict("attention");
}
