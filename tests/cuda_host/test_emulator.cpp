// The emulator itself: what its primitives mean, and what a kernel may not do, each in a small kernel.
#include "harness.h"
#include <cuda/mma.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace vr_test;

template <class... P, class... A> static void on_one_block(void (*kernel)(P...), unsigned threads, size_t smem, A... args)
{
    vr_fake::launch({"kernel", 1, threads, smem}, nullptr, kernel, args...);
    cudaDeviceSynchronize();
}

// ---- what is right ----

__global__ void meaning(int *p, float *f)
{
    VR_SHARED(float, sum, [2]);
    VR_SHARED(unsigned, vote, [2]);
    const int tid = (int)threadIdx.x, l = tid % 32;
    if (tid == 0) sum[0] = 0, sum[1] = -INFINITY;
    __syncthreads();
    int x = tid;
    for (unsigned d = 16; d; d /= 2) x += __shfl_down_sync(~0u, x, d);
    if (l == 0) p[tid / 32] = x;
    const unsigned mask = l < 8 ? 0xffu : 0xffffff00u; // two groups of one warp at one call
    const unsigned v = __ballot_sync(mask, l % 2);
    if (l == 0 || l == 31) vote[l == 31] = v;
    const int all = __all_sync(mask, l < 8), any = __any_sync(mask, l == 9);
    if (tid == 0) p[4] = all * 2 + any;
    if (tid == 31) p[5] = all * 2 + any;
    const int above = __shfl_up_sync(~0u, tid, 3), one = __shfl_sync(~0u, tid, 5);
    if (tid == 34) p[6] = above;
    if (tid == 36) p[7] = above;
    if (tid == 63) p[8] = one;
    atomicAdd(&sum[0], 1.f);
    atomic_max_float(&sum[1], (float)(tid % 50) - 60);
    atomicMax(&p[9], tid);
    atomicMin(&p[10], -tid);
    __syncthreads();
    if (tid == 0) f[0] = sum[0], f[1] = sum[1], p[2] = (int)vote[0], p[3] = (int)vote[1];
}
CASE("emulator/meaning", [] {
    device<int>   p(std::vector<int>(11, 0));
    device<float> f(2);
    on_one_block(meaning, 64, 0, (int *)p, (float *)f);
    const std::vector<int> got = p.download(), want = {496, 1520, 0xaa, (int)0xaaaaaa00u, 2, 1, 34, 33, 37, 63, -63};
    for (size_t i = 0; i < want.size(); i++) expect(got[i] == want[i], "[%zu] is %d, not %d", i, got[i], want[i]);
    const std::vector<float> sums = f.download();
    expect(sums[0] == 64 && sums[1] == -11, "atomics give %g, %g", sums[0], sums[1]);
});

__global__ void unset(float *f)
{
    VR_SHARED(float, s, [32]);
    VR_DYNAMIC_SHARED(half_t, h);
    f[0] = s[3], f[1] = to_float(h[5]), f[2] = to_float(((bf16_t *)h)[1]);
}
CASE("emulator/unset memory", [] {
    device<float> f(4);
    on_one_block(unset, 1, 64, (float *)f);
    for (float x : f.download()) expect(x != x, "unset memory is %g, not NaN", x);
});

// Fragments by the strides that CUTLASS publishes (mma_traits_sm80.hpp): positions m + 16k, n + 8k, m + 16n.
template <class T> __global__ void strides(const float *A, const float *B, float *C)
{
    const unsigned t = threadIdx.x % 4, g = threadIdx.x / 4;
    unsigned       a[4], b[2];
    float          c[4] = {};
    for (unsigned v = 0; v < 8; v += 2) {
        const unsigned at = 32 * t + g + 8 * (v / 2 % 2) + 128 * (v / 4);
        a[v / 2] = pack2<T>(A[at], A[at + 16]);
    }
    for (unsigned v = 0; v < 4; v += 2) {
        const unsigned at = 16 * t + g + 64 * (v / 2);
        b[v / 2] = pack2<T>(B[at], B[at + 8]);
    }
    mma_16x8x16<T>(c, a, b[0], b[1]);
    for (unsigned v = 0; v < 4; v++) C[32 * t + g + 16 * (v % 2) + 8 * (v / 2)] = c[v];
}
__global__ void strides_tf32(const float *A, const float *B, float *C)
{
    const unsigned t = threadIdx.x % 4, g = threadIdx.x / 4;
    unsigned       a[4], b[2];
    float          c[4] = {};
    for (unsigned v = 0; v < 4; v++) a[v] = to_tf32(A[16 * t + g + 8 * (v % 2) + 64 * (v / 2)]);
    for (unsigned v = 0; v < 2; v++) b[v] = to_tf32(B[8 * t + g + 32 * v]);
    mma_16x8x8_tf32(c, a, b[0], b[1]);
    for (unsigned v = 0; v < 4; v++) C[32 * t + g + 16 * (v % 2) + 8 * (v / 2)] = c[v];
}
static void test_strides(void (*kernel)(const float *, const float *, float *), int K)
{
    std::vector<float> A(16 * (size_t)K), B(8 * (size_t)K), C;
    for (size_t i = 0; i < A.size(); i++) A[i] = (float)((int)i * 37 % 101 - 50); // whole numbers: every sum is exact
    for (size_t i = 0; i < B.size(); i++) B[i] = (float)((int)i * 53 % 89 - 44);
    device<float> a(A), b(B), c(128);
    on_one_block(kernel, 32, 0, (const float *)(float *)a, (const float *)(float *)b, (float *)c);
    C = c.download();
    for (int m = 0; m < 16; m++)
        for (int n = 0; n < 8; n++) {
            float sum = 0;
            for (int k = 0; k < K; k++) sum += A[(size_t)(m + 16 * k)] * B[(size_t)(n + 8 * k)];
            expect(C[(size_t)(m + 16 * n)] == sum, "(%d, %d) is %g, not %g", m, n, C[(size_t)(m + 16 * n)], sum);
        }
}
CASE("emulator/mma f16", [] { test_strides(strides<half_t>, 16); });
CASE("emulator/mma bf16", [] { test_strides(strides<bf16_t>, 16); });
CASE("emulator/mma tf32", [] { test_strides(strides_tf32, 8); });

// PTX ISA, "ldmatrix": thread T holds elements 2 (T % 4), + 1 of row T / 4; transposed, of column T / 4.
__global__ void fragments(int *out)
{
    VR_SHARED(uint16_t, tile, [32][8]);
    const unsigned l = threadIdx.x;
    for (unsigned i = 0; i < 8; i++) tile[l][i] = (uint16_t)(l * 8 + i);
    __syncwarp();
    unsigned m[4];
    ldmatrix_x4(m, tile[l]);
    for (unsigned i = 0; i < 4; i++) out[l * 8 + i] = (int)m[i];
    ldmatrix_x4_trans(m, tile[l]);
    for (unsigned i = 0; i < 4; i++) out[l * 8 + 4 + i] = (int)m[i];
}
CASE("emulator/ldmatrix", [] {
    device<int> out(256);
    on_one_block(fragments, 32, 0, (int *)out);
    const std::vector<int> got = out.download();
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 4; i++) {
            const int row = 64 * i + l / 4 * 8 + l % 4 * 2, column = 64 * i + l % 4 * 16 + l / 4;
            expect(got[(size_t)(l * 8 + i)] == (row | (row + 1) << 16), "lane %d, matrix %d", l, i);
            expect(got[(size_t)(l * 8 + 4 + i)] == (column | (column + 8) << 16), "lane %d, matrix %d, transposed", l, i);
        }
});

CASE("emulator/halves", [] {
    for (unsigned i = 0; i < 65536; i++) {
        const half_t h = {(uint16_t)i};
        const bf16_t b = {(uint16_t)i};
        const float  x = to_float(h), y = to_float(b);
        expect(x != x ? (to_half(x).bits & 0x7fff) > 0x7c00 : to_half(x).bits == i, "half %x", i);
        expect(y != y ? (to_bf16(y).bits & 0x7fff) > 0x7f80 : to_bf16(y).bits == i, "bf16 %x", i);
        const int e = (int)(i >> 10 & 31), m = (int)(i & 1023);
        if (e < 31) expect(fabsf(x) == (e ? ldexpf((float)(1024 + m), e - 25) : ldexpf((float)m, -24)), "half %x is %g", i, x);
    }
    const struct {
        float    f;
        unsigned half;
    } rounding[] = {{65519.f, 0x7bff},      {65520.f, 0x7c00},        {0x1p-25f, 0},       {0x1.8p-25f, 1},
                    {1 + 0x1p-11f, 0x3c00}, {1 + 0x1.8p-10f, 0x3c02}, {-0x1p-24f, 0x8001}, {-0.f, 0x8000}};
    for (const auto &r : rounding) expect(to_half(r.f).bits == r.half, "%a as half is %x", r.f, to_half(r.f).bits);
    expect(to_bf16(1 + 0x1p-8f).bits == 0x3f80 && to_bf16(1 + 0x1.8p-7f).bits == 0x3f82, "bf16: ties to even");
    expect(to_tf32(1 + 0x1p-11f) == __float_as_uint(1 + 0x1p-10f) && to_tf32(1.f) == 0x3f800000, "tf32: ties away from zero");
    expect(pack2(1.f, 2.f) == 0x40003c00 && pack2<bf16_t>(1.f, 2.f) == 0x40003f80, "pack2: lo in the low bits");
    expect(unpack2<bf16_t>(0x40003f80).y == 2 && unpack2(0x40003c00).x == 1, "unpack2");
});

__global__ void who(int *order, int *next) { order[atomicAdd(next, 1)] = (int)(blockIdx.x * blockDim.x + threadIdx.x); }
CASE("emulator/orders", [] {
    std::vector<int> seen[3];
    for (int o = 0; o < 3; o++) {
        device<int> order(96), next(std::vector<int>(1, 0));
        vr_emu::configure((vr_emu::order)o, 3);
        VR_LAUNCH(who, 3, 32, 0, nullptr, order, next);
        seen[o] = order.download();
    }
    expect(seen[0][0] == 0 && seen[0][95] == 95, "ascending begins with %d", seen[0][0]);
    expect(seen[1][0] == 95 && seen[1][95] == 0, "descending begins with %d", seen[1][0]);
    expect(seen[2] != seen[0] && seen[2] != seen[1], "shuffled is one of the others");
});

__global__ void count_up(int *p)
{
    VR_SHARED(int, s, [64]);
    for (int i = 0; i < 50; i++) {
        s[threadIdx.x] = i;
        __syncthreads();
        p[threadIdx.x] += s[63 - threadIdx.x];
        __syncthreads();
    }
}
static void *on_a_thread(void *)
{
    device<int>  p(std::vector<int>(64, 0));
    cudaStream_t s;
    if (cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking)) abort();
    for (int i = 0; i < 4; i++) VR_LAUNCH(count_up, 1, 64, 0, s, p);
    cudaStreamSynchronize(s);
    bool right = true;
    for (int x : p.download()) right = right && x == 4 * 50 * 49 / 2;
    cudaStreamDestroy(s);
    return right ? (void *)&on_a_thread : nullptr;
}
CASE("emulator/two host threads", [] {
    pthread_t t[2];
    for (pthread_t &one : t) expect(pthread_create(&one, nullptr, on_a_thread, nullptr) == 0, "pthread_create");
    for (pthread_t one : t) {
        void *right;
        pthread_join(one, &right);
        expect(right != nullptr, "wrong sums on a host thread of their own");
    }
});

// ---- what is wrong ----

static void expect_fault(const char *part)
{
    const std::string said = vr_fake::said();
    expect(cudaGetLastError() == cudaErrorLaunchFailure && said.find(part) != std::string::npos, "\"%s\" lacks \"%s\"",
           said.c_str(), part);
    vr_fake::reset();
}

__global__ void half_a_barrier(int *)
{
    if (threadIdx.x < 40) __syncthreads();
}
__global__ void two_lines(int *)
{
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
}
__global__ void split_warp(int *p)
{
    int v = 0;
    if (threadIdx.x % 32 < 8)
        v = __shfl_xor_sync(~0u, 1, 1);
    else
        v = (int)__ballot_sync(~0u, 1);
    p[threadIdx.x] = v;
}
__global__ void lone_lanes(int *p)
{
    if (threadIdx.x < 5) p[0] = __shfl_sync(~0u, 1, 0);
}
__global__ void not_in_mask(int *p) { p[0] = __shfl_sync(threadIdx.x < 16 ? 0xffffu : ~0xffffu, 1, 3); }
__global__ void askew(half_t *p)
{
    VR_DYNAMIC_SHARED(half_t, s);
    cp_async_16(s + 1, p, true);
}
__global__ void not_shared(half_t *p)
{
    unsigned m[4];
    ldmatrix_x4(m, p);
}
__global__ void nothing(int *) {}
CASE("emulator/faults are named", [] {
    if (quick()) return; // ThreadSanitizer has no room for fibres that are dropped half way
    device<int>    p(64);
    device<half_t> h(64);
    int *const     at = p;
    half_t *const  half = h;
    on_one_block(half_a_barrier, 64, 0, at);
    expect_fault("threads 0-39 wait at __syncthreads");
    on_one_block(two_lines, 64, 0, at);
    expect_fault("do not meet");
    on_one_block(split_warp, 64, 0, at);
    expect_fault("diverged warp");
    on_one_block(lone_lanes, 32, 0, at);
    expect_fault("wait at __shfl_sync");
    on_one_block(not_in_mask, 32, 0, at);
    expect_fault("not in the mask");
    on_one_block(askew, 1, 64, half);
    expect_fault("block (0,0,0), thread (0,0,0): cp.async: address is not a multiple of 16");
    on_one_block(not_shared, 32, 64, half);
    expect_fault("not in shared memory");
    on_one_block(nothing, 64, 0, at);
    expect(cudaGetLastError() == cudaSuccess, "after all that, launches still work");
});

// A copy that nobody waited for is junk, and so is what it will overwrite.
__global__ void early(float *out, const float *in)
{
    VR_SHARED(float, s, [4]);
    s[0] = 1;
    cp_async_16(s, in, true);
    out[0] = s[0];
    cp_async_commit();
    cp_async_wait<1>();
    out[1] = s[0];
    cp_async_wait<0>();
    out[2] = s[0];
    cp_async_16(s, in, false);
    cp_async_commit();
    cp_async_wait<0>();
    out[3] = s[3];
}
CASE("emulator/copies land at their wait", [] {
    device<float> in(std::vector<float>{5, 6, 7, 8}), out(4);
    on_one_block(early, 1, 0, (float *)out, (const float *)(float *)in);
    const std::vector<float> got = out.download();
    expect(got[0] != got[0] && got[1] != got[1], "%g and %g before the wait", got[0], got[1]);
    expect(got[2] == 5 && got[3] == 0, "%g and %g after it", got[2], got[3]);
});

// ---- past the end ----

template <int N> __global__ void past_static(int *p, int i)
{
    VR_SHARED(int, a, [N]);
    VR_SHARED(float, b, [N][2]);
    a[threadIdx.x] = i;
    b[threadIdx.x][1] = 0;
    __syncthreads();
    p[threadIdx.x] = (&a[0])[(int)threadIdx.x + i];
}
__global__ void past_dynamic(int *p, int i)
{
    VR_DYNAMIC_SHARED(char, s);
    s[i] = 1;
    p[0] = s[i];
}
__global__ void past_global(int *p, int i) { p[(int)threadIdx.x + i] = 1; }

CASE("emulator/template with commas", [] {
    device<int> p(32);
    VR_LAUNCH((past_static<32>), dim3(1), dim3(32), 0, nullptr, p, 0);
    expect(cudaDeviceSynchronize() == cudaSuccess, "launch");
});

#if defined(__SANITIZE_ADDRESS__)
template <class F> static void dies(const char *word, F f)
{
    int ends[2];
    if (pipe(ends)) abort();
    const pid_t child = fork();
    if (!child) {
        dup2(ends[1], 2);
        f();
        _exit(0);
    }
    close(ends[1]);
    std::string text;
    char        piece[4096];
    for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;) text.append(piece, (size_t)n);
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    expect(status && text.find(word) != std::string::npos, "does not end with %s", word);
}
CASE("emulator/past the end", [] {
    static bool done; // the order makes no difference, and each death takes a while
    if (done) return;
    done = true;
    device<int> p(32);
    int *const  at = p;
    dies("use-after-poison", [=] { on_one_block(past_static<32>, 32, 0, at, 1); });
    dies("use-after-poison", [=] { on_one_block(past_dynamic, 1, 100, at, 100); });
    dies("use-after-poison", [=] { on_one_block(past_global, 32, 0, at, 1); });
    dies("use-after-poison", [=] { on_one_block(past_global, 32, 0, at, -1); });
    dies("SEGV", [=] { at[0] = 1; }); // device memory is no host memory
    dies("use-after-poison", [] {
        int *q;
        cudaMalloc(&q, 128);
        cudaFree(q);
        on_one_block(past_global, 32, 0, q, 0);
    });
});
#endif
