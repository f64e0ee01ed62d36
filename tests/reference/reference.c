/* reference.c: what every verb means.  Storage is f32, as the views say; every sum is in double. */
#include "reference.h"
#include "reducers.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../loaders/safetensors.h"

typedef struct {
    double *scores; /* [tokens_max], one row of attention */
    int     tokens_max;
    vr_math math;
} reference;

static float *at(vr_mat m, int row, int col)
{
    assert(row >= 0 && row < m.rows && col >= 0 && col < m.cols);
    return m.data + (size_t)row * m.stride + (size_t)col;
}

static int rows_of(const vr_rows *rows, int image) { return rows->offsets[image + 1] - rows->offsets[image]; }

/* A number that the model sees. */
static double pixel(const vr_picture *in, const vr_embed *w, int channel, int row, int col)
{
    const int at = row * in->width + col;
    return (double)(in->pixels ? in->pixels[channel * in->height * in->width + at]
                               : w->normal[256 * channel + in->rgb[3 * at + channel]]);
}

/* x_patch = W vec(patch) + bias + position */
static void reference_patch_embed(vr_backend *be, vr_mat x, vr_mat scratch, const vr_rows *rows, const vr_picture *in,
                                  const vr_embed *w)
{
    (void)be, (void)scratch;
    const int P = w->patch, C = x.cols;
    for (int b = 0; b < rows->images; b++) {
        const int across = in[b].width / P, down = in[b].height / P, first = rows->offsets[b];
        assert(rows_of(rows, b) == w->prefix + down * across);
        for (int p = 0; p < w->prefix; p++)
            for (int c = 0; c < C; c++) *at(x, first + p, c) = w->prefix_tokens[p * C + c];
        for (int patch = 0; patch < down * across; patch++)
            for (int c = 0; c < C; c++) {
                const float *filter = (const float *)w->proj.data + (size_t)c * (size_t)(3 * P * P);
                double       sum = 0;
                for (int channel = 0; channel < 3; channel++)
                    for (int i = 0; i < P; i++)
                        for (int j = 0; j < P; j++) {
                            int row = patch / across * P + i, col = patch % across * P + j;
                            sum += (double)filter[(channel * P + i) * P + j] * pixel(&in[b], w, channel, row, col);
                        }
                if (w->proj.bias) sum += (double)w->proj.bias[c];
                *at(x, first + w->prefix + patch, c) = (float)(sum + (double)in[b].positions[patch * C + c]);
            }
    }
}

/* y = (x - mean) / sqrt(var + eps) * weight + bias */
static void reference_layernorm(vr_backend *be, vr_mat y, vr_mat x, const vr_norm *w)
{
    (void)be;
    for (int r = 0; r < x.rows; r++) {
        double mean = 0, var = 0;
        for (int c = 0; c < x.cols; c++) mean += (double)*at(x, r, c);
        mean /= x.cols;
        for (int c = 0; c < x.cols; c++) var += pow((double)*at(x, r, c) - mean, 2);
        var /= x.cols;
        for (int c = 0; c < x.cols; c++) {
            double normal = ((double)*at(x, r, c) - mean) / sqrt(var + (double)w->eps);
            *at(y, r, c) = (float)(normal * (double)w->weight[c] + (double)w->bias[c]);
        }
    }
}

/* y = act(x W^T + bias), set or added */
static void reference_linear(vr_backend *be, vr_mat y, vr_mat x, const vr_weight *w, vr_act act, vr_into into)
{
    (void)be;
    assert(y.rows == x.rows && y.cols == w->out && x.cols == w->in);
    for (int r = 0; r < y.rows; r++)
        for (int n = 0; n < w->out; n++) {
            const float *weight = (const float *)w->data + (size_t)n * (size_t)w->in;
            double       sum = 0;
            for (int k = 0; k < w->in; k++) sum += (double)*at(x, r, k) * (double)weight[k];
            if (w->bias) sum += (double)w->bias[n];
            if (act == VR_GELU_ERF) sum *= (1 + erf(sum / sqrt(2))) / 2;
            if (into == VR_ADD) sum += (double)*at(y, r, n);
            *at(y, r, n) = (float)sum;
        }
}

/* One query of one head: scores = softmax(q k^T / sqrt(D) + ln size) over keys first .. first+keys-1. */
static void look(double *scores, vr_mat q, vr_mat k, int row, int first, int keys, int col, int D, const float *size)
{
    double max = -INFINITY, total = 0;
    for (int j = 0; j < keys; j++) {
        scores[j] = 0;
        for (int d = 0; d < D; d++) scores[j] += (double)*at(q, row, col + d) * (double)*at(k, first + j, col + d);
        scores[j] /= sqrt(D);
        if (size) scores[j] += log((double)size[first + j]);
        if (scores[j] > max) max = scores[j];
    }
    for (int j = 0; j < keys; j++) total += scores[j] = exp(scores[j] - max);
    for (int j = 0; j < keys; j++) scores[j] /= total;
}

static void mean_keys(vr_mat mean, vr_mat k, int heads)
{
    for (int r = 0; r < k.rows; r++)
        for (int d = 0; d < mean.cols; d++) {
            double sum = 0;
            for (int h = 0; h < heads; h++) sum += (double)*at(k, r, h * mean.cols + d);
            *at(mean, r, d) = (float)(sum / heads);
        }
}

static void reference_attention(vr_backend *be, vr_mat y, vr_mat q, vr_mat k, vr_mat v, const vr_rows *q_rows,
                                const vr_rows *kv_rows, int heads, const vr_extras *extras)
{
    const reference *impl = be->impl;
    const int        D = y.cols / heads;
    assert(D * heads == y.cols && q_rows->images == kv_rows->images);
    if (extras && extras->mean_keys.data) mean_keys(extras->mean_keys, k, heads);
    for (int b = 0; b < q_rows->images; b++) {
        const int first = kv_rows->offsets[b], keys = rows_of(kv_rows, b);
        float    *class_scores = extras && extras->class_scores ? extras->class_scores + first : NULL;
        assert(keys <= impl->tokens_max);
        for (int j = 0; class_scores && j < keys; j++) class_scores[j] = 0;
        for (int row = q_rows->offsets[b]; row < q_rows->offsets[b + 1]; row++)
            for (int h = 0; h < heads; h++) {
                look(impl->scores, q, k, row, first, keys, h * D, D, extras ? extras->size : NULL);
                for (int d = 0; d < D; d++) {
                    double sum = 0;
                    for (int j = 0; j < keys; j++) sum += impl->scores[j] * (double)*at(v, first + j, h * D + d);
                    *at(y, row, h * D + d) = (float)sum;
                }
                for (int j = 0; class_scores && row == q_rows->offsets[b] && j < keys; j++)
                    class_scores[j] += (float)(impl->scores[j] / heads);
            }
    }
}

/* Of the rows of image b behind its special tokens, as `how` weighs them. */
static float mean_of(vr_mat x, const vr_rows *rows, int b, vr_pooling how, int col)
{
    const int from = rows->offsets[b] + how.prefix, to = rows->offsets[b + 1];
    double    sum = 0, total = 0;
    for (int r = from; r < to; r++) {
        double weight = how.size ? (double)how.size[r] : 1;
        sum += weight * (double)*at(x, r, col);
        total += weight;
    }
    if (how.patches) total = how.patches[b];
    return to > from ? (float)(sum / total) : 0;
}

static void reference_pool(vr_backend *be, vr_mat y, vr_mat x, const vr_rows *rows, vr_pooling how)
{
    (void)be;
    for (int b = 0; b < rows->images; b++)
        for (int c = 0; c < x.cols; c++) {
            int first = rows->offsets[b];
            switch (how.kind) {
            case VR_POOL_ROW:
                *at(y, b, c) = *at(x, first + how.row, c);
                break;
            case VR_POOL_MEAN:
                *at(y, b, c) = mean_of(x, rows, b, how, c);
                break;
            case VR_POOL_CLASS_MEAN:
                *at(y, b, c) = *at(x, first, c);
                *at(y, b, x.cols + c) = mean_of(x, rows, b, how, c);
                break;
            }
        }
}

static void reference_gather(vr_backend *be, vr_mat y, vr_mat x, const int *index)
{
    (void)be;
    for (int r = 0; r < y.rows; r++)
        for (int c = 0; c < y.cols; c++) *at(y, r, c) = *at(x, index[r], c);
}

/* ---- life and memory ---- */

static vr_status reference_open(vr_backend *be, const vr_wish *wish, vr_error *err)
{
    *be = (vr_backend){
        .ops = &vr_reference, .impl = vr_alloc_zeroed(1, sizeof(reference)), .math = VR_MATH_F32, .budget = 2048, .chip = ""};
    if (be->impl) ((reference *)be->impl)->math = wish->math;
    return be->impl ? VR_OK : vr_fail(err, VR_E_MEMORY, "", "There is no memory for the oracle.");
}

static void reference_close(vr_backend *be)
{
    reference *impl = be->impl;
    if (impl) free(impl->scores);
    free(impl);
    be->impl = NULL;
}

static vr_status reference_alloc(vr_backend *be, void **out, size_t bytes, vr_error *err)
{
    (void)be;
    *out = vr_alloc(bytes, 1);
    return *out ? VR_OK : vr_fail(err, VR_E_MEMORY, "", "The system refused %zu bytes of memory.", bytes);
}

static void reference_free(vr_backend *be, void *p)
{
    (void)be;
    free(p);
}

static vr_status copy(vr_backend *be, void *to, const void *from, size_t bytes, vr_error *err)
{
    (void)be, (void)err;
    memcpy(to, from, bytes);
    return VR_OK;
}

static void reference_unpack(vr_backend *be, vr_weight *w)
{
    (void)be;
    free(w->data);
    free(w->bias);
    *w = (vr_weight){0};
}

/* Asked for less than f32, the oracle still computes in double, but with the weights that another back end would have. */
static float rounded(float x, vr_math math)
{
    uint32_t bits;
    if (math == VR_MATH_F16) return vr_f16_to_f32(vr_f32_to_f16(x));
    if (math == VR_MATH_BF16) return vr_bf16_to_f32(vr_f32_to_bf16(x));
    if (math != VR_MATH_TF32) return x;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0xFFF + (bits >> 13 & 1)) & ~0x1FFFu;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static vr_status reference_pack(vr_backend *be, vr_weight *out, const float *weight, const float *bias, int out_features,
                                int in_features, vr_error *err)
{
    const size_t count = (size_t)out_features * (size_t)in_features, row = (size_t)out_features;
    *out = (vr_weight){.data = vr_alloc(count, sizeof *weight), .out = out_features, .in = in_features};
    if (bias) out->bias = vr_alloc(row, sizeof *bias);
    if (!out->data || (bias && !out->bias)) {
        reference_unpack(be, out);
        return vr_fail(err, VR_E_MEMORY, "", "There is no memory for a weight of %zu numbers.", count);
    }
    const vr_math math = ((const reference *)be->impl)->math;
    for (size_t i = 0; i < count; i++) ((float *)out->data)[i] = rounded(weight[i], math);
    for (size_t i = 0; i < row && bias; i++) out->bias[i] = math == VR_MATH_TF32 ? bias[i] : rounded(bias[i], math);
    return VR_OK;
}

static vr_status reference_reserve(vr_backend *be, const vr_limits *most, int head_size, int patch, vr_error *err)
{
    (void)head_size, (void)patch;
    reference *impl = be->impl;
    const int  tokens_max = most->longest;
    free(impl->scores);
    impl->scores = vr_alloc((size_t)tokens_max, sizeof *impl->scores);
    impl->tokens_max = impl->scores ? tokens_max : 0;
    return impl->scores ? VR_OK : vr_fail(err, VR_E_MEMORY, "", "There is no memory for attention over %d tokens.", tokens_max);
}

static vr_status reference_reserve_reduction(vr_backend *be, const vr_limits *most, vr_error *err)
{
    (void)be, (void)most, (void)err;
    return VR_OK;
}

static vr_status reference_finish(vr_backend *be, vr_error *err)
{
    (void)be, (void)err;
    return VR_OK;
}

const vr_ops vr_reference = {
    .name = "reference",
    .open = reference_open,
    .close = reference_close,
    .alloc = reference_alloc,
    .free = reference_free,
    .put = copy,
    .get = copy,
    .pack = reference_pack,
    .unpack = reference_unpack,
    .reserve = reference_reserve,
    .reserve_reduction = reference_reserve_reduction,
    .finish = reference_finish,
    .patch_embed = reference_patch_embed,
    .layernorm = reference_layernorm,
    .linear = reference_linear,
    .attention = reference_attention,
    .pool = reference_pool,
    .gather = reference_gather,
    .mame = vr_reference_mame,
    .mare = vr_reference_mare,
    .tome = vr_reference_tome,
    .evit = vr_reference_evit,
    .diffrate = vr_reference_diffrate,
};
