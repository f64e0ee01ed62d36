/* What the tests of the CUDA kernels share: device memory that ends where it should, matrices of each element type, the
 * oracle, and the orders in which the emulator runs a block. */
#ifndef VR_TESTS_CUDA_KERNELS_HARNESS_H
#define VR_TESTS_CUDA_KERNELS_HARNESS_H

#include <cuda/device.h>

#include "../../../kernels/cuda/launch.h"
extern "C" {
#include "../../../kernels/trace.h"
#include "../../reference/reference.h"
}
#include <string>
#include <vector>

/* An emulated device's memory: exactly as long as asked for, full of junk, or of what is given. */
template <class T> struct device_array {
    T     *p = nullptr;
    size_t count;
    explicit device_array(size_t n) : count(n) { open(); }
    explicit device_array(const std::vector<T> &from) : count(from.size())
    {
        open();
        cudaMemcpy(p, from.data(), count * sizeof(T), cudaMemcpyHostToDevice);
    }
    device_array(const device_array &) = delete;
    device_array &operator=(const device_array &) = delete;
    ~device_array() { cudaFree(p); }
    std::vector<T> get() const
    {
        std::vector<T> host(count);
        cudaMemcpy(host.data(), p, count * sizeof(T), cudaMemcpyDeviceToHost);
        return host;
    }

  private:
    void open() { cudaMalloc(&p, (count ? count : 1) * sizeof(T)); }
};

/* Numbers in rows without gaps, on the host. */
struct table {
    int                rows, cols;
    std::vector<float> x;
    table(int r, int c) : rows(r), cols(c), x((size_t)r * (size_t)c) {}
    float       &at(int r, int c) { return x[(size_t)r * (size_t)cols + (size_t)c]; }
    const float &at(int r, int c) const { return x[(size_t)r * (size_t)cols + (size_t)c]; }
    vr_mat       mat() { return {x.data(), rows, cols, (size_t)cols, VR_F32}; }
};

/* A matrix on the device, its rows `gap` elements apart; the numbers are rounded to the type. */
struct device_mat {
    vr_mat              m;
    device_array<char> *memory;
    device_mat(const table &from, vr_dtype type, int gap);
    device_mat(int rows, int cols, vr_dtype type, int gap); /* for a result */
    device_mat(const device_mat &) = delete;
    device_mat &operator=(const device_mat &) = delete;
    ~device_mat() { delete memory; }
    table get(int rows) const;    /* the first of its rows */
    bool  gaps_untouched() const; /* between rows and past the last of them there is junk still */
    bool  rows_untouched(int from) const;
};

float round_to(vr_dtype type, float x);
void  round_table(table &t, vr_dtype type);

/* ---- numbers ---- */

double uniform(); /* 0 .. 1, the same sequence in every run */
double normal();
void   seed_numbers(uint64_t seed);

/* Tokens that resemble each other in groups; with twins some of them are the same. */
table grouped_tokens(const std::vector<int> &counts, int cols, bool twins);

std::vector<int> offsets_of(const std::vector<int> &counts);

/* ---- running ---- */

extern const vr_dtype TYPES[3];
double                type_error(vr_dtype type, double f32, double f16, double bf16);

/* Calls `run` in each order of the emulator, or in one of them where VR_CUDA_ORDER says so, and checks that no launch
 * failed. */
template <class F> void in_all_orders(const std::string &what, F run);

bool order_begin(int order); /* false: not this one */
void order_end(const std::string &what);

template <class F> void in_all_orders(const std::string &what, F run)
{
    for (int order = 0; order < 3; order++) {
        if (!order_begin(order)) continue;
        run();
        order_end(what);
    }
}

vr_gpu test_gpu(); /* shared memory of an H100, and so few multiprocessors that a block has several tiles */

/* ---- verdicts: a failed one is told, and the program's exit status is 1 ---- */

void check(bool ok, const std::string &what);
void check_equal(int got, int want, const std::string &what);
/* The largest error at most `limit` of the largest number wanted; a NaN is no error only where one is wanted. */
void check_close(const table &got, const table &want, double limit, const std::string &what);
void check_floats(const std::vector<float> &got, const float *want, size_t count, double limit, const std::string &what);
int  verdict(const char *suite);

std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
