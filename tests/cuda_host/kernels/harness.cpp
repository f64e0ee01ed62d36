/* harness.cpp: see harness.h. */
#include "harness.h"

#include <algorithm>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- memory ---- */

static size_t bytes_of(vr_dtype type) { return type == VR_F32 ? 4 : 2; }

static size_t matrix_bytes(int rows, int cols, vr_dtype type, int gap)
{
    return rows == 0 ? 0 : ((size_t)(rows - 1) * (size_t)(cols + gap) + (size_t)cols) * bytes_of(type);
}

device_mat::device_mat(int rows, int cols, vr_dtype type, int gap)
    : memory(new device_array<char>(matrix_bytes(rows, cols, type, gap)))
{
    m = {(float *)(void *)memory->p, rows, cols, (size_t)(cols + gap), type};
    std::vector<char> junk(memory->count);
    vr_emu::junk(junk.data(), junk.size());
    cudaMemcpy(memory->p, junk.data(), junk.size(), cudaMemcpyHostToDevice);
}

static void store(char *to, vr_dtype type, float x)
{
    if (type == VR_F32) memcpy(to, &x, 4);
    const half_t h = to_half(x);
    const bf16_t b = to_bf16(x);
    if (type == VR_F16) memcpy(to, &h, 2);
    if (type == VR_BF16) memcpy(to, &b, 2);
}

static float load(const char *from, vr_dtype type)
{
    float  x = 0;
    half_t h = {};
    bf16_t b = {};
    if (type == VR_F32) memcpy(&x, from, 4);
    if (type == VR_F16) memcpy(&h, from, 2), x = to_float(h);
    if (type == VR_BF16) memcpy(&b, from, 2), x = to_float(b);
    return x;
}

float round_to(vr_dtype type, float x)
{
    char cell[4];
    store(cell, type, x);
    return load(cell, type);
}

void round_table(table &t, vr_dtype type)
{
    for (float &x : t.x) x = round_to(type, x);
}

device_mat::device_mat(const table &from, vr_dtype type, int gap) : device_mat(from.rows, from.cols, type, gap)
{
    std::vector<char> host(memory->count);
    vr_emu::junk(host.data(), host.size());
    for (int r = 0; r < from.rows; r++)
        for (int c = 0; c < from.cols; c++)
            store(host.data() + ((size_t)r * m.stride + (size_t)c) * bytes_of(type), type, from.at(r, c));
    cudaMemcpy(memory->p, host.data(), host.size(), cudaMemcpyHostToDevice);
}

table device_mat::get(int rows) const
{
    const std::vector<char> host = memory->get();
    table                   t(rows, m.cols);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < m.cols; c++)
            t.at(r, c) = load(host.data() + ((size_t)r * m.stride + (size_t)c) * bytes_of(m.type), m.type);
    return t;
}

static bool junk_in(const std::vector<char> &host, size_t from, size_t to)
{
    std::vector<char> junk(to - from);
    vr_emu::junk(junk.data(), junk.size());
    return std::equal(junk.begin(), junk.end(), host.begin() + (long)from);
}

bool device_mat::gaps_untouched() const
{
    const std::vector<char> host = memory->get();
    const size_t            cell = bytes_of(m.type);
    for (int r = 0; r + 1 < m.rows; r++)
        if (!junk_in(host, ((size_t)r * m.stride + (size_t)m.cols) * cell, (size_t)(r + 1) * m.stride * cell)) return false;
    return true;
}

bool device_mat::rows_untouched(int from) const
{
    const std::vector<char> host = memory->get();
    const size_t            at = (size_t)from * m.stride * bytes_of(m.type);
    return at >= host.size() || junk_in(host, at, host.size());
}

/* ---- numbers ---- */

static uint64_t state = 88172645463325252u;

void seed_numbers(uint64_t seed)
{
    state = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
    for (int i = 0; i < 8; i++) uniform();
}

double uniform()
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53;
}

double normal() { return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform()); }

std::vector<int> offsets_of(const std::vector<int> &counts)
{
    std::vector<int> offsets(1, 0);
    for (int n : counts) offsets.push_back(offsets.back() + n);
    return offsets;
}

table grouped_tokens(const std::vector<int> &counts, int cols, bool twins)
{
    const std::vector<int> offsets = offsets_of(counts);
    table                  t(offsets.back(), cols);
    for (size_t b = 0; b < counts.size(); b++) {
        table centres(5, cols);
        for (float &x : centres.x) x = (float)normal();
        for (int r = offsets[b]; r < offsets[b + 1]; r++) {
            const int    which = (int)(uniform() * 5), twin = twins && uniform() < 0.05 && r > offsets[b] ? r - 1 : r;
            const double spread = 0.3 + 0.9 * uniform();
            for (int c = 0; c < cols; c++)
                t.at(r, c) = twin < r ? t.at(twin, c) : (float)((double)centres.at(which, c) + spread * normal());
        }
    }
    return t;
}

/* ---- running ---- */

const vr_dtype TYPES[3] = {VR_F32, VR_F16, VR_BF16};

double type_error(vr_dtype type, double f32, double f16, double bf16)
{
    return type == VR_F32 ? f32 : type == VR_F16 ? f16 : bf16;
}

static const char *const ORDERS[] = {"ascending", "descending", "shuffled"};
static int               order_now, failures, checks;

bool order_begin(int order)
{
    const char *only = getenv("VR_CUDA_ORDER");
    if (only && strcmp(only, ORDERS[order]) != 0) return false;
    order_now = order;
    vr_emu::configure((vr_emu::order)order, 7);
    return true;
}

void order_end(const std::string &what)
{
    const cudaError_t error = cudaDeviceSynchronize();
    check(error == cudaSuccess, what + ": " + vr_fake::said());
    if (error) vr_fake::reset();
}

vr_gpu test_gpu() { return {NULL, 2, 227 << 10, false, NULL}; }

/* ---- verdicts ---- */

std::string text(const char *format, ...)
{
    char    line[400];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    return line;
}

void check(bool ok, const std::string &what)
{
    checks++;
    if (ok) return;
    if (failures++ < 40) printf("FAIL %s, %s\n", what.c_str(), ORDERS[order_now]);
}

void check_equal(int got, int want, const std::string &what)
{
    check(got == want, what + text(": %d, expected %d", got, want));
}

void check_floats(const std::vector<float> &got, const float *want, size_t count, double limit, const std::string &what)
{
    double largest = 0, worst = 0;
    size_t at = 0;
    if (count == 0) return;
    for (size_t i = 0; i < count; i++) {
        const double error = fabs((double)got[i] - (double)want[i]);
        if (fabs((double)want[i]) > largest) largest = fabs((double)want[i]);
        if (isnan(want[i]) && isnan(got[i])) continue;
        if (!(error <= worst)) worst = error, at = i;
        if (isnan(error)) break;
    }
    check(worst <= limit * largest || worst == 0, what + text(": number %zu is %g, expected %g; error %.2e of the largest", at,
                                                              (double)got[at], (double)want[at], worst / largest));
}

void check_close(const table &got, const table &want, double limit, const std::string &what)
{
    check(got.rows == want.rows && got.cols == want.cols, what + ": shape");
    if (got.rows == want.rows && got.cols == want.cols && !got.x.empty())
        check_floats(got.x, want.x.data(), want.x.size(), limit, what);
}

int verdict(const char *suite)
{
    printf("%s: %d checks, %d failures\n", suite, checks, failures);
    return failures != 0;
}
